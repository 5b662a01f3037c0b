//! One trunk: at most one synthetic call at a time, the one that waited longest first.

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

#[derive(Debug, Default)]
pub(super) struct Trunk {
    holder: Option<ProbeId>,
    last_start: Option<Instant>,
    failures: u8,
    waiting: Vec<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    since: Instant,
    probe: ProbeId,
    why: Why,
}

impl Trunk {
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
        let first = (0..self.waiting.len()).min_by_key(|&at| {
            let one = &self.waiting[at];
            (rank(one), one.probe.clone())
        })?;
        let Waiting { probe, why, .. } = self.waiting.remove(first);
        self.holder = Some(probe.clone());
        self.last_start = Some(now);
        Some((probe, why))
    }

    /// When somebody who waits may start; `None` while nobody waits or a call holds the trunk.
    pub(super) fn opens_at(&self) -> Option<Instant> {
        if self.holder.is_some() || self.waiting.is_empty() {
            return None;
        }
        let pause = if self.failures >= FAILURES_OF_A_CRISIS {
            CRISIS_PAUSE
        } else {
            Duration::ZERO
        };
        Some(
            self.last_start
                .map_or_else(Instant::default, |start| start + pause),
        )
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
