//! Flapping: a state that leaves its word too often is shown as unstable, and stays visible.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::Instant;

/// Six departures are three outages with their recoveries.
const SWINGS_TO_BEGIN: usize = 6;
/// Well below the first threshold, so that the flag itself does not flap.
const SWINGS_TO_END: usize = 2;
/// Shorter forgets a slow flapping; longer keeps the flag long after it ended.
const WINDOW: Duration = Duration::from_secs(600);
/// A slow probe needs a longer window to show anything: so many of its intervals.
const INTERVALS: u32 = 20;

/// The departures of one target or line, on the boot clock: a wall clock that is set must neither keep the
/// flag nor end it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Flap {
    swings: VecDeque<Instant>,
}

impl Flap {
    /// A confirmed word was left, or put in doubt.
    pub(super) fn swing(&mut self, at: Instant) {
        self.swings.push_back(at);
        if self.swings.len() > SWINGS_TO_BEGIN * 4 {
            self.swings.pop_front();
        }
    }

    /// Is it unstable at `now`, having been so or not (`was`)?
    pub(super) fn is_unstable(&self, now: Instant, every: Duration, was: bool) -> bool {
        let window = WINDOW.max(every * INTERVALS);
        let recent = self
            .swings
            .iter()
            .filter(|at| now.since(**at) < window)
            .count();
        recent >= SWINGS_TO_BEGIN || was && recent > SWINGS_TO_END
    }

    /// How long from `now` until the flag could end by itself.
    pub(super) fn may_end_in(&self, now: Instant, every: Duration) -> Duration {
        let window = WINDOW.max(every * INTERVALS);
        let keeps = self.swings.iter().rev().nth(SWINGS_TO_END);
        keeps.map_or(Duration::ZERO, |at| window.saturating_sub(now.since(*at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_begins_at_six_swings_and_ends_when_two_are_left() {
        let every = Duration::from_secs(5);
        let mut flap = Flap::default();
        let at = |minute: u64| Instant(0) + Duration::from_secs(60 * minute);
        for minute in 0..5 {
            flap.swing(at(minute));
            assert!(!flap.is_unstable(at(minute), every, false));
        }
        flap.swing(at(5));
        assert!(flap.is_unstable(at(5), every, false));
        assert!(flap.is_unstable(at(12), every, true), "three are left");
        assert!(!flap.is_unstable(at(12), every, false), "below the start");
        assert!(!flap.is_unstable(at(13), every, true), "two are left");
        assert_eq!(flap.may_end_in(at(12), every), Duration::from_secs(60));
    }
}
