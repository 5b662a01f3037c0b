//! One SIP connection over TCP, with or without TLS: opening, framing, keep-alives, closing.
//!
//! The connection is kept and used again until `Calls` closes it. It never blocks; what cannot be
//! written yet waits here.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use nix::sys::epoll::EpollFlags;
use rustls::ClientConnection;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::{Trust, tls, udp};
use crate::calls::FlowFault;
use crate::sip::wire::framing::{Frame, Framer};
use crate::time::Instant;

/// Longer than three lost SYNs (1 + 2 + 4 s); a PBX that takes longer is as good as silent.
const CONNECT_WITHIN: Duration = Duration::from_secs(8);

/// Over long lines and with a lost segment a handshake takes a second. A port that does not speak TLS may say
/// nothing at all, and that must be told before the caller's own patience ends and takes it for silence.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(3);

/// Data that stays without acknowledgement this long ends the connection: the far host is gone, and
/// the kernel's own patience is a quarter of an hour.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(10);

/// What may wait to be written. More means that the far end has stopped reading.
const UNWRITTEN_MAX: usize = 1024 * 1024;

/// Bytes read at once.
const READ: usize = 16 * 1024;

/// The answer to a keep-alive ping (RFC 5626 §4.4.1).
const PONG: &[u8] = b"\r\n";

/// One connection.
#[derive(Debug)]
pub(super) struct TcpFlow {
    stream: TcpStream,
    peer: SocketAddr,
    state: State,
    tls: Option<Box<ClientConnection>>,
    trust: Trust,
    framer: Framer,
    /// Bytes for the wire: plain, or already encrypted.
    unwritten: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Connecting { give_up: Instant },
    Handshaking { give_up: Instant },
    Open,
}

/// What became of the connection.
#[derive(Debug)]
pub(super) enum News<'a> {
    Opened { local: SocketAddr },
    Message(&'a [u8]),
}

impl TcpFlow {
    /// Begins to connect.
    pub(super) fn open(
        now: Instant,
        local: SocketAddr,
        peer: SocketAddr,
        session: Option<ClientConnection>,
        trust: &Trust,
    ) -> Result<Self, FlowFault> {
        let local = udp::local_towards(local, peer)?;
        let stream = connect(local, peer)?;
        Ok(Self {
            stream,
            peer,
            state: State::Connecting {
                give_up: now + CONNECT_WITHIN,
            },
            tls: session.map(Box::new),
            trust: trust.clone(),
            framer: Framer::new(),
            unwritten: Vec::new(),
        })
    }

    pub(super) fn socket(&self) -> &TcpStream {
        &self.stream
    }

    pub(super) fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// What the shell shall wait for.
    pub(super) fn interest(&self) -> EpollFlags {
        let write = match self.state {
            State::Connecting { .. } => true,
            State::Handshaking { .. } | State::Open => {
                !self.unwritten.is_empty() || self.tls.as_ref().is_some_and(|tls| tls.wants_write())
            }
        };
        if write {
            EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT
        } else {
            EpollFlags::EPOLLIN
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Connecting { give_up } | State::Handshaking { give_up } => Some(give_up),
            State::Open => None,
        }
    }

    /// The deadline has come.
    pub(super) fn expire(&self) -> FlowFault {
        match self.state {
            State::Connecting { .. } | State::Open => FlowFault::Unreachable {
                peer: self.peer,
                words: format!(
                    "{} did not accept the connection in {} s",
                    self.peer,
                    CONNECT_WITHIN.as_secs()
                ),
            },
            State::Handshaking { .. } => FlowFault::Tls {
                words: format!(
                    "{} takes the connection and does not answer to TLS in {} s: does this port speak it?",
                    self.peer,
                    HANDSHAKE_WITHIN.as_secs()
                ),
            },
        }
    }

    /// Sends one message as soon as the connection takes it.
    pub(super) fn send(&mut self, message: &[u8]) -> Result<(), FlowFault> {
        if self.unwritten.len() + message.len() > UNWRITTEN_MAX {
            return Err(FlowFault::Unreachable {
                peer: self.peer,
                words: format!("{} has stopped reading what we send", self.peer),
            });
        }
        match &mut self.tls {
            Some(tls) => tls
                .writer()
                .write_all(message)
                .map_err(|error| self.broken(&error))?,
            None => self.unwritten.extend_from_slice(message),
        }
        match self.state {
            State::Open => self.write(),
            State::Connecting { .. } | State::Handshaking { .. } => Ok(()),
        }
    }

