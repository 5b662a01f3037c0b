//! What a reload or a restart changes in the plant is on the page at once, and in the journal.

use vigie::board::view::Answer;
use vigie::engine::fact::Event;
use vigie::engine::plant::{Line, Plant};

use crate::support::world::{FarEnd, World, call, minutes, seconds, target, telephony};

/// A second line, by a gateway of its own that nothing else depends on.
fn two_lines() -> Plant {
    let mut plant = telephony(7);
    let gateway = target("sip", &[], vec![call("sip/queue", "sip", 60)]);
    plant.targets.push(gateway);
    plant.lines.push(Line {
        id: "queue".into(),
        name: "file".into(),
        proofs: vec!["sip/queue".into()],
        signatures: Vec::new(),
    });
    plant
}

fn with_a_dead_queue() -> World {
    let mut world = World::watching(two_lines());
    world.far_end("patton/call", &FarEnd::Signs("*1#"));
    world.run_for(minutes(3));
    world.far_end("sip/queue", &FarEnd::Refuses);
    world.run_for(minutes(3));
    assert_eq!(world.view_now().answer, Answer::Partly);
    world
}

fn last_answer(world: &World) -> Option<Answer> {
    world
        .facts
        .iter()
        .rev()
        .find_map(|fact| match fact.event() {
            Ok(Event::Answered { to, .. }) => Some(to),
            _ => None,
        })
}

#[test]
fn a_dead_line_that_is_removed_leaves_the_answer() {
    for restarts in [false, true] {
        let mut world = with_a_dead_queue();
        let when = world.now.utc;
        if restarts {
            world.plant = std::sync::Arc::new(telephony(7));
            world.killed_and_back(seconds(2));
        } else {
            world.reload(telephony(7));
        }
        let view = world.view_now();
        assert_eq!(view.answer, Answer::Yes, "restarts: {restarts}");
        assert_eq!(
            view.because,
            "La ligne 119, accueil répond à nos appels d’essai."
        );
        assert!(view.since >= when, "{:?}", view.since);
        assert_eq!(last_answer(&world), Some(Answer::Yes));
    }
}

#[test]
fn a_line_that_is_added_is_unknown_until_it_is_called() {
    let mut world = World::watching(telephony(7));
    world.far_end("patton/call", &FarEnd::Signs("*1#"));
    world.run_for(minutes(3));
    world.reload(two_lines());
    assert_eq!(world.view_now().answer, Answer::Unknown);
    world.run_for(minutes(1));
    assert_eq!(world.view_now().answer, Answer::Yes);
}
