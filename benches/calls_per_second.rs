//! INVITE … BYE calls from one shard thread against SIPp's built-in UAS on loopback.
//!
//! `cargo bench --bench calls_per_second` holds two floors, each as the median of three runs, and ends
//! with 1 when one is missed: CPU per call at a rate that one SIPp can answer, with SIPp's own UAC in
//! turn for comparison; and clean calls per second, against two of them because one saturates before us.
//! A call is clean when it was answered and ended and no message of it went twice in either direction.
//!
//! Options after `--` measure once and hold no floor: `--rate N` (calls per second), `--uas N` (far
//! ends, 1), `--seconds N` (8), `--sockets` (hand-written messages instead of our SIP: what the kernel
//! and the sockets cost alone). `benches/README.md` has figures.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark prints its figures and takes the time"
)]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::num::NonZero;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant as Stopwatch, SystemTime};

use vigie::calls::observe::{Observed, Outcome};
use vigie::calls::script::{CallPlan, MediaPlan, Purpose, Route, Task};
use vigie::calls::{Calls, Input, JobId, Output};
use vigie::io::shard::load::{Ran, run};
use vigie::io::shard::{Machine, Settings};
use vigie::load::Plan;
use vigie::sip::{FlowId, Transport};
use vigie::time::{Instant, Now};

const CPU_PER_CALL_US_MAX: f64 = 20.0;
const CLEAN_CALLS_PER_SECOND_MIN: f64 = 30_000.0;

/// Where one SIPp still answers everything.
const CPU_RATE: f64 = 20_000.0;
/// Above the floor, because a run begins with a ramp.
const CLEAN_RATE: f64 = 31_500.0;
const CLEAN_FAR_ENDS: u16 = 2;
const RUNS: usize = 3;

const FIRST_PORT: u16 = 7060;
const UAC_PORT: u16 = 7059;
/// On both sides. The kernel's own 208 KB hold a few hundred messages, and lose the next.
const BUFFER: &str = "4194304";
/// INVITE, ACK, BYE; 180, 200, 200.
const MESSAGES_EACH_WAY: u64 = 3;

