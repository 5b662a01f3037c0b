//! A kill at any moment: the service comes back with the same states, and an outage goes on.

use vigie::probe::Word;

use crate::support::world::{FarEnd, World, minutes, seconds, telephony};

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
