//! The two times of the product, as plain numbers that a test can write down.
//!
//! `Instant` orders and measures (boot time, suspend included); `Utc` names a moment for people and
//! records. Only `io::clock` reads the real ones; everybody else is handed a [`Now`].

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Serialize};

/// Nanoseconds since the machine booted, time in suspend included (`CLOCK_BOOTTIME`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Instant(pub u64);

/// Nanoseconds since 1970-01-01 00:00:00 UTC, leap seconds not counted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Utc(pub i64);

/// The present moment, read once where an input enters and handed down by value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Now {
    pub instant: Instant,
    pub utc: Utc,
}

impl Instant {
    /// Time since `earlier`; zero if `earlier` lies ahead.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Now {
    /// The same moment seen `later` on, with both clocks in step.
    #[must_use]
    pub fn after(self, later: Duration) -> Self {
        Self {
            instant: self.instant + later,
            utc: self.utc + later,
        }
    }
}

impl Add<Duration> for Instant {
    type Output = Self;
    fn add(self, later: Duration) -> Self {
        Self(self.0.saturating_add(nanos(later)))
    }
}

impl Add<Duration> for Utc {
    type Output = Self;
    fn add(self, later: Duration) -> Self {
        Self(self.0.saturating_add_unsigned(nanos(later)))
    }
}

impl Sub<Duration> for Utc {
    type Output = Self;
    fn sub(self, earlier: Duration) -> Self {
        Self(self.0.saturating_sub_unsigned(nanos(earlier)))
    }
}

impl Utc {
    /// Time since `earlier`; zero if `earlier` lies ahead.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// RFC 3339 with milliseconds, as records and the API print it.
    #[must_use]
    pub fn rfc3339(self) -> String {
        jiff::Timestamp::from_nanosecond(i128::from(self.0)).map_or_else(
            |_| format!("{} ns since 1970", self.0),
            |stamp| format!("{stamp:.3}"),
        )
    }
}

/// A day of the contract, by the calendar of its place.
pub type Day = jiff::civil::Date;

/// The zone of the contract: the plant, its hours and its judges are in metropolitan France. From the database built
/// in, not from the machine's: the same day and the same figures on every machine.
///
/// # Panics
/// Never: the tz database is built in, and has it.
#[must_use]
pub fn paris() -> TimeZone {
    TimeZoneDatabase::bundled()
        .get("Europe/Paris")
        .expect("the built-in tz database has Europe/Paris")
}

impl Utc {
    /// The civil day that this moment belongs to.
    #[must_use]
    pub fn civil_day(self) -> Day {
        self.civil().date()
    }

    /// The moment as a clock on the wall of the plant shows it.
    #[must_use]
    pub fn civil(self) -> jiff::civil::DateTime {
        let stamp = jiff::Timestamp::from_nanosecond(i128::from(self.0)).unwrap_or_default();
        paris().to_datetime(stamp)
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", Duration::from_nanos(self.0))
    }
}

impl fmt::Debug for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

/// A `Duration` as nanoseconds; more than 584 years saturates.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_prints_as_rfc_3339() {
        assert_eq!(
            Utc(1_782_000_000_123_000_000).rfc3339(),
            "2026-06-21T00:00:00.123Z"
        );
    }

    #[test]
    fn time_since_a_later_moment_is_zero() {
        assert_eq!(Instant(5).since(Instant(9)), Duration::ZERO);
    }
}
