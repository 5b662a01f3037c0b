//! How punctual our media is, what hearing a call costs, and how many calls one core hears fully.
//!
//! `cargo bench --bench two_way_calls` places calls of G.711 by the `Calls` that the product runs, on one
//! thread, to an echo of our own on loopback, and prints three tables:
//!
//! 1. **Punctuality**: one call, the machine idle and with four threads that burn CPU, with and without
//!    `SCHED_FIFO`. How late packets left, and the jitter that this alone makes, by the kernel's stamps at
//!    the far end.
//! 2. **Cost**: what one packet costs to be counted and heard, on a stream in memory.
//! 3. **Capacity**: calls on one core until the 99th percentile of lateness passes 5 ms, from where on a
//!    call says more about us than about the line; the far end has a core of its own.
//!
//! It holds one floor: the calls of one core. Options after `--`: `--calls N` measures that many once and
//! holds none; `--seconds N` (8) is how long each measurement lasts. `benches/README.md` has figures.
//! `SCHED_FIFO` is set by `chrt` (util-linux) and needs the right to; without, the rows say so.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark prints its figures and takes the time"
)]

#[path = "two_way_calls/echo.rs"]
mod echo;

use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant as Stopwatch};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{Pid, gettid};
use vigie::audio::g711::Law;
use vigie::calls::observe::Outcome;
use vigie::calls::script::{Route, Task};
use vigie::calls::{Calls, Input, JobId, Output};
use vigie::io::shard::{Machine, Settings, Sockets, Told, turn};
use vigie::probe::call;
use vigie::quality::hearing::Hearing;
use vigie::rtp::{Content, Packet, Stream};
use vigie::sip::Transport;
use vigie::time::{Instant, Now};

use echo::Echo;

/// Half of what this machine was measured at: a floor that a busy neighbour does not break.
const CALLS_PER_CORE_MIN: usize = 500;
/// `probe::call` doubts its own calls from there on.
const LATE_MAX: Duration = Duration::from_millis(5);
const BURNERS: usize = 4;
const PRIORITY: &str = "20";

/// Between the starts of two calls: faster, and the INVITEs themselves make the media late.
const APART: Duration = Duration::from_millis(4);
const SETTLE: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    let options = Options::read();
    if let Some(calls) = options.calls {
        for realtime in [false, true] {
            let run = run(calls, options.measure, realtime, Place::OneCore);
            run.print(calls);
        }
        return ExitCode::SUCCESS;
    }
    punctuality(options.measure);
    cost();
    let most = capacity(options.measure);
    let held = most >= CALLS_PER_CORE_MIN;
    println!(
        "floor {}: {most} two-way calls on one core, {CALLS_PER_CORE_MIN} promised",
        if held { "held" } else { "MISSED" }
    );
    if held {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

struct Options {
    calls: Option<usize>,
    measure: Duration,
}

impl Options {
    fn read() -> Self {
        let mut options = Self {
            calls: None,
            measure: Duration::from_secs(8),
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
                "--calls" => options.calls = usize::try_from(number()).ok(),
                "--seconds" => options.measure = Duration::from_secs(number().into()),
                // Cargo adds `--bench`.
                _ => {}
            }
        }
        options
    }
}

fn punctuality(measure: Duration) {
    println!("punctuality, one call:");
    for burners in [0, BURNERS] {
        for realtime in [false, true] {
            let burning = Burners::light(burners);
            let run = run(1, measure, realtime, Place::Anywhere);
            drop(burning);
            println!(
                "  {burners} burners, {}: sent {} us late (p50/p99/max); jitter of what left {}",
                scheduling(realtime, &run),
                run.lateness(),
                run.jitter,
            );
        }
    }
}

/// Doubles, then closes in.
fn capacity(measure: Duration) -> usize {
    println!(
        "capacity of one core, until {} ms at p99:",
        LATE_MAX.as_millis()
    );
    let (mut good, mut bad) = (0, None);
    let mut calls = 50;
    loop {
        let run = run(calls, measure, true, Place::OneCore);
        run.print(calls);
        if run.is_heard_fully(calls) {
            good = calls;
        } else {
            bad = Some(calls);
        }
        calls = match bad {
            None => calls * 2,
            Some(bad) if bad - good > bad / 10 => usize::midpoint(good, bad),
            Some(_) => return good,
        };
    }
}

fn scheduling(asked: bool, run: &Run) -> &'static str {
    match (asked, run.realtime) {
        (true, true) => "SCHED_FIFO",
        (true, false) => "SCHED_FIFO refused",
        (false, _) => "normal",
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Anywhere,
    /// We have the first core, the far end the second.
    OneCore,
}

