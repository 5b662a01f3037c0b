//! One trunk: at most one synthetic call at a time, the one that waited longest first, and only so many an
//! hour, for every channel we take is a caller's.

use std::time::Duration;

use crate::id::ProbeId;
use crate::time::Instant;

use super::Why;

/// After so many failed calls in a row the plant is taken to be in a crisis.
const FAILURES_OF_A_CRISIS: u8 = 3;

/// In a crisis calls start at least this far apart: real callers need the channels, and the trunk
/// may be down because it is full. Shorter loads it; longer delays the proof that it is back.
const CRISIS_PAUSE: Duration = Duration::from_secs(5);

/// A call that confirms or checks a suspicion goes ahead of routine ones that came less than this
/// before it. No more, so that routine calls still get their turn while something else fails.
const HEAD_START: Duration = Duration::from_secs(30);

/// Calls an hour over a trunk for which nobody said otherwise: one a minute, and half as much again for a
/// second number.
pub const CALLS_PER_HOUR_MAX: u16 = 90;

/// So many calls stay for confirmations, so that no outage is told late for what was spent before: two each
/// of two proofs.
const FOR_CONFIRMATIONS: u32 = 4;

/// So many more stay for calls that a suspicion asks for, before routine and hurry may have them.
const FOR_SUSPICIONS: u32 = 4;

#[derive(Clone, Debug)]
pub(super) struct Trunk {
    allowance: Allowance,
    holder: Option<ProbeId>,
    last_start: Option<Instant>,
    failures: u8,
    waiting: Vec<Waiting>,
}

/// Calls that may be made, saved up to a third of an hour's: what a calm hour leaves pays for the hurry of
/// the first minutes of an outage. In any hour there are at most four thirds of the maximum, or twelve more
/// than it where that is more: fewer would leave an outage unconfirmed.
#[derive(Clone, Debug)]
struct Allowance {
    /// One call is earned in this time.
    earned_in: Duration,
    saved_max: u32,
    /// When all that was spent is earned again.
    whole_at: Instant,
}

impl Allowance {
    fn new(calls_per_hour_max: u16) -> Self {
        let mut allowance = Self {
            earned_in: Duration::ZERO,
            saved_max: 0,
            whole_at: Instant::default(),
        };
        allowance.limit(calls_per_hour_max);
        allowance
    }

    fn limit(&mut self, calls_per_hour_max: u16) {
        let max = u32::from(calls_per_hour_max.max(1));
        self.earned_in = Duration::from_secs(3600) / max;
        self.saved_max = (max / 3).max(FOR_CONFIRMATIONS + FOR_SUSPICIONS + 4);
    }

    /// When a call for this reason may be made.
    fn opens_at(&self, why: Why) -> Instant {
        let left_for_others = match why {
            Why::Confirmation => 0,
            Why::Suspicion => FOR_CONFIRMATIONS,
            Why::Routine => FOR_CONFIRMATIONS + FOR_SUSPICIONS,
        };
        let may_owe = self.earned_in * (self.saved_max - left_for_others - 1);
        let may_owe = u64::try_from(may_owe.as_nanos()).unwrap_or(u64::MAX);
        Instant(self.whole_at.0.saturating_sub(may_owe))
    }

    fn spend(&mut self, now: Instant) {
        self.whole_at = self.whole_at.max(now) + self.earned_in;
    }
}

#[derive(Clone, Debug)]
struct Waiting {
    since: Instant,
    probe: ProbeId,
    why: Why,
}

impl Default for Trunk {
    fn default() -> Self {
        Self {
            allowance: Allowance::new(CALLS_PER_HOUR_MAX),
            holder: None,
            last_start: None,
            failures: 0,
            waiting: Vec::new(),
        }
    }
}

impl Trunk {
    pub(super) fn limit(&mut self, calls_per_hour_max: u16) {
        self.allowance.limit(calls_per_hour_max);
    }

    pub(super) fn wait(&mut self, since: Instant, probe: ProbeId, why: Why) {
        match self.waiting.iter_mut().find(|one| one.probe == probe) {
            Some(one) => one.why = one.why.max(why),
            None => self.waiting.push(Waiting { since, probe, why }),
        }
    }

    pub(super) fn forget(&mut self, probe: &ProbeId) {
        self.waiting.retain(|one| one.probe != *probe);
    }

