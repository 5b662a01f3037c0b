//! The same streams as the impairment says they are, as we measure them, and as tshark does.
//!
//! Twelve streams at once go through a relay each, on an idle machine and on one whose processors are all
//! taken; dumpcap captures them. `tests/run` runs this where tshark is installed.
#![expect(
    clippy::print_stdout,
    reason = "the table of figures is what the run is for"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use vigie::calls::Component;
use vigie::io::impair::Way;
use vigie::rtp::spacing::Range;
use vigie::rtp::{Figures, Stream};

use crate::support::namespace;
use crate::support::patience::wait_for;
use crate::support::relay::{Receivers, Relay, send_streams, ssrc};
use crate::support::truth::{Truth, hear, range_distance_ms};

/// Nine seconds: with what is late, one window of PDV.
const PACKETS: u16 = 450;

const PATIENCE: Duration = Duration::from_secs(60);

const WEATHER: [(&str, &str); 12] = [
    ("good network", ""),
    ("single losses", "loss = { p = 0.05, r = 1 }"),
    (
        "bursts of loss",
        "loss = { p = 0.02, r = 0.4 }, delay_ms = 60",
    ),
    (
        "head and tail",
        "outages = [{ until = 50 }, { from = 430 }]",
    ),
    (
        "jitter, in order",
        r#"delay_ms = 60, jitter = { shape = "uniform", ms = 20 }"#,
    ),
    (
        "jitter, reordering",
        r#"delay_ms = 20, jitter = { shape = "normal", ms = 20, overtake = true }"#,
    ),
    (
        "long tail",
        r#"jitter = { shape = "pareto", ms = 10, overtake = true }"#,
    ),
    ("reordered by 3", "reorder = { chance = 0.05, by = 3 }"),
    ("duplicates", "duplicate = { chance = 0.1, after_ms = 1 }"),
    ("stalls", "stall = { every_ms = 2000, for_ms = 150 }"),
    ("slow link", "rate = { kbit_per_s = 78, queue_ms = 60 }"),
    (
        "all at once",
        r#"loss = { p = 0.02, r = 0.4 }, delay_ms = 40, skew_ppm = 300,
        jitter = { shape = "normal", ms = 8, overtake = true },
        stall = { every_ms = 3000, for_ms = 100 }, reorder = { chance = 0.03, by = 2 },
        duplicate = { chance = 0.03, after_ms = 5 }"#,
    ),
];

#[test]
#[ignore = "needs tshark: tests/run peers"]
fn idle_or_busy_we_find_what_the_truth_and_tshark_say() {
    namespace::enter_own_network();
    let idle = Burners::start(0);
    assert_all_agree("idle", &rehearse());
    drop(idle);
    let busy = Burners::start(4);
    let outcomes = rehearse();
    drop(busy);
    assert_all_agree("4 burners", &outcomes);
}

/// One stream, three times counted.
struct Outcome {
    name: &'static str,
    truth: Truth,
    ours: Figures,
    tshark: Row,
    lateness: String,
}

/// All streams at once.
fn rehearse() -> Vec<Outcome> {
    let count = u32::try_from(WEATHER.len()).unwrap();
    let mut receivers = Receivers::open(count, 34_000..=34_099);
    let relays: Vec<Relay> = receivers
        .addresses
        .iter()
        .zip(WEATHER)
        .map(|(to, (_, keys))| Relay::start(*to, &["--seed", "42", "--there", keys]))
        .collect();
    let capture = Capture::start(&receivers.addresses);
    let to: Vec<SocketAddr> = relays.iter().map(|relay| relay.address).collect();
    let sender = std::thread::spawn(move || {
        become_realtime();
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        send_streams(&socket, &to, PACKETS);
    });
    // As the product receives. A thread that is starved for more than two seconds takes the stamps that it
    // then finds for those of another clock.
    let arrived = std::thread::scope(|scope| {
        let receiving = scope.spawn(|| {
            become_realtime();
            receivers.receive(PATIENCE, |_| {
                relays
                    .iter()
                    .all(|relay| relay.sealed() == usize::from(PACKETS))
            })
        });
        receiving.join().expect("it receives")
    });
    sender.join().expect("it sends");
    let rows = capture.end(arrived.len(), &receivers.addresses);
    let mut outcomes = Vec::new();
    for (number, (mut relay, (name, _))) in relays.into_iter().zip(WEATHER).enumerate() {
        let id = ssrc(u32::try_from(number).unwrap());
        let mut stream = Stream::new(id, 8000);
        for packet in arrived.iter().filter(|packet| packet.receiver == number) {
            hear(&mut stream, packet.at, &packet.bytes);
        }
        let said = relay.stop(Signal::SIGTERM);
        outcomes.push(Outcome {
            name,
            truth: Truth::of(&relay.records(Component::Rtp, Way::There)),
            ours: stream.figures(),
            tshark: rows[&id].clone(),
            lateness: said.lines().last().unwrap_or_default().to_owned(),
        });
    }
    outcomes
}

