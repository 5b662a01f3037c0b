//! A network in memory: `Calls` on one side, a far end on the other, virtual time between them.
//!
//! Datagrams get lost, doubled, late and out of order from a seed, so a bad day repeats. A far end is any
//! machine of the shape of `Calls`: the embedded lab, or a [`Script`].

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use fastrand::Rng;
use vigie::calls::observe::{Live, Observed};
use vigie::calls::script::{CallPlan, MediaPlan, Purpose, Route, Task};
use vigie::calls::{Calls, Component, FlowFault, Input, JobId, MediaId, Output};
use vigie::io::shard::Machine;
use vigie::sip::wire::{HeaderName, index};
use vigie::sip::{FlowId, Transport};
use vigie::time::{Instant, Now, Utc};

/// What happens to datagrams on their way, both ways alike.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    pub lost_percent: u8,
    pub doubled_percent: u8,
    /// Each is on its way for 1 ms and up to this much more, so they overtake each other.
    pub late: Duration,
}

impl Weather {
    pub(crate) const CALM: Self = Self {
        lost_percent: 0,
        doubled_percent: 0,
        late: Duration::ZERO,
    };
}

const ON_THE_WAY: Duration = Duration::from_millis(1);

/// The watchdog and what it calls, joined.
pub(crate) struct Network<F> {
    pub now: Now,
    pub weather: Weather,
    pub watch: Calls,
    pub far: F,
    chance: Rng,
    sockets: BTreeMap<(Side, Port), SocketAddr>,
    /// By arrival, and by the order of sending among those that arrive together.
    flying: BTreeMap<(Instant, u64), Datagram>,
    sent: u64,
    next_port: u16,
    done: VecDeque<(JobId, Observed)>,
    /// Every INVITE that left the watchdog, in order: its first line.
    pub invites: Vec<String>,
    /// What was told of calls that are watched while they last.
    pub looks: Vec<Live>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Watch,
    Far,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Port {
    Flow(FlowId),
    Media(MediaId),
}

struct Datagram {
    from: SocketAddr,
    to: SocketAddr,
    bytes: Vec<u8>,
}

impl<F: Machine> Network<F> {
    pub(crate) fn joining(far: F, weather: Weather, seed: u64) -> Self {
        let mut network = Self {
            now: Now {
                instant: Instant(1_000_000_000),
                utc: Utc(1_700_000_000_000_000_000),
            },
            weather,
            watch: Calls::new(seed),
            far,
            chance: Rng::with_seed(seed),
            sockets: BTreeMap::new(),
            flying: BTreeMap::new(),
            sent: 0,
            next_port: 20_000,
            done: VecDeque::new(),
            invites: Vec::new(),
            looks: Vec::new(),
        };
        network.settle();
        network
    }

    pub(crate) fn start(&mut self, job: u64, task: Task) {
        let job = JobId(job);
        let task = std::sync::Arc::new(task);
        self.watch.handle(self.now, Input::Start { job, task });
        self.settle();
    }

    /// Lets time pass until a job is done; panics when none is within `patience`.
    #[track_caller]
    pub(crate) fn result(&mut self, patience: Duration) -> Observed {
        let give_up = self.now.instant + patience;
        loop {
            if let Some((_, observed)) = self.done.pop_front() {
                return observed;
            }
            assert!(
                self.step(give_up),
                "no result {patience:?} after it was asked"
            );
        }
    }

    pub(crate) fn run_for(&mut self, time: Duration) {
        let until = self.now.instant + time;
        while self.step(until) {}
        self.pass(until);
    }

    /// The machine of the watchdog slept: what came meanwhile is lost, and it wakes to another time.
    pub(crate) fn sleep_through(&mut self, time: Duration) {
        let until = self.now.instant + time;
        self.flying.retain(|(arrival, _), _| *arrival > until);
        self.pass(until);
        self.wake();
    }

    /// Results that nobody waited for.
    pub(crate) fn left_over(&self) -> usize {
        self.done.len()
    }

    /// Lets the far end have something done to it.
    pub(crate) fn change(&mut self, act: impl FnOnce(&mut F, Now)) {
        act(&mut self.far, self.now);
        self.settle();
    }

    /// The next thing that happens, if it happens before `until`.
    fn step(&mut self, until: Instant) -> bool {
        let arrival = self.flying.keys().next().map(|(at, _)| *at);
        let next = [arrival, self.watch.deadline(), self.far.deadline()]
            .into_iter()
            .flatten()
            .min();
        let Some(next) = next.filter(|next| *next <= until) else {
            return false;
        };
        self.pass(next);
        while let Some(datagram) = self.arrived() {
            self.deliver(datagram);
        }
        self.wake();
        true
    }

