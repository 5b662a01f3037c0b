//! Our calls take channels from callers: never more an hour than allowed, and an outage is told in time all
//! the same.

use vigie::engine::plant::{Plant, Trunk};
use vigie::health::standing::Subject;
use vigie::probe::Word;
use vigie::time::Instant;

use crate::support::world::{FarEnd, World, call, minutes, seconds, telephony};

/// Two proofs over one trunk, 80 calls an hour of 90.
fn plant() -> Plant {
    let mut plant = telephony(7);
    plant.targets[1]
        .probes
        .push(call("patton/queue", "t2", 180));
    plant.lines[0].proofs.push("patton/queue".into());
    plant.trunks.push(Trunk {
        id: "t2".into(),
        calls_per_hour_max: 90,
    });
    plant
}

fn healthy() -> World {
    let mut world = World::watching(plant());
    world.far_end("patton/call", &FarEnd::Signs("*1#"));
    world.run_for(minutes(60));
    world
}

fn calls(world: &World, from: Instant) -> Vec<std::time::Duration> {
    let mut calls = world.starts_of("patton/call", from);
    calls.extend(world.starts_of("patton/queue", from));
    calls.sort();
    calls
}

fn busiest_hour(world: &World) -> usize {
    let calls = calls(world, Instant(0));
    let within = |from: usize| {
        let end = calls[from] + minutes(60);
        calls[from..].iter().take_while(|at| **at < end).count()
    };
    (0..calls.len()).map(within).max().unwrap_or(0)
}

#[test]
fn a_calm_hour_has_the_calls_of_its_cadences() {
    let mut world = healthy();
    let from = world.now.instant;
    world.run_for(minutes(60));
    let calls = calls(&world, from).len();
    assert!((79..=81).contains(&calls), "{calls}");
}

#[test]
fn a_trunk_that_is_full_for_hours_is_not_filled_by_us() {
    let mut world = healthy();
    world.far_end("patton/call", &FarEnd::Refuses);
    world.far_end("patton/queue", &FarEnd::Refuses);
    world.run_for(minutes(240));
    assert_eq!(world.line("119"), Word::Down);
    assert!(busiest_hour(&world) <= 120, "{}", busiest_hour(&world));
    let from = world.now.instant;
    world.run_for(minutes(60));
    let calls = calls(&world, from).len();
    assert!(calls <= 91, "{calls}");
    let back = world.now.instant;
    world.far_end("patton/call", &FarEnd::Signs("*1#"));
    world.far_end("patton/queue", &FarEnd::Answers);
    world.run_for(minutes(5));
    let line = Subject::Line("119".into());
    let took = world.confirmed(&line, Word::Good, back).unwrap();
    assert!(took <= seconds(100), "{took:?}");
}

#[test]
fn a_short_outage_is_hurried_as_ever() {
    let mut world = healthy();
    world.far_end("patton/call", &FarEnd::Refuses);
    world.far_end("patton/queue", &FarEnd::Refuses);
    world.run_for(minutes(3));
    let back = world.now.instant;
    world.far_end("patton/call", &FarEnd::Signs("*1#"));
    world.far_end("patton/queue", &FarEnd::Answers);
    world.run_for(minutes(1));
    let line = Subject::Line("119".into());
    let took = world.confirmed(&line, Word::Good, back).unwrap();
    assert!(took <= seconds(15 + 8), "{took:?}");
}

#[test]
fn a_lossy_pbx_asks_for_few_calls_and_its_death_is_still_seen_in_time() {
    let mut world = healthy();
    let from = world.now.instant;
    for _ in 0..90 {
        world.next_runs("xivo2/options", &[FarEnd::Silent]);
        world.run_for(seconds(40));
    }
    let made = calls(&world, from).len();
    assert!(made <= 80 + 14, "{made} calls in an hour of lost packets");
    assert_eq!(world.ever_down(), [].into());
    let from = world.now.instant;
    world.far_end("xivo2", &FarEnd::Silent);
    world.run_for(minutes(2));
    let xivo2 = Subject::Target("xivo2".into());
    let took = world.confirmed(&xivo2, Word::Down, from).unwrap();
    assert!(took <= seconds(20), "{took:?}");
}

#[test]
fn calls_that_were_spent_before_delay_no_confirmation() {
    let mut world = healthy();
    for _ in 0..60 {
        world.next_runs("patton/call", &[FarEnd::Refuses]);
        world.next_runs("xivo1/options", &[FarEnd::Silent]);
        world.run_for(seconds(61));
    }
    assert_eq!(world.ever_down(), [].into());
    assert!(busiest_hour(&world) <= 120, "{}", busiest_hour(&world));
    let from = world.now.instant;
    world.far_end("patton/call", &FarEnd::Refuses);
    world.far_end("patton/queue", &FarEnd::Refuses);
    world.run_for(minutes(5));
    let first = calls(&world, from)[0];
    let line = Subject::Line("119".into());
    let took = world.confirmed(&line, Word::Down, from).unwrap() - first;
    assert!(took <= seconds(12), "{took:?} after the first failed call");
}
