//! One cause, one incident, from the first failed probe to the first good one; a restart, a clock that is set
//! and a relapse change none of it.

use std::time::Duration;

use vigie::engine::clocks::Passed;
use vigie::engine::fact::{BootId, Chain, Event, Fact};
use vigie::engine::history::History;
use vigie::engine::input::Input;
use vigie::engine::plant::Plant;
use vigie::health::standing::Subject;
use vigie::incident::IncidentId;
use vigie::incident::act::{Excluded, Phase, What};
use vigie::incident::book::{Incident, State};
use vigie::incident::step::{self, Step};
use vigie::probe::Word;
use vigie::sla::contract::Indicator;
use vigie::time::{Now, Utc};

use crate::support::world::{FarEnd, World, hint, minutes, seconds, target, telephony};

const FIRST: IncidentId = IncidentId(1);

fn line() -> Subject {
    Subject::Line("119".into())
}

fn server(id: &str) -> Subject {
    Subject::Target(id.into())
}

/// A world in which nothing happened for some minutes.
fn calm(plant: Plant) -> World {
    let mut world = World::watching(plant);
    world.run_for(minutes(5));
    assert_eq!(world.engine.book().incidents().count(), 0);
    world
}

/// The whole telephony does not answer for so long.
fn outage(world: &mut World, lasting: Duration) {
    for whom in ["xivo1", "xivo2", "patton/call"] {
        world.far_end(whom, &FarEnd::Refuses);
    }
    world.run_for(lasting);
    for whom in ["xivo1", "xivo2", "patton/call"] {
        world.far_end(whom, &FarEnd::Answers);
    }
}

fn only(world: &World) -> &Incident {
    let book = world.engine.book();
    assert_eq!(
        book.incidents().count(),
        1,
        "{:#?}",
        book.incidents()
            .map(|known| &known.members)
            .collect::<Vec<_>>()
    );
    book.incident(FIRST).expect("the first")
}

#[test]
fn an_outage_is_one_incident_with_the_bounds_of_its_ends() {
    let mut world = calm(telephony(1));
    let before = world.now.utc;
    outage(&mut world, minutes(10));
    let mended = world.now.utc;
    assert_eq!(only(&world).state, State::Open);
    world.run_for(minutes(5));
    let incident = only(&world);
    assert_eq!(incident.state, State::Restored);
    assert_eq!(incident.phase, Phase::Monitoring);
    for whom in [line(), server("xivo1"), server("xivo2")] {
        assert!(incident.members.contains_key(&whom), "{whom:?}");
    }
    let span = incident.span_of(&line()).expect("the line was down");
    let end = span.end.expect("it works again");
    assert_eq!(span.word, Word::Down);
    assert!(span.start.earliest <= before && before <= span.start.at);
    assert!(
        before.since(span.start.earliest) <= seconds(65),
        "the last good call"
    );
    assert!(mended <= end.at && end.at.since(mended) <= seconds(35));
    assert_eq!(end.earliest, end.at, "it was seen all the time");
    let confirmed = incident.confirmed.expect("sure");
    assert!(
        confirmed.since(end.at) >= minutes(2),
        "three calls over two minutes"
    );
    world.run_for(minutes(15));
    assert_eq!(only(&world).state, State::Closed);
}

#[test]
fn a_relapse_within_a_quarter_of_an_hour_is_the_same_incident_and_a_later_one_is_not() {
    for (quiet, incidents) in [(minutes(10), 1), (minutes(25), 2)] {
        let mut world = calm(telephony(2));
        outage(&mut world, minutes(3));
        world.run_for(quiet);
        outage(&mut world, minutes(3));
        world.run_for(minutes(5));
        let book = world.engine.book();
        assert_eq!(book.incidents().count(), incidents, "quiet for {quiet:?}");
        let spans: usize = book
            .incidents()
            .map(|known| known.members[&line()].len())
            .sum();
        assert_eq!(spans, 2, "a relapse begins a new span and edits none");
    }
}

