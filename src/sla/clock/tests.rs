use proptest::prelude::*;

use super::*;
use crate::sla::exclusion::tests::sample as exclusion;

const SECOND: i64 = 1_000_000_000;

/// An instant as people in Paris write it, with its offset.
pub(in crate::sla) fn at(text: &str) -> Utc {
    let stamp: jiff::Timestamp = text.parse().unwrap();
    Utc(stamp.as_second() * SECOND)
}

/// That time of 24 November 2026, a Tuesday, in Paris.
fn today(time: &str) -> Utc {
    at(&format!("2026-11-24T{time}+01:00"))
}

fn bounds(earliest: &str, at: &str, latest: &str) -> Bounds {
    Bounds {
        at: today(at),
        earliest: today(earliest),
        latest: today(latest),
    }
}

fn span(word: Word, start: Bounds, end: Option<Bounds>) -> Span {
    Span {
        word,
        start,
        end,
        facts: vec![11, 12],
    }
}

pub(in crate::sla) fn outage(indicator: Indicator, spans: Vec<Span>) -> Outage {
    Outage {
        incident: IncidentId(7),
        indicator,
        subject: "lines".into(),
        support: Support::Hno,
        spans,
        lines: Vec::new(),
        extent: None,
        detected: None,
        declared: None,
        exclusions: Vec::new(),
        blind: Intervals::default(),
        facts: vec![10],
    }
}

/// Down from one instant to another, both known exactly.
pub(in crate::sla) fn exact(indicator: Indicator, from: Utc, until: Option<Utc>) -> Outage {
    let span = span(
        Word::Down,
        Bounds::exactly(from),
        until.map(Bounds::exactly),
    );
    outage(indicator, vec![span])
}

fn read(outage: &Outage, now: Utc) -> Reading {
    let (profile, calendars) = (Profile::default(), Calendars::default());
    Clock::new(outage, &profile, &calendars)
        .unwrap()
        .reading(now)
}

const fn clock_time(minutes: u64, seconds: u64) -> Duration {
    Duration::from_secs(minutes * 60 + seconds)
}

#[test]
fn the_worked_example_of_ic6() {
    let mut lines = outage(
        Indicator::Ic6,
        vec![span(
            Word::Down,
            // Last good 08:02:13; first bad 08:02:43 at A; 08:02:51 at B confirms.
            bounds("08:02:13", "08:02:43", "08:02:43"),
            // First good 08:43:02; 08:43:31 and 08:45:05 confirm.
            Some(bounds("08:43:02", "08:43:02", "08:43:02")),
        )],
    );
    lines.detected = Some(today("08:02:51"));
    lines.declared = Some(today("08:10:00"));
    let reading = read(&lines, today("09:00:00"));
    let expected = Measured {
        value: clock_time(40, 19),
        best: clock_time(40, 19),
        worst: clock_time(40, 49),
    };
    let counted = reading.counted.unwrap();
    assert_eq!((counted.raw, counted.net), (expected, expected));
    assert_eq!(reading.verdict, Verdict::Compliant);
    let declared = reading
        .by_start
        .iter()
        .find(|(start, _)| *start == Start::Declared)
        .unwrap()
        .1;
    assert_eq!(declared.net, Measured::exactly(clock_time(33, 2)));
    assert_eq!(reading.deadline, Some(today("09:02:43")));
    assert_eq!(reading.at_risk_at, Some(today("08:47:43")));
    assert_eq!(reading.facts, [10, 11, 12]);

    // Nobody looked from 08:20 to 08:25: down on both sides, so nothing changes but a flag.
    lines.blind = Interval::new(today("08:20:00"), today("08:25:00")).into();
    let with_blind = read(&lines, today("09:00:00"));
    assert_eq!(with_blind.unmeasured, clock_time(5, 0));
    assert_eq!(
        Reading {
            unmeasured: Duration::ZERO,
            ..with_blind
        },
        reading
    );
}

