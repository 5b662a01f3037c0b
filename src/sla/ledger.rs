//! The ledger of one civil day: every second stands in exactly one column, and a fact says why.
//!
//! up + degraded + down + maintenance + excluded + blind = the day, also when it has 23 or 25 hours. Where
//! more than one holds, the first of these counts:
//!
//! 1. *excluded*: two people agreed that it does not count;
//! 2. *maintenance*: planned work, whatever was seen meanwhile;
//! 3. *blind*: nobody looked, so that no word of ours counts, neither up nor down;
//! 4. the word itself: *down*, *degraded*, *up*.

use std::time::Duration;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::calendar;
use super::interval::Interval;
use crate::probe::Word;
use crate::time::Utc;

/// One column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Column {
    Up,
    Degraded,
    Down,
    Maintenance,
    Excluded,
    Blind,
}

/// From `since` on the target or line was in that word, by that fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub since: Utc,
    pub word: Word,
    pub fact: u64,
}

/// A stretch that counts before the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cover {
    #[serde(flatten)]
    pub time: Interval,
    pub kind: Covered,
    pub fact: u64,
}

/// What counts before the word, the weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Covered {
    Blind,
    Maintenance,
    Excluded,
}

/// A stretch of the day in one column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    #[serde(flatten)]
    pub time: Interval,
    pub column: Column,
    /// What says so. `None`: no fact spoke of this target yet, so that it is blind.
    pub fact: Option<u64>,
}

/// The day of one target or line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Day {
    #[serde(serialize_with = "calendar::as_text")]
    pub date: Date,
    pub seconds: Seconds,
    /// In order, without a hole, from midnight to midnight.
    pub entries: Vec<Entry>,
}

/// Whole seconds in each column; together the whole day.
///
/// A change inside a second counts from the start of that second on, so that nothing is rounded twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seconds {
    pub up: u64,
    pub degraded: u64,
    pub down: u64,
    pub maintenance: u64,
    pub excluded: u64,
    pub blind: u64,
}

/// How much of the time was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    pub seen: Duration,
    pub of: Duration,
}

impl Day {
    /// The ledger of a civil day in Paris, from what was known of the target, in any order.
    ///
    /// Of two changes at one instant the one with the higher fact counts; so with two covers of one kind.
    /// `None` for a date that no clock here can show.
    #[must_use]
    pub fn of(date: Date, changes: &[Change], covers: &[Cover]) -> Option<Self> {
        let whole = day_in_paris(date)?;
        let mut changes: Vec<Change> = changes.iter().copied().map(Change::on_second).collect();
        changes.sort_by_key(|change| (change.since, change.fact));
        let covers: Vec<Cover> = covers.iter().copied().map(Cover::on_seconds).collect();
        let mut entries: Vec<Entry> = Vec::new();
        for time in pieces(whole, &changes, &covers) {
            let (column, fact) = what_holds(time.from, &changes, &covers);
            match entries.last_mut() {
                Some(last) if (last.column, last.fact) == (column, fact) => {
                    last.time.until = time.until;
                }
                Some(_) | None => entries.push(Entry { time, column, fact }),
            }
        }
        Some(Self {
            date,
            seconds: Seconds::of(&entries),
            entries,
        })
    }
}

impl Seconds {
    fn of(entries: &[Entry]) -> Self {
        let mut seconds = Self::default();
        for entry in entries {
            *seconds.of_column(entry.column) += entry.time.length().as_secs();
        }
        seconds
    }

    const fn of_column(&mut self, column: Column) -> &mut u64 {
        match column {
            Column::Up => &mut self.up,
            Column::Degraded => &mut self.degraded,
            Column::Down => &mut self.down,
            Column::Maintenance => &mut self.maintenance,
            Column::Excluded => &mut self.excluded,
            Column::Blind => &mut self.blind,
        }
    }

    /// All columns.
    #[must_use]
    pub const fn total(self) -> u64 {
        self.up + self.degraded + self.down + self.maintenance + self.excluded + self.blind
    }

    /// Time that calls or requests were served, badly too, and the time that counts: maintenance, exclusions
    /// and blindness leave both. `None` if nothing counts: *sans objet*, never 100 %.
    #[must_use]
    pub const fn served(self) -> Option<(u64, u64)> {
        let served = self.up + self.degraded;
        let counts = served + self.down;
        if counts == 0 {
            None
        } else {
            Some((served, counts))
        }
    }

    #[must_use]
    pub const fn coverage(self) -> Coverage {
        Coverage {
            seen: Duration::from_secs(self.total() - self.blind),
            of: Duration::from_secs(self.total()),
        }
    }
}

impl Coverage {
    /// `None` of no time at all.
    #[must_use]
    pub fn percent(self) -> Option<f64> {
        (!self.of.is_zero()).then(|| self.seen.as_secs_f64() * 100.0 / self.of.as_secs_f64())
    }

