//! The signalling sockets of one thread: UDP flows written in batches, TCP and TLS connections.
//!
//! It opens what `Calls` asks for and hands in whole messages; it knows no rule of SIP. `udp`, `tcp` and `tls`
//! hold what is particular to one of them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;

use nix::sys::epoll::EpollFlags;
use rustls::ClientConfig;

use super::kernel::{self, Inbox, Queue};
use super::news::{Found, News};
use super::poll::{Poll, Token};
use super::tcp::{self, TcpFlow};
use super::udp::{self, UdpFlow};
use super::{Trust, tls};
use crate::calls::{FlowFault, Input};
use crate::io::authorities;
use crate::io::clock::{self, Gap};
use crate::sip::{FlowId, Transport};
use crate::time::{Instant, Now};

/// More than the longest datagram of IPv4; and an odd number of cache lines, because buffers that lie
/// a power of two apart compete for the same few places of the cache.
const SIGNAL_SIZE: usize = 65_536 + 64;

/// Batches of signalling read from one socket before the other sockets have their turn: at 30,000
/// calls a second a millisecond brings three. More would keep media waiting.
const BATCHES_MAX: usize = 8;

/// Buffers kept to be taken back; more are not written between two turns.
const SENT_MAX: usize = 1024;

/// The open flows.
#[derive(Debug)]
pub(super) struct Flows {
    inbox: Inbox,
    flows: BTreeMap<FlowId, Flow>,
    /// UDP flows with messages to send.
    unsent: Vec<FlowId>,
    /// Buffers of messages that have left.
    sent: Vec<Vec<u8>>,
    trust: Trust,
    /// Whom to believe, and when that was read.
    tls: Option<(Instant, Arc<ClientConfig>)>,
}

/// A flow that is to be opened.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) transport: Transport,
    pub(super) local: SocketAddr,
    pub(super) peer: SocketAddr,
    pub(super) server_name: Option<String>,
    pub(super) exclusive: bool,
}

#[derive(Debug)]
enum Flow {
    Udp { flow: UdpFlow, writable: Interest },
    Tcp { flow: TcpFlow, interest: EpollFlags },
}

/// Whether a UDP flow waits for room in its socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interest {
    Read,
    ReadAndWrite,
}

impl Flows {
    pub(super) fn new(trust: Trust) -> Self {
        Self {
            inbox: Inbox::new(kernel::BATCH, SIGNAL_SIZE),
            flows: BTreeMap::new(),
            unsent: Vec::new(),
            sent: Vec::new(),
            trust,
            tls: None,
        }
    }

    pub(super) fn open(
        &mut self,
        poll: &Poll,
        now: Now,
        id: FlowId,
        opening: Opening,
        found: &mut Found,
    ) {
        let Opening {
            transport,
            local,
            peer,
            server_name,
            exclusive,
        } = opening;
        let opened = match transport {
            Transport::Udp => self.open_udp(poll, found, id, local, peer, exclusive),
            Transport::Tcp => self.open_tcp(poll, now, id, local, peer, None),
            Transport::Tls => self.tls_config(now).and_then(|config| {
                let session = tls::session(&config, peer, server_name.as_deref())?;
                self.open_tcp(poll, now, id, local, peer, Some(session))
            }),
        };
        if let Err(fault) = opened {
            self.fail(poll, id, fault, found);
        }
    }

    /// Sends everything that is queued.
    pub(super) fn flush(&mut self, poll: &Poll, found: &mut Found) {
        let unsent = std::mem::take(&mut self.unsent);
        for id in &unsent {
            self.flush_flow(poll, *id, found);
        }
        // Keeps its room for the next round.
        self.unsent = unsent;
        self.unsent.clear();
    }

    pub(super) fn take_sent(&mut self) -> Option<Vec<u8>> {
        self.sent.pop()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.flows.values().filter_map(Flow::deadline).min()
    }

