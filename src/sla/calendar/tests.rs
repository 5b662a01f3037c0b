//! The calendar beside an oracle that asks each second by itself whether it is open.

use jiff::civil::{date, time};
use proptest::prelude::*;

use super::*;

const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400;

/// Civil time of Paris, by the rule of the Union written out by hand: no tz database.
struct Civil {
    date: Date,
    /// Monday 0.
    weekday: i64,
    /// On the clock on the wall, since its midnight.
    second: i64,
}

/// Seconds since 1970 at which summer time begins and ends: 1 h UTC on the last Sundays of March and October.
fn summer(year: i16) -> (i64, i64) {
    let last_sunday = |month: i8| {
        let last = days_since_1970(date(year, month, 31));
        (last - (last + 4) % 7) * DAY + 3_600
    };
    (last_sunday(3), last_sunday(10))
}

fn days_since_1970(day: Date) -> i64 {
    i64::from(date(1970, 1, 1).until(day).unwrap().get_days())
}

/// Whether a calendar is open, told by hand.
type Rule = fn(&Civil) -> bool;

fn ho_by_hand(civil: &Civil) -> bool {
    let closed = [
        date(2026, 4, 6),
        date(2026, 5, 1),
        date(2026, 5, 8),
        date(2026, 5, 14),
        date(2026, 5, 25),
        date(2026, 12, 25),
        date(2027, 1, 1),
        date(2027, 3, 29),
        date(2032, 3, 29),
    ];
    civil.weekday < 5
        && civil.second >= 9 * 3_600
        && civil.second < 18 * 3_600
        && !closed.contains(&civil.date)
}

fn hno_by_hand(_: &Civil) -> bool {
    true
}

fn nights_by_hand(civil: &Civil) -> bool {
    let in_minutes = |from: i64, until: i64| civil.second >= from * 60 && civil.second < until * 60;
    if civil.date == date(2026, 3, 29) {
        in_minutes(135, 195)
    } else if civil.date == date(2026, 10, 25) {
        in_minutes(140, 160) || in_minutes(180, 185)
    } else if civil.date == date(2026, 12, 31) {
        false
    } else {
        in_minutes(90, 150) || in_minutes(1_335, 1_440)
    }
}

/// 1:30 to 2:30 and 22:15 to midnight, every night; other hours on both nights of the clock change.
fn nights() -> Calendar {
    let between = |from, until| Opening::between(from, until).unwrap();
    let week = Week::every_day(&[
        between(time(1, 30, 0, 0), time(2, 30, 0, 0)),
        Opening::from_then_on(time(22, 15, 0, 0)),
    ]);
    let overrides = BTreeMap::from([
        (
            date(2026, 3, 29),
            vec![between(time(2, 15, 0, 0), time(3, 15, 0, 0))],
        ),
        (
            date(2026, 10, 25),
            vec![
                between(time(2, 20, 0, 0), time(2, 40, 0, 0)),
                between(time(3, 0, 0, 0), time(3, 5, 0, 0)),
            ],
        ),
        (date(2026, 12, 31), Vec::new()),
    ]);
    let version = Version {
        valid_from: date(2026, 1, 1),
        week,
        holidays: Holidays::None,
        overrides,
    };
    Calendar::new("nights", "Europe/Paris", version).unwrap()
}

/// Office hours with days that differ, and from 2 January 2027 on with other hours.
fn signed_by_hand(civil: &Civil) -> bool {
    let closed = [date(2026, 10, 23), date(2026, 12, 31)];
    // The Sunday of 25 hours, a holiday, and a Sunday under the later hours.
    let open = [date(2026, 10, 25), date(2027, 1, 1), date(2027, 1, 3)];
    let is_working = open.contains(&civil.date)
        || (civil.weekday < 5
            && !closed.contains(&civil.date)
            && ho_by_hand(&Civil {
                date: civil.date,
                weekday: civil.weekday,
                second: 12 * 3_600,
            }));
    let in_minutes = |from: i64, until: i64| civil.second >= from * 60 && civil.second < until * 60;
    let in_hours = if civil.date < date(2027, 1, 2) {
        in_minutes(9 * 60, 18 * 60)
    } else {
        in_minutes(8 * 60 + 30, 12 * 60) || in_minutes(13 * 60 + 30, 19 * 60)
    };
    is_working && in_hours
}

