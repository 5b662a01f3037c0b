use proptest::prelude::*;

use super::*;
use crate::sla::clock::tests::at;

fn one(text: &str) -> Ticket {
    let import = read(text);
    assert_eq!(import.mistakes, []);
    import.tickets.into_iter().next().unwrap()
}

const fn minutes(count: u64) -> Duration {
    Duration::from_secs(count * 60)
}

#[test]
fn an_export_of_either_separator_is_read() {
    let semicolons = "\u{feff}ID;Type;Category;Infrastructure;Opened;Taken;Solved;Pending_s;Incident\r\n\
        4711;incident;\"lines; all\";oui;2026-11-24 08:10:00;24/11/2026 08:12;2026-11-24T08:43:02+01:00;60;7\r\n";
    let ticket = one(semicolons);
    assert_eq!(ticket.id, "4711");
    assert_eq!(ticket.kind, Kind::Incident);
    assert_eq!(ticket.category, "lines; all");
    assert!(ticket.infrastructure);
    assert_eq!(
        ticket.opened.bounds,
        Bounds::exactly(at("2026-11-24T08:10:00+01:00"))
    );
    assert_eq!(ticket.opened.raw, "2026-11-24 08:10:00");
    assert_eq!(
        ticket.taken.unwrap().bounds.at,
        at("2026-11-24T08:12:00+01:00")
    );
    assert_eq!(
        ticket.solved.unwrap().bounds.at,
        at("2026-11-24T08:43:02+01:00")
    );
    assert_eq!(ticket.pending, Pending::For(minutes(1)));
    assert_eq!((ticket.incident, ticket.line), (Some(IncidentId(7)), 2));

    let commas = "id,type,opened,solved\n1,demande,2026-11-24T07:00:00Z,\n";
    let ticket = one(commas);
    assert_eq!(
        (ticket.kind, ticket.solved, ticket.infrastructure),
        (Kind::Request, None, false)
    );
}

#[test]
fn each_line_is_a_ticket_or_a_mistake_that_says_what_to_do() {
    let header = "id;type;infrastructure;opened;taken;solved;pending;pending_s;incident\n";
    let cases = [
        (
            ";request;;2026-11-24 08:00;;;;;",
            "write the number of the ticket",
        ),
        ("1;wish;;2026-11-24 08:00;;;;;", "write incident or request"),
        ("1;request;maybe;2026-11-24 08:00;;;;;", "write yes or no"),
        ("1;request;;;;;;;", "opened is empty"),
        ("1;request;;24.11.2026;;;;;", "is no time"),
        ("1;request;;2026-03-29 02:30;;;;;", "never was in Paris"),
        (
            "1;request;;2026-11-24 08:00;;2026-11-24 07:00;;;",
            "lies before opened",
        ),
        ("1;request;;2026-11-24 08:00;;;;two hours;", "whole seconds"),
        (
            "1;request;;2026-11-24 08:00;;;2026-11-24 09:00;;",
            "write from/until",
        ),
        (
            "1;request;;2026-11-24 08:00;;;2026-11-24 09:00/2026-11-24 08:30;;",
            "ends before it begins",
        ),
        (
            "1;request;;2026-11-24 08:00;;;2026-11-24 09:00/2026-11-24 09:30;5;",
            "keep the intervals",
        ),
        (
            "1;request;;2026-11-24 08:00;;;;;INC-7",
            "the number that vigie gave it",
        ),
        ("1;request;;2026-11-24 08:00", "between quotes"),
    ];
    for (line, expected) in cases {
        // The empty line is none.
        let good = "2;request;;2026-11-24 08:00;;;;;";
        let import = read(&format!("{header}{line}\n{good}\r\n\n{good}\n"));
        assert_eq!(import.tickets.len(), 1, "{line}");
        let told: Vec<String> = import.mistakes.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 2, "{line}: {told:?}");
        assert!(
            told[0].starts_with("line 2: ") && told[0].contains(expected),
            "{told:?}"
        );
        assert_eq!(
            told[1],
            "line 5: ticket 2 stands on line 3 already: keep the newer line"
        );
    }
}

#[test]
fn a_header_that_would_lose_a_column_is_refused() {
    let cases = [
        ("", "no column \"id\""),
        ("id;type;opened\n", "no column \"solved\""),
        ("id;type;opened;solved;solved\n", "stands there twice"),
        (
            "id;type;opened;solved;peding_s\n",
            "\"peding_s\" is not known",
        ),
    ];
    for (text, expected) in cases {
        let import = read(text);
        assert_eq!(import.tickets, []);
        assert!(
            import.mistakes[0].to_string().contains(expected),
            "{:?}",
            import.mistakes
        );
    }
}

