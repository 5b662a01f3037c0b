//! Faults of our own: what makes us blind, and never anybody else down.

use std::time::Duration;

use super::Engine;
use super::fact::{BootId, ClockState, Event};
use crate::id::ProbeId;
use crate::probe::{Blame, Failure, Verdict, Word};
use crate::time::{Instant, Now, Utc};

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
        self.correct_stamps(by_ns);
        self.tally.each_stamp(|at| shift(at, by_ns));
        for run in self.runs.values_mut() {
            run.steps.push(by_ns);
        }
    }

    /// The clock that was set while the service was down, in this same boot: no shell saw it.
    pub(super) fn notice_missed_step(&mut self, now: Now) {
        let boot = self.chain.boot_id.clone();
        if let Some(by_ns) = self.boot.stepped_since(&boot, now) {
            self.clock_stepped(now, by_ns);
        }
    }

    /// A fact of that boot was stamped.
    pub(super) fn enter(&mut self, boot: &BootId, now: Now) {
        let Self {
            health,
            alerts,
            answered_since,
            ..
        } = self;
        self.boot.stamped(boot, now, |visit| {
            health.each_stamp(visit);
            alerts.each_stamp(visit);
            visit(answered_since);
        });
    }

    /// What this boot stamped is told by the clock after the step from now on.
    pub(super) fn correct_stamps(&mut self, by_ns: i64) {
        let boot = &self.boot;
        let mut correct = |at: &mut Utc| boot.correct(by_ns, at);
        self.health.each_stamp(&mut correct);
        self.alerts.each_stamp(&mut correct);
        if self.answered_since != Utc(0) {
            correct(&mut self.answered_since);
        }
    }

    /// The send time of a run by the present clock: a packet that left before a step was stamped by the clock
    /// before it. It left between the start of the run and now; of the clocks since, the one that has it nearest to
    /// the start made the stamp, for a first packet leaves at once.
    pub(super) fn by_present_clock(&self, now: Now, probe: &ProbeId, sent: Utc) -> Utc {
        let Some(run) = self.runs.get(probe).filter(|run| !run.steps.is_empty()) else {
            return sent;
        };
        let started = now.utc - now.instant.since(run.started);
        let mut stamp = sent;
        let mut stamps = vec![stamp];
        for by_ns in run.steps.iter().rev() {
            shift(&mut stamp, *by_ns);
            stamps.push(stamp);
        }
        let possible = stamps
            .into_iter()
            .filter(|stamp| (started..=now.utc).contains(stamp));
        possible
            .min()
            .unwrap_or_else(|| sent.clamp(started, now.utc))
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

const fn shift(at: &mut Utc, by_ns: i64) {
    at.0 = at.0.saturating_add(by_ns);
}
