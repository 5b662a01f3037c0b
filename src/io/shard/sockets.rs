//! All sockets of one thread, and the one place where it waits.
//!
//! Performs the outputs of `Calls` and delivers what arrives as its inputs. It is used by the shard
//! thread, by one-shot probes, and by anything else that speaks `calls::{Input, Output}`; it knows no
//! rule of SIP or RTP. Use: `perform` each output, `flush`, `wait` for the deadline, `deliver`.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use rustls::ClientConfig;

use super::kernel::{self, Inbox, Queue};
use super::pace::{Lateness, Outgoing, Pace};
use super::ports::Ports;
use super::tcp::{self, TcpFlow};
use super::udp::{self, UdpFlow};
use super::{Settings, Trust, tls};
use crate::calls::observe::Observed;
use crate::calls::{Component, FlowFault, Input, JobId, MediaId, Output};
use crate::io::clock::{self, Gap};
use crate::probe::{Blame, Failure};
use crate::sip::{FlowId, Transport};
use crate::time::{Instant, Now};

/// More than the longest datagram of IPv4; and an odd number of cache lines, because buffers that lie
/// a power of two apart compete for the same few places of the cache.
const SIGNAL_SIZE: usize = 65_536 + 64;

/// Longer than any RTP or RTCP packet that fits an Ethernet frame.
const MEDIA_SIZE: usize = 2048;

/// Packets of one media port that wait together: at 50 a second, more than one is already a hiccup.
const MEDIA_BATCH: usize = 8;

/// Batches of signalling read from one socket before the other sockets have their turn: at 30,000
/// calls a second a millisecond brings three. More would keep media waiting.
const BATCHES_MAX: usize = 8;

/// Buffers kept to be taken back; more are not written between two turns.
const SENT_MAX: usize = 1024;

/// Ready sockets taken at once.
const READY: usize = 64;

/// Port pairs tried for one call. When this many in a row are held by others, the range is wrong.
const BIND_TRIES: usize = 16;

/// Wakes a thread that waits in [`Sockets::wait`].
#[derive(Clone, Debug)]
pub struct Waker(Arc<EventFd>);

impl Waker {
    pub fn wake(&self) {
        // Only fails when 2^64 wake-ups are pending; then the thread is awake.
        let _ = self.0.write(1);
    }
}

/// Sockets, timer and clock of one thread.
#[derive(Debug)]
pub struct Sockets {
    epoll: Epoll,
    timer: TimerFd,
    /// What the timer is set to; `None` once it has fired.
    armed: Option<Instant>,
    waker: Waker,
    gap: Gap,
    ready: Vec<EpollEvent>,
    ready_count: usize,
    signal_inbox: Inbox,
    media_inbox: Inbox,
    flows: BTreeMap<FlowId, Flow>,
    /// UDP flows with messages to send.
    unsent: Vec<FlowId>,
    /// Buffers of messages that have left.
    sent: Vec<Vec<u8>>,
    media: BTreeMap<MediaId, MediaPair>,
    ports: Ports,
    pace: Pace,
    /// What `perform` found out and `deliver` will tell.
    news: VecDeque<News>,
    faults: VecDeque<Failure>,
    trust: Trust,
    tls: Option<Arc<ClientConfig>>,
    late: Lateness,
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

#[derive(Debug)]
struct MediaPair {
    rtp: UdpSocket,
    rtcp: UdpSocket,
    port: u16,
    dropped: [u32; 2],
}

#[derive(Debug)]
enum News {
    FlowOpened { flow: FlowId, local: SocketAddr },
    FlowFailed { flow: FlowId, fault: FlowFault },
    MediaOpened { media: MediaId, local: SocketAddr },
    MediaFailed { media: MediaId, words: String },
    MediaSent { media: MediaId, late: Duration },
}

impl News {
    fn as_input(&self) -> Input<'static> {
        match self {
            Self::FlowOpened { flow, local } => Input::FlowOpened {
                flow: *flow,
                local: *local,
            },
            Self::FlowFailed { flow, fault } => Input::FlowFailed {
                flow: *flow,
                fault: fault.clone(),
            },
            Self::MediaOpened { media, local } => Input::MediaOpened {
                media: *media,
                local: *local,
            },
            Self::MediaFailed { media, words } => Input::MediaFailed {
                media: *media,
                words: words.clone(),
            },
            Self::MediaSent { media, late } => Input::MediaSent {
                media: *media,
                late: *late,
            },
        }
    }
}

/// What an epoll event belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    /// The timer or the waker: both are edge-triggered and only end the wait.
    Alarm,
    Flow(FlowId),
    Media(MediaId, Component),
}

