use super::*;
use crate::sla::clock::tests::{at, exact};
use crate::sla::exclusion::tests::sample as exclusion;
use crate::sla::ticket;

/// Half a year later: all periods below are over.
const NOW: &str = "2027-06-01T00:00:00+02:00";

fn figures(outages: &[Outage], tickets: &str, period: &str) -> BTreeMap<Indicator, Figure> {
    figures_at(outages, tickets, period, NOW)
}

fn figures_at(
    outages: &[Outage],
    tickets: &str,
    period: &str,
    now: &str,
) -> BTreeMap<Indicator, Figure> {
    let import = ticket::read(&format!(
        "id;type;category;infrastructure;opened;solved;pending_s;incident\n{tickets}"
    ));
    assert_eq!(import.mistakes, []);
    let whole = |seen| Coverage {
        seen: Duration::from_secs(seen),
        of: Duration::from_secs(1_000),
    };
    let material = Material {
        outages,
        tickets: &import.tickets,
        coverage: &BTreeMap::from([(Indicator::Ic6, whole(990)), (Indicator::Ic7, whole(989))]),
        contract: &Contract::default(),
        calendars: &Calendars::default(),
        now: at(now),
    };
    let figures = material.figures(period.parse().unwrap());
    figures
        .into_iter()
        .map(|figure| (figure.indicator, figure))
        .collect()
}

fn numbered(number: u64, mut outage: Outage) -> Outage {
    outage.incident = IncidentId(number);
    outage.facts = vec![number * 100];
    outage.spans[0].facts = vec![number * 100 + 1];
    outage
}

fn lines(number: u64, from: &str, until: &str) -> Outage {
    numbered(number, exact(Indicator::Ic6, at(from), Some(at(until))))
}

#[test]
fn nothing_in_the_denominator_is_not_applicable() {
    for figure in figures(&[], "", "2026-10").values() {
        assert_eq!(
            figure.verdict,
            Verdict::NotApplicable,
            "{}",
            figure.indicator
        );
        assert_eq!(
            (figure.of, figure.percent),
            (0, None),
            "{}",
            figure.indicator
        );
    }
}

#[test]
fn an_outage_belongs_to_the_month_of_its_restoration() {
    // 40 minutes over the end of October.
    let over_midnight = lines(1, "2026-10-31T23:30:00+01:00", "2026-11-01T00:10:00+01:00");
    let minutes = |count: u64| Duration::from_secs(count * 60);
    let outages = [over_midnight];
    let october = &figures(&outages, "", "2026-10")[&Indicator::Ic6];
    assert_eq!((october.of, october.carried.len()), (0, 1));
    assert_eq!(october.down, minutes(30));
    let november = &figures(&outages, "", "2026-11")[&Indicator::Ic6];
    assert_eq!(
        (november.kept, november.of, november.down),
        (1, 1, minutes(10))
    );
    assert_eq!(november.verdict, Verdict::Compliant);
    assert_eq!(november.facts, [100, 101]);
}

#[test]
fn a_half_year_is_no_mean_of_months() {
    // October: one of one kept. November: none of three. The mean of months would be 50 %.
    let outages = [
        lines(1, "2026-10-05T08:00:00+02:00", "2026-10-05T08:30:00+02:00"),
        lines(2, "2026-11-05T08:00:00+01:00", "2026-11-05T09:30:00+01:00"),
        lines(3, "2026-11-06T08:00:00+01:00", "2026-11-06T09:30:00+01:00"),
        lines(4, "2026-11-07T08:00:00+01:00", "2026-11-07T09:30:00+01:00"),
    ];
    let half = &figures(&outages, "", "2026-S2")[&Indicator::Ic6];
    assert_eq!((half.kept, half.of, half.percent), (1, 4, Some(25.0)));
    assert_eq!(half.verdict, Verdict::Breach);
    assert_eq!(half.down, Duration::from_secs(5 * 3_600));
}

#[test]
fn excluded_time_leaves_numerator_and_denominator() {
    let mut excluded = lines(1, "2026-10-05T08:00:00+02:00", "2026-10-05T10:00:00+02:00");
    excluded.exclusions = vec![exclusion(
        at("2026-10-05T07:00:00+02:00"),
        at("2026-10-05T11:00:00+02:00"),
    )];
    let kept = lines(2, "2026-10-06T08:00:00+02:00", "2026-10-06T08:10:00+02:00");
    let ic6 = &figures(&[excluded, kept], "", "2026-10")[&Indicator::Ic6];
    assert_eq!((ic6.kept, ic6.of, ic6.items.len()), (1, 1, 2));
    assert_eq!(
        ic6.items[0].raw.map(|raw| raw.value),
        Some(Duration::from_secs(7_200))
    );
    assert!(ic6.facts.contains(&900));
}

#[test]
fn what_was_looked_at_too_little_is_marked() {
    let figures = figures(&[], "", "2026-10");
    let said = |indicator| {
        (
            figures[&indicator].coverage_percent,
            figures[&indicator].marked,
        )
    };
    assert_eq!(said(Indicator::Ic6), (Some(99.0), false));
    assert_eq!(said(Indicator::Ic7), (Some(98.9), true));
    assert_eq!(said(Indicator::Ic3), (None, false));
}

