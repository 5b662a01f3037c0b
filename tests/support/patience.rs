//! Waiting for a foreign program: it tells nobody when it is ready, so we look again and again.
#![expect(
    clippy::disallowed_methods,
    reason = "real peers live in real time, and have no event to wait for"
)]

use std::thread;
use std::time::{Duration, Instant};

/// Looks until `seen` gives something; says how long that took. Panics after `within`.
#[track_caller]
pub(crate) fn wait_for<T>(
    what: &str,
    within: Duration,
    seen: impl FnMut() -> Option<T>,
) -> (T, Duration) {
    look_for(within, seen).unwrap_or_else(|| panic!("{what}: not within {within:?}"))
}

/// The same for what need not come.
pub(crate) fn look_for<T>(
    within: Duration,
    mut seen: impl FnMut() -> Option<T>,
) -> Option<(T, Duration)> {
    let started = Instant::now();
    loop {
        if let Some(found) = seen() {
            return Some((found, started.elapsed()));
        }
        if started.elapsed() >= within {
            return None;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Looks again and again for the whole of `during`; the first complaint fails the test.
#[track_caller]
pub(crate) fn hold_for(
    what: &str,
    during: Duration,
    every: Duration,
    mut complaint: impl FnMut() -> Option<String>,
) {
    let started = Instant::now();
    while started.elapsed() < during {
        if let Some(complaint) = complaint() {
            panic!("{what}: after {:?}: {complaint}", started.elapsed());
        }
        thread::sleep(every);
    }
}

/// A clock for figures that a test prints.
#[derive(Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}