    fn wake(&mut self) {
        self.watch.handle(self.now, Input::Wake);
        self.settle();
        self.far.handle(self.now, Input::Wake);
        self.settle();
    }

    fn pass(&mut self, to: Instant) {
        self.now = self.now.after(to.since(self.now.instant));
    }

    fn arrived(&mut self) -> Option<Datagram> {
        let first = self.flying.first_entry()?;
        (first.key().0 <= self.now.instant).then(|| first.remove())
    }

    /// To whoever has the address; to nobody if nobody has.
    fn deliver(&mut self, datagram: Datagram) {
        let (now, from, stamp) = (self.now, datagram.from, self.now.instant);
        let bytes = &datagram.bytes;
        let found = self.sockets.iter().find_map(|(owner, address)| {
            let rtcp = SocketAddr::new(address.ip(), address.port() + 1);
            match owner.1 {
                Port::Flow(_) | Port::Media(_) if *address == datagram.to => {
                    Some((*owner, Component::Rtp))
                }
                Port::Media(_) if rtcp == datagram.to => Some((*owner, Component::Rtcp)),
                Port::Flow(_) | Port::Media(_) => None,
            }
        });
        let Some(((side, port), component)) = found else {
            return;
        };
        let input = match port {
            Port::Flow(flow) => Input::Signal {
                flow,
                from,
                stamp,
                message: bytes,
            },
            Port::Media(media) => Input::Media {
                media,
                component,
                from,
                stamp,
                packet: bytes,
            },
        };
        self.tell(side, now, input);
        self.settle();
    }

    fn tell(&mut self, side: Side, now: Now, input: Input<'_>) {
        match side {
            Side::Watch => self.watch.handle(now, input),
            Side::Far => self.far.handle(now, input),
        }
    }

    /// Does what both machines wish, until they wish nothing.
    fn settle(&mut self) {
        loop {
            if let Some(output) = self.watch.poll_output() {
                self.perform(Side::Watch, output);
            } else if let Some(output) = self.far.poll_output() {
                self.perform(Side::Far, output);
            } else {
                return;
            }
        }
    }

    fn perform(&mut self, side: Side, output: Output) {
        let now = self.now;
        match output {
            Output::OpenFlow { flow, local, .. } => {
                let local = self.bound(local);
                self.sockets.insert((side, Port::Flow(flow)), local);
                self.tell(side, now, Input::FlowOpened { flow, local });
            }
            Output::CloseFlow { flow } => drop(self.sockets.remove(&(side, Port::Flow(flow)))),
            Output::OpenMedia { media, ip } => {
                let local = self.bound(SocketAddr::new(ip, 0));
                self.sockets.insert((side, Port::Media(media)), local);
                self.tell(side, now, Input::MediaOpened { media, local });
            }
            Output::CloseMedia { media } => {
                self.sockets.remove(&(side, Port::Media(media)));
            }
            Output::Send { flow, to, message } => {
                if side == Side::Watch && message.starts_with(b"INVITE ") {
                    let text = String::from_utf8_lossy(&message);
                    let line = text.lines().next().unwrap_or_default();
                    self.invites.push(line.to_owned());
                }
                if let Some(from) = self.sockets.get(&(side, Port::Flow(flow))) {
                    self.send(*from, to, message);
                }
            }
            Output::SendMedia {
                media,
                component,
                to,
                packet,
                ..
            } => {
                let late = Duration::ZERO;
                if let Some(rtp) = self.sockets.get(&(side, Port::Media(media))) {
                    let port = rtp.port() + u16::from(component == Component::Rtcp);
                    self.send(SocketAddr::new(rtp.ip(), port), to, packet);
                }
                self.tell(side, now, Input::MediaSent { media, late });
            }
            Output::Done { job, observed } => self.done.push_back((job, *observed)),
            Output::Live { live, .. } => self.looks.push(live),
        }
    }

    /// The address as asked for, with an even port of our choice where none was chosen.
    fn bound(&mut self, address: SocketAddr) -> SocketAddr {
        let ip: IpAddr = if address.ip().is_unspecified() {
            WATCH.ip()
        } else {
            address.ip()
        };
        if address.port() != 0 {
            return SocketAddr::new(ip, address.port());
        }
        self.next_port += 2;
        SocketAddr::new(ip, self.next_port)
    }

