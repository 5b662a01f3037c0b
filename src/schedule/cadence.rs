//! The regular moments of one probe: a grid on the boot clock, shifted by the seed.
//!
//! The grid is fixed, so a late run moves no later one, and a restart keeps the same moments.

use std::time::Duration;

use super::spread;
use crate::id::{ProbeId, Seed};
use crate::time::Instant;

/// Every `every`, `phase` after a multiple of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cadence {
    every: Duration,
    phase: Duration,
}

impl Cadence {
    pub(super) fn new(seed: Seed, probe: &ProbeId, every: Duration) -> Self {
        // An interval of nothing would never let the clock pass: one per millisecond is the floor.
        let every = every.max(Duration::from_millis(1));
        Self {
            every,
            phase: spread::offset(seed, probe.as_str(), every),
        }
    }

    pub(super) const fn every(self) -> Duration {
        self.every
    }

    /// The first moment of the grid after `now`.
    pub(super) fn after(self, now: Instant) -> Instant {
        let every = u64::try_from(self.every.as_nanos()).unwrap_or(u64::MAX);
        let phase = u64::try_from(self.phase.as_nanos()).unwrap_or(u64::MAX);
        let passed = now
            .0
            .checked_sub(phase)
            .map_or(0, |since_phase| since_phase / every + 1);
        Instant(phase.saturating_add(every.saturating_mul(passed)))
    }

    /// How late a run may start and still be worth it. Later ones are skipped: after a stall all late
    /// probes would leave at once, and what they measure is our own crowd.
    pub(super) fn tolerance(self) -> Duration {
        (self.every / 4).clamp(Duration::from_secs(1), Duration::from_secs(5))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_next_moment_is_ahead_and_within_one_interval(
            seed: u64, now in 0..u64::MAX / 4, every_ms in 1_u64..100_000,
        ) {
            let every = Duration::from_millis(every_ms);
            let cadence = Cadence::new(Seed(seed), &ProbeId::from("p"), every);
            let next = cadence.after(Instant(now));
            prop_assert!(next > Instant(now));
            prop_assert!(next.since(Instant(now)) <= every * 2);
            prop_assert_eq!(cadence.after(next).since(next), every);
        }
    }
}
