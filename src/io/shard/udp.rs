//! UDP: sockets with the options that measuring needs, one SIP flow, and what their errors mean.
//!
//! A flow queues what is to be sent and sends it in batches; ICMP errors come back through the
//! socket's error queue, so a port where nobody listens is known at once and not after 32 seconds.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;

use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::kernel::{self, Inbox, Joining, Queue};
use super::stamp::ExtendedError;
use crate::calls::FlowFault;

/// With the kernel's default of 208 KB a burst of a few hundred messages is lost before it is read.
const SIGNAL_BUFFER: usize = 4 * 1024 * 1024;

/// Messages that wait for room in the socket. More, and what leaves is older than its timers.
const QUEUE_MAX: usize = 8192;

/// Messages that leave together. More would keep the far end idle while we write them.
const FLUSH_AT: usize = 64;

/// One bound UDP socket for SIP.
#[derive(Debug)]
pub(super) struct UdpFlow {
    socket: UdpSocket,
    local: SocketAddr,
    /// The only peer, of a connected socket.
    connected: Option<SocketAddr>,
    /// Where errors are put down to when the kernel does not say which datagram they belong to.
    peer: SocketAddr,
    queue: VecDeque<(SocketAddr, Vec<u8>)>,
    joining: Joining,
    dropped: u32,
}

impl UdpFlow {
    pub(super) fn open(
        local: SocketAddr,
        peer: SocketAddr,
        exclusive: bool,
    ) -> Result<Self, FlowFault> {
        let socket =
            bind(local_towards(local, peer)?).map_err(|error| bind_fault(local, &error))?;
        enlarge(&socket, SIGNAL_BUFFER);
        measure(&socket);
        hear_errors(&socket, peer);
        let connected = if exclusive {
            socket
                .connect(peer)
                .map_err(|error| fault(peer, &error, false))?;
            Some(peer)
        } else {
            None
        };
        let local = socket
            .local_addr()
            .map_err(|error| bind_fault(local, &error))?;
        Ok(Self {
            socket,
            local,
            connected,
            peer,
            queue: VecDeque::new(),
            joining: Joining::Alike,
            dropped: 0,
        })
    }

    pub(super) fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    pub(super) fn local(&self) -> SocketAddr {
        self.local
    }

    /// Nothing waits to be sent.
    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_empty()
    }

    /// Queues one message; says so when the queue is full and the message is lost.
    pub(super) fn push(&mut self, to: SocketAddr, message: Vec<u8>) -> Result<(), FlowFault> {
        if self.queue.len() >= QUEUE_MAX {
            return Err(FlowFault::Ours {
                words: format!(
                    "{QUEUE_MAX} messages wait to leave {}: the network card or we are too slow",
                    self.local
                ),
            });
        }
        self.queue.push_back((to, message));
        Ok(())
    }

    /// Whether a whole batch waits.
    pub(super) fn is_batch(&self) -> bool {
        self.queue.len() >= FLUSH_AT
    }

    /// Sends what the kernel takes. What does not fit waits for `EPOLLOUT`.
    pub(super) fn flush(
        &mut self,
        inbox: &mut Inbox,
        left: &mut Vec<Vec<u8>>,
        faults: &mut Vec<FlowFault>,
    ) {
        let mut again = true;
        while !self.queue.is_empty() {
            let batch = self.queue.iter().map(|(to, message)| {
                let to = self.connected.is_none().then_some(*to);
                (to, message.as_slice())
            });
            match kernel::send_batch(self.socket.as_fd(), self.joining, batch) {
                Ok(sent) => {
                    let gone = self.queue.drain(..sent.min(self.queue.len()));
                    left.extend(gone.map(|(_, message)| message));
                    again = true;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if self.joining == Joining::Alike && is_unjoinable(&error) => {
                    self.joining = Joining::Never;
                }
                Err(error) => {
                    // An ICMP error of an earlier datagram is reported by the next call, whichever it
                    // is, and this batch was not tried: read who it was about, then try again.
                    let heard = self.read_errors(inbox, faults);
                    if again && heard {
                        again = false;
                        continue;
                    }
                    if let Some((to, _)) = self.queue.pop_front() {
                        faults.push(fault(to, &error, false));
                    }
                }
            }
        }
    }

    /// Reads the error queue; says whether something was in it.
    pub(super) fn read_errors(&self, inbox: &mut Inbox, faults: &mut Vec<FlowFault>) -> bool {
        let mut heard = false;
        while inbox
            .receive(self.socket.as_fd(), Queue::Errors)
            .is_ok_and(|count| count > 0)
        {
            heard = true;
            for datagram in inbox.datagrams() {
                let peer = datagram.from.or(self.connected).unwrap_or(self.peer);
                if let Some(error) = datagram.ancillary.error {
                    let found = icmp_fault(peer, error);
                    if !faults.contains(&found) {
                        faults.push(found);
                    }
                }
            }
        }
        heard
    }

    /// How many more datagrams than before the kernel dropped for want of room.
    pub(super) fn newly_dropped(&mut self, dropped: Option<u32>) -> u32 {
        newly_dropped(&mut self.dropped, dropped)
    }
}

