//! The months and half-years of reports, in civil time of Paris.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use serde::{Serialize, Serializer};

use super::calendar;
use super::interval::Interval;

/// A month, `2026-10`, or a half-year, `2026-S2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period {
    year: i16,
    /// 1 to 12.
    first_month: i8,
    /// 1 or 6.
    months: i8,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no period: write a month as 2026-10, a half-year as 2026-S1 or 2026-S2")]
pub struct NoPeriod(String);

impl Period {
    /// From its first midnight in Paris to the one after its last day.
    #[must_use]
    pub fn time(self) -> Option<Interval> {
        let first = Date::new(self.year, self.first_month, 1).ok()?;
        let last_month = Date::new(self.year, self.first_month + self.months - 1, 1).ok()?;
        let zone = calendar::paris();
        Some(Interval {
            from: calendar::midnight(&zone, first)?,
            until: calendar::midnight(&zone, last_month.last_of_month().tomorrow().ok()?)?,
        })
    }
}

impl FromStr for Period {
    type Err = NoPeriod;

    fn from_str(text: &str) -> Result<Self, NoPeriod> {
        let refused = || NoPeriod(text.to_owned());
        let (year, part) = text.split_once('-').ok_or_else(refused)?;
        let (first_month, months) = match part {
            "S1" => (1, 6),
            "S2" => (7, 6),
            month if month.len() == 2 => (month.parse().map_err(|_| refused())?, 1),
            _ => return Err(refused()),
        };
        let period = Self {
            year: year.parse().map_err(|_| refused())?,
            first_month,
            months,
        };
        if year.len() == 4 && period.time().is_some() {
            Ok(period)
        } else {
            Err(refused())
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.months == 1 {
            write!(f, "{:04}-{:02}", self.year, self.first_month)
        } else {
            write!(f, "{:04}-S{}", self.year, self.first_month / 6 + 1)
        }
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sla::clock::tests::at;

    #[test]
    fn a_period_is_civil_and_prints_as_it_was_written() {
        let cases = [
            (
                "2026-03",
                "2026-03-01T00:00:00+01:00",
                "2026-04-01T00:00:00+02:00",
            ),
            (
                "2026-12",
                "2026-12-01T00:00:00+01:00",
                "2027-01-01T00:00:00+01:00",
            ),
            (
                "2028-02",
                "2028-02-01T00:00:00+01:00",
                "2028-03-01T00:00:00+01:00",
            ),
            (
                "2026-S1",
                "2026-01-01T00:00:00+01:00",
                "2026-07-01T00:00:00+02:00",
            ),
            (
                "2026-S2",
                "2026-07-01T00:00:00+02:00",
                "2027-01-01T00:00:00+01:00",
            ),
        ];
        for (text, from, until) in cases {
            let period: Period = text.parse().unwrap();
            assert_eq!(
                period.time(),
                Some(Interval::new(at(from), at(until))),
                "{text}"
            );
            assert_eq!(period.to_string(), text);
        }
        for text in [
            "2026", "2026-13", "2026-00", "2026-1", "26-10", "2026-S3", "octobre",
        ] {
            let told = text.parse::<Period>().unwrap_err().to_string();
            assert!(told.contains("write a month as 2026-10"), "{told}");
        }
    }
}