fn main() -> ExitCode {
    let options = Options::read();
    if Command::new("sipp").arg("-v").output().is_err() {
        println!("calls_per_second: skipped, SIPp is not installed (Debian package sip-tester)");
        return ExitCode::SUCCESS;
    }
    println!("far end: sipp -sn uas, {BUFFER} bytes of socket buffer on both sides");
    if let Some(rate) = options.rate {
        measure(rate, options.far_ends, &options);
        return ExitCode::SUCCESS;
    }
    let mut placed = Vec::new();
    let mut sipp = Vec::new();
    for _ in 0..RUNS {
        placed.push(measure(CPU_RATE, 1, &options));
        sipp.extend(sipp_uac(CPU_RATE, options.seconds));
    }
    let clean: Vec<Measured> = (0..RUNS)
        .map(|_| measure(CLEAN_RATE, CLEAN_FAR_ENDS, &options))
        .collect();
    let cpu = median(placed.iter().map(Measured::cpu_us));
    let cpu_others = median(placed.iter().map(Measured::others_percent));
    let clean_others = median(clean.iter().map(Measured::others_percent));
    let clean = median(clean.iter().map(Measured::clean_per_second));
    println!("medians of {RUNS} runs:");
    if !sipp.is_empty() {
        let sipp = median(sipp.into_iter());
        println!(
            "  sipp -sn uac uses {sipp:.1} us of CPU per call, {:.1} times ours",
            sipp / cpu
        );
    }
    println!("  one core of ours is good for {:.0} calls/s", 1e6 / cpu);
    let cpu_held = cpu <= CPU_PER_CALL_US_MAX;
    println!(
        "  floor {}: {cpu:.1} us of CPU per call, {:.1} {} than the {CPU_PER_CALL_US_MAX} allowed \
         (other programs took {cpu_others:.0} % of a core)",
        said(cpu_held),
        (cpu - CPU_PER_CALL_US_MAX).abs(),
        if cpu_held { "less" } else { "more" },
    );
    let clean_held = clean >= CLEAN_CALLS_PER_SECOND_MIN;
    println!(
        "  floor {}: {clean:.0} clean calls/s, {:.0} {} than the {CLEAN_CALLS_PER_SECOND_MIN} promised \
         (other programs took {clean_others:.0} % of a core)",
        said(clean_held),
        (clean - CLEAN_CALLS_PER_SECOND_MIN).abs(),
        if clean_held { "more" } else { "fewer" },
    );
    if cpu_held && clean_held {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

const fn said(held: bool) -> &'static str {
    if held { "held" } else { "MISSED" }
}

struct Options {
    rate: Option<f64>,
    far_ends: u16,
    seconds: u64,
    sockets_alone: bool,
}

impl Options {
    fn read() -> Self {
        let mut options = Self {
            rate: None,
            far_ends: 1,
            seconds: 8,
            sockets_alone: false,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut number = || -> u32 {
                arguments
                    .next()
                    .and_then(|text| text.parse().ok())
                    .expect("a number after this option")
            };
            match argument.as_str() {
                "--rate" => options.rate = Some(f64::from(number())),
                "--uas" => {
                    options.far_ends = u16::try_from(number()).expect("a handful of far ends");
                }
                "--seconds" => options.seconds = u64::from(number()),
                "--sockets" => options.sockets_alone = true,
                // Cargo adds `--bench`.
                _ => {}
            }
        }
        options
    }
}

/// One run and what it cost.
struct Measured {
    ran: Ran,
    own: Cpu,
    far_ends: Cpu,
    idle: Duration,
    took: Duration,
    /// Messages beyond the six of a clean call, both ways together.
    again: u64,
    grown: u64,
}

impl Measured {
    fn calls(&self) -> u64 {
        self.ran.tally.completed() + self.ran.tally.failed()
    }

    fn each_us(&self, time: Duration) -> f64 {
        time.as_secs_f64() * 1e6 / float(self.calls().max(1))
    }

    fn cpu_us(&self) -> f64 {
        self.each_us(self.own.user + self.own.system)
    }

    /// Of one core. A clean rate takes most of two: where others take much, it says little about us.
    fn others_percent(&self) -> f64 {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        let ours = self.own.plus(self.far_ends);
        let known = self.idle + ours.user + ours.system;
        let others = float(cores as u64) * self.took.as_secs_f64() - known.as_secs_f64();
        others.max(0.0) * 100.0 / self.took.as_secs_f64()
    }

    /// Each message too many is counted as a call that was not clean.
    fn clean_per_second(&self) -> f64 {
        let clean = self.ran.tally.completed().saturating_sub(self.again);
        float(clean) / self.ran.took.as_secs_f64()
    }
}

/// Places calls at this rate against fresh far ends, and prints the figures.
fn measure(rate: f64, far_ends: u16, options: &Options) -> Measured {
    let mut uas: Vec<Child> = (0..far_ends).map(|nth| start_uas(port(nth))).collect();
    let of_uas = |uas: &[Child]| {
        uas.iter()
            .map(|uas| cpu(&uas.id().to_string()))
            .fold(Cpu::default(), Cpu::plus)
    };
    let began = Stopwatch::now();
    let before = (cpu("thread-self"), of_uas(&uas), idle());
    let placed = place_calls(rate, far_ends, options);
    let after = (cpu("thread-self"), of_uas(&uas), idle());
    let took = began.elapsed();
    uas.iter_mut().for_each(end);
    let Placed {
        ran,
        messages,
        grown,
    } = placed;
    let expected = MESSAGES_EACH_WAY * (ran.tally.completed() + ran.tally.failed());
    let measured = Measured {
        ran,
        own: after.0.since(before.0),
        far_ends: after.1.since(before.1),
        idle: after.2.saturating_sub(before.2),
        took,
        again: messages.sent.saturating_sub(expected) + messages.heard.saturating_sub(expected),
        grown,
    };
    measured.print(rate, far_ends);
    measured
}

impl Measured {
    fn print(&self, rate: f64, far_ends: u16) {
        let (user, system) = (self.each_us(self.own.user), self.each_us(self.own.system));
        let tally = &self.ran.tally;
        println!(
            "{rate:.0}/s to {far_ends} uas: {:.0} clean calls/s, {:.1} us of CPU per call ({user:.1} user, \
             {system:.1} system); failed {}, withheld {}, messages again {}; answered after {:?} (p50), \
             {:?} (p99); uas {:.1} us/call, {:.0} % of a core each; others {:.0} % of a core; {} bytes kept per call",
            self.clean_per_second(),
            self.cpu_us(),
            tally.failed(),
            self.ran.withheld,
            self.again,
            tally.answer_delay(0.5),
            tally.answer_delay(0.99),
            self.each_us(self.far_ends.user + self.far_ends.system),
            (self.far_ends.user + self.far_ends.system).as_secs_f64() * 100.0
                / self.ran.took.as_secs_f64()
                / f64::from(far_ends),
            self.others_percent(),
            self.grown / self.calls().max(1),
        );
        for (words, count) in tally.failures() {
            println!("    {count} × {words}");
        }
        for fault in &self.ran.faults {
            println!("    own fault: {}", fault.words);
        }
    }
}

struct Placed {
    ran: Ran,
    messages: Messages,
    /// By how many bytes the process grew, while the machine still holds what it keeps for 32 s. After
    /// the first run it says nothing: freed memory is used again.
    grown: u64,
}

fn place_calls(rate: f64, far_ends: u16, options: &Options) -> Placed {
    let plan = Plan {
        calls_per_second: rate,
        ramp: Duration::from_millis(500),
        lasts: Duration::from_secs(options.seconds),
        in_flight_max: 5_000,
    };
    let settings = Settings {
        realtime: false,
        ..Settings::default()
    };
    let tasks: Vec<Task> = (0..far_ends).map(|nth| task(port(nth))).collect();
    if options.sockets_alone {
        counted(Bare::default(), plan, &tasks, &settings)
    } else {
        counted(Calls::new(seed()), plan, &tasks, &settings)
    }
}

fn counted<M: Machine>(machine: M, plan: Plan, tasks: &[Task], settings: &Settings) -> Placed {
    let before = memory_bytes();
    let mut counted = Counted {
        machine,
        messages: Messages::default(),
    };
    let ran = run(&mut counted, plan, tasks, settings).expect("sockets");
    Placed {
        ran,
        messages: counted.messages,
        grown: memory_bytes().saturating_sub(before),
    }
}

/// Another one for each run: a far end remembers the calls of the last one for 32 s.
fn seed() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| {
            since.as_secs() << 20 | u64::from(since.subsec_micros())
        })
}

