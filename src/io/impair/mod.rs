//! A UDP relay that is a bad network: lends `impair` its sockets and keeps its appointments.
//!
//! Two sockets: `near` is where senders send to, `far` is where we reach the far end from. What comes to
//! `near` goes there, what comes to `far` goes back to whoever sent last. With RTCP, the next port of each
//! does the same. Receive stamps are the kernel's, the thread asks for real time.

mod log;

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::epoll::EpollFlags;
use tokio::sync::oneshot;

use super::clock::{self, Gap};
use super::shard::{self, Inbox, Lateness, Poll, Queue, Token, Waker};
use crate::calls::{Component, FlowFault, MediaId};
use crate::id::Seed;
use crate::impair::{self, Impairment, Input, Output, Tally};
use crate::time::Instant;

use log::{Head, Log};
pub use log::{Line, Way};

/// What to relay, and what to do to it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Port 0: any.
    pub listen: SocketAddr,
    pub to: SocketAddr,
    /// The next port too, if at all.
    pub rtcp: Option<Rtcp>,
    pub seed: Seed,
    pub there: impair::Settings,
    pub back: impair::Settings,
}

/// How the next port is relayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rtcp {
    Plain,
    /// Like RTP, from seeds of its own.
    Impaired,
}

/// What happened, once all has ended.
#[derive(Clone, Debug)]
pub struct Report {
    pub tallies: Vec<(Component, Way, Tally)>,
    /// Datagrams that our own sockets dropped for want of room: the truth does not know them.
    pub dropped_here: u64,
    /// How late packets left, against the moment they were due.
    pub late_p99: Duration,
    pub late_max: Duration,
    /// Without it the lateness is that of an ordinary thread.
    pub realtime: bool,
}

/// Longer than any RTP packet that fits an Ethernet frame; what is cut is dropped and counted.
const DATAGRAM_SIZE: usize = 2048;
const BATCH: usize = 32;

/// A second of ten calls may wait while the machine is busy.
const BUFFER: usize = 1024 * 1024;

/// Ports tried for a pair when any will do.
const BIND_TRIES: u32 = 16;

const NEAR: MediaId = MediaId(0);
const FAR: MediaId = MediaId(1);

/// A relay that runs. Dropping it ends it; `stop` says what happened.
#[derive(Debug)]
pub struct Relay {
    local: SocketAddr,
    stopping: Arc<AtomicBool>,
    waker: Waker,
    thread: Option<JoinHandle<io::Result<Report>>>,
    ended: Option<oneshot::Receiver<()>>,
}

impl Relay {
    /// Opens the sockets and starts; `truth` gets a line for each packet.
    ///
    /// # Errors
    /// When an address cannot be bound or this machine gives no thread; the words say what to do.
    pub fn start(settings: &Settings, truth: Option<Box<dyn Write + Send>>) -> io::Result<Self> {
        let circle = Circle::open(settings, truth)?;
        let local = circle.paths[0].near.local_addr()?;
        let waker = circle.waker.clone();
        let stopping = Arc::clone(&circle.stopping);
        let (end, ended) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("impair".into())
            .spawn(move || {
                let report = circle.run();
                // Nobody may be waiting for it.
                let _ = end.send(());
                report
            })?;
        Ok(Self {
            local,
            stopping,
            waker,
            thread: Some(thread),
            ended: Some(ended),
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn local(&self) -> SocketAddr {
        self.local
    }

    /// Waits until it ends of itself, which only a fault of this machine makes it do.
    pub async fn ended(&mut self) {
        if let Some(ended) = &mut self.ended {
            // An error says that the thread is gone, which is an end too.
            let _ = ended.await;
            self.ended = None;
        }
    }

    /// Ends it: what is on its way is lost, and the truth is written to its last line.
    ///
    /// # Errors
    /// When the relay had failed, or the truth could not be written.
    pub fn stop(mut self) -> io::Result<Report> {
        self.begin_to_stop();
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(report)) => report,
            Some(Err(_)) | None => Err(io::Error::other("the thread of the relay panicked")),
        }
    }

    fn begin_to_stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.waker.wake();
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.begin_to_stop();
    }
}

