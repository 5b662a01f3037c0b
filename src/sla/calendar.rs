//! When somebody is there: weekly hours of a place, without its holidays, with days that differ.
//!
//! All in civil time. No day is 86 400 s by assumption: between two changes of the offset civil time runs
//! evenly, so that hours are laid on each such stretch; a night that lacks an hour or repeats one is right by
//! construction. A calendar has versions, each in force from a date on: a later edit rewrites no old figure.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};
use serde::{Serialize, Serializer};

use super::holiday::Holidays;
use super::interval::{Interval, Intervals};
use crate::time::Utc;
pub use crate::time::paris;

/// Hours of one place, with all that they were.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Calendar {
    pub name: String,
    #[serde(skip)]
    zone: TimeZone,
    /// Oldest first. The first one also holds for what was before it.
    versions: Vec<Version>,
}

/// The hours in force from one date on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Version {
    /// Civil date, from its midnight on.
    #[serde(serialize_with = "as_text")]
    pub valid_from: Date,
    pub week: Week,
    pub holidays: Holidays,
    /// Days that differ, holidays too: an empty list is a closed day.
    #[serde(serialize_with = "dates_as_text")]
    pub overrides: BTreeMap<Date, Vec<Opening>>,
}

/// The hours of each day of the week, Monday first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Week(pub [Vec<Opening>; 7]);

/// Open from one time of a civil day to another, half open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Opening {
    #[serde(serialize_with = "as_text")]
    from: Time,
    /// `None`: to the end of the day.
    #[serde(serialize_with = "as_end")]
    until: Option<Time>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("there is no time zone {0}: write it as the tz database does, \"Europe/Paris\"")]
    NoSuchZone(String),
    #[error(
        "hours from {from} until {until} never begin: write the part after midnight on the next day"
    )]
    Backwards { from: Time, until: Time },
    #[error(
        "a version from {new} cannot follow the one from {last}: what is past is not rewritten, \
         choose a later date"
    )]
    NotLater { last: Date, new: Date },
}

impl Calendar {
    /// Hours that hold from `first.valid_from` on, and before it too.
    ///
    /// # Errors
    /// If the zone has no such name.
    pub fn new(name: &str, zone: &str, first: Version) -> Result<Self, Error> {
        Ok(Self {
            name: name.to_owned(),
            zone: zone_named(zone)?,
            versions: vec![first],
        })
    }

    /// The same with other hours from `version.valid_from` on.
    ///
    /// # Errors
    /// If it does not begin after the last version did.
    pub fn then(mut self, version: Version) -> Result<Self, Error> {
        if let Some(last) = self.versions.last()
            && version.valid_from <= last.valid_from
        {
            return Err(Error::NotLater {
                last: last.valid_from,
                new: version.valid_from,
            });
        }
        self.versions.push(version);
        Ok(self)
    }

    /// *Heures ouvrées*: Monday to Friday, 9 h to 18 h in Paris, without the public holidays.
    #[must_use]
    pub fn ho() -> Self {
        let working_day = [Opening {
            from: Time::constant(9, 0, 0, 0),
            until: Some(Time::constant(18, 0, 0, 0)),
        }];
        Self {
            name: "HO".to_owned(),
            zone: paris(),
            versions: vec![Version {
                valid_from: Date::MIN,
                week: Week::of_working_days(&working_day),
                holidays: Holidays::France,
                overrides: BTreeMap::new(),
            }],
        }
    }

    /// *Heures non ouvrées* as the contract uses the word: round the clock.
    #[must_use]
    pub fn hno() -> Self {
        Self {
            name: "HNO".to_owned(),
            zone: paris(),
            versions: vec![Version {
                valid_from: Date::MIN,
                week: Week::every_day(&[Opening::WHOLE_DAY]),
                holidays: Holidays::None,
                overrides: BTreeMap::new(),
            }],
        }
    }

    /// The version in force on that date.
    #[must_use]
    pub fn on(&self, date: Date) -> Option<&Version> {
        let begun = self
            .versions
            .iter()
            .rfind(|version| version.valid_from <= date);
        begun.or_else(|| self.versions.first())
    }

    /// The instants of `window` in which it is open.
    #[must_use]
    pub fn open_within(&self, window: Interval) -> Intervals {
        let mut open = Vec::new();
        for (stretch, offset) in even_stretches(&self.zone, window) {
            let (Some(first), Some(last)) = (
                civil_date(offset, stretch.from),
                civil_date(offset, stretch.until),
            ) else {
                continue;
            };
            let days = std::iter::successors(Some(first), |day| day.tomorrow().ok());
            for day in days.take_while(|day| *day <= last) {
                let hours = self.on(day).map_or(&[][..], |version| version.hours(day));
                let laid = hours.iter().filter_map(|opening| opening.on(day, offset));
                open.extend(laid.map(|hours| hours.intersection(stretch)));
            }
        }
        open.into_iter().collect()
    }

    /// The first instant at which it was open for `budget` since `from`, without `excluded`.
    /// `None` if that does not happen within ten years.
    #[must_use]
    pub fn after_open_time(
        &self,
        from: Utc,
        budget: Duration,
        excluded: &Intervals,
    ) -> Option<Utc> {
        let (mut left, mut week) = (budget, Interval::new(from, from + STRIDE));
        for _ in 0..HORIZON_WEEKS {
            for open in self.open_within(week).subtract(excluded).iter() {
                if left <= open.length() {
                    return Some(open.from + left);
                }
                left -= open.length();
            }
            week = Interval::new(week.until, week.until + STRIDE);
        }
        None
    }
}

