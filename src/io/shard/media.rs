//! The media ports of one thread: pairs of RTP and RTCP sockets, and packets that leave when they are due.
//!
//! It knows no rule of RTP; `Calls` says what leaves when, and hears what came and how late ours left.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;

use nix::sys::epoll::EpollFlags;

use super::kernel::{Inbox, Queue};
use super::news::{Found, News};
use super::pace::{Lateness, Outgoing, Pace};
use super::poll::{Poll, Token};
use super::ports::{MediaPorts, Ports};
use super::udp;
use crate::calls::{Component, FlowFault, Input, MediaId};
use crate::io::clock::{self, Gap};
use crate::time::{Instant, Now};

/// Longer than any RTP or RTCP packet that fits an Ethernet frame.
const MEDIA_SIZE: usize = 2048;

/// Packets of one media port that wait together: at 50 a second, more than one is already a hiccup.
const MEDIA_BATCH: usize = 8;

/// Port pairs tried for one call. When this many in a row are held by others, the range is wrong.
const BIND_TRIES: usize = 16;

/// The open pairs, the ports that are left, and what waits to leave.
#[derive(Debug)]
pub(super) struct Media {
    inbox: Inbox,
    pairs: BTreeMap<MediaId, MediaPair>,
    ports: Ports,
    /// Of own addresses that have ports of their own.
    elsewhere: BTreeMap<IpAddr, Ports>,
    pace: Pace,
    late: Lateness,
}

#[derive(Debug)]
struct MediaPair {
    rtp: UdpSocket,
    rtcp: UdpSocket,
    own: IpAddr,
    port: u16,
    dropped: [u32; 2],
}

impl Media {
    pub(super) fn new(ports: &MediaPorts) -> Self {
        Self {
            inbox: Inbox::new(MEDIA_BATCH, MEDIA_SIZE),
            pairs: BTreeMap::new(),
            ports: Ports::new(&ports.range, ports.rest),
            elsewhere: ports
                .elsewhere
                .iter()
                .map(|(own, range)| (*own, Ports::new(range, ports.rest)))
                .collect(),
            pace: Pace::default(),
            late: Lateness::default(),
        }
    }

    pub(super) fn push(&mut self, outgoing: Outgoing) {
        self.pace.push(outgoing);
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.pace.deadline()
    }

    pub(super) fn take_lateness(&mut self) -> (u64, Duration) {
        let seen = (self.late.count(), self.late.p99());
        self.late.clear();
        seen
    }

    pub(super) fn open(
        &mut self,
        poll: &Poll,
        now: Now,
        id: MediaId,
        ip: IpAddr,
        found: &mut Found,
    ) {
        let news = match self.bind_pair(poll, now, id, ip) {
            Ok(local) => News::MediaOpened { media: id, local },
            Err(words) => News::MediaFailed { media: id, words },
        };
        found.push(news);
    }

    fn bind_pair(
        &mut self,
        poll: &Poll,
        now: Now,
        id: MediaId,
        ip: IpAddr,
    ) -> Result<SocketAddr, String> {
        let mut last = None;
        let ports = self.elsewhere.get_mut(&ip).unwrap_or(&mut self.ports);
        for _ in 0..BIND_TRIES.min(ports.available(now.instant)) {
            let Some(port) = ports.take(now.instant) else {
                break;
            };
            match bind_ports(poll, id, ip, port) {
                Ok(pair) => {
                    self.pairs.insert(id, pair);
                    return Ok((ip, port).into());
                }
                Err(error) => {
                    ports.give_back(port, now.instant);
                    let elsewhere = error.raw_os_error() == Some(libc::EADDRINUSE);
                    last = Some((port, error));
                    if !elsewhere {
                        break;
                    }
                }
            }
        }
        Err(match last {
            None => {
                "no media port: all are in use or resting; widen the range of media ports".into()
            }
            Some((port, error)) => match udp::bind_fault((ip, port).into(), &error) {
                FlowFault::Ours { words } => words,
                FlowFault::Refused { .. }
                | FlowFault::Unreachable { .. }
                | FlowFault::Dates { .. }
                | FlowFault::Tls { .. }
                | FlowFault::NoTrust { .. }
                | FlowFault::Closed => error.to_string(),
            },
        })
    }