/// Everything that the thread owns.
#[derive(Debug)]
struct Circle {
    paths: Vec<Path>,
    poll: Poll,
    waker: Waker,
    stopping: Arc<AtomicBool>,
    inbox: Inbox,
    gap: Gap,
    log: Log,
    late: Lateness,
    late_max: Duration,
    dropped: u64,
}

/// RTP or RTCP: two sockets and two machines.
#[derive(Debug)]
struct Path {
    component: Component,
    near: UdpSocket,
    far: UdpSocket,
    to: SocketAddr,
    /// Who sent last, and is answered.
    client: Option<SocketAddr>,
    there: Impairment,
    back: Impairment,
    /// What the kernel has dropped so far, near and far.
    dropped: [u32; 2],
}

impl Circle {
    fn open(settings: &Settings, truth: Option<Box<dyn Write + Send>>) -> io::Result<Self> {
        let from = SocketAddr::new(unspecified(settings.to), 0);
        let from = shard::local_towards(from, settings.to).map_err(in_words)?;
        let pair = settings.rtcp.is_some();
        let near = bind(settings.listen, pair)?;
        let far = bind(from, pair)?;
        let waker = Waker::new()?;
        let poll = Poll::new(waker.clone())?;
        let mut paths = Vec::new();
        for ((component, near), far) in [Component::Rtp, Component::Rtcp]
            .into_iter()
            .zip(near)
            .zip(far)
        {
            for (socket, id) in [(&near, NEAR), (&far, FAR)] {
                shard::measure(socket);
                shard::enlarge(socket, BUFFER);
                poll.watch(socket, EpollFlags::EPOLLIN, Token::Media(id, component))?;
            }
            paths.push(Path::new(component, near, far, settings));
        }
        let now = clock::now();
        let head = Head {
            seed: settings.seed.0,
            utc_minus_boot_ns: Head::utc_minus_boot_ns(now),
            there: &settings.there,
            back: &settings.back,
        };
        Ok(Self {
            paths,
            poll,
            waker,
            stopping: Arc::default(),
            inbox: Inbox::new(BATCH, DATAGRAM_SIZE),
            gap: Gap::at(now),
            log: match truth {
                Some(file) => Log::to(file, &head)?,
                None => Log::none(),
            },
            late: Lateness::default(),
            late_max: Duration::ZERO,
            dropped: 0,
        })
    }

    fn run(mut self) -> io::Result<Report> {
        let realtime = shard::become_realtime(shard::PRIORITY).is_ok();
        while !self.stopping.load(Ordering::Acquire) {
            let deadlines = self.paths.iter().flat_map(Path::deadlines);
            let deadline = deadlines.flatten().min();
            self.poll.wait(deadline, false)?;
            for index in 0..self.poll.take_ready() {
                if let (Token::Media(id, component), _) = self.poll.ready(index) {
                    self.receive(id, component);
                }
            }
            self.turn(|| Input::Wake);
        }
        self.turn(|| Input::End);
        self.log.close()?;
        Ok(Report {
            tallies: self.paths.iter().flat_map(Path::tallies).collect(),
            dropped_here: self.dropped,
            late_p99: self.late.p99(),
            late_max: self.late_max,
            realtime,
        })
    }

    /// Takes what has come to one socket.
    fn receive(&mut self, id: MediaId, component: Component) {
        let Some(path) = self.paths.iter_mut().find(|it| it.component == component) else {
            return;
        };
        let (socket, dropped) = if id == NEAR {
            (&path.near, &mut path.dropped[0])
        } else {
            (&path.far, &mut path.dropped[1])
        };
        // Nothing there after all, or an error of an earlier send: neither brings a datagram.
        if self.inbox.receive(socket.as_fd(), Queue::Received).is_err() {
            return;
        }
        let now = clock::now();
        self.gap.observe(now);
        for datagram in self.inbox.datagrams() {
            let new = shard::newly_dropped(dropped, datagram.ancillary.dropped);
            self.dropped += u64::from(new) + u64::from(datagram.cut);
            let (Some(from), false) = (datagram.from, datagram.cut) else {
                continue;
            };
            let at = datagram
                .ancillary
                .received
                .map_or(now.instant, |at| self.gap.instant_of(at, now.instant));
            let bytes = datagram.bytes;
            if id == NEAR {
                path.client = Some(from);
                path.there
                    .handle(now.instant, Input::Datagram { at, bytes });
            } else {
                path.back.handle(now.instant, Input::Datagram { at, bytes });
            }
        }
    }