fn assert_all_agree(load: &str, outcomes: &[Outcome]) {
    println!(
        "\n{load}: counts are truth / ours / tshark's, jitter is min / mean / max, times are milliseconds\n\n\
         | weather | sent, head, tail | lost (A.3) | twice | reordered | jitter: truth | ours | tshark | \
         PDV max: truth | ours | relay |\n|---|---|---|---|---|---|---|---|---|---|---|"
    );
    for outcome in outcomes {
        println!("{}", outcome.row());
    }
    let furthest =
        |distance: fn(&Outcome) -> f64| outcomes.iter().map(distance).fold(0.0, f64::max);
    println!(
        "\nfurthest apart in jitter: ours and tshark {:.4}, ours and the truth {:.4}; in PDV: ours and the \
         truth {:.4}",
        furthest(|it| range_distance_ms(it.ours.jitter, it.tshark.jitter)),
        furthest(|it| range_distance_ms(it.ours.jitter, it.truth.jitter)),
        furthest(|it| it.truth.distance_ms(&it.ours)),
    );
    for outcome in outcomes {
        outcome.assert_agreement(load);
    }
}

impl Outcome {
    #[track_caller]
    fn assert_agreement(&self, load: &str) {
        let (ours, tshark) = (&self.ours, &self.tshark);
        let name = format!("{}, {load}", self.name);
        self.truth.assert_counts(ours, &name);
        assert_eq!(tshark.lost, self.truth.lost_of_tshark, "{name}");
        assert_eq!(tshark.packets, ours.counts.packets, "{name}");
        assert_eq!(tshark.duplicates, ours.counts.duplicates, "{name}");
        // tshark prints three digits.
        let from_tshark_ms = range_distance_ms(ours.jitter, tshark.jitter);
        assert!(from_tshark_ms <= 0.001, "{name}: {from_tshark_ms} ms");
        let from_truth_ms = self.truth.distance_ms(ours);
        assert!(from_truth_ms <= 0.2, "{name}: {from_truth_ms} ms");
    }

    fn row(&self) -> String {
        let Self {
            name,
            truth,
            ours,
            tshark,
            lateness,
        } = self;
        let range = |it: Range| format!("{:.3} / {:.3} / {:.3}", it.min_ms, it.mean_ms, it.max_ms);
        format!(
            "| {name} | {}, {}, {} | {} / {} / {} | {} / {} / {} | {} / {} | {} | {} | {} | {:.3} | {:.3} | {lateness} |",
            truth.sent,
            truth.head,
            truth.tail,
            truth.missing.cast_signed() - truth.duplicates.cast_signed(),
            ours.counts.lost,
            tshark.lost,
            truth.duplicates,
            ours.counts.duplicates,
            tshark.duplicates,
            truth.reordered,
            ours.counts.reordered,
            range(truth.jitter),
            range(ours.jitter),
            range(tshark.jitter),
            truth.pdv_max_ms,
            ours.pdv.expect("sound came").max_ms,
        )
    }
}

/// What tshark says of one stream.
#[derive(Clone, Debug)]
struct Row {
    packets: u64,
    lost: i64,
    duplicates: u64,
    jitter: Range,
}

/// dumpcap on the loopback of this namespace.
struct Capture {
    child: Child,
    folder: tempfile::TempDir,
}