#[test]
fn the_hour_that_comes_twice_is_kept_as_both_readings() {
    let ticket = one("id,type,opened,solved\n1,incident,2026-10-25 02:30:00,2026-10-25 03:10:00\n");
    assert!(ticket.opened.ambiguous);
    assert_eq!(ticket.opened.raw, "2026-10-25 02:30:00");
    assert_eq!(
        ticket.opened.bounds.earliest,
        at("2026-10-25T02:30:00+02:00")
    );
    assert_eq!(ticket.opened.bounds.latest, at("2026-10-25T02:30:00+01:00"));
    let until = ticket.solved.clone().unwrap();
    assert!(!until.ambiguous);
    let took = ticket.handled_in(&Calendar::hno(), until.bounds);
    assert_eq!((took.best, took.worst), (minutes(40), minutes(100)));
    // With its offset it is exact.
    let ticket = one("id,type,opened,solved\n1,incident,2026-10-25T02:30:00+02:00,\n");
    assert!(!ticket.opened.ambiguous);
}

#[test]
fn what_was_pending_is_not_lost() {
    let header = "id;type;opened;solved;pending;pending_s\n";
    let took = |line: &str| {
        let ticket = one(&format!("{header}{line}\n"));
        let until = ticket.solved.clone().unwrap().bounds;
        ticket.handled_in(&Calendar::ho(), until)
    };
    // Tuesday 16 h to Wednesday 10 h: three open hours. A pause over night takes its open part alone.
    let pause = "1;request;2026-11-24 16:00;2026-11-25 10:00;2026-11-24 17:00/2026-11-25 09:30;";
    assert_eq!(took(pause), Measured::exactly(minutes(90)));
    let two = "1;request;2026-11-24 16:00;2026-11-25 10:00;\
        2026-11-24 16:15/2026-11-24 16:30|2026-11-24 16:20/2026-11-24 16:45;";
    assert_eq!(took(two), Measured::exactly(minutes(150)));
    // Two hours of pause, nobody knows when: perhaps all in the night.
    let seconds = took("1;request;2026-11-24 16:00;2026-11-25 10:00;;7200");
    assert_eq!(
        (seconds.value, seconds.best, seconds.worst),
        (minutes(60), minutes(60), minutes(180))
    );
    // Within open hours there is no doubt.
    let seconds = took("1;request;2026-11-24 10:00;2026-11-24 14:00;;7200");
    assert_eq!(seconds, Measured::exactly(minutes(120)));
}

proptest! {
    #[test]
    fn no_text_panics_and_no_line_is_lost(lines in proptest::collection::vec("[0-9a-z;,: /+\\-]{1,40}", 0..6)) {
        let text = format!("id;type;opened;solved\n{}\n", lines.join("\n"));
        let import = read(&text);
        let written = lines.iter().filter(|line| !line.is_empty()).count();
        prop_assert_eq!(import.tickets.len() + import.mistakes.len(), written);
    }

    #[test]
    fn no_bytes_panic(text in ".{0,200}") {
        let _ = read(&text);
    }

    #[test]
    fn doubt_about_a_pause_brackets_every_place_it_can_have(
        length in 1_i64..4 * 24 * 60,
        pause in 0_i64..2 * 24 * 60,
        place in 0_i64..4 * 24 * 60,
    ) {
        let opened = at("2026-10-23T15:00:00+02:00");
        let minute = |count: i64| Utc(opened.0 + count * 60_000_000_000);
        let pause = pause.min(length);
        let place = place.min(length - pause);
        let mut ticket = one("id,type,opened,solved\n1,request,2026-10-23T15:00:00+02:00,\n");
        let until = Bounds::exactly(minute(length));
        ticket.pending = Pending::Between(Interval::new(minute(place), minute(place + pause)).into());
        let really = ticket.handled_in(&Calendar::ho(), until).value;
        ticket.pending = Pending::For(Duration::from_secs(u64::try_from(pause).unwrap() * 60));
        let doubt = ticket.handled_in(&Calendar::ho(), until);
        prop_assert!(doubt.best <= really && really <= doubt.worst, "{really:?} not in {doubt:?}");
    }
}