    /// The call that may start now; it holds the trunk from here on.
    pub(super) fn admit(&mut self, now: Instant) -> Option<(ProbeId, Why)> {
        if self.opens_at()? > now {
            return None;
        }
        let rank = |one: &Waiting| match one.why {
            // Comparing `since + HEAD_START` for the others is the same as moving these ahead.
            Why::Suspicion | Why::Confirmation => one.since,
            Why::Routine => one.since + HEAD_START,
        };
        let first = (0..self.waiting.len())
            .filter(|&at| self.allowance.opens_at(self.waiting[at].why) <= now)
            .min_by_key(|&at| {
                let one = &self.waiting[at];
                (rank(one), one.probe.clone())
            })?;
        let Waiting { probe, why, .. } = self.waiting.remove(first);
        self.holder = Some(probe.clone());
        self.last_start = Some(now);
        self.allowance.spend(now);
        Some((probe, why))
    }

    /// When somebody who waits may start; `None` while nobody waits or a call holds the trunk.
    pub(super) fn opens_at(&self) -> Option<Instant> {
        if self.holder.is_some() {
            return None;
        }
        let waiting = self.waiting.iter().map(|one| one.why);
        let allowed = waiting.map(|why| self.allowance.opens_at(why)).min()?;
        let pause = if self.failures >= FAILURES_OF_A_CRISIS {
            CRISIS_PAUSE
        } else {
            Duration::ZERO
        };
        let paused = self
            .last_start
            .map_or_else(Instant::default, |start| start + pause);
        Some(paused.max(allowed))
    }

    /// The call ended; `answered` is `None` if we could not see.
    pub(super) fn release(&mut self, probe: &ProbeId, answered: Option<bool>) {
        if self.holder.as_ref() == Some(probe) {
            self.holder = None;
            match answered {
                Some(true) => self.failures = 0,
                Some(false) => self.failures = self.failures.saturating_add(1),
                None => {}
            }
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.holder.is_none() && self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Instant {
        Instant(seconds * 1_000_000_000)
    }

    #[test]
    fn one_call_at_a_time_oldest_first_suspicion_ahead() {
        let mut trunk = Trunk::default();
        trunk.wait(at(10), "young".into(), Why::Routine);
        trunk.wait(at(1), "old".into(), Why::Routine);
        trunk.wait(at(20), "suspect".into(), Why::Suspicion);
        let mut order = Vec::new();
        while let Some((probe, _)) = trunk.admit(at(21)) {
            assert_eq!(trunk.admit(at(21)), None, "{probe} holds the trunk");
            trunk.release(&probe, Some(true));
            order.push(probe);
        }
        assert_eq!(order, ["suspect", "old", "young"].map(ProbeId::from));
    }

    #[test]
    fn a_suspicion_does_not_starve_a_call_that_waits_long() {
        let mut trunk = Trunk::default();
        trunk.wait(at(0), "routine".into(), Why::Routine);
        trunk.wait(at(31), "suspect".into(), Why::Suspicion);
        assert_eq!(trunk.admit(at(31)).unwrap().0, "routine".into());
    }

    #[test]
    fn routine_leaves_calls_for_a_suspicion_and_that_leaves_some_for_its_confirmation() {
        let mut trunk = Trunk::default();
        trunk.limit(90);
        let mut made = |why, now| {
            let mut calls = 0;
            loop {
                trunk.wait(now, "call".into(), why);
                let Some((probe, _)) = trunk.admit(now) else {
                    trunk.forget(&"call".into());
                    return calls;
                };
                trunk.release(&probe, Some(true));
                calls += 1;
            }
        };
        let cases = [
            ("a calm hour's savings", Why::Routine, 0, 22),
            ("for suspicions", Why::Suspicion, 0, 4),
            ("for confirmations", Why::Confirmation, 0, 4),
            ("all is spent", Why::Confirmation, 39, 0),
            ("one is earned in 40 s", Why::Confirmation, 40, 1),
            (
                "an hour earns no more than was spent",
                Why::Routine,
                3640,
                22,
            ),
        ];
        for (name, why, after, expected) in cases {
            assert_eq!(made(why, at(10_000 + after)), expected, "{name}");
        }
    }

    #[test]
    fn in_a_crisis_calls_start_five_seconds_apart_until_one_is_answered() {
        let mut trunk = Trunk::default();
        for _ in 0..3 {
            trunk.wait(at(100), "call".into(), Why::Confirmation);
            let (probe, _) = trunk.admit(at(100)).unwrap();
            trunk.release(&probe, Some(false));
        }
        trunk.wait(at(101), "call".into(), Why::Suspicion);
        assert_eq!(trunk.admit(at(104)), None);
        assert_eq!(trunk.opens_at(), Some(at(105)));
        let (probe, _) = trunk.admit(at(105)).unwrap();
        trunk.release(&probe, Some(true));
        trunk.wait(at(106), "call".into(), Why::Routine);
        assert!(trunk.admit(at(106)).is_some());
    }
}