/// Calls that were up together, and what was seen of them while all of them were.
struct Run {
    realtime: bool,
    /// Microseconds, sorted.
    late: Vec<u32>,
    cpu: Duration,
    took: Duration,
    completed: usize,
    lost: i64,
    jitter: String,
}

impl Run {
    fn late_us(&self, share: usize) -> u32 {
        let rank = (self.late.len() * share).div_ceil(100).max(1);
        self.late.get(rank - 1).copied().unwrap_or(0)
    }

    fn lateness(&self) -> String {
        let max = self.late.last().copied().unwrap_or(0);
        format!("{}/{}/{max}", self.late_us(50), self.late_us(99))
    }

    fn is_heard_fully(&self, calls: usize) -> bool {
        let late = Duration::from_micros(self.late_us(99).into());
        late <= LATE_MAX && self.completed == calls && self.lost == 0
    }

    fn print(&self, calls: usize) {
        let busy = self.cpu.as_secs_f64() / self.took.as_secs_f64();
        println!(
            "  {calls} calls, {}: sent {} us late (p50/p99/max); {:.0} % of the core, {:.0} us per call and second; \
             {} completed, {} packets lost",
            scheduling(true, self),
            self.lateness(),
            busy * 100.0,
            busy * 1e6 / float(calls),
            self.completed,
            self.lost,
        );
    }
}

fn run(calls: usize, measure: Duration, realtime: bool, place: Place) -> Run {
    let echo = Echo::start(move || {
        if place == Place::OneCore {
            stay_on(1);
        }
    });
    std::thread::scope(|scope| {
        let ours = scope.spawn(|| {
            if place == Place::OneCore {
                stay_on(0);
            }
            let realtime = realtime && become_realtime();
            place_calls(&echo, calls, measure, realtime)
        });
        ours.join().expect("our own thread")
    })
}

fn place_calls(echo: &Echo, calls: usize, measure: Duration, realtime: bool) -> Run {
    let settings = Settings {
        realtime: false,
        ..Settings::default()
    };
    let mut sockets = Sockets::new(&settings).expect("sockets");
    let mut machine = Watched {
        calls: Calls::new(fastrand::u64(..)),
        window: None,
        late: Vec::new(),
    };
    let ramp = APART * u32::try_from(calls).expect("some thousands");
    let plan = task(echo, ramp + measure + 2 * SETTLE);
    let began = sockets.now().instant;
    let from = began + ramp + SETTLE;
    machine.window = Some((from, from + measure));
    let (mut started, mut ended) = (0, 0);
    let (mut completed, mut lost) = (0, 0);
    let (mut cpu_from, mut cpu_to) = (None, None);
    while ended < calls {
        let now = sockets.now();
        while started < calls && began + APART * u32::try_from(started).expect("few") <= now.instant
        {
            let job = JobId(started as u64);
            let task = Arc::clone(&plan);
            machine.handle(now, Input::Start { job, task });
            started += 1;
        }
        if now.instant >= from {
            cpu_from.get_or_insert_with(own_cpu);
        }
        if now.instant >= from + measure {
            cpu_to.get_or_insert_with(own_cpu);
        }
        let next = (started < calls)
            .then(|| began + APART * u32::try_from(started).expect("few"))
            .into_iter()
            .chain((cpu_from.is_none()).then_some(from))
            .chain((cpu_to.is_none()).then_some(from + measure))
            .min();
        turn(&mut sockets, &mut machine, next, |told| match told {
            Told::Done { observed, .. } => {
                ended += 1;
                completed += usize::from(matches!(observed.outcome, Outcome::Completed { .. }));
                lost += observed.rtp.lost;
            }
            Told::Live { .. } => {}
        })
        .expect("to wait on our sockets");
    }
    machine.late.sort_unstable();
    Run {
        realtime,
        late: machine.late,
        cpu: cpu_to
            .unwrap_or_default()
            .saturating_sub(cpu_from.unwrap_or_default()),
        took: measure,
        completed,
        lost,
        jitter: echo.jitter(),
    }
}

/// The plan that a probe of the product makes: a tone, an echo, everything kept that an examination needs.
fn task(echo: &Echo, hold: Duration) -> Arc<Task> {
    let peer = echo.address;
    let mut settings = call::Settings::new(
        format!("sip:0199001100@{peer}"),
        format!("sip:vigie@{}", peer.ip()),
    );
    settings.hold = hold;
    let route = Route {
        transport: Transport::Udp,
        peer,
        local: (peer.ip(), 0).into(),
        server_name: None,
        fresh: false,
    };
    Arc::new(Task::Call(settings.plan(route, None, false)))
}