    /// Was at least this part looked at? Nothing at all was not.
    #[must_use]
    pub const fn reaches(self, percent: u32) -> bool {
        !self.of.is_zero() && self.seen.as_nanos() * 100 >= self.of.as_nanos() * percent as u128
    }
}

impl std::iter::Sum for Seconds {
    fn sum<I: Iterator<Item = Self>>(days: I) -> Self {
        days.fold(Self::default(), |sum, day| Self {
            up: sum.up + day.up,
            degraded: sum.degraded + day.degraded,
            down: sum.down + day.down,
            maintenance: sum.maintenance + day.maintenance,
            excluded: sum.excluded + day.excluded,
            blind: sum.blind + day.blind,
        })
    }
}

impl Change {
    fn on_second(self) -> Self {
        Self {
            since: start_of_second(self.since),
            ..self
        }
    }
}

impl Cover {
    fn on_seconds(self) -> Self {
        let time = Interval::new(
            start_of_second(self.time.from),
            start_of_second(self.time.until),
        );
        Self { time, ..self }
    }
}

impl From<Word> for Column {
    fn from(word: Word) -> Self {
        match word {
            Word::Good => Self::Up,
            Word::Degraded => Self::Degraded,
            Word::Down => Self::Down,
            Word::Blind => Self::Blind,
        }
    }
}

impl From<Covered> for Column {
    fn from(kind: Covered) -> Self {
        match kind {
            Covered::Blind => Self::Blind,
            Covered::Maintenance => Self::Maintenance,
            Covered::Excluded => Self::Excluded,
        }
    }
}

/// From midnight to midnight: 23, 24 or 25 hours.
fn day_in_paris(date: Date) -> Option<Interval> {
    let zone = calendar::paris();
    Some(Interval {
        from: calendar::midnight(&zone, date)?,
        until: calendar::midnight(&zone, date.tomorrow().ok()?)?,
    })
}

fn start_of_second(at: Utc) -> Utc {
    Utc(at.0.saturating_sub(at.0.rem_euclid(1_000_000_000)))
}

/// The day cut wherever something changes.
fn pieces(whole: Interval, changes: &[Change], covers: &[Cover]) -> Vec<Interval> {
    let ends = covers
        .iter()
        .flat_map(|cover| [cover.time.from, cover.time.until]);
    let mut cuts: Vec<Utc> = changes
        .iter()
        .map(|change| change.since)
        .chain(ends)
        .collect();
    cuts.retain(|cut| whole.contains(*cut));
    cuts.extend([whole.from, whole.until]);
    cuts.sort_unstable();
    cuts.dedup();
    cuts.windows(2)
        .map(|pair| Interval::new(pair[0], pair[1]))
        .collect()
}