#[test]
fn neighbours_that_fall_together_are_one_incident_and_one_by_one_they_are_several() {
    let plant = || {
        let mut plant = telephony(3);
        for number in 0..12 {
            let id = format!("srv{number}");
            let ping = hint(&format!("{id}/ping"), 5);
            plant.targets.push(target(&id, &["switch"], vec![ping]));
        }
        plant
    };
    let mut world = calm(plant());
    for number in 0..12 {
        world.far_end(&format!("srv{number}/"), &FarEnd::Silent);
    }
    world.run_for(minutes(1));
    assert_eq!(only(&world).members.len(), 12);

    let mut world = calm(plant());
    for number in 0..3 {
        world.far_end(&format!("srv{number}/"), &FarEnd::Silent);
        world.run_for(minutes(1));
    }
    assert_eq!(world.engine.book().incidents().count(), 3);
}

#[test]
fn a_fallen_switch_is_the_cause_of_what_hangs_on_it() {
    let mut world = calm(telephony(4));
    for whom in ["switch", "patton", "xivo1", "xivo2"] {
        world.far_end(whom, &FarEnd::Silent);
    }
    world.run_for(minutes(3));
    let incident = only(&world);
    assert_eq!(incident.cause, server("switch"));
    assert!(incident.members.contains_key(&line()));
}

#[test]
fn a_restart_at_any_moment_keeps_the_start_and_decides_nothing_twice() {
    for seed in 0..30 {
        let mut chance = fastrand::Rng::with_seed(seed);
        let mut world = calm(telephony(seed));
        for whom in ["xivo1", "xivo2", "patton/call"] {
            world.far_end(whom, &FarEnd::Refuses);
        }
        world.run_for(minutes(2) + Duration::from_millis(chance.u64(..120_000)));
        let started = only(&world).started();
        world.killed_and_back(Duration::from_millis(chance.u64(500..5_000)));
        world.run_for(minutes(2));
        assert_eq!(only(&world).started(), started, "seed {seed}");
        for whom in ["xivo1", "xivo2", "patton/call"] {
            world.far_end(whom, &FarEnd::Answers);
        }
        world.run_for(minutes(25));
        let incident = only(&world);
        assert_eq!(incident.state, State::Closed, "seed {seed}");
        assert_eq!(
            incident.members[&line()].len(),
            1,
            "seed {seed}: {incident:#?}"
        );
    }
}

#[test]
fn an_end_that_nobody_watched_has_two_bounds() {
    let mut world = calm(telephony(5));
    for whom in ["xivo1", "xivo2", "patton/call"] {
        world.far_end(whom, &FarEnd::Refuses);
    }
    world.run_for(minutes(5));
    let last_seen = world.now.utc;
    for whom in ["xivo1", "xivo2", "patton/call"] {
        world.far_end(whom, &FarEnd::Answers);
    }
    world.killed_and_back(minutes(8));
    world.run_for(minutes(6));
    let span = only(&world).span_of(&line()).expect("down").clone();
    let end = span.end.expect("it works again");
    assert!(
        last_seen.since(end.earliest) <= seconds(20),
        "right after the last failed call"
    );
    assert!(end.at.since(last_seen) >= minutes(8));
    let (best, worst) = (
        span.at_best().expect("ended"),
        span.at_worst().expect("ended"),
    );
    assert!(worst.checked_sub(best).expect("ordered") >= minutes(8));
}

#[test]
fn a_clock_that_is_set_changes_no_duration() {
    for by_hours in [-2_i64, 2] {
        for moment in [seconds(2), minutes(3)] {
            let mut world = calm(telephony(6));
            let lasted = {
                let mut world = calm(telephony(6));
                outage(&mut world, minutes(10));
                world.run_for(minutes(5));
                only(&world).span_of(&line()).and_then(|span| span.lasted())
            };
            for whom in ["xivo1", "xivo2", "patton/call"] {
                world.far_end(whom, &FarEnd::Refuses);
            }
            world.run_for(moment);
            let by_ns = by_hours * 3_600_000_000_000;
            world.now.utc = Utc(world.now.utc.0 + by_ns);
            world.give(Input::ClockStepped { by_ns });
            world.run_for(minutes(10).checked_sub(moment).expect("less"));
            for whom in ["xivo1", "xivo2", "patton/call"] {
                world.far_end(whom, &FarEnd::Answers);
            }
            world.run_for(minutes(5));
            let span = only(&world).span_of(&line()).expect("down").clone();
            assert_eq!(span.lasted(), lasted, "{by_hours} h, {moment:?} in");
            assert!(span.at_worst().expect("ended") <= lasted.expect("ended") + seconds(65));
        }
    }
}