/// What a kernel, a network card or a route says that cannot carry joined datagrams. A datagram that
/// is wrong in itself says the same once it is sent alone.
fn is_unjoinable(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EINVAL | libc::EIO | libc::EMSGSIZE | libc::EOPNOTSUPP)
    )
}

/// The drop counter of a socket only grows, and wraps.
pub(in crate::io) fn newly_dropped(seen: &mut u32, dropped: Option<u32>) -> u32 {
    let Some(dropped) = dropped else { return 0 };
    let new = dropped.wrapping_sub(*seen);
    *seen = dropped;
    new
}

/// A UDP socket that never blocks, bound to exactly this address.
pub(in crate::io) fn bind(local: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(
        Domain::for_address(local),
        Type::DGRAM.nonblocking().cloexec(),
        Some(Protocol::UDP),
    )?;
    socket.bind(&SockAddr::from(local))?;
    Ok(socket.into())
}

/// Kernel receive stamps, and the counter of datagrams dropped for want of room.
pub(in crate::io) fn measure(socket: &UdpSocket) {
    // Both exist on every supported kernel; without them stamps are later and drops unseen, so a
    // refusal is no reason to give up the call.
    let _ = setsockopt(socket, sockopt::ReceiveTimestampns, &true);
    let _ = setsockopt(socket, sockopt::RxqOvfl, &1);
}

pub(in crate::io) fn enlarge(socket: &UdpSocket, bytes: usize) {
    // Beyond `net.core.rmem_max` only with CAP_NET_ADMIN; else as much as the system allows.
    if setsockopt(socket, sockopt::RcvBufForce, &bytes).is_err() {
        let _ = setsockopt(socket, sockopt::RcvBuf, &bytes);
    }
    if setsockopt(socket, sockopt::SndBufForce, &bytes).is_err() {
        let _ = setsockopt(socket, sockopt::SndBuf, &bytes);
    }
}

fn hear_errors(socket: &UdpSocket, peer: SocketAddr) {
    // Without it an unconnected socket never hears of a closed port: the call then ends as "silent".
    let _ = match peer {
        SocketAddr::V4(_) => setsockopt(socket, sockopt::Ipv4RecvErr, &true),
        SocketAddr::V6(_) => setsockopt(socket, sockopt::Ipv6RecvErr, &true),
    };
}

