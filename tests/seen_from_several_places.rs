//! An outage is what two places see. What one alone sees makes that place suspect, and nobody is told that the line
//! is down.

use vigie::engine::plant::{Plant, Trunk};
use vigie::health::SEEN_FROM_SOME_PLACES;
use vigie::health::standing::Subject;
use vigie::incident::IncidentId;
use vigie::incident::book::State;
use vigie::probe::Word;

use crate::support::world::{FarEnd, World, minutes, seconds, telephony, watched_also_from};

/// The telephony, seen from the server room and by a 4G modem.
fn two_places(seed: u64) -> Plant {
    let mut plant = watched_also_from(telephony(seed), &["4g"]);
    // Two calls a minute, and what failures ask for.
    plant.trunks.push(Trunk {
        id: "t2".into(),
        calls_per_hour_max: 240,
    });
    plant
}

fn calm(plant: Plant) -> World {
    let mut world = World::watching(plant);
    world.run_for(minutes(5));
    assert_eq!(world.ever_down().len(), 0);
    world
}

fn line() -> Subject {
    Subject::Line("119".into())
}

#[test]
fn one_place_cut_off_is_suspect_and_the_answer_stays_yes() {
    for (place, name) in [(Some("4g"), "4g"), (None, "vigie")] {
        let mut world = calm(two_places(1));
        world.far_ends_meet(place, &FarEnd::Silent);
        world.run_for(minutes(10));
        let view = world.view_now();
        assert_eq!(view.answer, vigie::board::view::Answer::Yes, "{name}");
        let suspects: Vec<&str> = view.suspects().iter().map(|id| id.as_str()).collect();
        assert_eq!(suspects, [name]);
        let line = &view.lines[0];
        assert_eq!(line.state, Word::Degraded, "{name}");
        let failure = line.failure.as_ref().expect("it says why");
        assert_eq!(failure.code, SEEN_FROM_SOME_PLACES, "{name}");
        assert_eq!(line.seen_from[&name.into()], Word::Down);
        assert_eq!(world.ever_down().len(), 0, "{name}");
        assert_eq!(world.engine.book().incidents().count(), 0, "{name}");
        world.far_ends_meet(place, &FarEnd::Answers);
        world.run_for(minutes(5));
        assert_eq!(world.view_now().suspects().len(), 0, "{name}");
        assert_eq!(world.line("119"), Word::Good, "{name}");
    }
}

#[test]
fn what_both_see_is_down_as_soon_as_with_one_place() {
    for seed in 0..20 {
        let mut world = calm(two_places(seed));
        let cut = world.now.instant;
        world.far_end("xivo1", &FarEnd::Silent);
        world.run_for(minutes(2));
        let xivo1 = Subject::Target("xivo1".into());
        let after = world.confirmed(&xivo1, Word::Down, cut);
        let after = after.expect("it is down for two places");
        assert!(after <= seconds(12), "seed {seed}: {after:?}");
    }
}

#[test]
fn a_place_that_sees_nothing_neither_confirms_nor_denies() {
    let mut world = calm(two_places(3));
    world.far_ends_meet(Some("4g"), &FarEnd::Blind);
    world.run_for(minutes(10));
    assert_eq!(world.line("119"), Word::Good, "the other place proves it");
    world.far_end("patton/call", &FarEnd::Refuses);
    world.far_ends_meet(Some("4g"), &FarEnd::Blind);
    world.run_for(minutes(3));
    assert_eq!(
        world.line("119"),
        Word::Down,
        "the other place alone sees it"
    );
}

#[test]
fn an_outage_starts_with_the_first_failed_call_of_whichever_place() {
    for seed in 0..20 {
        let mut world = calm(two_places(seed));
        let before = world.now;
        world.far_end("patton/call", &FarEnd::Refuses);
        world.run_for(minutes(5));
        // A call lasts 3 s: one under way when the fault began met it too.
        let failed = world
            .starts
            .iter()
            .filter(|(at, id, _)| *at + seconds(3) >= before.instant && id.check() == "patton/call")
            .map(|(at, _, _)| world.now.utc - world.now.instant.since(*at))
            .min();
        let first = failed.expect("it was called");
        let incident = world.engine.book().incident(IncidentId(1)).expect("one");
        let span = incident.span_of(&line()).expect("the line is down");
        assert_eq!(span.start.at, first, "seed {seed}");
        assert_eq!(span.word, Word::Down, "seed {seed}");
    }
}

#[test]
fn a_line_is_restored_by_calls_from_both_places() {
    let mut world = calm(two_places(5));
    world.far_end("patton/call", &FarEnd::Refuses);
    world.run_for(minutes(5));
    // The main place reaches it again; the modem does not.
    world.far_end("patton/call", &FarEnd::Answers);
    world.far_end("patton/call@4g", &FarEnd::Refuses);
    world.run_for(minutes(10));
    let state = |world: &World| {
        let incident = world.engine.book().incident(IncidentId(1)).expect("one");
        incident.state
    };
    assert_eq!(state(&world), State::Open, "one place proves one way");
    let mended = world.now.utc;
    world.far_end("patton/call@4g", &FarEnd::Answers);
    world.run_for(minutes(5));
    assert_eq!(state(&world), State::Restored);
    let incident = world.engine.book().incident(IncidentId(1)).expect("one");
    let end = incident.ended().expect("it ended");
    assert!(
        end.at < mended,
        "the first good call of the proof is backdated"
    );
}

#[test]
fn a_restart_keeps_who_sees_it() {
    let mut world = calm(two_places(7));
    world.far_ends_meet(Some("4g"), &FarEnd::Silent);
    world.run_for(minutes(5));
    let before = world.view_now();
    world.changes.clear();
    world.killed_and_back(seconds(5));
    world.run_for(seconds(30));
    let after = world.view_now();
    for (was, is) in before.targets.iter().zip(&after.targets) {
        let was = (was.state, was.since, &was.seen_from);
        assert_eq!(was, (is.state, is.since, &is.seen_from), "{}", is.id);
    }
    assert_eq!(world.changes, [], "no state is lost or invented");
}
