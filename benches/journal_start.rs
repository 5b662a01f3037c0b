//! How long a start takes on a journal of months, and in how much memory.
//!
//! Writes a journal like that of the sample plant (each day 17,280 heartbeats, 5,000 verdicts of calls and
//! 144 tallies of every probe, each call with all figures that its line's week is learnt from), then opens it in a process of its own, verifying the chain and replaying
//! every fact. The floors: 100,000 facts a second on one core, and a peak of 100 MB whatever the length.
//! `cargo bench --bench journal_start -- 2000000` for another number of facts.
#![expect(
    clippy::unwrap_used,
    reason = "a bench that cannot run says so by its panic"
)]

mod measures;

use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use measures::measures;
use vigie::config;
use vigie::engine::Engine;
use vigie::engine::fact::{BootId, Chain, Configured, Event, Judged, TallyLast, TallyRow};
use vigie::engine::plant::Plant;
use vigie::id::ProbeId;
use vigie::io::clock;
use vigie::io::store::{Journal, Report};
use vigie::probe::{Check, Word};
use vigie::time::{Now, Utc};

const FACTS_PER_SECOND_MIN: u128 = 100_000;
const PEAK_KB_MAX: u64 = 100 * 1024;

/// Heartbeats are 5 s apart.
const BEAT: Duration = Duration::from_secs(5);

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(folder) = arguments.iter().position(|one| one == "--open") {
        open(Path::new(&arguments[folder + 1]));
        return;
    }
    let facts = arguments.iter().find_map(|one| one.parse().ok());
    let facts: u64 = facts.unwrap_or(200_000);
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(write(folder.path(), facts));
    let size = std::fs::metadata(folder.path().join("facts.sqlite"))
        .unwrap()
        .len();
    say(&format!("{facts} facts, {} MB", size / 1_000_000));
    let status = Command::new(std::env::current_exe().unwrap())
        .arg("--open")
        .arg(folder.path())
        .status()
        .unwrap();
    // The folder goes first, for `exit` drops nothing.
    drop(folder);
    std::process::exit(status.code().unwrap_or(1));
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

fn plant() -> Plant {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/vigie.toml");
    let text = std::fs::read_to_string(file).unwrap();
    config::read(file, &text).unwrap().plant
}

fn open(folder: &Path) {
    let mut engine = Engine::new(Arc::new(plant()), BootId::from("bench"));
    let now = Now::default().after(Duration::from_secs(1_000_000_000));
    let before = clock::instant();
    let opened = runtime()
        .block_on(Journal::open(folder, |fact| engine.take_over(now, fact)))
        .unwrap();
    let took = clock::instant().since(before);
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find(|line| line.starts_with("VmHWM"));
    let peak_kb: u64 = peak
        .and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .unwrap_or(u64::MAX);
    let per_second = u128::from(opened.facts) * 1_000 / took.as_millis().max(1);
    say(&format!(
        "opened {} facts in {took:.2?}, peak {} MB",
        opened.facts,
        peak_kb / 1024
    ));
    let held = per_second >= FACTS_PER_SECOND_MIN && peak_kb <= PEAK_KB_MAX;
    say(&format!(
        "floor {}: {per_second} facts/s (at least {FACTS_PER_SECOND_MIN}), peak {} MB (at most {})",
        if held { "held" } else { "MISSED" },
        peak_kb / 1024,
        PEAK_KB_MAX / 1024
    ));
    if !held {
        std::process::exit(1);
    }
}

async fn write(folder: &Path, facts: u64) {
    let mut opened = Journal::open(folder, |_| Ok(())).await.unwrap();
    let mut chain = Chain::new(BootId::from("bench"));
    let probes: Vec<ProbeId> = plant()
        .targets
        .iter()
        .flat_map(|target| &target.probes)
        .map(|probe| probe.id.clone())
        .collect();
    let calls: Vec<ProbeId> = plant()
        .targets
        .iter()
        .flat_map(|target| &target.probes)
        .filter(|probe| matches!(*probe.check, Check::Call(_)))
        .map(|probe| probe.id.clone())
        .collect();
    let mut now = Now::default().after(Duration::from_secs(1_000));
    let mut tick = 0;
    let configured = Configured {
        probes: probes
            .iter()
            .map(|id| (id.clone(), String::new()))
            .collect(),
        ..Configured::default()
    };
    opened
        .journal
        .append(chain.append(now, &Event::Configured(configured)));
    while chain.seq < facts {
        now = now.after(BEAT);
        tick += 1;
        let mut events = vec![Event::Heartbeat {
            runs: chain.seq,
            in_flight: 3,
            late_ms: 1,
        }];
        if tick % 7 < 2 {
            let probe = &calls[tick % calls.len()];
            events.push(Event::Verdict(call(probe, chain.seq, now.utc)));
        }
        if tick % 120 == 0 {
            let rows = (0..probes.len()).map(|probe| row(probe, now.utc)).collect();
            events.push(Event::Tally { rows });
        }
        for event in &events {
            opened.journal.append(chain.append(now, event));
        }
        if tick % 5_000 == 0 {
            committed(&mut opened.reports, chain.seq).await;
        }
    }
    opened.journal.close().await;
}

async fn committed(reports: &mut tokio::sync::mpsc::UnboundedReceiver<Report>, up_to: u64) {
    while let Some(report) = reports.recv().await {
        if report == (Report::Committed { up_to }) {
            return;
        }
    }
}

fn call(probe: &ProbeId, run: u64, sent: Utc) -> Judged {
    Judged {
        probe: probe.clone(),
        run,
        sent,
        confirm: false,
        word: Word::Good,
        failure: None,
        took_ns: Some(4_321_000),
        measures: measures(17),
        signature: Some("*1#".into()),
        last_good: Some(sent),
    }
}

fn row(probe: usize, sent: Utc) -> TallyRow {
    TallyRow {
        probe,
        good: 20,
        blind: 0,
        last_good: Some(sent),
        last: Some(TallyLast {
            sent,
            took_ns: Some(1_234_567),
            measures: measures(3),
        }),
    }
}
