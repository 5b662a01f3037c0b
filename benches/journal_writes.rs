//! How fast facts reach the disk, and how much disk a year of the shipped plant takes.
//!
//! *Writes*: facts of a call with all its figures, handed to the journal one at a time, each awaited (an outage that
//! begins), then all at once (a switch that falls). A fact counts when it is acknowledged, which is after the `fdatasync`
//! of its transaction. How long such a sync takes on this disk is measured beside it.
//!
//! *A year*: the engine lives through one virtual day of `deploy/vigie.toml` in which everything answers; every fact that
//! it makes goes into a real journal, and the file is weighed. A year is 365 such days; an outage adds some kilobytes.
//! `cargo bench --bench journal_writes -- FOLDER` to do it on another disk.
#![expect(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a bench that cannot run says so by its panic; figures of some digits"
)]

mod measures;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use measures::measures;
use vigie::config;
use vigie::engine::Engine;
use vigie::engine::fact::{BootId, Chain, Event, Judged};
use vigie::engine::input::{Input, RunId};
use vigie::engine::output::Output;
use vigie::engine::plant::Plant;
use vigie::id::ProbeId;
use vigie::io::clock;
use vigie::io::store::{Journal, Opened, Report};
use vigie::probe::{Check, Verdict, Word};
use vigie::time::{Instant, Now, Utc};

/// A switch with the whole plant behind it makes some ten facts for each of 650 targets within some seconds; slower, and
/// the first alert would wait for its record.
const FACTS_PER_SECOND_MIN: f64 = 5_000.0;
/// What anybody gives to a watchdog without asking.
const YEAR_GB_MAX: f64 = 10.0;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// 24 November 2026, 00:00 in Paris.
const START: Utc = Utc(1_795_474_800_000_000_000);

