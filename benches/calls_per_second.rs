//! INVITE … BYE calls per second from one shard thread against SIPp's built-in UAS on loopback.
//!
//! `cargo bench --bench calls_per_second` prints clean calls per second, CPU per call, retransmissions
//! and failures; then SIPp's own UAC against the same UAS, for comparison. Options after `--`:
//! `--rate N` (calls per second; default: several rates, upwards), `--seconds N` (10), `--sockets`
//! (hand-written messages instead of our SIP: what the kernel and the sockets cost alone),
//! `--no-sipp-uac`. Floor: 30,000 clean calls per second on one core, 20 µs of CPU per call.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark prints its figures and takes the time"
)]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant as Stopwatch};

use vigie::calls::observe::{Observed, Outcome, RtpSeen};
use vigie::calls::script::{CallPlan, MediaPlan, Purpose, Route, Task};
use vigie::calls::{Input, JobId, Output};
use vigie::io::shard::load::{Ran, run};
use vigie::io::shard::{Machine, Settings};
use vigie::load::Plan;
use vigie::sip::{FlowId, Transport};
use vigie::time::{Instant, Now};

const UAS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7060);
const UAC_PORT: u16 = 7061;
const BUFFER: &str = "4194304";
const RATES: [f64; 4] = [10_000.0, 20_000.0, 30_000.0, 35_000.0];

fn main() {
    let options = Options::read();
    let Some(mut uas) = start_uas() else {
        println!("calls_per_second: skipped, SIPp is not installed (Debian package sip-tester)");
        return;
    };
    println!("far end: sipp -sn uas, {BUFFER} bytes of socket buffer; one shard thread");
    println!(
        "   rate |  clean/s | failed | withheld | CPU us/call (user + sys) | answer p50 / p99 | UAS us/call | memory"
    );
    for rate in &options.rates {
        let before = (cpu("thread-self"), cpu(&uas.id().to_string()));
        let ran = place_calls(*rate, &options);
        let after = (cpu("thread-self"), cpu(&uas.id().to_string()));
        report(
            *rate,
            &ran,
            after.0.since(before.0),
            after.1.since(before.1),
        );
    }
    if options.sipp_uac {
        for rate in &options.rates {
            sipp_uac(*rate, options.seconds);
        }
    }
    end(&mut uas);
}

struct Options {
    rates: Vec<f64>,
    seconds: u64,
    sockets_alone: bool,
    sipp_uac: bool,
}

impl Options {
    fn read() -> Self {
        let mut options = Self {
            rates: RATES.to_vec(),
            seconds: 10,
            sockets_alone: false,
            sipp_uac: true,
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
                "--rate" => options.rates = vec![f64::from(number())],
                "--seconds" => options.seconds = u64::from(number()),
                "--sockets" => options.sockets_alone = true,
                "--no-sipp-uac" => options.sipp_uac = false,
                // Cargo adds `--bench`.
                _ => {}
            }
        }
        options
    }
}

fn place_calls(rate: f64, options: &Options) -> Ran {
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
    run(&mut Bare::default(), plan, &task(), &settings).expect("sockets")
}

fn task() -> Task {
    Task::Call(CallPlan {
        route: Route {
            transport: Transport::Udp,
            peer: UAS,
            local: (UAS.ip(), 0).into(),
            server_name: None,
            fresh: false,
        },
        to: format!("sip:service@{UAS}"),
        from: format!("sip:vigie@{}", UAS.ip()),
        credentials: None,
        hold: Duration::ZERO,
        answer_within: Duration::from_secs(32),
        media: MediaPlan::None,
        send_dtmf: String::new(),
        purpose: Purpose::Load,
    })
}

fn report(rate: f64, ran: &Ran, own: Cpu, uas: Cpu) {
    let calls = ran.tally.completed() + ran.tally.failed();
    let each = |time: Duration| time.as_secs_f64() * 1e6 / float(calls.max(1));
    println!(
        "{rate:7.0} | {:8.0} | {:6} | {:8} | {:5.1} ({:.1} + {:.1}) | {:?} / {:?} | {:.1} | {} MB",
        float(ran.tally.completed()) / ran.took.as_secs_f64(),
        ran.tally.failed(),
        ran.withheld,
        each(own.user + own.system),
        each(own.user),
        each(own.system),
        ran.tally.answer_delay(0.5),
        ran.tally.answer_delay(0.99),
        each(uas.user + uas.system),
        memory_mb(),
    );
    for (words, count) in ran.tally.failures() {
        println!("        {count} × {words}");
    }
    for fault in &ran.faults {
        println!("        own fault: {}", fault.words);
    }
}