#[test]
fn acts_of_people_are_facts_and_the_wrong_ones_are_refused() {
    let mut world = calm(telephony(7));
    outage(&mut world, minutes(3));
    let (incident, into) = (FIRST, IncidentId(2));
    let exclude = What::Exclude {
        subject: line(),
        from: Utc(0),
        until: Utc(1),
        reason: Excluded::Operator,
        text: "ticket 4711".into(),
        sha256: "ab".repeat(32),
    };
    let fact = world.act("karim", exclude).expect("proposed");
    let refused = |refusal: Result<u64, _>| refusal.map_err(|words| format!("{words}"));
    for (author, what, words) in [
        ("", What::Acknowledge { incident }, "say who"),
        (
            "karim",
            What::Acknowledge { incident: into },
            "there is no incident 2",
        ),
        (
            "karim",
            What::Comment {
                incident,
                text: " ".into(),
            },
            "empty",
        ),
        (
            "karim",
            What::Merge { incident, into },
            "there is no incident 2",
        ),
        (
            "karim",
            What::Merge {
                incident,
                into: incident,
            },
            "into itself",
        ),
        ("Karim ", What::Approve { fact }, "somebody else"),
        ("lea", What::Approve { fact: 1 }, "no exclusion"),
        (
            "lea",
            What::Split {
                incident,
                subjects: vec![],
            },
            "name some",
        ),
        (
            "lea",
            What::Maintain {
                subjects: vec![line()],
                from: Utc(2),
                until: Utc(2),
                text: "x".into(),
            },
            "ends before",
        ),
        (
            "lea",
            What::Attach {
                incident,
                name: "cdr.csv".into(),
                sha256: "12".into(),
            },
            "SHA-256",
        ),
    ] {
        let answer = refused(world.act(author, what.clone()));
        assert!(
            answer.as_ref().is_err_and(|said| said.contains(words)),
            "{what:?}: {answer:?}"
        );
    }
    world
        .act("lea", What::Approve { fact })
        .expect("a second person");
    world
        .act("lea", What::Acknowledge { incident })
        .expect("known");
    world
        .act("karim", What::Acknowledge { incident })
        .expect("known");
    let check = |world: &World| {
        let incident = only(world);
        assert_eq!(
            incident.acknowledged.as_ref().map(|ack| ack.by.as_str()),
            Some("lea")
        );
        assert_eq!(world.engine.book().agreed().count(), 1);
    };
    check(&world);
    world.killed_and_back(seconds(1));
    check(&world);
}

#[test]
fn what_people_split_and_merge_stays_whole() {
    let mut world = calm(telephony(8));
    outage(&mut world, minutes(3));
    let members = only(&world).members.clone();
    let subjects = vec![server("xivo2")];
    world
        .act(
            "lea",
            What::Split {
                incident: FIRST,
                subjects,
            },
        )
        .expect("a member");
    let book = world.engine.book();
    let second = book.incident(IncidentId(2)).expect("split off");
    assert_eq!(second.cause, server("xivo2"));
    assert!(
        !book
            .incident(FIRST)
            .expect("the rest")
            .members
            .contains_key(&server("xivo2"))
    );
    let (incident, into) = (IncidentId(2), FIRST);
    world
        .act("lea", What::Merge { incident, into })
        .expect("both are there");
    let book = world.engine.book();
    assert_eq!(book.incident(FIRST).expect("whole").members, members);
    assert_eq!(
        book.incident(incident).expect("kept").merged_into,
        Some(FIRST)
    );
    world.run_for(minutes(30));
    assert_eq!(
        world.engine.book().incident(FIRST).expect("whole").state,
        State::Closed
    );
}

#[test]
fn a_degraded_line_has_an_incident_of_its_own_kind() {
    let mut world = calm(telephony(9));
    world.far_end("patton/call", &FarEnd::Limps);
    world.run_for(minutes(5));
    assert_eq!(only(&world).word(), Word::Degraded);
    world.far_end("patton/call", &FarEnd::Refuses);
    world.run_for(minutes(5));
    world.far_end("patton/call", &FarEnd::Answers);
    world.run_for(minutes(5));
    let words: Vec<Word> = only(&world).members[&line()]
        .iter()
        .map(|span| span.word)
        .collect();
    assert_eq!(words, [Word::Degraded, Word::Down]);
}

