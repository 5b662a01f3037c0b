//! Simulated days of the call centre per second: how many days of the product one core lives through.
//!
//! Stories of ten days with all their faults, at the usual pace of `vigie sim` (13 probes: a call a minute of each
//! PBX and of the line, OPTIONS every 30 s, pings every minute), every property checked at every step. The floor:
//! 6.1 days a second, which is a year a minute. `cargo bench --bench simulated_days -- 12` for another number of
//! stories.

use std::io::Write as _;

use vigie::io::clock;
use vigie::sim::plant::Pace;
use vigie::sim::run::{Settings, run};
use vigie::sim::sabotage::Sabotage;
use vigie::sim::story::Story;
use vigie::sim::summary::Summary;

const DAYS_PER_SECOND_MIN: f64 = 6.1;
const DAYS: u32 = 10;

fn main() {
    let stories = std::env::args().find_map(|one| one.parse().ok());
    let stories: u64 = stories.unwrap_or(6);
    let settings = Settings {
        pace: Pace::USUAL,
        sabotage: Sabotage::None,
    };
    let mut summary = Summary::default();
    let started = clock::instant();
    for seed in 1..=stories {
        let outcome = run(&Story::of(seed, DAYS), settings);
        if let Some(broken) = outcome.broken {
            say(&format!("seed {seed}: {broken}"));
            std::process::exit(1);
        }
        summary.add(outcome.summary);
    }
    let seconds = clock::instant().since(started).as_secs_f64();
    let speed = f64::from(summary.days) / seconds;
    say(&summary.to_string());
    say(&format!(
        "{speed:.1} simulated days per second (floor {DAYS_PER_SECOND_MIN}): a year in {:.0} s",
        365.0 / speed
    ));
    if speed < DAYS_PER_SECOND_MIN {
        std::process::exit(1);
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // Nobody is left to tell when the reader is gone.
    let _ = writeln!(out, "{line}");
}