    fn send(&mut self, from: SocketAddr, to: SocketAddr, bytes: Vec<u8>) {
        let Weather {
            lost_percent,
            doubled_percent,
            late,
        } = self.weather;
        if self.chance.u8(..100) < lost_percent {
            return;
        }
        let copies = 1 + u8::from(self.chance.u8(..100) < doubled_percent);
        for _ in 0..copies {
            let late = late.mul_f64(self.chance.f64());
            self.sent += 1;
            let arrival = (self.now.instant + ON_THE_WAY + late, self.sent);
            let bytes = bytes.clone();
            self.flying.insert(arrival, Datagram { from, to, bytes });
        }
    }
}

/// Where the watchdog calls from.
pub(crate) const WATCH: SocketAddr =
    SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 50)), 0);

/// A call with a tone that lasts three seconds, as `vigie probe call` places it.
pub(crate) fn call(peer: SocketAddr, number: &str) -> CallPlan {
    CallPlan {
        route: Route {
            transport: Transport::Udp,
            peer,
            local: WATCH,
            server_name: None,
            fresh: true,
        },
        to: format!("sip:{number}@{peer}"),
        from: format!("sip:vigie@{}", WATCH.ip()),
        credentials: None,
        hold: Duration::from_secs(3),
        answer_within: Duration::from_secs(8),
        media: MediaPlan::Tone,
        send_dtmf: String::new(),
        purpose: Purpose::Trace,
        keep: None,
        live: false,
    }
}

/// What to send back to a message.
type Answers = dyn FnMut(&str) -> Vec<String>;

/// A far end that answers each message as it is told to, and keeps what it heard.
pub(crate) struct Script {
    pub heard: Vec<String>,
    answers: Box<Answers>,
    outputs: VecDeque<Output>,
}

impl Script {
    /// `answers` is asked about every message that comes: what to send back, in this order.
    pub(crate) fn at(
        address: SocketAddr,
        answers: impl FnMut(&str) -> Vec<String> + 'static,
    ) -> Self {
        let open = Output::OpenFlow {
            flow: FlowId(0),
            transport: Transport::Udp,
            local: address,
            peer: WATCH,
            server_name: None,
            exclusive: false,
        };
        Self {
            heard: Vec::new(),
            answers: Box::new(answers),
            outputs: VecDeque::from([open]),
        }
    }

    pub(crate) fn heard(&self, method: &str) -> usize {
        let start = format!("{method} ");
        self.heard
            .iter()
            .filter(|message| message.starts_with(&start))
            .count()
    }
}

impl Machine for Script {
    fn handle(&mut self, _now: Now, input: Input<'_>) {
        match input {
            Input::Signal {
                flow,
                from,
                message,
                ..
            } => {
                let text = String::from_utf8_lossy(message).into_owned();
                for answer in (self.answers)(&text) {
                    self.outputs.push_back(Output::Send {
                        flow,
                        to: from,
                        message: answer.into_bytes(),
                    });
                }
                self.heard.push(text);
            }
            Input::FlowFailed { fault, .. } => refuse_to_fail(&fault),
            _ => {}
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }
}

fn refuse_to_fail(fault: &FlowFault) {
    panic!("a script's flow cannot fail: {fault}");
}

/// A response to `request`, with whole header lines of its own and a body of SDP (or none).
pub(crate) fn respond(request: &str, status: &str, lines: &[&str], sdp: &str) -> String {
    let seen = index(request.as_bytes()).expect("what vigie sends can be read");
    let mut text = format!("SIP/2.0 {status}\r\n");
    for (name, field) in [
        (HeaderName::Via, "Via"),
        (HeaderName::From, "From"),
        (HeaderName::To, "To"),
        (HeaderName::CallId, "Call-ID"),
        (HeaderName::CSeq, "CSeq"),
    ] {
        for header in seen.all(name) {
            let tag = if name == HeaderName::To && seen.to_tag().is_none() {
                ";tag=far"
            } else {
                ""
            };
            text += &format!("{field}: {}{tag}\r\n", header.text());
        }
    }
    for line in lines {
        text += &format!("{line}\r\n");
    }
    if !sdp.is_empty() {
        text += "Content-Type: application/sdp\r\n";
    }
    text + &format!("Content-Length: {}\r\n\r\n{sdp}", sdp.len())
}
