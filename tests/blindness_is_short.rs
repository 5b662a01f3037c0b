//! What we could not see is asked again at once, and is called unknown soon: never down, never long OUI.

use vigie::board::view::Answer;
use vigie::health::standing::Subject;
use vigie::probe::Word;

use crate::support::world::{FarEnd, World, minutes, seconds, telephony};

fn healthy() -> World {
    let mut world = World::watching(telephony(7));
    world.far_end("patton/call", &FarEnd::Signs("*1#"));
    world.run_for(minutes(3));
    world
}

#[test]
fn a_confirmation_that_saw_nothing_is_made_again_at_once() {
    let mut world = healthy();
    let from = world.now.instant;
    world.far_end("patton/call", &FarEnd::Refuses);
    world.next_runs("patton/call", &[FarEnd::Refuses, FarEnd::Blind]);
    world.run_for(minutes(3));
    let first = world.starts_of("patton/call", from)[0];
    let line = Subject::Line("119".into());
    let took = world.confirmed(&line, Word::Down, from).unwrap() - first;
    assert!(took <= seconds(3), "confirmed {took:?} after the first");
}

#[test]
fn one_blind_run_is_asked_again_once_and_moves_nothing() {
    let mut world = healthy();
    let from = world.now.instant;
    world.changes.clear();
    world.next_runs("patton/call", &[FarEnd::Blind]);
    world.run_for(minutes(2));
    let starts = world.starts_of("patton/call", from);
    assert!(starts[1] - starts[0] < seconds(1), "{starts:?}");
    assert!(starts.len() <= 4, "once: {starts:?}");
    assert_eq!(world.changes, []);
}

#[test]
fn a_line_that_we_cannot_call_is_unknown_after_one_more_interval() {
    let mut world = healthy();
    let from = world.now.instant;
    world.far_end("patton/call", &FarEnd::Blind);
    world.run_for(minutes(5));
    assert_eq!(world.view_now().answer, Answer::Unknown);
    let first = world.starts_of("patton/call", from)[0];
    let line = Subject::Line("119".into());
    let took = world.confirmed(&line, Word::Blind, from).unwrap() - first;
    assert!(took <= seconds(61), "unknown {took:?} after the first");
    assert!(took >= seconds(5), "one hiccup of ours is no blindness");
    let starts = world.starts_of("patton/call", from);
    assert!(starts.len() <= 7, "it is not hammered: {starts:?}");
    assert_eq!(world.ever_down(), [].into());
    let back = world.now.instant;
    world.far_end("patton/call", &FarEnd::Signs("*1#"));
    world.run_for(minutes(2));
    let took = world.confirmed(&line, Word::Good, back).unwrap();
    assert!(took <= seconds(65), "{took:?}");
}