/// The journal as somebody reads it who was not there.
fn read(facts: &[Fact]) -> History {
    let mut history = History::default();
    for fact in facts {
        history.take(fact).expect("facts that can be read");
    }
    history
}

#[test]
fn a_journal_is_held_against_its_own_facts() {
    let mut world = calm(telephony(10));
    outage(&mut world, minutes(4));
    world.run_for(minutes(2));
    world.killed_and_back(seconds(3));
    world.run_for(minutes(20));
    let history = read(&world.facts);
    assert_eq!(history.differences(), []);
    assert_eq!(
        format!("{:?}", history.book()),
        format!("{:?}", world.engine.book())
    );
    // Whoever writes facts may link them well: a start that is ten minutes late is found all the same.
    let mut chain = Chain::new(BootId::from("one"));
    let forged: Vec<Fact> = world
        .facts
        .iter()
        .map(|fact| {
            let mut event = fact.event().expect("ours");
            if let Event::Incident(Step {
                what: step::What::Opened(failed),
                ..
            }) = &mut event
            {
                failed.start.at = failed.start.at + minutes(10);
            }
            let now = Now {
                instant: fact.boot,
                utc: fact.utc,
            };
            chain.append(now, &event)
        })
        .collect();
    let opened = forged
        .iter()
        .find(|fact| fact.payload.contains("\"opened\""))
        .expect("an incident");
    let found = read(&forged).differences().first().map(|first| first.fact);
    assert_eq!(found, Some(opened.seq));
}

#[test]
fn each_civil_day_is_sealed_once_with_the_hash_of_its_last_fact() {
    let mut world = World::watching(telephony(11));
    world.run_for(minutes(60 * 24));
    world.killed_and_back(minutes(60 * 25));
    world.run_for(minutes(5));
    let history = read(&world.facts);
    let days: Vec<&str> = history
        .roots()
        .iter()
        .map(|root| root.day.as_str())
        .collect();
    assert_eq!(days, ["2026-11-24", "2026-11-25"]);
    assert_eq!(history.differences(), []);
    assert_eq!(history.unwatched().len(), 1, "{:?}", history.unwatched());
}

#[test]
fn a_clock_warns_at_three_quarters_of_its_time_and_tells_when_it_is_over() {
    let mut world = calm(telephony(12));
    for whom in ["xivo1", "xivo2", "patton/call"] {
        world.far_end(whom, &FarEnd::Refuses);
    }
    world.run_for(minutes(50));
    world.killed_and_back(seconds(3));
    world.run_for(minutes(85));
    let start = |indicator: Indicator| {
        let members = &only(&world).members;
        let counted = members.iter().filter(|(subject, _)| {
            matches!(subject, Subject::Line(_)) == (indicator == Indicator::Ic6)
        });
        let down = counted
            .flat_map(|(_, spans)| spans)
            .filter(|span| span.word == Word::Down);
        down.map(|span| span.start.at).min().expect("down")
    };
    let marks: Vec<(Indicator, Passed, u64, u64)> = world
        .facts
        .iter()
        .filter_map(|fact| match fact.event().expect("ours") {
            Event::Clock(mark) => Some((
                mark.indicator,
                mark.passed,
                mark.at.since(start(mark.indicator)).as_secs() / 60,
                fact.utc.since(mark.at).as_secs(),
            )),
            _ => None,
        })
        .collect();
    assert_eq!(
        marks,
        [
            (Indicator::Ic6, Passed::AtRisk, 45, 0),
            (Indicator::Ic6, Passed::Breached, 60, 0),
            (Indicator::Ic5, Passed::AtRisk, 90, 0),
            (Indicator::Ic5, Passed::Breached, 120, 0),
        ],
        "each once, when it was passed, across a restart"
    );
}

#[test]
fn a_line_that_its_reserve_answers_is_restored_in_time() {
    let mut world = World::watching(telephony(13));
    world.far_end("patton/call", &FarEnd::Signs("*1#"));
    world.run_for(minutes(60));
    let before = world.now.utc;
    for whom in ["xivo1", "patton/call"] {
        world.far_end(whom, &FarEnd::Refuses);
    }
    world.run_for(minutes(38));
    world.far_end("patton/call", &FarEnd::Signs("*2#"));
    let bridged = world.now.utc;
    world.run_for(minutes(60));
    let incident = only(&world);
    assert_eq!(incident.state, State::Open, "XIVO 1 is still down");
    let span = incident.span_of(&line()).expect("it was down");
    let end = span.end.expect("the reserve answers");
    assert!(span.start.at >= before && end.at.since(bridged) <= minutes(2));
    let told = world.facts.iter().filter_map(|fact| match fact.event() {
        Ok(Event::Clock(mark)) => Some((mark.indicator, mark.passed)),
        _ => None,
    });
    assert!(
        told.into_iter()
            .all(|(indicator, _)| indicator != Indicator::Ic6),
        "38 minutes keep the hour of IC6"
    );
}