#[test]
fn a_change_that_nobody_saw_is_as_wide_as_the_blindness() {
    let mut lines = exact(Indicator::Ic6, today("08:00:00"), Some(today("09:05:00")));
    assert_eq!(read(&lines, today("10:00:00")).verdict, Verdict::Breach);
    // It may have come back from 08:50 on: 50 to 65 minutes.
    lines.blind = Interval::new(today("08:50:00"), today("09:05:00")).into();
    let reading = read(&lines, today("10:00:00"));
    let net = reading.counted.unwrap().net;
    assert_eq!(
        (net.best, net.worst),
        (clock_time(50, 0), clock_time(65, 0))
    );
    assert_eq!(reading.verdict, Verdict::ToQualify);
    // It may have failed from 07:50 on as well.
    lines.blind = Interval::new(today("07:50:00"), today("08:00:00")).into();
    let net = read(&lines, today("10:00:00")).counted.unwrap().net;
    assert_eq!(
        (net.best, net.worst),
        (clock_time(65, 0), clock_time(75, 0))
    );
}

#[test]
fn only_sure_things_are_said() {
    let hour = clock_time(60, 0);
    let more = hour + Duration::from_nanos(1);
    let cases = [
        (hour, hour, Verdict::Compliant),
        (clock_time(40, 0), hour, Verdict::Compliant),
        (hour, more, Verdict::ToQualify),
        (more, more, Verdict::Breach),
    ];
    for (best, worst, expected) in cases {
        let measured = Measured {
            value: best,
            best,
            worst,
        };
        assert_eq!(measured.judge(hour), expected, "{best:?} to {worst:?}");
    }
}

#[test]
fn a_relapse_never_stops_the_clock() {
    let part = |from, until| {
        span(
            Word::Down,
            Bounds::exactly(today(from)),
            Some(Bounds::exactly(today(until))),
        )
    };
    let lines = outage(
        Indicator::Ic6,
        vec![part("08:00:00", "08:10:00"), part("08:20:00", "08:45:00")],
    );
    let reading = read(&lines, today("09:00:00"));
    assert_eq!(reading.counted.unwrap().net.value, clock_time(45, 0));
    assert_eq!(reading.down, clock_time(35, 0));
}

#[test]
fn degraded_starts_no_clock_and_prolongs_one() {
    let part = |word, from, until| {
        span(
            word,
            Bounds::exactly(today(from)),
            Some(Bounds::exactly(today(until))),
        )
    };
    let bad_sound = part(Word::Degraded, "08:00:00", "08:30:00");
    let now = today("12:00:00");
    let alone = read(&outage(Indicator::Ic6, vec![bad_sound.clone()]), now);
    assert_eq!(
        (alone.verdict, alone.deadline),
        (Verdict::NotApplicable, None)
    );
    let down = part(Word::Down, "08:30:00", "08:40:00");
    let after = part(Word::Degraded, "08:40:00", "08:50:00");
    let reading = read(&outage(Indicator::Ic6, vec![bad_sound, down, after]), now);
    assert_eq!(reading.counted.unwrap().net.value, clock_time(20, 0));
    assert_eq!(reading.down, clock_time(20, 0));
}

#[test]
fn a_clock_that_runs_counts_down() {
    let (profile, calendars) = (Profile::default(), Calendars::default());
    let lines = exact(Indicator::Ic6, today("08:00:00"), None);
    let clock = Clock::new(&lines, &profile, &calendars).unwrap();
    assert_eq!(
        clock.left(today("08:50:00")),
        Some(Left::Time(clock_time(10, 0)))
    );
    assert_eq!(clock.verdict(today("08:50:00")), Verdict::Running);
    assert_eq!(
        clock.left(today("09:00:00")),
        Some(Left::Time(Duration::ZERO))
    );
    assert_eq!(
        clock.left(today("09:05:00")),
        Some(Left::Over(clock_time(5, 0)))
    );
    assert_eq!(clock.verdict(today("09:05:00")), Verdict::Breach);
    // Nobody looks since 08:55: it may be over, so that no breach is claimed.
    let mut unseen = lines.clone();
    unseen.blind = Interval::new(today("08:55:00"), today("09:05:00")).into();
    let clock = Clock::new(&unseen, &profile, &calendars).unwrap();
    assert_eq!(clock.verdict(today("09:05:00")), Verdict::Running);
}