    /// Hands every machine the same input and does what they want.
    fn turn(&mut self, input: impl Fn() -> Input<'static>) {
        for path in &mut self.paths {
            let component = path.component;
            for way in [Way::There, Way::Back] {
                let (machine, socket, to) = path.way(way);
                machine.handle(clock::instant(), input());
                while let Some(output) = machine.poll_output() {
                    let departing = match output {
                        Output::Send(departing) => departing,
                        Output::Sealed(record) => {
                            self.log.line(Line {
                                way,
                                component,
                                record,
                            });
                            continue;
                        }
                    };
                    let left = clock::instant();
                    let sent = to.is_some_and(|to| socket.send_to(&departing.bytes, to).is_ok());
                    if sent {
                        let late = left.since(departing.due);
                        self.late.record(late);
                        self.late_max = self.late_max.max(late);
                    }
                    let done = Input::Left {
                        packet: departing.packet,
                        due: departing.due,
                        at: sent.then_some(left),
                    };
                    machine.handle(left, done);
                }
            }
        }
    }
}

impl Path {
    fn new(component: Component, near: UdpSocket, far: UdpSocket, settings: &Settings) -> Self {
        // Each machine has a seed of its own, so that no two lose the same packets.
        let (next_port, first_seed, bad) = match component {
            Component::Rtp => (0, 0, true),
            Component::Rtcp => (1, 2, settings.rtcp == Some(Rtcp::Impaired)),
        };
        let machine = |way: &impair::Settings, number: u64| {
            let way = if bad { way.clone() } else { <_>::default() };
            Impairment::new(way, Seed(settings.seed.0.wrapping_add(number)))
        };
        let port = settings.to.port().wrapping_add(next_port);
        Self {
            component,
            near,
            far,
            to: SocketAddr::new(settings.to.ip(), port),
            client: None,
            there: machine(&settings.there, first_seed),
            back: machine(&settings.back, first_seed + 1),
            dropped: [0; 2],
        }
    }

    /// The machine of a direction, and how its packets leave.
    fn way(&mut self, way: Way) -> (&mut Impairment, &UdpSocket, Option<SocketAddr>) {
        match way {
            Way::There => (&mut self.there, &self.far, Some(self.to)),
            Way::Back => (&mut self.back, &self.near, self.client),
        }
    }

    fn deadlines(&self) -> [Option<Instant>; 2] {
        [self.there.deadline(), self.back.deadline()]
    }

    fn tallies(&self) -> [(Component, Way, Tally); 2] {
        let there = (self.component, Way::There, self.there.tally().clone());
        let back = (self.component, Way::Back, self.back.tally().clone());
        [there, back]
    }
}

/// One socket, or two on neighbouring ports.
fn bind(address: SocketAddr, pair: bool) -> io::Result<Vec<UdpSocket>> {
    let tries = if address.port() == 0 { BIND_TRIES } else { 1 };
    let mut last = None;
    for _ in 0..tries {
        match bind_once(address, pair) {
            Ok(sockets) => return Ok(sockets),
            Err(error) => last = Some(error),
        }
    }
    Err(last.expect("one try at least"))
}

fn bind_once(address: SocketAddr, pair: bool) -> io::Result<Vec<UdpSocket>> {
    let open = |address: SocketAddr| {
        shard::bind(address).map_err(|error| in_words(shard::bind_fault(address, &error)))
    };
    let mut sockets = vec![open(address)?];
    if pair {
        let port = sockets[0].local_addr()?.port();
        let next = port.checked_add(1);
        let next =
            next.ok_or_else(|| io::Error::other("after port 65535 there is none for RTCP"))?;
        sockets.push(open(SocketAddr::new(address.ip(), next))?);
    }
    Ok(sockets)
}

const fn unspecified(peer: SocketAddr) -> IpAddr {
    match peer {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

fn in_words(fault: FlowFault) -> io::Error {
    match fault {
        FlowFault::Ours { words } | FlowFault::Unreachable { words, .. } => io::Error::other(words),
        FlowFault::Refused { .. }
        | FlowFault::Dates { .. }
        | FlowFault::Tls { .. }
        | FlowFault::NoTrust { .. }
        | FlowFault::Closed => io::Error::other("the address cannot be used"),
    }
}