    fn open_udp(
        &mut self,
        poll: &Poll,
        found: &mut Found,
        id: FlowId,
        local: SocketAddr,
        peer: SocketAddr,
        exclusive: bool,
    ) -> Result<(), FlowFault> {
        let flow = UdpFlow::open(local, peer, exclusive)?;
        let local = flow.local();
        poll.watch(flow.socket(), EpollFlags::EPOLLIN, Token::Flow(id))
            .map_err(|error| udp::bind_fault(local, &error))?;
        let writable = Interest::Read;
        self.flows.insert(id, Flow::Udp { flow, writable });
        found.push(News::FlowOpened { flow: id, local });
        Ok(())
    }

    fn open_tcp(
        &mut self,
        poll: &Poll,
        now: Now,
        id: FlowId,
        local: SocketAddr,
        peer: SocketAddr,
        session: Option<rustls::ClientConnection>,
    ) -> Result<(), FlowFault> {
        let flow = TcpFlow::open(now.instant, local, peer, session, &self.trust)?;
        let interest = flow.interest();
        poll.watch(flow.socket(), interest, Token::Flow(id))
            .map_err(|error| udp::bind_fault(local, &error))?;
        self.flows.insert(id, Flow::Tcp { flow, interest });
        Ok(())
    }

    fn tls_config(&mut self, now: Now) -> Result<Arc<ClientConfig>, FlowFault> {
        if let Some((read, config)) = &self.tls
            && now.instant.since(*read) < authorities::REFRESH
        {
            return Ok(Arc::clone(config));
        }
        let config = tls::client_config(&self.trust)?;
        self.tls = Some((now.instant, Arc::clone(&config)));
        Ok(config)
    }

    pub(super) fn send(
        &mut self,
        poll: &Poll,
        id: FlowId,
        (to, message): (SocketAddr, Vec<u8>),
        found: &mut Found,
    ) {
        let sent = match self.flows.get_mut(&id) {
            // Closed in the meantime: whoever closed it wants nothing sent any more.
            None => return,
            Some(Flow::Udp { flow, .. }) => {
                if flow.is_idle() {
                    self.unsent.push(id);
                }
                let pushed = flow.push(to, message);
                if flow.is_batch() {
                    self.flush_flow(poll, id, found);
                }
                pushed
            }
            Some(Flow::Tcp { flow, .. }) => {
                let sent = flow.send(&message);
                self.follow_interest(poll, id);
                sent
            }
        };
        if let Err(fault) = sent {
            self.fail(poll, id, fault, found);
        }
    }

    fn flush_flow(&mut self, poll: &Poll, id: FlowId, found: &mut Found) {
        let Some(Flow::Udp { flow, writable }) = self.flows.get_mut(&id) else {
            return;
        };
        let mut faults = Vec::new();
        flow.flush(&mut self.inbox, &mut self.sent, &mut faults);
        // Where nobody takes them they are let go.
        self.sent.truncate(SENT_MAX);
        let wanted = if flow.is_idle() {
            Interest::Read
        } else {
            Interest::ReadAndWrite
        };
        if *writable != wanted {
            *writable = wanted;
            let flags = match wanted {
                Interest::Read => EpollFlags::EPOLLIN,
                Interest::ReadAndWrite => EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT,
            };
            poll.watch_for(flow.socket(), flags, Token::Flow(id));
        }
        for fault in faults {
            found.push(News::FlowFailed { flow: id, fault });
        }
    }