impl Capture {
    fn start(to: &[SocketAddr]) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the capture");
        let ports: Vec<String> = to
            .iter()
            .map(|to| format!("dst port {}", to.port()))
            .collect();
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "dumpcap", "-q", "-i", "lo", "-f"])
            .arg(format!("udp and ({})", ports.join(" or ")))
            .arg("-w")
            .arg(folder.path().join("capture"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program dumpcap");
        let capture = Self { child, folder };
        // It writes the head of its file once it captures.
        let file = capture.file();
        wait_for("dumpcap captures", PATIENCE, || {
            let size = std::fs::metadata(&file).ok()?.len();
            (size > 0).then_some(())
        });
        capture
    }

    fn file(&self) -> std::path::PathBuf {
        self.folder.path().join("capture")
    }

    /// Ends it once it has written so many packets; what tshark reads in it.
    fn end(mut self, packets: usize, to: &[SocketAddr]) -> BTreeMap<u32, Row> {
        let file = self.file();
        wait_for("dumpcap has written all", PATIENCE, || {
            let read = tshark(&file, &["-T", "fields", "-e", "frame.number"]);
            (read.lines().count() >= packets).then_some(())
        });
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"));
        kill(pid, Signal::SIGINT).expect("our own child");
        self.child.wait().expect("our own child");
        let as_rtp: Vec<String> = to
            .iter()
            .flat_map(|to| ["-d".to_owned(), format!("udp.port=={},rtp", to.port())])
            .collect();
        let as_rtp: Vec<&str> = as_rtp.iter().map(String::as_str).collect();
        let numbers = tshark(
            &file,
            &[
                &as_rtp[..],
                &["-T", "fields", "-e", "rtp.ssrc", "-e", "rtp.seq"],
            ]
            .concat(),
        );
        let streams = tshark(&file, &[&as_rtp[..], &["-q", "-z", "rtp,streams"]].concat());
        let mut rows: BTreeMap<u32, Row> = streams.lines().filter_map(read_row).collect();
        let mut seen = BTreeSet::new();
        for line in numbers.lines() {
            if !seen.insert(line) {
                let id = line.split('\t').next().expect("a source");
                rows.get_mut(&hex(id)).expect("a stream").duplicates += 1;
            }
        }
        rows
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        // Nothing to do when it was ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn tshark(file: &Path, arguments: &[&str]) -> String {
    let done = Command::new("tshark")
        .arg("-n")
        .arg("-r")
        .arg(file)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the program tshark");
    String::from_utf8_lossy(&done.stdout).into_owned()
}

/// Times, addresses, ports, source, payload, packets, lost and its share; then delta and jitter, three each.
fn read_row(line: &str) -> Option<(u32, Row)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let at = words.iter().position(|word| word.starts_with("0x"))?;
    let share = words.iter().position(|word| word.ends_with("%)"))?;
    let ms = |place: usize| words[share + place].parse().expect("milliseconds");
    let row = Row {
        packets: words[share - 2].parse().expect("a count"),
        lost: words[share - 1].parse().expect("a count"),
        duplicates: 0,
        jitter: Range {
            min_ms: ms(4),
            mean_ms: ms(5),
            max_ms: ms(6),
        },
    };
    Some((hex(words[at]), row))
}

fn hex(text: &str) -> u32 {
    u32::from_str_radix(text.trim_start_matches("0x"), 16).expect("a source")
}

/// Threads that take every processor until they are dropped.
struct Burners {
    stop: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Burners {
    fn start(count: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let threads = (0..count).map(|_| {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || {
                let mut number = 0_u64;
                while !stop.load(Ordering::Relaxed) {
                    number = black_box(number.wrapping_mul(6_364_136_223_846_793_005) + 1);
                }
            })
        });
        Self {
            threads: threads.collect(),
            stop,
        }
    }
}

impl Drop for Burners {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().expect("it only counts");
        }
    }
}

/// A sender that is late would only be a worse stream; with real time the good network is a good one.
/// What the thread starts is ordinary again.
fn become_realtime() {
    let thread = nix::unistd::gettid().to_string();
    let done = Command::new("chrt")
        .args(["--reset-on-fork", "--fifo", "--pid", "20", &thread])
        .status()
        .expect("the program chrt");
    assert!(done.success(), "chrt: {done}");
}