const fn port(nth: u16) -> u16 {
    FIRST_PORT + 2 * nth
}

const fn address(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), port)
}

fn task(port: u16) -> Task {
    let peer = address(port);
    Task::Call(CallPlan {
        route: Route {
            transport: Transport::Udp,
            peer,
            local: (peer.ip(), 0).into(),
            server_name: None,
            fresh: false,
        },
        to: format!("sip:service@{peer}"),
        from: format!("sip:vigie@{}", peer.ip()),
        credentials: None,
        hold: Duration::ZERO,
        answer_within: Duration::from_secs(32),
        media: MediaPlan::None,
        send_dtmf: String::new(),
        purpose: Purpose::Load,
        keep: None,
        live: false,
    })
}

/// A machine, and how many messages went out of it and into it.
struct Counted<M> {
    machine: M,
    messages: Messages,
}

#[derive(Clone, Copy, Default)]
struct Messages {
    sent: u64,
    heard: u64,
}

impl<M: Machine> Machine for Counted<M> {
    fn handle(&mut self, now: Now, input: Input<'_>) {
        if matches!(input, Input::Signal { .. }) {
            self.messages.heard += 1;
        }
        self.machine.handle(now, input);
    }

    fn poll_output(&mut self) -> Option<Output> {
        let output = self.machine.poll_output();
        if matches!(output, Some(Output::Send { .. })) {
            self.messages.sent += 1;
        }
        output
    }

    fn deadline(&self) -> Option<Instant> {
        self.machine.deadline()
    }

    fn recycle(&mut self, buffer: Vec<u8>) {
        self.machine.recycle(buffer);
    }
}