    pub(super) fn close(&mut self, now: Now, id: MediaId) {
        if let Some(pair) = self.pairs.remove(&id) {
            let ports = self.elsewhere.get_mut(&pair.own);
            let ports = ports.unwrap_or(&mut self.ports);
            ports.give_back(pair.port, now.instant);
        }
    }

    /// Sends what is due.
    pub(super) fn send_due(&mut self, found: &mut Found) {
        if self.pace.deadline().is_none() {
            return;
        }
        // Read again for each packet: the sends before it took time, and that is lateness too.
        while let Some(outgoing) = self.pace.pop_due(clock::instant()) {
            let Some(pair) = self.pairs.get(&outgoing.media) else {
                continue;
            };
            let socket = match outgoing.component {
                Component::Rtp => &pair.rtp,
                Component::Rtcp => &pair.rtcp,
            };
            let late = clock::instant().since(outgoing.due);
            let media = outgoing.media;
            match socket.send_to(&outgoing.packet, outgoing.to) {
                Ok(_) => {
                    self.late.record(late);
                    found.push(News::MediaSent { media, late });
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => found.own_fault(
                    "media_not_sent",
                    "a media packet found no room in its socket: this machine is too slow".into(),
                ),
                // Reports only tell of quality; a call without them is a call.
                Err(_) if outgoing.component == Component::Rtcp => {}
                Err(error) => {
                    let words = format!(
                        "RTP cannot be sent to {}: {error}; look at the routes and the firewall of \
                         this machine, and at the address in their SDP",
                        outgoing.to
                    );
                    found.push(News::MediaFailed { media, words });
                }
            }
        }
    }

    pub(super) fn receive(
        &mut self,
        now: Now,
        gap: &Gap,
        id: MediaId,
        component: Component,
        found: &mut Found,
        sink: &mut impl FnMut(Now, Input<'_>),
    ) {
        let Some(pair) = self.pairs.get_mut(&id) else {
            return;
        };
        let (socket, seen) = match component {
            Component::Rtp => (&pair.rtp, &mut pair.dropped[0]),
            Component::Rtcp => (&pair.rtcp, &mut pair.dropped[1]),
        };
        if self.inbox.receive(socket.as_fd(), Queue::Received).is_err() {
            return;
        }
        // Read after the datagrams: a stamp made since the thread woke, and was perhaps held up, must not
        // look as if it lay in the future.
        let now = clock::later_than(now);
        let mut dropped = 0;
        for datagram in self.inbox.datagrams() {
            dropped += udp::newly_dropped(seen, datagram.ancillary.dropped);
            // A cut packet is no RTP that anybody can send us in earnest.
            let (Some(from), false) = (datagram.from, datagram.cut) else {
                continue;
            };
            let stamp = datagram
                .ancillary
                .received
                .map_or(now.instant, |at| gap.instant_of(at, now.instant));
            sink(
                now,
                Input::Media {
                    media: id,
                    component,
                    from,
                    stamp,
                    packet: datagram.bytes,
                },
            );
        }
        if dropped > 0 {
            found.own_fault(
                "media_dropped",
                format!(
                    "{dropped} media packets were dropped here for want of room: this machine is \
                     too slow"
                ),
            );
        }
    }
}

fn bind_ports(poll: &Poll, id: MediaId, ip: IpAddr, port: u16) -> io::Result<MediaPair> {
    let rtp = udp::bind((ip, port).into())?;
    let rtcp = udp::bind((ip, port + 1).into())?;
    udp::measure(&rtp);
    udp::measure(&rtcp);
    for (socket, component) in [(&rtp, Component::Rtp), (&rtcp, Component::Rtcp)] {
        poll.watch(socket, EpollFlags::EPOLLIN, Token::Media(id, component))?;
    }
    Ok(MediaPair {
        rtp,
        rtcp,
        own: ip,
        port,
        dropped: [0; 2],
    })
}