/// The column of an instant, and the fact that says so. `changes` are in order.
fn what_holds(at: Utc, changes: &[Change], covers: &[Cover]) -> (Column, Option<u64>) {
    let strongest = covers
        .iter()
        .filter(|cover| cover.time.contains(at))
        .max_by_key(|cover| (cover.kind, cover.fact));
    if let Some(cover) = strongest {
        return (cover.kind.into(), Some(cover.fact));
    }
    let begun = changes.partition_point(|change| change.since <= at);
    match changes[..begun].last() {
        Some(change) => (change.word.into(), Some(change.fact)),
        None => (Column::Blind, None),
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;
    use crate::sla::clock::tests::at;

    const DAY: Date = date(2026, 11, 24);

    fn today(time: &str) -> Utc {
        at(&format!("2026-11-24T{time}+01:00"))
    }

    fn change(since: Utc, word: Word, fact: u64) -> Change {
        Change { since, word, fact }
    }

    fn cover(from: &str, until: &str, kind: Covered, fact: u64) -> Cover {
        Cover {
            time: Interval::new(today(from), today(until)),
            kind,
            fact,
        }
    }

    #[test]
    fn days_of_23_24_and_25_hours_add_up() {
        let cases = [
            ("spring", date(2026, 3, 29), 82_800),
            ("winter", DAY, 86_400),
            ("autumn", date(2026, 10, 25), 90_000),
            ("leap day", date(2028, 2, 29), 86_400),
        ];
        for (name, day, seconds) in cases {
            let ledger = Day::of(day, &[change(Utc(0), Word::Good, 1)], &[]).unwrap();
            assert_eq!(ledger.seconds.up, seconds, "{name}");
            assert_eq!(ledger.seconds.total(), seconds, "{name}");
        }
    }

    #[test]
    fn of_two_that_hold_the_stronger_counts() {
        let changes = [
            change(Utc(0), Word::Good, 1),
            change(today("08:00:00"), Word::Down, 2),
            change(today("16:00:00"), Word::Good, 3),
        ];
        let (blind, maintenance, excluded) =
            (Covered::Blind, Covered::Maintenance, Covered::Excluded);
        let cases: [(&str, &[Cover], &str, Column, u64); 7] = [
            ("up", &[], "07:59:59", Column::Up, 1),
            ("down", &[], "08:00:00", Column::Down, 2),
            (
                "blind beats up",
                &[cover("06:00:00", "07:00:00", blind, 4)],
                "06:30:00",
                Column::Blind,
                4,
            ),
            (
                "blind beats down",
                &[cover("09:00:00", "10:00:00", blind, 4)],
                "09:30:00",
                Column::Blind,
                4,
            ),
            (
                "maintenance over down",
                &[cover("09:00:00", "10:00:00", maintenance, 5)],
                "09:30:00",
                Column::Maintenance,
                5,
            ),
            (
                "maintenance over blind",
                &[
                    cover("09:00:00", "10:00:00", maintenance, 5),
                    cover("09:00:00", "10:00:00", blind, 6),
                ],
                "09:30:00",
                Column::Maintenance,
                5,
            ),
            (
                "excluded over all",
                &[
                    cover("09:00:00", "10:00:00", excluded, 4),
                    cover("09:00:00", "10:00:00", maintenance, 5),
                    cover("09:00:00", "10:00:00", blind, 6),
                ],
                "09:30:00",
                Column::Excluded,
                4,
            ),
        ];
        for (name, covers, time, column, fact) in cases {
            let ledger = Day::of(DAY, &changes, covers).unwrap();
            let holds = ledger
                .entries
                .iter()
                .find(|entry| entry.time.contains(today(time)));
            let said = holds.map(|entry| (entry.column, entry.fact));
            assert_eq!(said, Some((column, Some(fact))), "{name}");
            assert_eq!(ledger.seconds.total(), 86_400, "{name}");
        }
    }

    #[test]
    fn what_no_fact_speaks_of_is_blind() {
        let ledger = Day::of(DAY, &[change(today("06:00:00"), Word::Good, 8)], &[]).unwrap();
        assert_eq!(
            (ledger.seconds.blind, ledger.seconds.up),
            (6 * 3_600, 18 * 3_600)
        );
        assert_eq!(ledger.entries[0].fact, None);
        assert_eq!(ledger.entries[1].fact, Some(8));
    }

    #[test]
    fn nothing_that_counts_is_no_100_percent() {
        let work = cover("00:00:00", "23:00:00", Covered::Maintenance, 2);
        let good = [change(Utc(0), Word::Good, 1)];
        let served = |covers: &[Cover]| Day::of(DAY, &good, covers).unwrap().seconds.served();
        assert_eq!(served(&[work]), Some((3_600, 3_600)));
        let all_day = Cover {
            time: Interval::new(Utc(0), Utc(i64::MAX)),
            ..work
        };
        assert_eq!(served(&[all_day]), None);
    }

    proptest! {
        #[test]
        fn every_second_of_a_day_stands_in_one_column(
            day in 0_i64..800,
            changes in proptest::collection::vec((-100_000_i64..200_000, 0_usize..4), 0..8),
            covers in proptest::collection::vec((-9_000_i64..95_000, 0_i64..40_000, 0_usize..3), 0..6),
            nanos in 0_i64..1_000_000_000,
        ) {
            let words = [Word::Good, Word::Degraded, Word::Down, Word::Blind];
            let kinds = [Covered::Blind, Covered::Maintenance, Covered::Excluded];
            let day = date(2026, 1, 1).checked_add(jiff::Span::new().days(day)).unwrap();
            let whole = day_in_paris(day).unwrap();
            let on = |second: i64| Utc(whole.from.0 + second * 1_000_000_000 + nanos);
            let changes: Vec<Change> = changes.iter().zip(1..)
                .map(|((second, word), fact)| change(on(*second), words[*word], fact))
                .collect();
            let covers: Vec<Cover> = covers.iter().zip(100..)
                .map(|((from, length, kind), fact)| Cover {
                    time: Interval::new(on(*from), on(from + length)),
                    kind: kinds[*kind],
                    fact,
                })
                .collect();
            let ledger = Day::of(day, &changes, &covers).unwrap();
            prop_assert_eq!(ledger.seconds.total(), whole.length().as_secs());
            prop_assert_eq!(ledger.entries.first().map(|entry| entry.time.from), Some(whole.from));
            prop_assert_eq!(ledger.entries.last().map(|entry| entry.time.until), Some(whole.until));
            for pair in ledger.entries.windows(2) {
                prop_assert_eq!(pair[0].time.until, pair[1].time.from);
            }
            // In any order the same day.
            let backwards: Vec<Change> = changes.iter().rev().copied().collect();
            prop_assert_eq!(Day::of(day, &backwards, &covers), Some(ledger));
        }
    }
}