fn start_uas(port: u16) -> Child {
    let mut uas = Command::new("sipp")
        .args(["-sn", "uas", "-i", "127.0.0.1", "-p", &port.to_string()])
        .args(["-nostdin", "-buff_size", BUFFER])
        .args(["-max_recv_loops", "2000", "-max_sched_loops", "5000"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("sipp ran a moment ago");
    let began = Stopwatch::now();
    while !is_bound(port) {
        assert!(
            began.elapsed() < Duration::from_secs(10)
                && uas.try_wait().is_ok_and(|end| end.is_none()),
            "sipp does not listen on port {port}: is it in use?"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    uas
}

fn is_bound(port: u16) -> bool {
    std::fs::read_to_string("/proc/net/udp")
        .is_ok_and(|table| table.contains(&format!(":{port:04X} ")))
}

fn end(child: &mut Child) {
    // SIPp's soft exit waits for calls that never end; it is ours, so it is killed.
    let _ = child.kill();
    let _ = child.wait();
}

/// SIPp's own UAC in our place: its CPU per call, microseconds; `None` if it did not come to an end.
fn sipp_uac(rate: f64, seconds: u64) -> Option<f64> {
    let calls = rate * float(seconds);
    let mut uas = start_uas(port(0));
    let began = Stopwatch::now();
    let mut uac = Command::new("sipp")
        .args(["-sn", "uac", "-i", "127.0.0.1", "-nostdin", "-rp", "1s"])
        .args(["-p", &UAC_PORT.to_string()])
        .args(["-r", &format!("{rate:.0}"), "-m", &format!("{calls:.0}")])
        .args(["-l", "1000000", "-d", "0", "-buff_size", BUFFER])
        .args(["-max_recv_loops", "2000", "-max_sched_loops", "5000"])
        .arg(address(port(0)).to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("sipp ran a moment ago");
    // Its CPU is in /proc while it lives.
    let mut used = Cpu::default();
    let limit = Duration::from_secs(seconds * 2);
    let mut ended = None;
    while ended.is_none() && began.elapsed() < limit {
        used = cpu(&uac.id().to_string());
        std::thread::sleep(Duration::from_millis(50));
        ended = uac.try_wait().ok().flatten();
    }
    let took = began.elapsed();
    let far_end = cpu(&uas.id().to_string());
    end(&mut uac);
    end(&mut uas);
    let Some(status) = ended else {
        println!("{rate:.0}/s from sipp -sn uac: not over after {limit:?}");
        return None;
    };
    let each = |cpu: Cpu| (cpu.user + cpu.system).as_secs_f64() * 1e6 / calls;
    println!(
        "{rate:.0}/s from sipp -sn uac: {:.0} calls/s, {:.1} us of CPU per call; {}; uas {:.1} us/call",
        calls / took.as_secs_f64(),
        each(used),
        if status.success() {
            "none failed"
        } else {
            "some failed"
        },
        each(far_end),
    );
    Some(each(used))
}

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// CPU time of a thread or process.
#[derive(Clone, Copy, Default)]
struct Cpu {
    user: Duration,
    system: Duration,
}

impl Cpu {
    fn since(self, earlier: Self) -> Self {
        Self {
            user: self.user.saturating_sub(earlier.user),
            system: self.system.saturating_sub(earlier.system),
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            user: self.user + other.user,
            system: self.system + other.system,
        }
    }
}

/// From `/proc/<who>/stat`, in ticks of 10 ms: fine enough over seconds.
fn cpu(who: &str) -> Cpu {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{who}/stat")) else {
        return Cpu::default();
    };
    let after_name = stat.rsplit(") ").next().unwrap_or("");
    let mut ticks = after_name
        .split(' ')
        .skip(11)
        .filter_map(|text| text.parse().ok())
        .map(|ticks: u64| Duration::from_millis(ticks * 10));
    Cpu {
        user: ticks.next().unwrap_or_default(),
        system: ticks.next().unwrap_or_default(),
    }
}

/// How long the processors of this machine had nothing to do, added up. What was busy cannot be asked
/// for as well: the kernel samples it at its ticks, and our steps hide between them.
fn idle() -> Duration {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let ticks: u64 = stat
        .lines()
        .next()
        .unwrap_or("")
        .split_whitespace()
        .skip(4)
        .take(2)
        .filter_map(|text| text.parse::<u64>().ok())
        .sum();
    Duration::from_millis(ticks * 10)
}

fn memory_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok())
        .unwrap_or(0)
        * 1024
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}

/// The least that places a call: messages by `format!`, answers by their CSeq, no timers, no checks.
///
/// It measures what the kernel and `Sockets` cost, and is the mark that the real calls are held against.
/// What gets lost is never sent again: calls that hear nothing for a while end as failures.
#[derive(Default)]
struct Bare {
    outputs: VecDeque<Output>,
    flows: Vec<BareFlow>,
    calls: Vec<Option<BareCall>>,
    under_way: usize,
    last_heard: Instant,
}

struct BareFlow {
    peer: SocketAddr,
    local: Option<SocketAddr>,
    waiting: Vec<usize>,
}

struct BareCall {
    job: JobId,
    flow: usize,
    began: Instant,
    answered: Option<Duration>,
}

const BARE_PATIENCE: Duration = Duration::from_secs(3);

impl Bare {
    fn flow(&mut self, peer: SocketAddr) -> usize {
        if let Some(known) = self.flows.iter().position(|flow| flow.peer == peer) {
            return known;
        }
        self.outputs.push_back(Output::OpenFlow {
            flow: flow_id(self.flows.len()),
            transport: Transport::Udp,
            local: (peer.ip(), 0).into(),
            peer,
            server_name: None,
            exclusive: true,
        });
        self.flows.push(BareFlow {
            peer,
            local: None,
            waiting: Vec::new(),
        });
        self.flows.len() - 1
    }

    fn request(&mut self, call: usize, method: &str, number: u32, to_tag: &str) {
        let Some(Some(BareCall { flow, .. })) = self.calls.get(call) else {
            return;
        };
        let id = *flow;
        let flow = &mut self.flows[id];
        let Some(local) = flow.local else {
            flow.waiting.push(call);
            return;
        };
        let (salt, peer) = (std::process::id(), flow.peer);
        let body = if method == "INVITE" {
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 8\r\n"
        } else {
            ""
        };
        let message = format!(
            "{method} sip:service@{peer} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{salt}-{call}-{number}{method}\r\n\
             From: <sip:vigie@127.0.0.1>;tag={salt}-{call}\r\nTo: <sip:service@{peer}>{to_tag}\r\n\
             Call-ID: {call}-{salt}@bench\r\nCSeq: {number} {method}\r\nContact: <sip:vigie@{local}>\r\n\
             Max-Forwards: 70\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.outputs.push_back(Output::Send {
            flow: flow_id(id),
            to: peer,
            message: message.into_bytes(),
        });
    }

    fn answer(&mut self, now: Now, message: &[u8]) {
        let text = String::from_utf8_lossy(message);
        if !text.starts_with("SIP/2.0 200") {
            return;
        }
        let field = |name: &str| {
            let at = text.find(name)? + name.len();
            text[at..].split("\r\n").next()
        };
        let call = field("Call-ID: ").and_then(|id| id.split('-').next()?.parse::<usize>().ok());
        let (Some(call), Some(cseq), Some(to)) = (call, field("CSeq: "), field("\r\nTo: ")) else {
            return;
        };
        if cseq.ends_with("INVITE") {
            let tag = to.rfind(";tag=").map_or("", |at| &to[at..]).to_owned();
            if let Some(Some(call)) = self.calls.get_mut(call) {
                call.answered = Some(now.instant.since(call.began));
            }
            self.request(call, "ACK", 1, &tag);
            self.request(call, "BYE", 2, &tag);
        } else {
            self.done(now, call, Outcome::Completed { status: 200 });
        }
    }

    fn done(&mut self, now: Now, call: usize, outcome: Outcome) {
        let Some(ended) = self.calls.get_mut(call).and_then(Option::take) else {
            return;
        };
        self.under_way -= 1;
        let observed = Box::new(Observed {
            answer_after: ended.answered,
            ..Observed::nothing(ended.began, now.instant, outcome)
        });
        let job = ended.job;
        self.outputs.push_back(Output::Done { job, observed });
    }
}

impl Machine for Bare {
    fn handle(&mut self, now: Now, input: Input<'_>) {
        match input {
            Input::Start { job, task } => {
                let Task::Call(plan) = &*task else { return };
                let flow = self.flow(plan.route.peer);
                self.last_heard = now.instant;
                self.under_way += 1;
                self.calls.push(Some(BareCall {
                    job,
                    flow,
                    began: now.instant,
                    answered: None,
                }));
                self.request(self.calls.len() - 1, "INVITE", 1, "");
            }
            Input::FlowOpened { flow, local } => {
                let flow = &mut self.flows[usize::try_from(flow.0).expect("fits")];
                flow.local = Some(local);
                for call in std::mem::take(&mut flow.waiting) {
                    self.request(call, "INVITE", 1, "");
                }
            }
            Input::Signal { message, .. } => {
                self.last_heard = now.instant;
                self.answer(now, message);
            }
            Input::Wake => {
                for call in 0..self.calls.len() {
                    let after = now.instant.since(self.last_heard);
                    self.done(now, call, Outcome::NoAnswer { heard: None, after });
                }
            }
            Input::Abort { .. }
            | Input::FlowFailed { .. }
            | Input::MediaOpened { .. }
            | Input::MediaFailed { .. }
            | Input::Media { .. }
            | Input::MediaSent { .. } => {}
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn deadline(&self) -> Option<Instant> {
        (self.under_way > 0).then(|| self.last_heard + BARE_PATIENCE)
    }
}

fn flow_id(index: usize) -> FlowId {
    FlowId(u32::try_from(index).expect("a handful of far ends"))
}