    /// A socket is ready: reads and writes what it can.
    pub(super) fn turn(
        &mut self,
        poll: &Poll,
        (now, gap): (Now, &Gap),
        (id, events): (FlowId, EpollFlags),
        found: &mut Found,
        sink: &mut impl FnMut(Now, Input<'_>),
    ) {
        match self.flows.get_mut(&id) {
            None => {}
            Some(Flow::Udp { flow, .. }) => {
                if events.contains(EpollFlags::EPOLLERR) {
                    let mut faults = Vec::new();
                    flow.read_errors(&mut self.inbox, &mut faults);
                    // The socket keeps the last error besides its queue, and would stay ready.
                    let _ = flow.socket().take_error();
                    for fault in faults {
                        found.push(News::FlowFailed { flow: id, fault });
                    }
                }
                if events.contains(EpollFlags::EPOLLIN) {
                    self.receive((now, gap), id, found, sink);
                }
                if events.contains(EpollFlags::EPOLLOUT) {
                    self.flush_flow(poll, id, found);
                }
            }
            Some(Flow::Tcp { flow, .. }) => {
                let peer = flow.peer();
                let turned = flow.turn(now.instant, |news| match news {
                    tcp::News::Opened { local } => {
                        sink(now, Input::FlowOpened { flow: id, local });
                    }
                    tcp::News::Message(message) => sink(
                        now,
                        Input::Signal {
                            flow: id,
                            from: peer,
                            stamp: now.instant,
                            message,
                        },
                    ),
                });
                match turned {
                    Ok(()) => self.follow_interest(poll, id),
                    Err(fault) => self.fail(poll, id, fault, found),
                }
            }
        }
    }

    fn receive(
        &mut self,
        (now, gap): (Now, &Gap),
        id: FlowId,
        found: &mut Found,
        sink: &mut impl FnMut(Now, Input<'_>),
    ) {
        let Some(Flow::Udp { flow, .. }) = self.flows.get_mut(&id) else {
            return;
        };
        let mut dropped = 0;
        for _ in 0..BATCHES_MAX {
            // An error here is one of the error queue, told by EPOLLERR in the next round.
            let socket = flow.socket().as_fd();
            let Ok(received) = self.inbox.receive(socket, Queue::Received) else {
                break;
            };
            // As for media: no stamp lies after the reading of its datagram.
            let now = clock::later_than(now);
            for datagram in self.inbox.datagrams() {
                dropped += flow.newly_dropped(datagram.ancillary.dropped);
                let Some(from) = datagram.from else { continue };
                let stamp = datagram
                    .ancillary
                    .received
                    .map_or(now.instant, |at| gap.instant_of(at, now.instant));
                sink(
                    now,
                    Input::Signal {
                        flow: id,
                        from,
                        stamp,
                        message: datagram.bytes,
                    },
                );
            }
            if received < self.inbox.batch() {
                break;
            }
        }
        if dropped > 0 {
            let local = flow.local();
            found.own_fault(
                "signalling_dropped",
                format!(
                    "{dropped} SIP datagrams to {local} were dropped here for want of room: this \
                     machine is too slow or net.core.rmem_max too small"
                ),
            );
        }
    }

    fn follow_interest(&mut self, poll: &Poll, id: FlowId) {
        if let Some(Flow::Tcp { flow, interest }) = self.flows.get_mut(&id) {
            let wanted = flow.interest();
            if *interest != wanted {
                *interest = wanted;
                poll.watch_for(flow.socket(), wanted, Token::Flow(id));
            }
        }
    }

    pub(super) fn expire(&mut self, poll: &Poll, now: Now, found: &mut Found) {
        let expired: Vec<(FlowId, FlowFault)> = self
            .flows
            .iter()
            .filter_map(|(id, flow)| match flow {
                Flow::Tcp { flow, .. } if flow.deadline().is_some_and(|at| at <= now.instant) => {
                    Some((*id, flow.expire()))
                }
                Flow::Tcp { .. } | Flow::Udp { .. } => None,
            })
            .collect();
        for (id, fault) in expired {
            self.fail(poll, id, fault, found);
        }
    }

    /// A connection is gone with its fault. A UDP socket may serve its other peers: `Calls` knows whether the
    /// fault is one peer's, and closes the socket if it is not.
    fn fail(&mut self, poll: &Poll, id: FlowId, fault: FlowFault, found: &mut Found) {
        if let Some(Flow::Tcp { .. }) = self.flows.get(&id) {
            self.close(poll, id, found);
        }
        found.push(News::FlowFailed { flow: id, fault });
    }

    pub(super) fn close(&mut self, poll: &Poll, id: FlowId, found: &mut Found) {
        // What `Calls` wanted sent before it closed the flow still leaves.
        if let Some(Flow::Udp { flow, .. }) = self.flows.get(&id)
            && !flow.is_idle()
        {
            self.flush_flow(poll, id, found);
        }
        // Closing the last descriptor of a socket takes it out of epoll.
        self.flows.remove(&id);
    }
}

impl Flow {
    fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Udp { .. } => None,
            Self::Tcp { flow, .. } => flow.deadline(),
        }
    }
}