#[test]
fn raw_and_net_stand_side_by_side() {
    // A server of office hours dies on Friday at 17:30 and is back on Monday at 9:45.
    let mut server = exact(
        Indicator::Ic5,
        at("2026-11-27T17:30:00+01:00"),
        Some(at("2026-11-30T09:45:00+01:00")),
    );
    server.support = Support::Ho;
    let now = at("2026-12-01T00:00:00+01:00");
    let counted = read(&server, now).counted.unwrap();
    assert_eq!(counted.raw.value, clock_time(64 * 60 + 15, 0));
    assert_eq!(counted.net.value, clock_time(75, 0));
    // Half an hour of Monday's is the operator's.
    let from = at("2026-11-30T08:00:00+01:00");
    server.exclusions = vec![exclusion(from, from + clock_time(90, 0))];
    let reading = read(&server, now);
    let counted = reading.counted.unwrap();
    assert_eq!(counted.raw.value, clock_time(64 * 60 + 15, 0));
    assert_eq!(counted.net.value, clock_time(45, 0));
    assert_eq!(reading.excluded, clock_time(30, 0));
    assert_eq!(reading.deadline, Some(at("2026-11-30T11:00:00+01:00")));
    assert!(reading.facts.contains(&900), "{:?}", reading.facts);
}

#[test]
fn what_is_wholly_excluded_is_not_judged() {
    let mut lines = exact(Indicator::Ic6, today("08:00:00"), Some(today("11:00:00")));
    lines.exclusions = vec![exclusion(today("07:00:00"), today("12:00:00"))];
    assert_eq!(
        read(&lines, today("13:00:00")).verdict,
        Verdict::NotApplicable
    );
}

#[test]
fn the_start_is_the_one_of_the_profile() {
    let calendars = Calendars::default();
    let by_declaration = Profile {
        start: Start::Declared,
        ..Profile::default()
    };
    let mut lines = exact(Indicator::Ic6, today("08:00:00"), Some(today("09:05:00")));
    let judge = |lines: &Outage| {
        Clock::new(lines, &by_declaration, &calendars)
            .unwrap()
            .verdict(today("10:00:00"))
    };
    assert_eq!(judge(&lines), Verdict::NotApplicable, "nobody declared it");
    lines.declared = Some(today("08:10:00"));
    assert_eq!(judge(&lines), Verdict::Compliant);
}

proptest! {
    #[test]
    fn an_exclusion_never_adds_and_a_longer_outage_never_counts_less(
        from in 0_i64..20 * 86_400,
        length in 0_i64..4 * 86_400,
        longer in 0_i64..86_400,
        hole in 0_i64..4 * 86_400,
        hole_length in 1_i64..86_400,
    ) {
        // Around the night that has 25 hours.
        let start = at("2026-10-16T00:00:00+02:00").0 / SECOND + from;
        let on = |seconds: i64| Utc((start + seconds) * SECOND);
        for support in [Support::Ho, Support::Hno] {
            let mut server = exact(Indicator::Ic5, on(0), Some(on(length)));
            server.support = support;
            let plain = read(&server, on(length)).counted.unwrap();
            let mut long = exact(Indicator::Ic5, on(0), Some(on(length + longer)));
            long.support = support;
            let more = read(&long, on(length + longer)).counted.unwrap();
            prop_assert!(more.net.value >= plain.net.value && more.raw.value >= plain.raw.value);
            server.exclusions = vec![exclusion(on(hole), on(hole + hole_length))];
            let reading = read(&server, on(length));
            let less = reading.counted.unwrap();
            prop_assert_eq!(less.raw, plain.raw);
            prop_assert_eq!(less.net.value + reading.excluded, plain.net.value);
        }
    }

    #[test]
    fn the_countdown_ends_at_the_deadline(from in 0_i64..20 * 86_400) {
        let start = Utc(at("2026-10-16T00:00:00+02:00").0 + from * SECOND);
        let (profile, calendars) = (Profile::default(), Calendars::default());
        let mut server = exact(Indicator::Ic5, start, None);
        server.support = Support::Ho;
        let clock = Clock::new(&server, &profile, &calendars).unwrap();
        let deadline = clock.deadline().unwrap();
        prop_assert_eq!(clock.left(deadline), Some(Left::Time(Duration::ZERO)));
        prop_assert!(clock.at_risk_at().unwrap() < deadline);
        prop_assert_eq!(clock.verdict(deadline), Verdict::Running);
    }
}