fn signed() -> Calendar {
    let hours = |from: (i8, i8), until: (i8, i8)| {
        Opening::between(time(from.0, from.1, 0, 0), time(until.0, until.1, 0, 0)).unwrap()
    };
    let version = |valid_from, hours: Vec<Opening>| Version {
        valid_from,
        week: Week::of_working_days(&hours),
        holidays: Holidays::France,
        overrides: BTreeMap::from([
            (date(2026, 10, 23), Vec::new()),
            (date(2026, 10, 25), hours.clone()),
            (date(2026, 12, 31), Vec::new()),
            (date(2027, 1, 1), hours.clone()),
            (date(2027, 1, 3), hours),
        ]),
    };
    let later = vec![hours((8, 30), (12, 0)), hours((13, 30), (19, 0))];
    Calendar::new(
        "signed",
        "Europe/Paris",
        version(Date::MIN, vec![hours((9, 0), (18, 0))]),
    )
    .unwrap()
    .then(version(date(2027, 1, 2), later))
    .unwrap()
}

impl Calendar {
    /// How long it is open in `window`.
    fn open_time(&self, window: Interval) -> Duration {
        self.open_within(window).total()
    }
}

/// Open seconds since its first one: `open[n]` of the first `n`.
struct Oracle {
    /// Seconds since 1970.
    first: i64,
    open: Vec<u32>,
}

impl Oracle {
    /// Asks each second of the days from `first` to `last`.
    fn ask(rule: Rule, first: Date, last: Date) -> Self {
        let (from, until) = (days_since_1970(first) * DAY, days_since_1970(last) * DAY);
        let (begins, ends) = summer(first.year());
        let (next_begins, next_ends) = summer(last.year());
        let mut open = vec![0];
        let mut civil = Civil {
            date: first,
            weekday: 0,
            second: 0,
        };
        let mut day = i64::MIN;
        for second in from..until {
            let is_summer =
                (begins..ends).contains(&second) || (next_begins..next_ends).contains(&second);
            let local = second + if is_summer { 7_200 } else { 3_600 };
            if local / DAY != day {
                day = local / DAY;
                civil.date = date(1970, 1, 1)
                    .checked_add(jiff::Span::new().days(day))
                    .unwrap();
                civil.weekday = (day + 3) % 7;
            }
            civil.second = local % DAY;
            open.push(open[open.len() - 1] + u32::from(rule(&civil)));
        }
        Self { first: from, open }
    }

    fn seconds(&self) -> i64 {
        i64::try_from(self.open.len()).unwrap() - 1
    }

    fn open_between(&self, from: i64, until: i64) -> u64 {
        let index = |offset: i64| usize::try_from(offset).unwrap();
        u64::from(self.open[index(until)] - self.open[index(from)])
    }

    fn window(&self, from: i64, until: i64) -> Interval {
        Interval::new(
            Utc((self.first + from) * SECOND),
            Utc((self.first + until) * SECOND),
        )
    }
}