    /// The socket is ready: connects, shakes hands, writes, reads, and tells what came of it.
    pub(super) fn turn(
        &mut self,
        now: Instant,
        mut tell: impl FnMut(News<'_>),
    ) -> Result<(), FlowFault> {
        if let State::Connecting { .. } = self.state {
            if !self.is_connected()? {
                return Ok(());
            }
            self.state = match &self.tls {
                Some(_) => State::Handshaking {
                    give_up: now + HANDSHAKE_WITHIN,
                },
                None => State::Open,
            };
            if self.tls.is_none() {
                tell(News::Opened {
                    local: self.local()?,
                });
            }
        }
        self.write()?;
        let ended = self.read()?;
        if let (State::Handshaking { .. }, Some(tls)) = (self.state, &self.tls)
            && !tls.is_handshaking()
        {
            self.state = State::Open;
            tell(News::Opened {
                local: self.local()?,
            });
        }
        self.cut(&mut tell)?;
        self.write()?;
        match (ended, self.state) {
            (false, _) => Ok(()),
            (true, State::Handshaking { .. }) => Err(FlowFault::Tls {
                words: "the far end closed the connection during the TLS handshake".to_owned(),
            }),
            (true, State::Connecting { .. } | State::Open) => Err(FlowFault::Closed),
        }
    }

    fn is_connected(&self) -> Result<bool, FlowFault> {
        if let Some(error) = self.stream.take_error().unwrap_or_else(Some) {
            return Err(udp::fault(self.peer, &error, true));
        }
        match self.stream.peer_addr() {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(udp::fault(self.peer, &error, true)),
        }
    }

    fn local(&self) -> Result<SocketAddr, FlowFault> {
        self.stream
            .local_addr()
            .map_err(|error| udp::fault(self.peer, &error, false))
    }

    /// Takes whole messages out of what was read; answers pings.
    fn cut(&mut self, tell: &mut impl FnMut(News<'_>)) -> Result<(), FlowFault> {
        loop {
            match self.framer.pull() {
                Ok(Some(Frame::Message(message))) => tell(News::Message(message)),
                Ok(Some(Frame::Ping)) => match &mut self.tls {
                    Some(tls) => tls
                        .writer()
                        .write_all(PONG)
                        .map_err(|error| udp::fault(self.peer, &error, false))?,
                    None => self.unwritten.extend_from_slice(PONG),
                },
                Ok(Some(Frame::Pong)) => {}
                Ok(None) => return Ok(()),
                Err(error) => {
                    return Err(FlowFault::Unreachable {
                        peer: self.peer,
                        words: format!(
                            "what {} sends cannot be cut into messages: {error}",
                            self.peer
                        ),
                    });
                }
            }
        }
    }

    /// Reads all there is into the framer; says whether the far end closed.
    fn read(&mut self) -> Result<bool, FlowFault> {
        let mut buffer = [0; READ];
        loop {
            let count = match &mut self.tls {
                Some(tls) => match tls.read_tls(&mut self.stream) {
                    Ok(count) => {
                        if let Err(error) = tls.process_new_packets() {
                            // Tells the far end why, as far as it still listens.
                            let _ = tls.write_tls(&mut self.stream);
                            return Err(tls::fault(&error, &self.trust));
                        }
                        drain_session(tls, &mut self.framer, &mut buffer);
                        count
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                    Err(error) => return Err(self.broken(&error)),
                },
                None => match self.stream.read(&mut buffer) {
                    Ok(count) => {
                        self.framer.push(&buffer[..count]);
                        count
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => return Err(self.broken(&error)),
                },
            };
            if count == 0 {
                return Ok(true);
            }
        }
    }

    /// Writes what the socket takes.
    fn write(&mut self) -> Result<(), FlowFault> {
        if let Some(tls) = &mut self.tls {
            while tls.wants_write() {
                match tls.write_tls(&mut self.stream) {
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                    Err(error) => return Err(self.broken(&error)),
                }
            }
            return Ok(());
        }
        while !self.unwritten.is_empty() {
            match self.stream.write(&self.unwritten) {
                Ok(count) => {
                    self.unwritten.drain(..count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.broken(&error)),
            }
        }
        Ok(())
    }

    /// A reset of an open connection is an end, not a refusal: somebody did listen.
    fn broken(&self, error: &io::Error) -> FlowFault {
        match error.raw_os_error() {
            Some(libc::ECONNRESET | libc::EPIPE | libc::ECONNABORTED) => match self.state {
                State::Connecting { .. } => FlowFault::Refused { peer: self.peer },
                State::Handshaking { .. } => FlowFault::Tls {
                    words: "the far end reset the connection during the TLS handshake".to_owned(),
                },
                State::Open => FlowFault::Closed,
            },
            _ => udp::fault(self.peer, error, true),
        }
    }
}

fn drain_session(tls: &mut ClientConnection, framer: &mut Framer, buffer: &mut [u8]) {
    // `Ok(0)` is a clean end, an error means that there is nothing more now.
    while let Ok(count) = tls.reader().read(buffer) {
        if count == 0 {
            return;
        }
        framer.push(&buffer[..count]);
    }
}

fn connect(local: SocketAddr, peer: SocketAddr) -> Result<TcpStream, FlowFault> {
    let open = || -> io::Result<Socket> {
        let socket = Socket::new(
            Domain::for_address(local),
            Type::STREAM.nonblocking().cloexec(),
            Some(Protocol::TCP),
        )?;
        // A fixed local port must not have to wait for the last connection's TIME_WAIT.
        socket.set_reuse_address(true)?;
        socket.bind(&SockAddr::from(local))?;
        socket.set_tcp_nodelay(true)?;
        socket.set_tcp_user_timeout(Some(ACKNOWLEDGED_WITHIN))?;
        Ok(socket)
    };
    let socket = open().map_err(|error| udp::bind_fault(local, &error))?;
    match socket.connect(&SockAddr::from(peer)) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
        Err(error) => return Err(udp::fault(peer, &error, false)),
    }
    Ok(socket.into())
}
