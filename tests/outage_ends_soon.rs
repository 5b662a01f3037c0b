//! The end of an outage is seen within the hurry of its proofs, whoever recovers first.

use vigie::health::standing::Subject;
use vigie::probe::Word;

use crate::support::world::{FarEnd, World, minutes, seconds, telephony};

#[test]
fn a_gateway_that_is_back_first_leaves_its_line_in_a_hurry() {
    let mut world = World::watching(telephony(7));
    world.far_end("patton/call", &FarEnd::Signs("*1#"));
    world.run_for(minutes(3));
    world.far_end("patton", &FarEnd::Silent);
    world.run_for(minutes(2));
    assert_eq!(world.word("patton"), Word::Down);
    assert_eq!(world.line("119"), Word::Down);
    // The gateway answers again; calls through it still fail for a while.
    world.far_end("patton/ping", &FarEnd::Answers);
    world.far_end("patton/options", &FarEnd::Answers);
    world.run_for(minutes(1));
    assert_ne!(world.word("patton"), Word::Down);
    assert_eq!(world.line("119"), Word::Down);
    let from = world.now.instant;
    world.run_for(minutes(2));
    let starts = world.starts_of("patton/call", from);
    for pair in starts.windows(2) {
        assert!(pair[1] - pair[0] <= seconds(16), "{starts:?}");
    }
    assert!(starts.len() >= 7, "{starts:?}");
    let back = world.now.instant;
    world.far_end("patton/call", &FarEnd::Signs("*1#"));
    world.run_for(minutes(2));
    let line = Subject::Line("119".into());
    let took = world.confirmed(&line, Word::Good, back).unwrap();
    assert!(took <= seconds(15 + 8), "{took:?}");
    let calm = world.now.instant;
    world.run_for(minutes(10));
    let starts = world.starts_of("patton/call", calm).len();
    assert!(starts <= 11, "the hurry is over: {starts}");
}

#[test]
fn a_hurry_follows_the_plant_through_a_reload() {
    let mut world = World::watching(telephony(7));
    world.run_for(minutes(3));
    world.far_end("patton/call", &FarEnd::Refuses);
    world.run_for(minutes(2));
    let mut plant = telephony(7);
    plant.targets[1].probes[2].timeout = seconds(3);
    world.reload(plant);
    let from = world.now.instant;
    world.run_for(minutes(1));
    let starts = world.starts_of("patton/call", from);
    assert!(
        starts.len() >= 4,
        "still down, still in a hurry: {starts:?}"
    );
    let mut plant = telephony(7);
    plant.lines.clear();
    plant.targets[1].probes[2].timeout = seconds(3);
    world.far_end("patton/call", &FarEnd::Answers);
    world.reload(plant);
    world.run_for(minutes(2));
    let from = world.now.instant;
    world.run_for(minutes(5));
    let starts = world.starts_of("patton/call", from);
    assert!(starts.len() <= 6, "nothing is down any more: {starts:?}");
}
