//! The public holidays of France, computed: eight dates that stand still and three that follow Easter.
//!
//! Code du travail L3133-1; in Alsace and Moselle also Good Friday and 26 December (L3134-13).

use jiff::ToSpan;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// Where the hours are kept: which days are holidays there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holidays {
    /// No day is a holiday.
    None,
    #[default]
    France,
    AlsaceMoselle,
}

/// Month and day of those that stand still.
const FIXED: [(i8, i8); 8] = [
    (1, 1),
    (5, 1),
    (5, 8),
    (7, 14),
    (8, 15),
    (11, 1),
    (11, 11),
    (12, 25),
];

/// Days after Easter Sunday: Easter Monday, Ascension, Whit Monday.
const AFTER_EASTER: [i64; 3] = [1, 39, 50];

impl Holidays {
    #[must_use]
    pub fn include(self, date: Date) -> bool {
        match self {
            Self::None => false,
            Self::France => in_france(date),
            Self::AlsaceMoselle => {
                in_france(date)
                    || (date.month(), date.day()) == (12, 26)
                    || follows_easter(date, -2)
            }
        }
    }
}

fn in_france(date: Date) -> bool {
    FIXED.contains(&(date.month(), date.day()))
        || AFTER_EASTER.iter().any(|days| follows_easter(date, *days))
}

/// Is it `days` after Easter Sunday of its year?
fn follows_easter(date: Date, days: i64) -> bool {
    easter(date.year()).and_then(|sunday| sunday.checked_add(days.days()).ok()) == Some(date)
}

/// Easter Sunday by the Gregorian computus (the "anonymous" rule of 1876, as Meeus gives it).
///
/// `None` before 1583: the calendar begins then.
#[must_use]
pub fn easter(year: i16) -> Option<Date> {
    if year < 1583 {
        return None;
    }
    let y = i32::from(year);
    let (golden, century, rest) = (y % 19, y / 100, y % 100);
    let correction = (century - (century + 8) / 25 + 1) / 3;
    let epact = (19 * golden + century - century / 4 - correction + 15) % 30;
    let weekday = (32 + 2 * (century % 4) + 2 * (rest / 4) - epact - rest % 4) % 7;
    let late = (golden + 11 * epact + 22 * weekday) / 451;
    let day_of_march = epact + weekday - 7 * late + 22;
    let (month, day) = if day_of_march > 31 {
        (4, day_of_march - 31)
    } else {
        (3, day_of_march)
    };
    Date::new(year, month, i8::try_from(day).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use jiff::civil::{Weekday, date};

    use super::*;

    #[test]
    fn easter_falls_where_the_almanac_says() {
        let almanac = [
            date(1818, 3, 22), // the earliest there can be
            date(1943, 4, 25), // the latest
            date(1961, 4, 2),
            date(2000, 4, 23),
            date(2024, 3, 31),
            date(2025, 4, 20),
            date(2026, 4, 5),
            date(2027, 3, 28),
            date(2028, 4, 16),
            date(2029, 4, 1),
            date(2030, 4, 21),
            date(2031, 4, 13),
            date(2032, 3, 28),
            date(2033, 4, 17),
            date(2034, 4, 9),
            date(2035, 3, 25),
            date(2036, 4, 13),
            date(2037, 4, 5),
            date(2038, 4, 25),
            date(2039, 4, 10),
            date(2040, 4, 1),
        ];
        for sunday in almanac {
            assert_eq!(easter(sunday.year()), Some(sunday));
        }
    }

    #[test]
    fn easter_is_a_sunday_between_22_march_and_25_april() {
        for year in 1583..=4000 {
            let sunday = easter(year).unwrap();
            assert_eq!(sunday.weekday(), Weekday::Sunday, "{year}");
            assert!(
                sunday >= date(year, 3, 22) && sunday <= date(year, 4, 25),
                "{year}: {sunday}"
            );
        }
        assert_eq!(easter(1582), None);
    }

    #[test]
    fn a_year_has_the_eleven_holidays_of_the_law() {
        let all = |year: i16, holidays: Holidays| -> Vec<Date> {
            date(year, 1, 1)
                .series(1.day())
                .take_while(|day| day.year() == year)
                .filter(|day| holidays.include(*day))
                .collect()
        };
        assert_eq!(
            all(2026, Holidays::France),
            [
                date(2026, 1, 1),
                date(2026, 4, 6),
                date(2026, 5, 1),
                date(2026, 5, 8),
                date(2026, 5, 14),
                date(2026, 5, 25),
                date(2026, 7, 14),
                date(2026, 8, 15),
                date(2026, 11, 1),
                date(2026, 11, 11),
                date(2026, 12, 25),
            ]
        );
        // In 2008 Ascension was on 1 May: ten days.
        assert_eq!(all(2008, Holidays::France).len(), 10);
        let only_there: Vec<Date> = all(2026, Holidays::AlsaceMoselle)
            .into_iter()
            .filter(|day| !Holidays::France.include(*day))
            .collect();
        assert_eq!(only_there, [date(2026, 4, 3), date(2026, 12, 26)]);
        assert_eq!(all(2026, Holidays::None), []);
    }
}
