//! What came of all the calls of a load test: counts by outcome, and the answer delays.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::calls::observe::{Observed, Outcome};

/// The longest answer delay that is told apart; RFC 3261 gives up an INVITE after 32 s (timer B).
const DELAY_US_MAX: u64 = 60_000_000;

/// Results of one load test, or of one shard of it.
#[derive(Clone, Debug)]
pub struct Tally {
    started: u64,
    ended: u64,
    /// Answered, held, and ended by our BYE.
    completed: u64,
    failures: BTreeMap<String, u64>,
    answer_us: Histogram<u64>,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            started: 0,
            ended: 0,
            completed: 0,
            failures: BTreeMap::new(),
            answer_us: Histogram::new_with_bounds(1, DELAY_US_MAX, 3)
                .expect("the bounds are constants in the right order"),
        }
    }
}

impl Tally {
    pub fn started(&mut self) {
        self.started += 1;
    }

    /// Takes in the result of one call.
    pub fn ended(&mut self, observed: &Observed) {
        self.ended += 1;
        if let Some(after) = observed.answer_after {
            let us = u64::try_from(after.as_micros()).unwrap_or(u64::MAX);
            self.answer_us.saturating_record(us.max(1));
        }
        match failure(&observed.outcome) {
            None => self.completed += 1,
            Some(words) => *self.failures.entry(words).or_default() += 1,
        }
    }

    /// Adds the results of another shard.
    pub fn add(&mut self, other: &Self) {
        self.started += other.started;
        self.ended += other.ended;
        self.completed += other.completed;
        for (words, count) in &other.failures {
            *self.failures.entry(words.clone()).or_default() += count;
        }
        self.answer_us
            .add(&other.answer_us)
            .expect("both have the same bounds");
    }

    #[must_use]
    pub fn in_flight(&self) -> u32 {
        u32::try_from(self.started.saturating_sub(self.ended)).unwrap_or(u32::MAX)
    }

    #[must_use]
    pub fn completed(&self) -> u64 {
        self.completed
    }

    #[must_use]
    pub fn failed(&self) -> u64 {
        self.ended - self.completed
    }

    /// Failures in the words of an engineer, with how many calls ended so.
    pub fn failures(&self) -> impl Iterator<Item = (&str, u64)> {
        self.failures
            .iter()
            .map(|(words, count)| (words.as_str(), *count))
    }

    /// From the INVITE to its 2xx, for this share of the calls (0.5, 0.99).
    #[must_use]
    pub fn answer_delay(&self, share: f64) -> Duration {
        Duration::from_micros(self.answer_us.value_at_quantile(share))
    }
}

/// One line per kind of failure: no address and no delay, else each call would be its own kind.
fn failure(outcome: &Outcome) -> Option<String> {
    Some(match outcome {
        Outcome::Completed { .. } => return None,
        Outcome::HungUpByFarEnd { .. } => "the far end hung up first".to_owned(),
        Outcome::Refused { status, reason, .. } => format!("refused with {status} {reason}"),
        Outcome::SentToEmergency { status } => {
            format!("sent on to an emergency number with {status}; not followed")
        }
        Outcome::NoAnswer { heard: None, .. } => "no response at all".to_owned(),
        Outcome::NoAnswer {
            heard: Some(status),
            ..
        } => format!("no final response after {status}"),
        Outcome::Misbehaved { words } => format!("broke the standard: {words}"),
        Outcome::Flow(fault) => format!("the flow failed: {fault:?}"),
        Outcome::Aborted => "aborted by us".to_owned(),
        Outcome::Ours { words } => format!("our own fault: {words}"),
    })
}
