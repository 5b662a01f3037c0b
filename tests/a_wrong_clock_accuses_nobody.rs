//! A certificate is judged by the date; a clock that nobody vouches for makes us blind, never a site down.

use vigie::engine::fact::ClockState;
use vigie::engine::input::Input;
use vigie::probe::Word;

use crate::support::world::{FarEnd, World, minutes, telephony};

#[test]
fn a_clock_that_was_never_set_right_expires_no_certificate() {
    for state in [
        None,
        Some(ClockState::Unknown),
        Some(ClockState::Unsynchronised),
    ] {
        let mut world = World::watching(telephony(3));
        if let Some(state) = state {
            world.give(Input::Clock(state));
        }
        world.far_end("xivo1", &FarEnd::Expired);
        world.far_end("xivo2", &FarEnd::Refuses);
        world.run_for(minutes(10));
        assert_eq!(world.word("xivo1"), Word::Blind, "{state:?}");
        // What does not rest on a date is judged as ever.
        assert_eq!(world.word("xivo2"), Word::Down, "{state:?}");
    }
}

#[test]
fn a_step_of_the_clock_is_not_believed_until_somebody_vouches_for_it() {
    let mut world = World::watching(telephony(3));
    world.give(Input::Clock(ClockState::Synchronised));
    world.run_for(minutes(5));
    world.give(Input::ClockStepped {
        by_ns: 63_072_000_000_000_000,
    });
    world.far_end("xivo1", &FarEnd::Expired);
    world.run_for(minutes(10));
    assert_eq!(world.word("xivo1"), Word::Blind);
    assert_eq!(world.ever_down(), [].into());
    world.give(Input::Clock(ClockState::Synchronised));
    world.run_for(minutes(5));
    assert_eq!(world.word("xivo1"), Word::Down);
}