/// Days around which calendars go wrong.
fn stretches() -> [(&'static str, Date, Date); 7] {
    [
        ("spring", date(2026, 3, 25), date(2026, 4, 8)),
        ("holidays of May", date(2026, 4, 29), date(2026, 5, 4)),
        ("autumn", date(2026, 10, 22), date(2026, 11, 1)),
        ("end of the year", date(2026, 12, 29), date(2027, 1, 5)),
        ("spring at Easter", date(2027, 3, 25), date(2027, 4, 1)),
        ("leap day", date(2028, 2, 26), date(2028, 3, 3)),
        ("month of 30 days", date(2026, 6, 28), date(2026, 7, 3)),
    ]
}

#[test]
fn every_duration_is_what_each_second_says() {
    let calendars: [(&Calendar, Rule); 4] = [
        (&Calendar::ho(), ho_by_hand),
        (&Calendar::hno(), hno_by_hand),
        (&nights(), nights_by_hand),
        (&signed(), signed_by_hand),
    ];
    let mut chance = fastrand::Rng::with_seed(7);
    let mut windows = 0;
    for (calendar, rule) in calendars {
        for (name, first, last) in stretches() {
            let oracle = Oracle::ask(rule, first, last);
            for _ in 0..600 {
                // From seconds to three days, short ones as often as long ones.
                let longest = *chance.choice(&[60, 3_600, DAY, 3 * DAY]).unwrap_or(&DAY);
                let length = chance.i64(1..=longest);
                let from = chance.i64(0..oracle.seconds() - length);
                let window = oracle.window(from, from + length);
                assert_eq!(
                    calendar.open_time(window).as_secs(),
                    oracle.open_between(from, from + length),
                    "{} in {name}: {window:?}",
                    calendar.name
                );
                windows += 1;
            }
        }
    }
    assert!(windows >= 10_000, "only {windows} windows");
}

/// An instant written as people in Paris write it, with its offset.
fn at(text: &str) -> Utc {
    utc(text.parse().unwrap()).unwrap()
}

fn hours_between(calendar: &Calendar, from: &str, until: &str) -> f64 {
    calendar
        .open_time(Interval::new(at(from), at(until)))
        .as_secs_f64()
        / 3_600.0
}

#[test]
fn days_are_not_stepped_by_86_400_seconds() {
    // Stepping days by 86 400 s gives 10.5 h and 57 h here.
    let round_the_clock = Calendar::hno();
    let spring = hours_between(
        &round_the_clock,
        "2026-03-28T23:30+01:00",
        "2026-03-30T10:00+02:00",
    );
    assert!((spring - 33.5).abs() < 1e-9, "{spring}");
    let autumn = hours_between(
        &round_the_clock,
        "2026-10-25T00:30+02:00",
        "2026-10-26T10:00+01:00",
    );
    assert!((autumn - 34.5).abs() < 1e-9, "{autumn}");
}

#[test]
fn office_hours_are_not_the_whole_span() {
    // Friday 17 h to Tuesday 10 h over Easter: abs(end - start) gives 88 h.
    let open = hours_between(
        &Calendar::ho(),
        "2026-04-03T17:00+02:00",
        "2026-04-07T10:00+02:00",
    );
    assert!((open - 2.0).abs() < 1e-9, "{open}");
}

#[test]
fn a_closure_over_the_end_of_the_year_is_closed_on_both_sides() {
    // Compared as month and day, from 31/12 until 01/01 never matches.
    let mut shut = Calendar::ho();
    for day in [date(2026, 12, 30), date(2026, 12, 31), date(2027, 1, 1)] {
        shut.versions[0].overrides.insert(day, Vec::new());
    }
    let open = hours_between(&shut, "2026-12-29T17:00+01:00", "2027-01-04T10:00+01:00");
    assert!((open - 2.0).abs() < 1e-9, "{open}");
}

#[test]
fn a_holiday_costs_its_own_hours_once() {
    // From Wednesday 13 May, 9 h, eighteen open hours with Ascension between end on Friday, not a day later.
    let due = Calendar::ho().after_open_time(
        at("2026-05-13T09:00+02:00"),
        Duration::from_secs(18 * 3_600),
        &Intervals::default(),
    );
    assert_eq!(due, Some(at("2026-05-15T18:00+02:00")));
}

#[test]
fn a_deadline_lands_in_open_hours() {
    let calendar = Calendar::ho();
    let cases = [
        (
            "at lunch",
            "2026-11-24T12:00+01:00",
            120,
            "2026-11-24T14:00+01:00",
        ),
        (
            "over night",
            "2026-11-24T17:30+01:00",
            60,
            "2026-11-25T09:30+01:00",
        ),
        (
            "over a week-end",
            "2026-11-27T17:30+01:00",
            60,
            "2026-11-30T09:30+01:00",
        ),
        (
            "from a Sunday",
            "2026-11-29T03:00+01:00",
            30,
            "2026-11-30T09:30+01:00",
        ),
        (
            "over the clock change",
            "2026-03-27T17:30+01:00",
            60,
            "2026-03-30T09:30+02:00",
        ),
        (
            "used up as the office shuts",
            "2026-11-24T17:30+01:00",
            30,
            "2026-11-24T18:00+01:00",
        ),
    ];
    for (name, from, minutes, expected) in cases {
        let budget = Duration::from_secs(minutes * 60);
        let due = calendar.after_open_time(at(from), budget, &Intervals::default());
        assert_eq!(due, Some(at(expected)), "{name}");
    }
}

#[test]
fn a_calendar_that_never_opens_has_no_deadline() {
    let mut shut = Calendar::hno();
    shut.versions[0].week = Week::default();
    let due = shut.after_open_time(Utc(0), Duration::from_secs(1), &Intervals::default());
    assert_eq!(due, None);
}

#[test]
fn an_edit_rewrites_no_old_figure() {
    let longer = Version {
        valid_from: date(2026, 12, 1),
        week: Week::of_working_days(&[
            Opening::between(time(8, 0, 0, 0), time(19, 0, 0, 0)).unwrap()
        ]),
        holidays: Holidays::France,
        overrides: BTreeMap::new(),
    };
    let before = Calendar::ho();
    let after = Calendar::ho().then(longer.clone()).unwrap();
    let whole_day = |calendar: &Calendar, day: &str, next: &str| {
        hours_between(
            calendar,
            &format!("{day}T00:00+01:00"),
            &format!("{next}T00:00+01:00"),
        )
    };
    let old = whole_day(&after, "2026-11-30", "2026-12-01");
    assert!((old - whole_day(&before, "2026-11-30", "2026-12-01")).abs() < 1e-9);
    assert!((whole_day(&after, "2026-12-01", "2026-12-02") - 11.0).abs() < 1e-9);
    let told = after.then(longer).unwrap_err().to_string();
    assert!(told.contains("choose a later date"), "{told}");
}

#[test]
fn mistakes_say_what_to_write() {
    let hours = Opening::between(time(22, 0, 0, 0), time(6, 0, 0, 0)).unwrap_err();
    assert!(hours.to_string().contains("on the next day"), "{hours}");
    let version = Calendar::ho().versions.remove(0);
    let zone = Calendar::new("x", "Paris", version).unwrap_err();
    assert!(zone.to_string().contains("Europe/Paris"), "{zone}");
}

#[test]
fn a_calendar_prints_as_people_read_it() {
    let printed = serde_json::to_value(nights()).unwrap();
    let version = &printed["versions"][0];
    assert_eq!(version["valid_from"], "2026-01-01");
    assert_eq!(version["week"][0][1]["until"], "24:00:00");
    assert_eq!(
        version["overrides"]["2026-03-29"][0]["from"], "02:15:00",
        "{version}"
    );
}

proptest! {
    #[test]
    fn a_span_cut_anywhere_keeps_its_sum(
        from in 0_i64..30 * DAY,
        first in 0_i64..10 * DAY,
        second in 0_i64..10 * DAY,
    ) {
        // Three weeks before the spring change and three after it.
        let start = at("2026-03-08T00:00+01:00").0 / SECOND + from;
        let [a, b, c] = [start, start + first, start + first + second].map(|s| Utc(s * SECOND));
        for calendar in [Calendar::ho(), Calendar::hno(), nights()] {
            let parts = calendar.open_time(Interval::new(a, b))
                + calendar.open_time(Interval::new(b, c));
            prop_assert_eq!(parts, calendar.open_time(Interval::new(a, c)));
        }
    }

    #[test]
    fn at_the_deadline_the_budget_is_used_up_and_not_before(
        from in 0_i64..60 * DAY,
        minutes in 1_u64..3_000,
        hole in 0_i64..10 * DAY,
        hole_length in 1_i64..3 * DAY,
    ) {
        let start = at("2026-10-01T00:00+02:00").0 / SECOND + from;
        let budget = Duration::from_secs(minutes * 60);
        let hole_at = start + hole;
        let excluded = Intervals::from(
            Interval::new(Utc(hole_at * SECOND), Utc((hole_at + hole_length) * SECOND)),
        );
        for calendar in [Calendar::ho(), Calendar::hno(), nights()] {
            let due = calendar.after_open_time(Utc(start * SECOND), budget, &excluded).unwrap();
            let used = |until: Utc| calendar
                .open_within(Interval::new(Utc(start * SECOND), until))
                .subtract(&excluded)
                .total();
            prop_assert_eq!(used(due), budget);
            prop_assert!(used(Utc(due.0 - 1)) < budget);
            let without_hole = calendar
                .after_open_time(Utc(start * SECOND), budget, &Intervals::default())
                .unwrap();
            prop_assert!(without_hole <= due);
        }
    }
}
