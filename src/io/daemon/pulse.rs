//! The wall clock as the loop sees it: when it was set, and whether somebody keeps it right.
//!
//! That the loop itself was late is the engine's to notice: it is given every moment.

use std::time::Duration;

use crate::engine::fact::ClockState;
use crate::io::clock::Gap;
use crate::io::shard::clock_is_synchronised;
use crate::time::{Instant, Now};

/// How often the discipline of the clock is looked at.
const LOOK: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Pulse {
    gap: Gap,
    /// What was told of the clock, and when it was last looked at.
    told: Option<(ClockState, Instant)>,
}

impl Pulse {
    pub(super) fn new(now: Now) -> Self {
        Self {
            gap: Gap::at(now),
            told: None,
        }
    }

    /// By how many nanoseconds the wall clock was set since the last look. The next beat tells again
    /// whether somebody keeps it right: the kernel forgets that when it is set.
    pub(super) fn stepped(&mut self, now: Now) -> Option<i64> {
        let by_ns = self.gap.observe(now);
        if by_ns.is_some() {
            self.told = None;
        }
        by_ns
    }

    /// Called once a second; the state of the clock when it is news.
    pub(super) fn beat(&mut self, now: Instant) -> Option<ClockState> {
        if self.told.is_some_and(|(_, at)| now.since(at) < LOOK) {
            return None;
        }
        let state = discipline();
        let known = self.told.replace((state, now));
        known
            .is_none_or(|(known, _)| known != state)
            .then_some(state)
    }
}

/// Whether somebody keeps our wall clock right; unknown where the kernel may not be asked.
fn discipline() -> ClockState {
    match clock_is_synchronised() {
        Ok(true) => ClockState::Synchronised,
        Ok(false) => ClockState::Unsynchronised,
        Err(_) => ClockState::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Utc;

    #[test]
    fn the_discipline_is_told_once_and_again_after_a_step() {
        let start = Now::default();
        let mut pulse = Pulse::new(start);
        let mut told = Vec::new();
        for second in 1..=30 {
            let mut now = start.after(Duration::from_secs(second));
            if second >= 20 {
                now.utc = Utc(now.utc.0 + 3_600_000_000_000);
            }
            pulse.stepped(now);
            if pulse.beat(now.instant).is_some() {
                told.push(second);
            }
        }
        assert_eq!(told, [1, 20]);
    }
}