impl Token {
    fn number(self) -> u64 {
        match self {
            Self::Alarm => 0,
            Self::Flow(id) => 1 << 32 | u64::from(id.0),
            Self::Media(id, Component::Rtp) => 2 << 32 | u64::from(id.0),
            Self::Media(id, Component::Rtcp) => 3 << 32 | u64::from(id.0),
        }
    }

    fn of(number: u64) -> Self {
        let id = u32::try_from(number & u64::from(u32::MAX)).expect("masked to 32 bits");
        match number >> 32 {
            1 => Self::Flow(FlowId(id)),
            2 => Self::Media(MediaId(id), Component::Rtp),
            3 => Self::Media(MediaId(id), Component::Rtcp),
            _ => Self::Alarm,
        }
    }
}

impl Sockets {
    /// # Errors
    /// When this machine gives no descriptors.
    pub fn new(settings: &Settings) -> io::Result<Self> {
        let event = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?;
        Self::with_waker(settings, Waker(Arc::new(event)))
    }

    /// The same, woken by a waker that others hold already.
    ///
    /// # Errors
    /// When this machine gives no descriptors.
    pub fn with_waker(settings: &Settings, waker: Waker) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let timer = TimerFd::new(
            ClockId::CLOCK_BOOTTIME,
            TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC,
        )?;
        // Edge-triggered, so that neither ever needs to be read.
        let alarm = || {
            EpollEvent::new(
                EpollFlags::EPOLLIN | EpollFlags::EPOLLET,
                Token::Alarm.number(),
            )
        };
        epoll.add(&timer, alarm())?;
        epoll.add(waker.0.as_fd(), alarm())?;
        Ok(Self {
            epoll,
            timer,
            armed: None,
            waker,
            gap: Gap::at(clock::now()),
            ready: vec![EpollEvent::empty(); READY],
            ready_count: 0,
            signal_inbox: Inbox::new(kernel::BATCH, SIGNAL_SIZE),
            media_inbox: Inbox::new(MEDIA_BATCH, MEDIA_SIZE),
            flows: BTreeMap::new(),
            unsent: Vec::new(),
            sent: Vec::new(),
            media: BTreeMap::new(),
            ports: Ports::new(&settings.media_ports),
            pace: Pace::default(),
            news: VecDeque::new(),
            faults: VecDeque::new(),
            trust: settings.trust.clone(),
            tls: None,
            late: Lateness::default(),
        })
    }

    /// Ends a wait from another thread.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Both clocks; a step of the wall clock is taken into account for receive stamps.
    pub fn now(&mut self) -> Now {
        let now = clock::now();
        self.gap.observe(now);
        now
    }

    /// A fault of our own that was seen since the last call.
    pub fn take_fault(&mut self) -> Option<Failure> {
        self.faults.pop_front()
    }

    /// How late media left since the last call: packets, and the 99th percentile.
    pub fn take_lateness(&mut self) -> (u64, Duration) {
        let seen = (self.late.count(), self.late.p99());
        self.late.clear();
        seen
    }

    /// Does what `Calls` asks; gives back the result of a job, which is not for the network.
    pub fn perform(&mut self, now: Now, output: Output) -> Option<(JobId, Box<Observed>)> {
        match output {
            Output::OpenFlow {
                flow,
                transport,
                local,
                peer,
                server_name,
                exclusive,
            } => {
                let opened = match transport {
                    Transport::Udp => self.open_udp(flow, local, peer, exclusive),
                    Transport::Tcp => self.open_tcp(now, flow, local, peer, None),
                    Transport::Tls => self.tls_config().and_then(|config| {
                        let session = tls::session(&config, peer, server_name.as_deref())?;
                        self.open_tcp(now, flow, local, peer, Some(session))
                    }),
                };
                if let Err(fault) = opened {
                    self.fail_flow(flow, fault);
                }
            }
            Output::CloseFlow { flow } => self.close_flow(flow),
            Output::Send { flow, to, message } => self.send(flow, to, message),
            Output::OpenMedia { media, ip } => self.open_media(now, media, ip),
            Output::CloseMedia { media } => self.close_media(now, media),
            Output::SendMedia {
                media,
                component,
                to,
                packet,
                due,
            } => self.pace.push(Outgoing {
                media,
                component,
                to,
                packet,
                due,
            }),
            Output::Done { job, observed } => return Some((job, observed)),
        }
        None
    }

    /// Sends everything that is queued and due. To be called when `Calls` has no more outputs.
    pub fn flush(&mut self) {
        let unsent = std::mem::take(&mut self.unsent);
        for id in &unsent {
            self.flush_flow(*id);
        }
        // Keeps its room for the next round.
        self.unsent = unsent;
        self.unsent.clear();
        if self.pace.deadline().is_some() {
            self.send_due_media();
        }
    }

    /// The buffer of a message that has left, to be used again.
    pub(super) fn take_sent(&mut self) -> Option<Vec<u8>> {
        self.sent.pop()
    }

    /// Whether `deliver` has something to tell without waiting.
    #[must_use]
    pub fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    /// Waits until a socket is ready, the waker is used, or the deadline (or an own one) has come.
    ///
    /// # Errors
    /// None in a sound process; `EBADF` and the like would make the thread spin, so they end it.
    pub fn wait(&mut self, deadline: Option<Instant>) -> io::Result<()> {
        let deadline = [
            deadline,
            self.pace.deadline(),
            self.flows.values().filter_map(Flow::deadline).min(),
        ]
        .into_iter()
        .flatten()
        .min();
        let timeout = if self.has_news() || deadline.is_some_and(|at| at <= clock::instant()) {
            EpollTimeout::ZERO
        } else {
            self.arm(deadline)?;
            EpollTimeout::NONE
        };
        self.ready_count = match self.epoll.wait(&mut self.ready, timeout) {
            Ok(count) => count,
            Err(Errno::EINTR) => 0,
            Err(error) => return Err(error.into()),
        };
        if self.armed.is_some_and(|at| at <= clock::instant()) {
            self.armed = None;
        }
        Ok(())
    }

    /// Sleeps although something may arrive, which `wait` and `deliver` then find all together. The
    /// waker does not end it.
    pub(super) fn sleep_until(&self, until: Instant) {
        clock::sleep_until(until);
    }

    /// Hands in what has happened, with the time at which it is handed in.
    pub fn deliver(&mut self, sink: &mut impl FnMut(Now, Input<'_>)) {
        let now = self.now();
        self.tell_news(now, sink);
        for index in 0..std::mem::take(&mut self.ready_count) {
            let event = self.ready[index];
            match Token::of(event.data()) {
                Token::Alarm => {}
                Token::Flow(id) => self.turn_flow(now, id, event.events(), sink),
                Token::Media(id, component) => self.receive_media(now, id, component, sink),
            }
        }
        self.expire_flows(now);
        self.tell_news(now, sink);
    }

    fn tell_news(&mut self, now: Now, sink: &mut impl FnMut(Now, Input<'_>)) {
        while let Some(news) = self.news.pop_front() {
            sink(now, news.as_input());
        }
    }

    /// Sets the timer. One that would fire earlier is left alone: an empty wake-up is cheaper than
    /// moving the timer with every message.
    fn arm(&mut self, deadline: Option<Instant>) -> io::Result<()> {
        let Some(deadline) = deadline else {
            return Ok(());
        };
        if self.armed.is_some_and(|armed| armed <= deadline) {
            return Ok(());
        }
        let at = TimeSpec::from_duration(Duration::from_nanos(deadline.0.max(1)));
        self.timer.set(
            Expiration::OneShot(at),
            TimerSetTimeFlags::TFD_TIMER_ABSTIME,
        )?;
        self.armed = Some(deadline);
        Ok(())
    }

    // Flows.

    fn open_udp(
        &mut self,
        id: FlowId,
        local: SocketAddr,
        peer: SocketAddr,
        exclusive: bool,
    ) -> Result<(), FlowFault> {
        let flow = UdpFlow::open(local, peer, exclusive)?;
        let local = flow.local();
        self.watch(flow.socket(), EpollFlags::EPOLLIN, Token::Flow(id))
            .map_err(|error| udp::bind_fault(local, &error))?;
        let writable = Interest::Read;
        self.flows.insert(id, Flow::Udp { flow, writable });
        self.news.push_back(News::FlowOpened { flow: id, local });
        Ok(())
    }

    fn open_tcp(
        &mut self,
        now: Now,
        id: FlowId,
        local: SocketAddr,
        peer: SocketAddr,
        session: Option<rustls::ClientConnection>,
    ) -> Result<(), FlowFault> {
        let flow = TcpFlow::open(now.instant, local, peer, session, &self.trust)?;
        let interest = flow.interest();
        self.watch(flow.socket(), interest, Token::Flow(id))
            .map_err(|error| udp::bind_fault(local, &error))?;
        self.flows.insert(id, Flow::Tcp { flow, interest });
        Ok(())
    }

    fn tls_config(&mut self) -> Result<Arc<ClientConfig>, FlowFault> {
        if let Some(config) = &self.tls {
            return Ok(Arc::clone(config));
        }
        let config = tls::client_config(&self.trust)?;
        self.tls = Some(Arc::clone(&config));
        Ok(config)
    }

    fn send(&mut self, id: FlowId, to: SocketAddr, message: Vec<u8>) {
        let sent = match self.flows.get_mut(&id) {
            // Closed in the meantime: whoever closed it wants nothing sent any more.
            None => return,
            Some(Flow::Udp { flow, .. }) => {
                if flow.is_idle() {
                    self.unsent.push(id);
                }
                let pushed = flow.push(to, message);
                if flow.is_batch() {
                    self.flush_flow(id);
                }
                pushed
            }
            Some(Flow::Tcp { flow, .. }) => {
                let sent = flow.send(&message);
                self.follow_interest(id);
                sent
            }
        };
        if let Err(fault) = sent {
            self.fail_flow(id, fault);
        }
    }

    fn flush_flow(&mut self, id: FlowId) {
        let Some(Flow::Udp { flow, writable }) = self.flows.get_mut(&id) else {
            return;
        };
        let mut faults = Vec::new();
        flow.flush(&mut self.signal_inbox, &mut self.sent, &mut faults);
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
            let mut event = EpollEvent::new(flags, Token::Flow(id).number());
            let _ = self.epoll.modify(flow.socket(), &mut event);
        }
        for fault in faults {
            self.news.push_back(News::FlowFailed { flow: id, fault });
        }
    }

    fn turn_flow(
        &mut self,
        now: Now,
        id: FlowId,
        events: EpollFlags,
        sink: &mut impl FnMut(Now, Input<'_>),
    ) {
        match self.flows.get_mut(&id) {
            None => {}
            Some(Flow::Udp { flow, .. }) => {
                if events.contains(EpollFlags::EPOLLERR) {
                    let mut faults = Vec::new();
                    flow.read_errors(&mut self.signal_inbox, &mut faults);
                    // The socket keeps the last error besides its queue, and would stay ready.
                    let _ = flow.socket().take_error();
                    for fault in faults {
                        self.news.push_back(News::FlowFailed { flow: id, fault });
                    }
                }
                if events.contains(EpollFlags::EPOLLIN) {
                    self.receive_signals(now, id, sink);
                }
                if events.contains(EpollFlags::EPOLLOUT) {
                    self.flush_flow(id);
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
                    Ok(()) => self.follow_interest(id),
                    Err(fault) => self.fail_flow(id, fault),
                }
            }
        }
    }

    fn receive_signals(&mut self, now: Now, id: FlowId, sink: &mut impl FnMut(Now, Input<'_>)) {
        let Some(Flow::Udp { flow, .. }) = self.flows.get_mut(&id) else {
            return;
        };
        let mut dropped = 0;
        for _ in 0..BATCHES_MAX {
            // An error here is one of the error queue, told by EPOLLERR in the next round.
            let socket = flow.socket().as_fd();
            let Ok(received) = self.signal_inbox.receive(socket, Queue::Received) else {
                break;
            };
            for datagram in self.signal_inbox.datagrams() {
                dropped += flow.newly_dropped(datagram.ancillary.dropped);
                let Some(from) = datagram.from else { continue };
                let stamp = datagram
                    .ancillary
                    .received
                    .map_or(now.instant, |at| self.gap.instant_of(at, now.instant));
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
            if received < self.signal_inbox.batch() {
                break;
            }
        }
        if dropped > 0 {
            let local = flow.local();
            self.own_fault(
                "signalling_dropped",
                format!(
                    "{dropped} SIP datagrams to {local} were dropped here for want of room: this \
                     machine is too slow or net.core.rmem_max too small"
                ),
            );
        }
    }

    fn follow_interest(&mut self, id: FlowId) {
        if let Some(Flow::Tcp { flow, interest }) = self.flows.get_mut(&id) {
            let wanted = flow.interest();
            if *interest != wanted {
                *interest = wanted;
                let mut event = EpollEvent::new(wanted, Token::Flow(id).number());
                let _ = self.epoll.modify(flow.socket(), &mut event);
            }
        }
    }

    fn expire_flows(&mut self, now: Now) {
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
            self.fail_flow(id, fault);
        }
    }

    /// A connection is gone with its fault; a UDP socket is not, and may serve its other peers.
    fn fail_flow(&mut self, id: FlowId, fault: FlowFault) {
        if let Some(Flow::Tcp { .. }) = self.flows.get(&id) {
            self.close_flow(id);
        }
        self.news.push_back(News::FlowFailed { flow: id, fault });
    }

    fn close_flow(&mut self, id: FlowId) {
        // What `Calls` wanted sent before it closed the flow still leaves.
        if let Some(Flow::Udp { flow, .. }) = self.flows.get(&id)
            && !flow.is_idle()
        {
            self.flush_flow(id);
        }
        // Closing the last descriptor of a socket takes it out of epoll.
        self.flows.remove(&id);
    }

    fn watch(&self, socket: impl AsFd, flags: EpollFlags, token: Token) -> io::Result<()> {
        Ok(self
            .epoll
            .add(socket, EpollEvent::new(flags, token.number()))?)
    }

    // Media.

    fn open_media(&mut self, now: Now, id: MediaId, ip: IpAddr) {
        let news = match self.bind_pair(now, id, ip) {
            Ok(local) => News::MediaOpened { media: id, local },
            Err(words) => News::MediaFailed { media: id, words },
        };
        self.news.push_back(news);
    }

    fn bind_pair(&mut self, now: Now, id: MediaId, ip: IpAddr) -> Result<SocketAddr, String> {
        let mut last = None;
        for _ in 0..BIND_TRIES.min(self.ports.available(now.instant)) {
            let Some(port) = self.ports.take(now.instant) else {
                break;
            };
            match self.bind_ports(id, ip, port) {
                Ok(pair) => {
                    self.media.insert(id, pair);
                    return Ok((ip, port).into());
                }
                Err(error) => {
                    self.ports.give_back(port, now.instant);
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

    fn bind_ports(&self, id: MediaId, ip: IpAddr, port: u16) -> io::Result<MediaPair> {
        let rtp = udp::bind((ip, port).into())?;
        let rtcp = udp::bind((ip, port + 1).into())?;
        udp::measure(&rtp);
        udp::measure(&rtcp);
        for (socket, component) in [(&rtp, Component::Rtp), (&rtcp, Component::Rtcp)] {
            self.watch(socket, EpollFlags::EPOLLIN, Token::Media(id, component))?;
        }
        Ok(MediaPair {
            rtp,
            rtcp,
            port,
            dropped: [0; 2],
        })
    }

    fn close_media(&mut self, now: Now, id: MediaId) {
        if let Some(pair) = self.media.remove(&id) {
            self.ports.give_back(pair.port, now.instant);
        }
    }

    fn send_due_media(&mut self) {
        // Read again for each packet: the sends before it took time, and that is lateness too.
        while let Some(outgoing) = self.pace.pop_due(clock::instant()) {
            let Some(pair) = self.media.get(&outgoing.media) else {
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
                    self.news.push_back(News::MediaSent { media, late });
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.own_fault(
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
                    self.news.push_back(News::MediaFailed { media, words });
                }
            }
        }
    }

    fn receive_media(
        &mut self,
        now: Now,
        id: MediaId,
        component: Component,
        sink: &mut impl FnMut(Now, Input<'_>),
    ) {
        let Some(pair) = self.media.get_mut(&id) else {
            return;
        };
        let (socket, seen) = match component {
            Component::Rtp => (&pair.rtp, &mut pair.dropped[0]),
            Component::Rtcp => (&pair.rtcp, &mut pair.dropped[1]),
        };
        if self
            .media_inbox
            .receive(socket.as_fd(), Queue::Received)
            .is_err()
        {
            return;
        }
        let mut dropped = 0;
        for datagram in self.media_inbox.datagrams() {
            dropped += udp::newly_dropped(seen, datagram.ancillary.dropped);
            // A cut packet is no RTP that anybody can send us in earnest.
            let (Some(from), false) = (datagram.from, datagram.cut) else {
                continue;
            };
            let stamp = datagram
                .ancillary
                .received
                .map_or(now.instant, |at| self.gap.instant_of(at, now.instant));
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
            self.own_fault(
                "media_dropped",
                format!(
                    "{dropped} media packets were dropped here for want of room: this machine is \
                     too slow"
                ),
            );
        }
    }

    fn own_fault(&mut self, code: &'static str, words: String) {
        // One of a kind is enough until it is taken: a flood of faults must not become a fault.
        if !self.faults.iter().any(|known| known.code == code) {
            self.faults
                .push_back(Failure::new(Blame::Ours, code, words));
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back_as_they_went() {
        for token in [
            Token::Alarm,
            Token::Flow(FlowId(0)),
            Token::Flow(FlowId(u32::MAX)),
            Token::Media(MediaId(7), Component::Rtp),
            Token::Media(MediaId(7), Component::Rtcp),
        ] {
            assert_eq!(Token::of(token.number()), token);
        }
    }
}