/// The own address to bind: `0.0.0.0` would stand in Via, Contact and SDP, so the routing table is asked.
pub(in crate::io) fn local_towards(
    local: SocketAddr,
    peer: SocketAddr,
) -> Result<SocketAddr, FlowFault> {
    if !local.ip().is_unspecified() {
        return Ok(local);
    }
    let any: IpAddr = match peer {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // Connecting a UDP socket sends nothing; it only chooses the route.
    let route = bind((any, 0).into()).and_then(|socket| {
        socket.connect(peer)?;
        socket.local_addr()
    });
    match route {
        Ok(own) => Ok((own.ip(), local.port()).into()),
        Err(error) => Err(fault(peer, &error, false)),
    }
}

/// Why an own address could not be bound.
pub(in crate::io) fn bind_fault(local: SocketAddr, error: &io::Error) -> FlowFault {
    let advice = match error.raw_os_error() {
        Some(libc::EADDRNOTAVAIL) => ": this address is on no interface of this machine",
        Some(libc::EADDRINUSE) => ": another program holds this port",
        Some(libc::EACCES) => ": ports below 1024 need CAP_NET_BIND_SERVICE",
        Some(libc::EMFILE | libc::ENFILE) => ": raise LimitNOFILE",
        _ => "",
    };
    FlowFault::Ours {
        words: format!("cannot open {local}: {error}{advice}"),
    }
}

/// What an error of a send, a connect or a read says, and about whom.
pub(super) fn fault(peer: SocketAddr, error: &io::Error, from_network: bool) -> FlowFault {
    match error.raw_os_error() {
        Some(libc::ECONNREFUSED) => FlowFault::Refused { peer },
        Some(
            libc::EHOSTUNREACH
            | libc::EHOSTDOWN
            | libc::ETIMEDOUT
            | libc::ENOPROTOOPT
            | libc::ENONET
            | libc::EOPNOTSUPP,
        ) => unreachable_peer(peer, error),
        Some(libc::ENETUNREACH | libc::EACCES | libc::EPROTO) if from_network => {
            unreachable_peer(peer, error)
        }
        Some(libc::ENETUNREACH) => ours(peer, error, "there is no route: check ours"),
        Some(libc::EPERM | libc::EACCES) => ours(peer, error, "our own firewall refuses it"),
        Some(libc::EMSGSIZE) => ours(peer, error, "the message is too long for a datagram"),
        Some(libc::EINVAL) => ours(peer, error, "our own address cannot reach this peer"),
        _ => ours(peer, error, "an error of this machine"),
    }
}

fn icmp_fault(peer: SocketAddr, error: ExtendedError) -> FlowFault {
    let found = fault(
        peer,
        &io::Error::from_raw_os_error(error.errno),
        error.from_network,
    );
    match (found, error.offender) {
        (FlowFault::Unreachable { peer, words }, Some(offender)) if offender != peer.ip() => {
            FlowFault::Unreachable {
                peer,
                words: format!("{words}, says {offender}"),
            }
        }
        (found, _) => found,
    }
}

fn unreachable_peer(peer: SocketAddr, error: &io::Error) -> FlowFault {
    FlowFault::Unreachable {
        peer,
        words: format!("{peer} cannot be reached: {error}"),
    }
}

fn ours(peer: SocketAddr, error: &io::Error, advice: &str) -> FlowFault {
    FlowFault::Ours {
        words: format!("cannot send to {peer}: {error}; {advice}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_sorted_by_who_has_to_act() {
        let peer = SocketAddr::from(([127, 0, 1, 1], 5060));
        let cases = [
            (libc::ECONNREFUSED, false, "refused"),
            (libc::ECONNREFUSED, true, "refused"),
            (libc::EHOSTUNREACH, true, "unreachable"),
            (libc::EHOSTUNREACH, false, "unreachable"),
            (libc::ENETUNREACH, true, "unreachable"),
            (libc::ENETUNREACH, false, "ours"),
            (libc::EPERM, false, "ours"),
            (libc::EACCES, true, "unreachable"),
            (libc::ETIMEDOUT, false, "unreachable"),
            (libc::ENOBUFS, false, "ours"),
        ];
        for (errno, from_network, expected) in cases {
            let found = fault(peer, &io::Error::from_raw_os_error(errno), from_network);
            let word = match found {
                FlowFault::Refused { .. } => "refused",
                FlowFault::Unreachable { .. } => "unreachable",
                FlowFault::Dates { .. } => "dates",
                FlowFault::Tls { .. } => "tls",
                FlowFault::NoTrust { .. } => "no trust",
                FlowFault::Closed => "closed",
                FlowFault::Ours { .. } => "ours",
            };
            assert_eq!(word, expected, "errno {errno}, from network {from_network}");
        }
    }

    #[test]
    fn a_router_that_is_not_the_peer_is_named() {
        let peer = SocketAddr::from(([127, 0, 1, 1], 5060));
        let found = icmp_fault(
            peer,
            ExtendedError {
                errno: libc::EHOSTUNREACH,
                from_network: true,
                offender: Some([127, 0, 0, 254].into()),
            },
        );
        let FlowFault::Unreachable { words, .. } = found else {
            panic!("{found:?}");
        };
        assert!(words.ends_with("says 127.0.0.254"), "{words}");
    }

    /// What arrives when messages of these sizes are flushed at once, each filled with its number.
    fn arrived(exclusive: bool, joining: Joining, sizes: &[usize]) -> Vec<Vec<u8>> {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let far_end = UdpSocket::bind(any).expect("a port");
        far_end
            .set_read_timeout(Some(std::time::Duration::from_secs(5)))
            .expect("a timeout");
        enlarge(&far_end, SIGNAL_BUFFER);
        let peer = far_end.local_addr().expect("bound");
        let mut flow = UdpFlow::open(any, peer, exclusive).expect("a socket");
        flow.joining = joining;
        for message in messages(sizes) {
            flow.push(peer, message).expect("room");
        }
        let (mut left, mut faults) = (Vec::new(), Vec::new());
        flow.flush(&mut Inbox::new(1, 2048), &mut left, &mut faults);
        assert!(flow.is_idle() && faults.is_empty(), "{faults:?}");
        assert_eq!(left, messages(sizes), "every buffer comes back");
        let mut buffer = [0; 2048];
        sizes
            .iter()
            .map(|_| {
                let length = far_end.recv(&mut buffer).expect("a datagram");
                buffer[..length].to_vec()
            })
            .collect()
    }

    fn messages(sizes: &[usize]) -> Vec<Vec<u8>> {
        (0_u8..)
            .zip(sizes)
            .map(|(number, size)| vec![number; *size])
            .collect()
    }

    #[test]
    fn what_leaves_together_arrives_as_single_datagrams_in_order() {
        let sizes: Vec<usize> = [700; 70]
            .into_iter()
            .chain([400, 400, 380, 400, 1500, 1500, 2])
            .chain([350; 60])
            .collect();
        for exclusive in [true, false] {
            for joining in [Joining::Alike, Joining::Never] {
                let arrived = arrived(exclusive, joining, &sizes);
                assert!(arrived == messages(&sizes), "{exclusive} {joining:?}");
            }
        }
    }

    #[test]
    fn the_drop_counter_is_told_as_what_is_new() {
        let mut seen = 0;
        assert_eq!(newly_dropped(&mut seen, None), 0);
        assert_eq!(newly_dropped(&mut seen, Some(5)), 5);
        assert_eq!(newly_dropped(&mut seen, Some(5)), 0);
        seen = u32::MAX;
        assert_eq!(newly_dropped(&mut seen, Some(1)), 2);
    }
}
