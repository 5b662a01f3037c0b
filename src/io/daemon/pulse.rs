//! How well the loop itself keeps time: steps of the wall clock, its discipline, and wake-ups that came
//! late. A watchdog that is late must say so, for what it then calls silence may be its own.

use std::time::Duration;

use crate::engine::fact::ClockState;
use crate::io::clock::Gap;
use crate::io::shard::clock_is_synchronised;
use crate::time::{Instant, Now};

/// The code of the fault of our own.
pub(super) const OVERLOAD: &str = "overloaded";

/// Later than this, a probe with a time-out of two seconds is no longer judged fairly.
const LATE_MAX: Duration = Duration::from_secs(1);

/// So long without a late wake-up, the overload is over.
const RELIEF: Duration = Duration::from_secs(30);

/// How often the discipline of the clock is looked at.
const LOOK: Duration = Duration::from_secs(60);

/// What a beat may find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Clock(ClockState),
    Overloaded { late: Duration },
    Relieved,
}

#[derive(Debug)]
pub(super) struct Pulse {
    gap: Gap,
    last_beat: Instant,
    /// The worst wake-up since the last beat.
    late: Duration,
    /// When the loop was last too late, while that is an open fault.
    overloaded: Option<Instant>,
    /// What was told of the clock, and when it was last looked at.
    told: Option<(ClockState, Instant)>,
}

impl Pulse {
    pub(super) fn new(now: Now) -> Self {
        Self {
            gap: Gap::at(now),
            last_beat: now.instant,
            late: Duration::ZERO,
            overloaded: None,
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

    /// The loop woke this long after its deadline.
    pub(super) fn woken(&mut self, late: Duration) {
        self.late = self.late.max(late);
    }

    /// Called once a second; a second that took much longer is lateness too.
    pub(super) fn beat(&mut self, now: Now) -> Vec<Seen> {
        let since = now.instant.since(self.last_beat);
        self.last_beat = now.instant;
        self.woken(since.saturating_sub(super::BEAT));
        let mut seen = Vec::new();
        let late = std::mem::take(&mut self.late);
        if late > LATE_MAX {
            if self.overloaded.is_none() {
                seen.push(Seen::Overloaded { late });
            }
            self.overloaded = Some(now.instant);
        } else if self
            .overloaded
            .is_some_and(|last| now.instant.since(last) >= RELIEF)
        {
            self.overloaded = None;
            seen.push(Seen::Relieved);
        }
        seen.extend(self.look(now.instant).map(Seen::Clock));
        seen
    }

    fn look(&mut self, now: Instant) -> Option<ClockState> {
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
    fn overload_is_told_once_and_ends_after_a_calm_while() {
        let start = Now {
            instant: Instant(0),
            utc: Utc(0),
        };
        let mut pulse = Pulse::new(start);
        let mut faults = Vec::new();
        // A second late at 5 and 10 s, then calm.
        for second in 1..=60 {
            if second == 5 || second == 10 {
                pulse.woken(Duration::from_millis(1500));
            }
            let now = start.after(Duration::from_secs(second));
            for seen in pulse.beat(now) {
                match seen {
                    Seen::Overloaded { .. } => faults.push(("overloaded", second)),
                    Seen::Relieved => faults.push(("relieved", second)),
                    Seen::Clock(_) => {}
                }
            }
        }
        assert_eq!(faults, [("overloaded", 5), ("relieved", 40)]);
    }

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
            let seen = pulse.beat(now);
            if seen.iter().any(|seen| matches!(seen, Seen::Clock(_))) {
                told.push(second);
            }
        }
        assert_eq!(told, [1, 20]);
    }

    #[test]
    fn a_beat_that_comes_late_is_an_overload() {
        let start = Now::default();
        let mut pulse = Pulse::new(start);
        let seen = pulse.beat(start.after(Duration::from_secs(4)));
        let late = Duration::from_secs(3);
        assert!(seen.contains(&Seen::Overloaded { late }), "{seen:?}");
    }
}