#[test]
fn a_reserve_that_takes_over_before_any_call_fails_is_no_outage_of_the_line() {
    let mut world = World::watching(telephony(14));
    world.far_end("patton/call", &FarEnd::Signs("*1#"));
    world.run_for(minutes(60));
    world.far_end("xivo1", &FarEnd::Refuses);
    world.far_end("patton/call", &FarEnd::Signs("*2#"));
    let before = world.now.utc;
    world.run_for(minutes(10));
    let incident = only(&world);
    assert_eq!(incident.cause, server("xivo1"));
    assert!(!incident.members.contains_key(&line()));
    assert!(incident.started().expect("known").at >= before);
}

#[test]
fn a_subject_that_fails_in_two_stories_ends_in_one_decision() {
    let mut world = calm(telephony(15));
    world.far_end("xivo2", &FarEnd::Refuses);
    world.run_for(minutes(2));
    world.far_end("xivo2", &FarEnd::Answers);
    world.run_for(minutes(30));
    world.far_end("switch", &FarEnd::Silent);
    world.run_for(minutes(3));
    let (incident, into) = (FIRST, IncidentId(2));
    world
        .act("lea", What::Merge { incident, into })
        .expect("a closed one into an open one");
    world.far_end("xivo2", &FarEnd::Refuses);
    world.run_for(minutes(10));
    let facts = world.facts.len();
    world.run_for(minutes(10));
    assert!(
        world.facts.len() - facts < 2_000,
        "decisions come to an end"
    );
    assert_eq!(world.engine.book().current().count(), 1);
    assert_eq!(read(&world.facts).differences(), []);
}

#[test]
fn a_decision_that_was_left_out_is_missed() {
    let mut world = calm(telephony(16));
    outage(&mut world, minutes(4));
    world.run_for(minutes(30));
    let mut chain = Chain::new(BootId::from("one"));
    let forged: Vec<Fact> = world
        .facts
        .iter()
        .map(|fact| (fact, fact.event().expect("ours")))
        .filter(|(_, event)| !matches!(event, Event::Incident(_)))
        .map(|(fact, event)| {
            let now = Now {
                instant: fact.boot,
                utc: fact.utc,
            };
            chain.append(now, &event)
        })
        .collect();
    assert!(!read(&forged).differences().is_empty());
}

#[test]
fn a_mark_that_was_told_is_not_told_again_after_a_split_or_a_merge() {
    let mut world = calm(telephony(7));
    for whom in ["xivo1", "xivo2", "patton/call"] {
        world.far_end(whom, &FarEnd::Refuses);
    }
    world.run_for(minutes(50));
    let told = |world: &World| -> Vec<(u64, Passed)> {
        let marks = world.facts.iter().filter_map(|fact| match fact.event() {
            Ok(Event::Clock(mark)) if mark.indicator == Indicator::Ic6 => {
                Some((mark.incident.0, mark.passed))
            }
            Ok(_) | Err(_) => None,
        });
        marks.collect()
    };
    assert_eq!(told(&world), [(1, Passed::AtRisk)]);
    let split = What::Split {
        incident: FIRST,
        subjects: vec![line()],
    };
    world.act("Léa Durand", split).expect("it can be split");
    world.run_for(minutes(20));
    let after_split = [(1, Passed::AtRisk), (2, Passed::Breached)];
    assert_eq!(told(&world), after_split);
    let merge = What::Merge {
        incident: IncidentId(2),
        into: FIRST,
    };
    world.act("Léa Durand", merge).expect("it can be merged");
    world.run_for(minutes(5));
    assert_eq!(told(&world), after_split);
    world.killed_and_back(seconds(2));
    world.run_for(minutes(5));
    assert_eq!(told(&world), after_split);
}
