//! The ledger of a day: up, degraded, down, maintenance, excluded and blind are the whole of it, and a fact stands
//! behind each second from the first fact on. What people correct stays visible as it was seen.

use std::collections::BTreeSet;
use std::time::Duration;

use vigie::engine::fact::Event;
use vigie::engine::history::History;
use vigie::health::standing::Subject;
use vigie::incident::act::{Excluded, What};
use vigie::probe::Word;
use vigie::sla::ledger::{Column, Day};
use vigie::time::Utc;

use crate::support::world::{FarEnd, World, minutes, telephony};

const HOUR: Duration = Duration::from_secs(3_600);

/// Two days in which everything happens to XIVO 1, and what each part of them lasted.
struct Lived {
    world: World,
    xivo1: Subject,
    began: Utc,
}

impl Lived {
    fn two_days() -> Self {
        let mut world = World::watching(telephony(7));
        let began = world.now.utc;
        let xivo1 = Subject::Target("xivo1".into());
        world.run_for(HOUR);
        world.far_end("xivo1", &FarEnd::Silent);
        world.run_for(minutes(40));
        world.far_end("xivo1", &FarEnd::Answers);
        world.run_for(2 * HOUR);
        // We see nothing.
        world.far_end("xivo1", &FarEnd::Blind);
        world.run_for(minutes(30));
        world.far_end("xivo1", &FarEnd::Answers);
        world.run_for(HOUR);
        // Nobody watches.
        world.killed_and_back(minutes(25));
        let now = world.now.utc;
        let planned = What::Maintain {
            subjects: vec![xivo1.clone()],
            from: now + HOUR,
            until: now + 2 * HOUR,
            text: "mise à jour".to_owned(),
        };
        world.act("Léa Durand", planned).expect("planned work");
        world.run_for(44 * HOUR);
        Self {
            world,
            xivo1,
            began,
        }
    }

    fn history(&self) -> History {
        let mut history = History::default();
        for fact in &self.world.facts {
            history.take(fact).expect("the facts of our own engine");
        }
        assert_eq!(history.differences(), []);
        history
    }

    fn propose(&mut self, what: What) -> u64 {
        let fact = self.world.act("Léa Durand", what).expect("a proposal");
        let own = self.world.act("léa durand", What::Approve { fact });
        assert!(own.is_err(), "nobody approves what he asked for");
        let agreed = self.world.act("Karim Benali", What::Approve { fact });
        agreed.expect("another person")
    }
}

/// Every day that the history touches, of every target and line, as it was seen and as it counts.
fn days(history: &History) -> Vec<(Subject, Day, Day)> {
    let time = history.time().expect("some facts");
    let first = time.from.civil_day();
    let dates = first.series(jiff::Span::new().days(1));
    let dates: Vec<_> = dates
        .take_while(|date| *date <= time.until.civil_day())
        .collect();
    let mut days = Vec::new();
    for subject in history.subjects().keys() {
        let covers = history.covers(subject);
        let counted = [covers.clone(), history.excluded(subject)].concat();
        for date in &dates {
            let raw = Day::of(*date, &history.changes(subject), &covers).expect("a day");
            let net = Day::of(*date, &history.corrected(subject), &counted).expect("a day");
            days.push((subject.clone(), raw, net));
        }
    }
    days
}

/// Midnight to midnight without a hole, and the columns of the sum are those of the entries.
fn accounts(day: &Day) {
    let mut at = day.entries.first().expect("no day is empty").time.from;
    assert_eq!(at.civil_day(), day.date);
    let mut seconds = 0;
    for entry in &day.entries {
        assert_eq!(entry.time.from, at, "a hole or an overlap on {}", day.date);
        assert!(entry.time.until > at, "an empty entry on {}", day.date);
        at = entry.time.until;
        seconds += entry.time.length().as_secs();
    }
    assert_eq!(seconds, 86_400, "{}", day.date);
    assert_eq!(day.seconds.total(), 86_400, "{}", day.date);
    assert_eq!(at.civil_day(), day.date.tomorrow().expect("another day"));
}

