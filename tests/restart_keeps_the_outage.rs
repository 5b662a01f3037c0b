//! A kill at any moment: the service comes back with the same states, and an outage goes on.

use std::time::Duration;

use vigie::engine::plant::Plant;
use vigie::probe::Word;

use crate::support::world::{FarEnd, World, call, hint, minutes, seconds, target, telephony};

/// The telephony, and servers of every lane that nobody calls.
fn with_servers(seed: u64) -> Plant {
    let mut plant = telephony(seed);
    for (number, every) in [5, 5, 5, 30, 30, 300].into_iter().enumerate() {
        let id = format!("srv{number}");
        let ping = hint(&format!("{id}/ping"), every);
        plant.targets.push(target(&id, &["switch"], vec![ping]));
    }
    plant
}

#[test]
fn an_outage_survives_a_kill_and_keeps_its_beginning() {
    let mut world = World::watching(telephony(3));
    world.run_for(minutes(3));
    world.far_end("xivo1", &FarEnd::Refuses);
    world.run_for(minutes(2));
    let before = world.view_now();
    world.changes.clear();
    world.killed_and_back(seconds(5));
    world.run_for(seconds(30));
    let after = world.view_now();
    for (was, is) in before.targets.iter().zip(&after.targets) {
        assert_eq!((was.state, was.since), (is.state, is.since), "{}", was.id);
    }
    assert_eq!(world.changes, [], "no state is lost or invented");
}

#[test]
fn a_kill_at_any_moment_loses_and_invents_nothing() {
    for seed in 0..40 {
        let mut chance = fastrand::Rng::with_seed(seed);
        let mut world = World::watching(with_servers(seed));
        world.run_for(minutes(6));
        if chance.bool() {
            world.far_end("xivo1", &FarEnd::Refuses);
        }
        world.far_end("srv1", &FarEnd::Silent);
        world.run_for(minutes(2) + Duration::from_millis(chance.u64(..120_000)));
        let before = world.view_now();
        world.changes.clear();
        world.killed_and_back(Duration::from_millis(chance.u64(500..5_000)));
        world.run_for(minutes(1));
        let after = world.view_now();
        for (was, is) in before.targets.iter().zip(&after.targets) {
            let (was, is) = (
                (was.state, was.since, &was.id),
                (is.state, is.since, &is.id),
            );
            assert_eq!(was, is, "seed {seed}");
        }
        assert_eq!(world.changes, [], "seed {seed}");
    }
}

#[test]
fn a_blindness_before_the_kill_is_not_covered_by_the_heartbeat() {
    let mut world = World::watching(with_servers(1));
    world.run_for(minutes(6));
    world.far_end("srv0", &FarEnd::Lost);
    world.run_for(seconds(12));
    world.killed_and_back(seconds(8));
    world.run_for(seconds(15));
    assert_eq!(world.word("srv0"), Word::Blind);
}

#[test]
fn a_check_that_is_new_after_a_restart_is_unseen_since_then_and_not_since_1970() {
    let mut world = World::watching(telephony(3));
    world.run_for(minutes(3));
    let began = world.now.utc;
    let mut plant = telephony(3);
    plant.targets[0]
        .probes
        .push(call("switch/call", "switch", 60));
    world.plant = std::sync::Arc::new(plant);
    world.changes.clear();
    world.killed_and_back(seconds(2));
    assert_eq!(
        world.word("switch"),
        Word::Blind,
        "nobody has called it yet"
    );
    for (_, change) in &world.changes {
        assert!(change.to.since >= began, "{change:?}");
    }
    world.run_for(minutes(1));
    assert_eq!(world.word("switch"), Word::Good);
}

#[test]
fn after_a_long_absence_nothing_old_is_shown_as_known() {
    let mut world = World::watching(telephony(3));
    world.run_for(minutes(3));
    world.killed_and_back(minutes(60));
    let view = world.view_now();
    assert!(
        view.targets
            .iter()
            .all(|target| target.state == Word::Blind)
    );
    world.run_for(minutes(2));
    assert!(
        world
            .view_now()
            .targets
            .iter()
            .all(|target| target.state == Word::Good)
    );
    assert_eq!(world.ever_down(), [].into());
}

#[test]
fn a_replayed_journal_shows_the_same_page() {
    let mut world = World::watching(telephony(5));
    world.run_for(minutes(3));
    world.far_end("xivo1", &FarEnd::Refuses);
    world.run_for(minutes(2));
    world.far_end("xivo2/options", &FarEnd::Blind);
    world.run_for(minutes(3));
    // A tally closes what has no fact of its own.
    world.give(vigie::engine::input::Input::Stopping);
    let live = serde_json::to_string(&world.view_now()).unwrap();
    let replayed = serde_json::to_string(&world.replayed().view(world.now)).unwrap();
    assert_eq!(live, replayed);
}

#[test]
fn a_calm_hour_is_a_small_part_of_the_journal() {
    let mut world = World::watching(with_servers(1));
    world.run_for(minutes(10));
    let before = world.facts.len();
    world.run_for(minutes(60));
    let hour = &world.facts[before..];
    let bytes = |kind: &str| -> usize {
        let facts = hour.iter().filter(|fact| fact.kind == kind);
        facts.map(|fact| fact.payload.len()).sum()
    };
    let probes: usize = world.plant.targets.iter().map(|one| one.probes.len()).sum();
    assert!(bytes("tally") <= probes * 6 * 200, "{}", bytes("tally"));
    assert!(bytes("heartbeat") <= 720 * 100, "{}", bytes("heartbeat"));
}