/// `Calls`, and how late its packets left while the window was open.
struct Watched {
    calls: Calls,
    window: Option<(Instant, Instant)>,
    late: Vec<u32>,
}

impl Machine for Watched {
    fn handle(&mut self, now: Now, input: Input<'_>) {
        if let (Input::MediaSent { late, .. }, Some((from, to))) = (&input, self.window)
            && (from..to).contains(&now.instant)
        {
            self.late
                .push(u32::try_from(late.as_micros()).unwrap_or(u32::MAX));
        }
        self.calls.handle(now, input);
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.calls.poll_output()
    }

    fn deadline(&self) -> Option<Instant> {
        self.calls.deadline()
    }

    fn recycle(&mut self, buffer: Vec<u8>) {
        self.calls.recycle(buffer);
    }
}

/// An hour of one stream in memory: the packets counted, the sound decoded and heard, the figures drawn.
fn cost() {
    const PACKETS: u32 = 180_000;
    let sound: Vec<Vec<u8>> = (0..50)
        .map(|packet: i32| {
            let sample = |at: i32| ((packet * 160 + at) * 7919 % 16_001 - 8000).try_into();
            (0..160)
                .map(|at| Law::A.encode(sample(at).expect("16 bits")))
                .collect()
        })
        .collect();
    let mut stream = Stream::new(7, 8000);
    let mut hearing = Hearing::default();
    let (mut counted, mut heard) = (Duration::ZERO, Duration::ZERO);
    let mut samples = [0_i16; 160];
    let mut clock = own_cpu();
    for block in 0..PACKETS / 50 {
        let numbers = block * 50..(block + 1) * 50;
        let packet = |number: u32| Packet {
            marker: number == 0,
            payload_type: 8,
            sequence_number: u16::try_from(number % 65_536).expect("16 bits"),
            timestamp: number * 160,
            ssrc: 7,
            payload: &sound[usize::try_from(number % 50).expect("small")],
        };
        let at = |number: u32| Instant(1_000_000_000 + u64::from(number) * 20_000_000);
        let mut arrivals = Vec::with_capacity(50);
        for number in numbers.clone() {
            arrivals.push(stream.hear(at(number), &packet(number), Content::Sound));
        }
        counted += lap(&mut clock);
        for (number, arrival) in numbers.zip(arrivals) {
            let packet = packet(number);
            for (sample, octet) in samples.iter_mut().zip(packet.payload) {
                *sample = Law::A.decode(*octet);
            }
            hearing.sound(at(number), arrival, &packet, &samples);
        }
        heard += lap(&mut clock);
    }
    let figures = stream.figures();
    let drawn = lap(&mut clock);
    let each = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(PACKETS);
    println!(
        "cost of one stream of 50 packets a second: {:.2} us to count a packet, {:.2} us to hear it, {:.3} % of a core; \
         figures of {} packets {:.0} ms",
        each(counted),
        each(heard),
        (each(counted) + each(heard)) * 50.0 / 1e4,
        figures.counts.packets,
        drawn.as_secs_f64() * 1e3,
    );
}

fn lap(clock: &mut Duration) -> Duration {
    let now = own_cpu();
    let took = now.saturating_sub(*clock);
    *clock = now;
    took
}

/// CPU time of this thread.
fn own_cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)
        .expect("the clock of this thread")
        .into()
}

fn stay_on(core: usize) {
    let mut cores = CpuSet::new();
    cores.set(core).expect("a small number");
    // With one core alone there is no place of one's own.
    let _ = sched_setaffinity(Pid::from_raw(0), &cores);
}

fn become_realtime() -> bool {
    Command::new("chrt")
        .args(["--fifo", "--pid", PRIORITY, &gettid().to_string()])
        .status()
        .is_ok_and(|done| done.success())
}

#[expect(clippy::cast_precision_loss, reason = "some thousands")]
fn float(count: usize) -> f64 {
    count as f64
}

/// Threads that take all the CPU they are given, until this is dropped.
struct Burners {
    ending: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Burners {
    fn light(count: usize) -> Self {
        let ending = Arc::new(AtomicBool::new(false));
        let burn = |ending: Arc<AtomicBool>| {
            while !ending.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        };
        let threads = (0..count)
            .map(|_| {
                let ending = Arc::clone(&ending);
                std::thread::spawn(move || burn(ending))
            })
            .collect();
        // They are under way before anything is measured.
        let lit = Stopwatch::now();
        while count > 0 && lit.elapsed() < Duration::from_millis(100) {
            std::thread::yield_now();
        }
        Self { ending, threads }
    }
}

impl Drop for Burners {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
