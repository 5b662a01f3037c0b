//! The only reader of clocks: boot time for timers, wall-clock time for records, and the gap between.
//!
//! Everything else is handed a [`Now`]. The gap between the two clocks only changes when somebody sets
//! the wall clock (both are slewed alike), so watching it finds every step; it also turns the kernel's
//! receive stamps, which are wall-clock, into our [`Instant`].

use std::io;
use std::time::Duration;

use nix::sys::time::TimeSpec;
use nix::time::{ClockId, ClockNanosleepFlags, clock_gettime, clock_nanosleep};

use crate::time::{Instant, Now, Utc};

/// Smaller changes of the gap are the noise of reading two clocks one after the other; larger ones
/// would let a restoration clock be wrong by as much without anybody being told.
const STEP_NS_MIN: i64 = 20_000_000;

/// How often a pair of readings is taken again when the thread was interrupted between them.
const READINGS_MAX: u32 = 4;

/// Two readings of boot time further apart than this say that the thread was interrupted between them.
const READING_NS_MAX: u64 = 20_000;

/// Both clocks now.
#[must_use]
pub fn now() -> Now {
    let mut best = reading();
    for _ in 1..READINGS_MAX {
        if best.took_ns <= READING_NS_MAX {
            break;
        }
        let again = reading();
        if again.took_ns < best.took_ns {
            best = again;
        }
    }
    best.now
}

/// Boot time alone, when no record is made of it.
#[must_use]
pub fn instant() -> Instant {
    Instant(u64::try_from(nanoseconds(ClockId::CLOCK_BOOTTIME)).unwrap_or(0))
}

/// Both clocks a little later than `then`: one reading, for what has come meanwhile.
#[must_use]
pub fn later_than(then: Now) -> Now {
    then.after(instant().since(then.instant))
}

/// Sleeps until boot time is `until`, or a signal comes.
pub fn sleep_until(until: Instant) {
    // Both errors end the sleep early, and whoever slept looks at the clock again anyway.
    let _ = clock_nanosleep(
        ClockId::CLOCK_BOOTTIME,
        ClockNanosleepFlags::TIMER_ABSTIME,
        &TimeSpec::from_duration(Duration::from_nanos(until.0)),
    );
}

/// Names this boot: instants of two boots must never be compared.
pub fn boot_id() -> io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?
        .trim()
        .to_owned())
}

/// The gap between wall clock and boot time as last seen, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    ns: i64,
    /// The gap before the last step: stamps made just before it must be read with it.
    before_ns: i64,
}

impl Gap {
    #[must_use]
    pub fn at(now: Now) -> Self {
        let ns = gap_ns(now);
        Self { ns, before_ns: ns }
    }

    /// Takes the gap again; says by how many nanoseconds the wall clock was set since, if it was.
    pub fn observe(&mut self, now: Now) -> Option<i64> {
        let ns = gap_ns(now);
        let by_ns = ns.saturating_sub(self.ns);
        if by_ns.abs() < STEP_NS_MIN {
            // Follows the noise, so that a slow drift can never add up to a false step.
            self.ns = ns;
            return None;
        }
        self.before_ns = self.ns;
        self.ns = ns;
        Some(by_ns)
    }

    /// Boot time of a wall-clock stamp that the kernel made at `stamp` and that was fetched at `now`.
    ///
    /// A stamp lies a little in the past. If it does not, the wall clock was set in between: then the
    /// earlier gap is tried, and `now` is the last resort, for it is late but never wrong by a step.
    #[must_use]
    pub fn instant_of(&self, stamp: Utc, now: Instant) -> Instant {
        [self.ns, self.before_ns]
            .into_iter()
            .filter_map(|gap| u64::try_from(stamp.0.saturating_sub(gap)).ok())
            .map(Instant)
            .find(|instant| *instant <= now && now.since(*instant) < STAMP_AGE_MAX)
            .unwrap_or(now)
    }
}

/// No datagram waits longer than this in a socket that is read by a living thread; an older stamp
/// says that the wall clock was set, not that the datagram is old.
const STAMP_AGE_MAX: Duration = Duration::from_secs(2);

fn gap_ns(now: Now) -> i64 {
    now.utc
        .0
        .saturating_sub(i64::try_from(now.instant.0).unwrap_or(i64::MAX))
}

struct Reading {
    now: Now,
    took_ns: u64,
}

fn reading() -> Reading {
    let before = instant();
    let utc = Utc(nanoseconds(ClockId::CLOCK_REALTIME));
    let after = instant();
    let took_ns = after.0.saturating_sub(before.0);
    Reading {
        now: Now {
            instant: Instant(before.0 + took_ns / 2),
            utc,
        },
        took_ns,
    }
}

fn nanoseconds(clock: ClockId) -> i64 {
    let time = clock_gettime(clock).expect("every Linux since 2.6.39 has these clocks");
    time.tv_sec()
        .saturating_mul(1_000_000_000)
        .saturating_add(time.tv_nsec())
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Now = Now {
        instant: Instant(1_000_000_000_000),
        utc: Utc(1_782_000_000_000_000_000),
    };

    fn stepped(now: Now, by_ns: i64) -> Now {
        Now {
            instant: now.instant,
            utc: Utc(now.utc.0 + by_ns),
        }
    }

    #[test]
    fn two_readings_never_go_back() {
        let mut last = now();
        for _ in 0..1000 {
            let next = now();
            assert!(next.instant >= last.instant);
            last = next;
        }
    }

    #[test]
    fn noise_of_reading_is_no_step_and_never_adds_up_to_one() {
        let mut gap = Gap::at(START);
        for round in 1..1000_i64 {
            let drifted = stepped(START, round * (STEP_NS_MIN - 1));
            assert_eq!(gap.observe(drifted), None, "round {round}");
        }
    }

    #[test]
    fn setting_the_wall_clock_is_a_step_told_once() {
        for by_ns in [STEP_NS_MIN, 3_600_000_000_000, -3_600_000_000_000] {
            let mut gap = Gap::at(START);
            let later = stepped(START.after(Duration::from_secs(1)), by_ns);
            assert_eq!(gap.observe(later), Some(by_ns));
            assert_eq!(gap.observe(later.after(Duration::from_secs(1))), None);
        }
    }

    #[test]
    fn a_stamp_becomes_an_instant_even_across_a_step() {
        let mut gap = Gap::at(START);
        let hour = 3_600_000_000_000;
        let received = START.after(Duration::from_millis(1));
        let fetched = START.after(Duration::from_millis(3));
        assert_eq!(
            gap.instant_of(received.utc, fetched.instant),
            received.instant
        );
        // Set after the stamp was made, noticed before it was fetched.
        gap.observe(stepped(fetched, hour));
        assert_eq!(
            gap.instant_of(received.utc, fetched.instant),
            received.instant
        );
        // Set before the stamp was made, not yet noticed.
        let gap = Gap::at(START);
        let ahead = stepped(received, hour).utc;
        assert_eq!(gap.instant_of(ahead, fetched.instant), fetched.instant);
        let behind = stepped(received, -hour).utc;
        assert_eq!(gap.instant_of(behind, fetched.instant), fetched.instant);
    }

    #[test]
    fn the_boot_has_a_name() {
        assert_eq!(boot_id().expect("readable on Linux").len(), 36);
    }
}