impl Version {
    /// The hours of one date.
    fn hours(&self, date: Date) -> &[Opening] {
        if let Some(other) = self.overrides.get(&date) {
            other
        } else if self.holidays.include(date) {
            &[]
        } else {
            self.week.on(date.weekday())
        }
    }
}

impl Week {
    #[must_use]
    pub fn every_day(hours: &[Opening]) -> Self {
        Self(std::array::from_fn(|_| hours.to_vec()))
    }

    /// Monday to Friday.
    #[must_use]
    pub fn of_working_days(hours: &[Opening]) -> Self {
        Self(std::array::from_fn(|day| {
            if day < 5 { hours.to_vec() } else { Vec::new() }
        }))
    }

    fn on(&self, day: Weekday) -> &[Opening] {
        let [
            monday,
            tuesday,
            wednesday,
            thursday,
            friday,
            saturday,
            sunday,
        ] = &self.0;
        match day {
            Weekday::Monday => monday,
            Weekday::Tuesday => tuesday,
            Weekday::Wednesday => wednesday,
            Weekday::Thursday => thursday,
            Weekday::Friday => friday,
            Weekday::Saturday => saturday,
            Weekday::Sunday => sunday,
        }
    }
}

impl Opening {
    pub const WHOLE_DAY: Self = Self {
        from: Time::MIN,
        until: None,
    };

    /// From one time to a later one of the same day.
    ///
    /// # Errors
    /// If it would end before it begins.
    pub fn between(from: Time, until: Time) -> Result<Self, Error> {
        if until <= from {
            return Err(Error::Backwards { from, until });
        }
        Ok(Self {
            from,
            until: Some(until),
        })
    }

    /// From a time to midnight.
    #[must_use]
    pub const fn from_then_on(from: Time) -> Self {
        Self { from, until: None }
    }

    /// These hours on that day, where the offset is known.
    fn on(self, day: Date, offset: Offset) -> Option<Interval> {
        let end = match self.until {
            Some(until) => day.to_datetime(until),
            None => day.tomorrow().ok()?.to_datetime(Time::MIN),
        };
        Some(Interval {
            from: instant(offset, day.to_datetime(self.from))?,
            until: instant(offset, end)?,
        })
    }
}

/// Far enough to walk from one opening to the next, near enough to build few at a time.
const STRIDE: Duration = Duration::from_secs(7 * 86_400);

/// Where the walk to a deadline gives up: ten years. A calendar closed for so long has no next hour;
/// fewer could lose the deadline of a budget of weeks in hours of some minutes a day.
const HORIZON_WEEKS: u32 = 520;

/// From the database built in, not from the machine's: the same figures on every machine.
fn zone_named(name: &str) -> Result<TimeZone, Error> {
    TimeZoneDatabase::bundled()
        .get(name)
        .map_err(|_| Error::NoSuchZone(name.to_owned()))
}

/// `window` cut where the offset of the zone changes, each part with its offset.
fn even_stretches(zone: &TimeZone, window: Interval) -> Vec<(Interval, Offset)> {
    let mut parts = Vec::new();
    let mut from = window.from;
    while from < window.until {
        let Some(stamp) = timestamp(from) else { break };
        let change = zone.following(stamp).next();
        let until = change
            .and_then(|change| utc(change.timestamp()))
            .map_or(window.until, |change| change.min(window.until));
        parts.push((Interval::new(from, until), zone.to_offset(stamp)));
        from = until;
    }
    parts
}

fn civil_date(offset: Offset, at: Utc) -> Option<Date> {
    timestamp(at).map(|stamp| offset.to_datetime(stamp).date())
}

fn instant(offset: Offset, civil: DateTime) -> Option<Utc> {
    offset.to_timestamp(civil).ok().and_then(utc)
}

fn timestamp(at: Utc) -> Option<Timestamp> {
    Timestamp::from_nanosecond(i128::from(at.0)).ok()
}

pub(super) fn utc(stamp: Timestamp) -> Option<Utc> {
    i64::try_from(stamp.as_nanosecond()).ok().map(Utc)
}

/// The first instant of a civil day of that zone.
#[must_use]
pub fn midnight(zone: &TimeZone, day: Date) -> Option<Utc> {
    let start = zone.to_ambiguous_timestamp(day.to_datetime(Time::MIN));
    start.compatible().ok().and_then(utc)
}

/// The civil day of that zone which holds this instant.
#[must_use]
pub fn day_of(zone: &TimeZone, at: Utc) -> Option<Date> {
    timestamp(at).map(|stamp| zone.to_datetime(stamp).date())
}

pub(super) fn as_text<T: std::fmt::Display, S: Serializer>(
    value: &T,
    to: S,
) -> Result<S::Ok, S::Error> {
    to.collect_str(value)
}

#[expect(clippy::ref_option, reason = "serde hands fields by reference")]
fn as_end<S: Serializer>(value: &Option<Time>, to: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(time) => to.collect_str(time),
        None => to.serialize_str("24:00:00"),
    }
}

fn dates_as_text<S: Serializer>(
    days: &BTreeMap<Date, Vec<Opening>>,
    to: S,
) -> Result<S::Ok, S::Error> {
    to.collect_map(days.iter().map(|(day, hours)| (day.to_string(), hours)))
}

#[cfg(test)]
mod tests;