#[test]
fn tickets_are_rated_where_opened_and_timed_where_solved() {
    let tickets = "\
        1;request;;;2026-10-05 09:00;2026-10-06 09:00;;\n\
        2;request;;;2026-10-05 09:00;2026-10-08 09:00;;\n\
        3;request;;;2026-10-30 17:00;2026-11-02 10:00;;\n\
        4;incident;;no;2026-10-05 17:30;2026-10-06 09:20;;\n\
        5;incident;;yes;2026-10-05 17:30;2026-10-05 18:10;;\n\
        6;incident;;yes;2026-10-05 03:00;2026-10-05 04:00;2400;\n";
    let october = figures(&[], tickets, "2026-10");
    let said = |indicator: Indicator| {
        let figure = &october[&indicator];
        (figure.kept, figure.of, figure.carried.len(), figure.verdict)
    };
    assert_eq!(said(Indicator::Ic1), (2, 3, 1, Verdict::Breach));
    assert_eq!(said(Indicator::Ic2), (3, 3, 0, Verdict::Compliant));
    // Ticket 2 took 27 open hours of 18; ticket 3 is November's.
    assert_eq!(said(Indicator::Ic3), (1, 2, 1, Verdict::Breach));
    // 50 open minutes of 60 at the desk; 40 minutes of 30; 60 minutes of which 40 were pending.
    assert_eq!(said(Indicator::Ic4), (2, 3, 0, Verdict::Breach));
    let november = figures(&[], tickets, "2026-11");
    assert_eq!(
        (november[&Indicator::Ic3].kept, november[&Indicator::Ic3].of),
        (1, 1)
    );
    assert_eq!(november[&Indicator::Ic1].verdict, Verdict::NotApplicable);
}

#[test]
fn a_ticket_of_our_incident_is_the_same_incident() {
    let outages = [
        lines(7, "2026-10-05T08:00:00+02:00", "2026-10-05T08:30:00+02:00"),
        lines(8, "2026-10-06T08:00:00+02:00", "2026-10-06T08:30:00+02:00"),
    ];
    // The desk forgot to close 10; 11 is of no incident of ours.
    let tickets = "\
        10;incident;;yes;2026-10-05 08:10;;;7\n\
        11;incident;;no;2026-10-05 09:00;2026-10-05 09:10;;\n";
    let ic2 = &figures(&outages, tickets, "2026-10")[&Indicator::Ic2];
    assert_eq!((ic2.kept, ic2.of, ic2.verdict), (3, 3, Verdict::Compliant));
    assert_eq!(
        ic2.orphans,
        [Of::Ticket("11".into()), Of::Incident(IncidentId(8))]
    );
    assert_eq!(ic2.facts, [700, 701, 800, 801]);
}

#[test]
fn a_month_that_runs_is_not_judged_before_its_end() {
    let kept = lines(1, "2026-10-05T08:00:00+02:00", "2026-10-05T08:30:00+02:00");
    let broken = lines(2, "2026-10-06T08:00:00+02:00", "2026-10-06T09:30:00+02:00");
    let open = numbered(
        3,
        exact(Indicator::Ic6, at("2026-10-07T08:00:00+02:00"), None),
    );
    let now = "2026-10-07T08:20:00+02:00";
    let said =
        |outages: &[Outage]| figures_at(outages, "", "2026-10", now)[&Indicator::Ic6].clone();
    let so_far = said(&[kept.clone(), open.clone()]);
    assert_eq!(
        (so_far.kept, so_far.of, so_far.verdict),
        (1, 1, Verdict::Running)
    );
    assert_eq!(so_far.carried[0].verdict, Verdict::Running);
    assert_eq!(so_far.down, Duration::from_secs(50 * 60));
    assert_eq!(said(&[kept, broken, open]).verdict, Verdict::Breach);
}

#[test]
fn doubt_is_neither_kept_nor_broken() {
    let mut doubtful = lines(1, "2026-10-05T08:00:00+02:00", "2026-10-05T09:05:00+02:00");
    doubtful.blind = Interval::new(
        at("2026-10-05T08:40:00+02:00"),
        at("2026-10-05T09:05:00+02:00"),
    )
    .into();
    let ic6 = &figures(&[doubtful], "", "2026-10")[&Indicator::Ic6];
    assert_eq!((ic6.kept, ic6.of, ic6.to_qualify), (0, 1, 1));
    assert_eq!(ic6.verdict, Verdict::ToQualify);
}

#[test]
fn a_profile_of_later_changes_no_figure_of_before() {
    let outages = [lines(
        1,
        "2026-10-05T08:00:00+02:00",
        "2026-10-05T08:40:00+02:00",
    )];
    let mut stricter = Profile {
        version: 2,
        ..Profile::default()
    };
    stricter.valid_from = jiff::civil::date(2026, 11, 1);
    stricter.lines.limit = Duration::from_secs(1_800);
    let contract = Contract::default().then(stricter).unwrap();
    let material = Material {
        outages: &outages,
        tickets: &[],
        coverage: &BTreeMap::new(),
        contract: &contract,
        calendars: &Calendars::default(),
        now: at(NOW),
    };
    // The half-year ends under version 2, the incident was restored under version 1.
    let half = material
        .figure(Indicator::Ic6, "2026-S2".parse().unwrap())
        .unwrap();
    assert_eq!(
        (half.items[0].profile, half.verdict),
        (1, Verdict::Compliant)
    );
    let printed = serde_json::to_value(&half).unwrap();
    assert_eq!(printed["indicator"], "IC6");
    assert_eq!(printed["period"], "2026-S2");
    assert_eq!(printed["items"][0]["of"]["incident"], 1);
}