fn main() {
    let place = std::env::args().skip(1).find(|one| !one.starts_with('-'));
    let folder = match place {
        Some(place) => tempfile::tempdir_in(place).unwrap(),
        None => tempfile::tempdir().unwrap(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    say(&syncs(folder.path()));
    let per_second = runtime.block_on(writes(&folder.path().join("writes")));
    let year = runtime.block_on(day(&folder.path().join("day")));
    if per_second < FACTS_PER_SECOND_MIN || year > YEAR_GB_MAX {
        say(&format!(
            "MISSED: {per_second:.0} facts/s (at least {FACTS_PER_SECOND_MIN}), {year:.1} GB a year (at most {YEAR_GB_MAX})"
        ));
        drop(folder);
        std::process::exit(1);
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
}

/// One page appended and synced, as the smallest commit is.
fn syncs(folder: &Path) -> String {
    const SYNCS: u32 = 500;
    let mut file = File::create(folder.join("syncs")).unwrap();
    let before = clock::instant();
    for _ in 0..SYNCS {
        file.write_all(&[0x76; 4096]).unwrap();
        file.sync_data().unwrap();
    }
    let took = clock::instant().since(before);
    format!(
        "this disk: {:.0} fdatasync of 4 kB a second ({:.2} ms each)",
        f64::from(SYNCS) / took.as_secs_f64(),
        took.as_secs_f64() * 1e3 / f64::from(SYNCS)
    )
}

async fn open(folder: &Path) -> Opened {
    Journal::open(folder, |_| Ok(())).await.unwrap()
}

/// Waits for this fact; how many commits it took.
async fn committed(opened: &mut Opened, up_to: u64) -> u64 {
    let mut commits = 0;
    loop {
        match opened.reports.recv().await.unwrap() {
            Report::Committed { up_to: last } => {
                commits += 1;
                if last >= up_to {
                    return commits;
                }
            }
            Report::Trouble(failure) => say(&format!("trouble: {}", failure.words)),
            Report::TroubleOver { .. } => {}
        }
    }
}

/// Facts a second when all are there at once.
async fn writes(folder: &Path) -> f64 {
    const ONE_BY_ONE: u64 = 1_000;
    const AT_ONCE: u64 = 50_000;
    let mut opened = open(folder).await;
    let mut chain = Chain::new(BootId::from("bench"));
    let event = Event::Verdict(call(&ProbeId::from("patton/sda")));
    let now = Now::default().after(Duration::from_secs(1_000));

    let before = clock::instant();
    for _ in 0..ONE_BY_ONE {
        opened.journal.append(chain.append(now, &event));
        committed(&mut opened, chain.seq).await;
    }
    let took = clock::instant().since(before).as_secs_f64();
    say(&format!(
        "one by one: {:.0} facts/s, each in a commit of its own ({:.2} ms from queue to acknowledgement)",
        ONE_BY_ONE as f64 / took,
        took * 1e3 / ONE_BY_ONE as f64
    ));

    let facts: Vec<_> = (0..AT_ONCE).map(|_| chain.append(now, &event)).collect();
    let before = clock::instant();
    for fact in facts {
        opened.journal.append(fact);
    }
    let commits = committed(&mut opened, chain.seq).await;
    let took = clock::instant().since(before).as_secs_f64();
    let per_second = AT_ONCE as f64 / took;
    say(&format!(
        "at once: {per_second:.0} facts/s in {:.0} commits/s (at most 1,000 facts each)",
        commits as f64 / took
    ));
    opened.journal.close().await;
    let bytes = size(folder);
    say(&format!(
        "a call with 17 figures takes {} bytes on disk",
        bytes / (ONE_BY_ONE + AT_ONCE)
    ));
    per_second
}

fn size(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).unwrap();
    files
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum()
}

/// GB in a year.
async fn day(folder: &Path) -> f64 {
    let mut opened = open(folder).await;
    let mut world = World::new();
    world.engine.handle(
        world.now,
        Input::Started {
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
    );
    let before = clock::instant();
    let end = world.now.instant + DAY;
    let mut checked = 0;
    loop {
        world.perform(&opened.journal);
        // The queue of the writer is bounded; a day at once would overflow it.
        if world.facts >= checked + 10_000 {
            checked = world.facts;
            committed(&mut opened, checked).await;
        }
        if !world.step(end) {
            break;
        }
    }
    opened.journal.close().await;
    let bytes = size(folder);
    let gb = bytes as f64 * 365.0 / 1e9;
    say(&format!(
        "a day of the shipped plant: {} probes, {} runs, {} facts in {:.1} s; {:.1} MB ({} bytes a fact), {gb:.2} GB a year",
        world.checks,
        world.runs,
        world.facts,
        clock::instant().since(before).as_secs_f64(),
        bytes as f64 / 1e6,
        bytes / world.facts
    ));
    for (kind, (count, bytes)) in &world.kinds {
        say(&format!(
            "  {kind:16} {count:8} facts {:8.2} MB of text",
            *bytes as f64 / 1e6
        ));
    }
    gb
}

/// The engine with far ends that all answer well.
struct World {
    engine: Engine,
    now: Now,
    checks: usize,
    runs: u64,
    facts: u64,
    kinds: BTreeMap<String, (u64, u64)>,
    /// What runs, by its end.
    running: BTreeMap<(Instant, RunId), (ProbeId, Arc<Check>, Utc)>,
}

impl World {
    fn new() -> Self {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/vigie.toml");
        let text = std::fs::read_to_string(file).unwrap();
        let plant: Plant = config::read(file, &text).unwrap().plant;
        let checks = plant.targets.iter().map(|target| target.probes.len()).sum();
        Self {
            engine: Engine::new(Arc::new(plant), BootId::from("bench")),
            now: Now {
                instant: Instant(1_000_000_000_000),
                utc: START,
            },
            checks,
            runs: 0,
            facts: 0,
            kinds: BTreeMap::new(),
            running: BTreeMap::new(),
        }
    }

    fn perform(&mut self, journal: &Journal) {
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Record(fact) => {
                    self.facts = fact.seq;
                    let row = self.kinds.entry(fact.kind.to_string()).or_default();
                    row.0 += 1;
                    row.1 += fact.payload.len() as u64;
                    journal.append(fact);
                    let up_to = self.facts;
                    self.engine.handle(self.now, Input::Committed { up_to });
                }
                Output::Probe {
                    run, probe, check, ..
                } => {
                    self.runs += 1;
                    let ends = self.now.instant + lasts(&check);
                    self.running
                        .insert((ends, run), (probe, check, self.now.utc));
                }
                Output::Publish(_) | Output::Acted { .. } => {}
                Output::Send(outgoing) => {
                    let (id, outcome) = (outgoing.id, Ok(()));
                    self.engine
                        .handle(self.now, Input::Delivered { id, outcome });
                }
            }
        }
    }

    /// The next thing that happens, if it happens before `end`.
    fn step(&mut self, end: Instant) -> bool {
        let ends = self.running.keys().next().map(|(at, _)| *at);
        let wakes = self.engine.deadline().map(|(at, _)| at);
        let next = ends.into_iter().chain(wakes).min();
        let Some(next) = next.filter(|next| *next < end) else {
            return false;
        };
        self.now = self.now.after(next.since(self.now.instant));
        match self.running.first_entry() {
            Some(first) if first.key().0 <= self.now.instant => {
                let ((_, run), (probe, check, sent)) = first.remove_entry();
                let signature = matches!(*check, Check::Call(_)).then(|| "*1#".to_owned());
                let verdict = verdict(&check, self.runs);
                let done = Input::ProbeDone {
                    run,
                    probe,
                    sent,
                    verdict,
                    signature,
                };
                self.engine.handle(self.now, done);
            }
            Some(_) | None => self.engine.handle(self.now, Input::Wake),
        }
        true
    }
}

fn lasts(check: &Check) -> Duration {
    match check {
        Check::Call(_) => Duration::from_millis(3_400),
        Check::Icmp(_) => Duration::from_millis(400),
        Check::Register(_)
        | Check::Options(_)
        | Check::Tcp(_)
        | Check::Http(_)
        | Check::Dns(_)
        | Check::Plugin(_)
        | Check::Heartbeat(_) => Duration::from_millis(2),
    }
}

fn verdict(check: &Check, run: u64) -> Verdict {
    // Digits as a clock gives them, for they are what a fact is made of.
    let took = Duration::from_nanos(1_234_567 + run % 1_000 * 997);
    Verdict {
        measures: match check {
            Check::Call(_) => measures(17),
            Check::Icmp(_) => measures(3),
            Check::Register(_)
            | Check::Options(_)
            | Check::Tcp(_)
            | Check::Http(_)
            | Check::Dns(_)
            | Check::Plugin(_)
            | Check::Heartbeat(_) => measures(1),
        },
        ..Verdict::good(took)
    }
}

fn call(probe: &ProbeId) -> Judged {
    Judged {
        probe: probe.clone(),
        run: 1,
        sent: START,
        confirm: false,
        word: Word::Good,
        failure: None,
        took_ns: Some(4_321_000),
        measures: measures(17),
        signature: Some("*1#".into()),
        last_good: Some(START),
    }
}