fn start_uas() -> Option<Child> {
    let mut uas = Command::new("sipp")
        .args(["-sn", "uas", "-i", "127.0.0.1", "-p", "7060", "-nostdin"])
        .args(["-buff_size", BUFFER])
        .args(["-max_recv_loops", "2000", "-max_sched_loops", "5000"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let began = Stopwatch::now();
    while !is_bound(UAS.port()) {
        assert!(
            began.elapsed() < Duration::from_secs(10)
                && uas.try_wait().is_ok_and(|end| end.is_none()),
            "sipp does not listen on {UAS}: is the port in use?"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    Some(uas)
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

fn sipp_uac(rate: f64, seconds: u64) {
    let calls = rate * float(seconds);
    let began = Stopwatch::now();
    let mut uac = Command::new("sipp")
        .args(["-sn", "uac", "-i", "127.0.0.1", "-nostdin", "-rp", "1s"])
        .args(["-p", &UAC_PORT.to_string()])
        .args(["-r", &format!("{rate:.0}"), "-m", &format!("{calls:.0}")])
        .args(["-l", "1000000", "-d", "0", "-buff_size", BUFFER])
        .args(["-max_recv_loops", "2000", "-max_sched_loops", "5000"])
        .arg(UAS.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("sipp ran a moment ago");
    // Its figures are on the last screen, its CPU in /proc while it lives.
    let mut used = Cpu::default();
    while uac.try_wait().is_ok_and(|ended| ended.is_none()) {
        if began.elapsed() > Duration::from_secs(seconds * 4) {
            end(&mut uac);
            println!(
                "sipp -sn uac at {rate:.0}: not over after {} s",
                seconds * 4
            );
            return;
        }
        used = cpu(&uac.id().to_string());
        std::thread::sleep(Duration::from_millis(50));
    }
    let took = began.elapsed();
    let output = uac.wait_with_output().expect("it has ended");
    let screen = String::from_utf8_lossy(&output.stdout);
    let last = |what: &str| {
        screen
            .lines()
            .rev()
            .find(|line| line.contains(what))
            .and_then(|line| {
                line.split_whitespace()
                    .rev()
                    .find_map(|word| word.parse::<u64>().ok())
            })
            .map_or_else(|| "?".to_owned(), |count| count.to_string())
    };
    println!(
        "sipp -sn uac at {rate:.0}: {:.0} calls/s, failed {}, retransmissions {}, CPU {:.1} us/call",
        calls / took.as_secs_f64(),
        last("Failed call"),
        last("Retransmissions"),
        (used.user + used.system).as_secs_f64() * 1e6 / calls,
    );
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

fn memory_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok())
        .unwrap_or(0)
        / 1024
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}

/// The least that places a call: messages by `format!`, answers by their CSeq, no timers, no checks.
///
/// It measures what the kernel and `Sockets` cost, and is the mark that the real calls are held against.
#[derive(Default)]
struct Bare {
    outputs: VecDeque<Output>,
    local: Option<SocketAddr>,
    waiting: Vec<u64>,
    calls: Vec<Option<(JobId, Instant, Option<Duration>)>>,
}

impl Bare {
    fn send(&mut self, message: String) {
        self.outputs.push_back(Output::Send {
            flow: FlowId(0),
            to: UAS,
            message: message.into_bytes(),
        });
    }

    fn request(&mut self, call: u64, method: &str, number: u32, to_tag: &str) {
        let Some(local) = self.local else {
            self.waiting.push(call);
            return;
        };
        let salt = std::process::id();
        let body = if method == "INVITE" {
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 8\r\n"
        } else {
            ""
        };
        self.send(format!(
            "{method} sip:service@{UAS} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{salt}-{call}-{number}{method}\r\n\
             From: <sip:vigie@127.0.0.1>;tag={salt}-{call}\r\nTo: <sip:service@{UAS}>{to_tag}\r\n\
             Call-ID: {call}-{salt}@bench\r\nCSeq: {number} {method}\r\nContact: <sip:vigie@{local}>\r\n\
             Max-Forwards: 70\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ));
    }
}

impl Machine for Bare {
    fn handle(&mut self, now: Now, input: Input<'_>) {
        match input {
            Input::Start { job, .. } => {
                if self.calls.is_empty() {
                    self.outputs.push_back(Output::OpenFlow {
                        flow: FlowId(0),
                        transport: Transport::Udp,
                        local: (UAS.ip(), 0).into(),
                        peer: UAS,
                        server_name: None,
                        exclusive: true,
                    });
                }
                let call = u64::try_from(self.calls.len()).expect("fits");
                self.calls.push(Some((job, now.instant, None)));
                self.request(call, "INVITE", 1, "");
            }
            Input::FlowOpened { local, .. } => {
                self.local = Some(local);
                for call in std::mem::take(&mut self.waiting) {
                    self.request(call, "INVITE", 1, "");
                }
            }
            Input::Signal { message, .. } => self.answer(now, message),
            Input::Abort { .. }
            | Input::FlowFailed { .. }
            | Input::MediaOpened { .. }
            | Input::MediaFailed { .. }
            | Input::Media { .. }
            | Input::MediaSent { .. }
            | Input::Wake => {}
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }
}

impl Bare {
    fn answer(&mut self, now: Now, message: &[u8]) {
        let text = String::from_utf8_lossy(message);
        if !text.starts_with("SIP/2.0 200") {
            return;
        }
        let field = |name: &str| {
            let at = text.find(name)? + name.len();
            text[at..].split("\r\n").next()
        };
        let call = field("Call-ID: ").and_then(|id| id.split('-').next()?.parse::<u64>().ok());
        let (Some(call), Some(cseq), Some(to)) = (call, field("CSeq: "), field("\r\nTo: ")) else {
            return;
        };
        let index = usize::try_from(call).expect("fits");
        if cseq.ends_with("INVITE") {
            let tag = to.rfind(";tag=").map_or("", |at| &to[at..]).to_owned();
            if let Some(Some((_, began, answered))) = self.calls.get_mut(index) {
                *answered = Some(now.instant.since(*began));
            }
            self.request(call, "ACK", 1, &tag);
            self.request(call, "BYE", 2, &tag);
        } else if let Some((job, started, answer_after)) =
            self.calls.get_mut(index).and_then(Option::take)
        {
            let observed = Box::new(Observed {
                started,
                finished: now.instant,
                outcome: Outcome::Completed { status: 200 },
                progress_after: None,
                answer_after,
                first_media_after: None,
                last_media_after: None,
                early_media: false,
                dtmf: String::new(),
                echo_dbov: None,
                rtp: RtpSeen::default(),
                server: None,
                held: None,
                goodbye_unanswered: false,
                granted: None,
                ladder: Vec::new(),
            });
            self.outputs.push_back(Output::Done { job, observed });
        }
    }
}
