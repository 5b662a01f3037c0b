//! Faults of our own: what makes us blind, and never anybody else down.

use std::time::Duration;

use super::Engine;
use super::fact::{ClockState, Event};
use crate::probe::{Blame, Failure, Verdict, Word};
use crate::time::{Instant, Now};

/// Codes of faults of the store begin with this; while one is open, views are published although
/// their facts are not committed.
pub const STORE_FAULT: &str = "store_";

/// Woken later than this, we do not trust the silence of a probe: it may be ours. Shorter cries wolf
/// on a busy machine; longer lets a stall of a probe's whole time-out pass for theirs.
const LATE: Duration = Duration::from_secs(1);

/// A stall is shown for so long.
const LATE_SHOWN: Duration = Duration::from_secs(10);

const WOKEN_LATE: &str = "woken_late";

const CLOCK_DOUBTFUL: &str = "clock_doubtful";

/// A stall of our own process or machine: overload, suspend, a debugger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stall {
    /// Silence of a run that started before this proves nothing.
    pub(super) ended: Instant,
}

impl Engine {
    /// Compares the moment with the one we asked to be woken at.
    pub(super) fn notice_stall(&mut self, now: Now) {
        let Some((promised, _)) = self.deadline() else {
            return;
        };
        let late = now.instant.since(promised);
        self.late_max = self.late_max.max(late);
        if late > LATE {
            self.stall = Some(Stall { ended: now.instant });
            self.begin_fault(
                now,
                Failure::new(
                    Blame::Ours,
                    WOKEN_LATE,
                    format!(
                        "this machine or process stood still for {:.1} s: give it more processor, or look at suspend",
                        late.as_secs_f64()
                    ),
                ),
            );
        }
    }

    pub(super) fn end_stall(&mut self, now: Now) {
        if self
            .stall
            .is_some_and(|stall| now.instant.since(stall.ended) >= LATE_SHOWN)
        {
            self.stall = None;
            self.end_fault(now, WOKEN_LATE);
        }
    }

    pub(super) fn clock(&mut self, state: ClockState) {
        self.chain.clock = state;
        if state == ClockState::Synchronised {
            self.clock_stepped = false;
        }
    }

    pub(super) fn clock_stepped(&mut self, now: Now, by_ns: i64) {
        self.clock_stepped = true;
        self.record(now, &Event::ClockStepped { by_ns });
    }

    /// Is there nobody who vouches for the wall clock?
    fn is_clock_doubtful(&self) -> bool {
        self.clock_stepped || self.chain.clock != ClockState::Synchronised
    }

    /// Silence that spans a stall of our own is not theirs; nor is a date that our clock may have wrong.
    pub(super) fn doubted(&self, started: Instant, verdict: Verdict) -> Verdict {
        let spans = self.stall.is_some_and(|stall| started <= stall.ended);
        let silent = verdict
            .failure
            .as_ref()
            .is_some_and(|failure| failure.blame == Blame::Silent);
        if spans && silent && verdict.word != Word::Good {
            return Verdict::blind(
                WOKEN_LATE,
                "no answer was heard, but we stood still ourselves meanwhile",
            );
        }
        if self.is_clock_doubtful()
            && let Some(failure) = &verdict.failure
            && failure.rests_on_dates()
        {
            return Verdict::blind(
                CLOCK_DOUBTFUL,
                format!(
                    "{}; but nobody vouches for the clock of this machine: look at its NTP",
                    failure.words
                ),
            );
        }
        verdict
    }

    pub(super) fn begin_fault(&mut self, now: Now, failure: Failure) {
        let code = failure.code.clone().into_owned();
        let known = self.own_faults.insert(code, failure.clone());
        if known.is_none() {
            self.record(now, &Event::OwnFaultBegan { failure });
            self.is_dirty = true;
        } else if let Some(known) = known {
            // The fact tells how it began; the page and a replay show those words.
            self.own_faults
                .insert(known.code.clone().into_owned(), known);
        }
    }

    pub(super) fn end_fault(&mut self, now: Now, code: &str) {
        if self.own_faults.remove(code).is_some() {
            let code = code.to_owned();
            self.record(now, &Event::OwnFaultEnded { code });
            self.is_dirty = true;
        }
    }

    /// What counts as on disk for an alert: while the store fails, everything.
    pub(super) fn sendable_fact(&self) -> u64 {
        if self.store_fails() {
            self.chain.seq
        } else {
            self.committed
        }
    }

    fn store_fails(&self) -> bool {
        self.own_faults
            .keys()
            .any(|code| code.starts_with(STORE_FAULT))
    }

    /// The last fact that a published view includes, for the reader's gate.
    pub(super) fn shown_fact(&self) -> u64 {
        if self.store_fails() {
            self.committed
        } else {
            self.chain.seq
        }
    }
}