#[test]
fn the_columns_of_every_day_are_the_whole_day_and_facts_say_why() {
    let lived = Lived::two_days();
    let history = lived.history();
    let numbers: BTreeSet<u64> = lived.world.facts.iter().map(|fact| fact.seq).collect();
    let all = days(&history);
    assert_eq!(
        all.len(),
        3 * history.subjects().len(),
        "three civil days of Paris"
    );
    for (subject, raw, net) in &all {
        for day in [raw, net] {
            accounts(day);
            for entry in &day.entries {
                match entry.fact {
                    Some(fact) => assert!(numbers.contains(&fact), "{subject}: no fact {fact}"),
                    None => assert!(
                        entry.column == Column::Blind && entry.time.from < lived.began,
                        "{subject}: nothing says why it is {:?}",
                        entry.column
                    ),
                }
            }
        }
        assert_eq!(raw, net, "{subject}: nobody corrected anything");
    }
    let of = |column: Column| -> u64 {
        let own = all.iter().filter(|(subject, ..)| *subject == lived.xivo1);
        let entries = own.flat_map(|(_, raw, _)| &raw.entries);
        let own = entries.filter(|entry| entry.column == column && entry.fact.is_some());
        own.map(|entry| entry.time.length().as_secs()).sum()
    };
    assert_eq!(of(Column::Maintenance), 3_600);
    assert_eq!(of(Column::Excluded), 0);
    // 40 minutes, seen within the cadence of OPTIONS at both ends.
    let down = of(Column::Down);
    assert!(down.abs_diff(2_400) <= 12, "{down} s down");
    // 30 and 25 minutes, and what the third day has after the last fact.
    let last = history.last().expect("facts").at;
    let end = last.civil_day().tomorrow().expect("another day");
    let midnight = vigie::sla::calendar::midnight(&vigie::time::paris(), end).expect("midnight");
    let seen_no_more = midnight.since(last).as_secs();
    let blind = of(Column::Blind) - seen_no_more;
    assert!(blind.abs_diff(55 * 60) <= 60, "{blind} s blind");
}

#[test]
fn a_correction_of_two_people_changes_what_counts_and_not_what_was_seen() {
    let mut lived = Lived::two_days();
    let before = days(&lived.history());
    let down = lived.began + HOUR;
    let xivo1 = lived.xivo1.clone();
    let corrected = lived.propose(What::Correct {
        subject: xivo1.clone(),
        from: down,
        until: down + minutes(10),
        word: Word::Good,
        text: "appels servis par XIVO 2, relevé de l'opérateur".to_owned(),
    });
    lived.propose(What::Exclude {
        subject: xivo1.clone(),
        from: down + minutes(20),
        until: down + minutes(30),
        reason: Excluded::Operator,
        text: "coupure de l'opérateur".to_owned(),
        sha256: "0f".repeat(32),
    });
    let history = lived.history();
    let after = days(&history);
    for ((subject, was, _), (_, raw, net)) in before.iter().zip(&after) {
        accounts(net);
        // The acts came after the last fact of before: only that end may differ.
        let seen = |day: &Day| {
            (
                day.seconds.down,
                day.seconds.maintenance,
                day.seconds.excluded,
            )
        };
        assert_eq!(seen(raw), seen(was), "{subject}: what was seen changed");
        if *subject != xivo1 {
            assert_eq!(raw, net, "{subject}: it was not meant");
        }
    }
    let sum = |columns: fn(&Day) -> u64, net: bool| -> u64 {
        let own = after.iter().filter(|(subject, ..)| *subject == xivo1);
        own.map(|(_, raw, counted)| columns(if net { counted } else { raw }))
            .sum()
    };
    let raw_down = sum(|day| day.seconds.down, false);
    let net_down = sum(|day| day.seconds.down, true);
    assert_eq!(sum(|day| day.seconds.excluded, true), 600);
    assert_eq!(sum(|day| day.seconds.excluded, false), 0);
    // The outage began within the cadence after `down`, so a little less than ten minutes were corrected.
    let taken = raw_down - net_down;
    assert!(
        (1_188..=1_200).contains(&taken),
        "{taken} s taken away of {raw_down}"
    );
    assert!(corrected > 0);
}

#[test]
fn every_day_that_is_over_has_one_root() {
    let lived = Lived::two_days();
    let history = lived.history();
    let roots: Vec<&str> = history
        .roots()
        .iter()
        .map(|root| root.day.as_str())
        .collect();
    assert_eq!(roots, ["2026-11-24", "2026-11-25"]);
    // A root that was changed is found.
    let mut tampered = History::default();
    for fact in &lived.world.facts {
        let mut fact = fact.clone();
        if let Ok(Event::DayRoot { day, up_to, .. }) = fact.event() {
            let hash = "00".repeat(32);
            let event = Event::DayRoot { day, up_to, hash };
            fact.payload = serde_json::to_string(&event).expect("an event");
        }
        tampered.take(&fact).expect("it can be read");
    }
    assert_eq!(tampered.differences().len(), 2);
}
