//! A clock that is set changes no duration: over a reboot, while the service was down, or while a probe is on its way.

use std::time::Duration;

use vigie::engine::fact::{Event, Judged};
use vigie::engine::history::History;
use vigie::engine::input::Input;
use vigie::health::standing::Subject;
use vigie::incident::IncidentId;
use vigie::incident::span::Span;
use vigie::time::{Instant, Utc};

use crate::support::world::{FarEnd, World, minutes, seconds, telephony};

const HOUR_NS: i64 = 3_600_000_000_000;

fn line() -> Subject {
    Subject::Line("119".into())
}

fn telephony_is(world: &mut World, far: &FarEnd) {
    for whom in ["xivo1", "xivo2", "patton/call"] {
        world.far_end(whom, far);
    }
}

/// Somebody sets the wall clock, and the service sees it.
fn set_clock(world: &mut World, by_ns: i64) {
    world.now.utc.0 += by_ns;
    world.give(Input::ClockStepped { by_ns });
}

/// What the incident of the line says of it.
fn span(world: &World) -> Span {
    let book = world.engine.book();
    let incident = book.incident(IncidentId(1)).expect("the outage");
    let others = book.incidents().skip(1);
    assert!(
        others
            .into_iter()
            .all(|other| !other.members.contains_key(&line()))
    );
    incident.span_of(&line()).expect("it was down").clone()
}

fn steps(world: &World) -> Vec<i64> {
    let events = world.facts.iter().map(|fact| fact.event().unwrap());
    events
        .filter_map(|event| match event {
            Event::ClockStepped { by_ns } => Some(by_ns),
            _ => None,
        })
        .collect()
}

fn holds_together(world: &World) {
    let mut history = History::default();
    for fact in &world.facts {
        history.take(fact).unwrap();
    }
    assert_eq!(history.differences(), []);
}

/// How far apart two moments are.
fn apart(one: Utc, other: Utc) -> Duration {
    one.since(other).max(other.since(one))
}

#[test]
fn a_step_after_a_reboot_leaves_what_the_boot_before_stamped() {
    for wrong_ns in [0, -20 * 365 * 24 * HOUR_NS, -2 * HOUR_NS, 2 * HOUR_NS] {
        let mut world = World::watching(telephony(1));
        world.run_for(minutes(5));
        telephony_is(&mut world, &FarEnd::Refuses);
        world.run_for(minutes(5));
        let before = span(&world).start;
        // The machine boots again; its clock is wrong until NTP sets it.
        world.rebooted(minutes(2), wrong_ns);
        world.run_for(seconds(90));
        set_clock(&mut world, -wrong_ns);
        world.run_for(minutes(1));
        assert_eq!(
            span(&world).start,
            before,
            "{wrong_ns}: no clock of this boot made it"
        );
        telephony_is(&mut world, &FarEnd::Answers);
        let mended = world.now.utc;
        world.run_for(minutes(6));
        let end = span(&world).end.expect("it works again");
        assert!(
            apart(end.at, mended) <= minutes(1),
            "{wrong_ns}: {end:?}, {mended:?}"
        );
        assert!(
            end.earliest <= end.at && end.at <= end.latest,
            "{wrong_ns}: {end:?}"
        );
        holds_together(&world);
    }
}

#[test]
fn the_last_good_call_of_the_boot_before_bounds_a_start_and_does_not_move() {
    let mut world = World::watching(telephony(2));
    world.run_for(minutes(11));
    world.give(Input::Stopping);
    let stopped = world.now.utc;
    world.rebooted(seconds(100), 2 * HOUR_NS);
    telephony_is(&mut world, &FarEnd::Refuses);
    world.run_for(minutes(2));
    set_clock(&mut world, -2 * HOUR_NS);
    world.run_for(minutes(1));
    let start = span(&world).start;
    assert!(start.earliest <= stopped, "{start:?}, stopped {stopped:?}");
    assert!(apart(start.earliest, stopped) <= seconds(70), "{start:?}");
    assert!(apart(start.at, stopped) <= minutes(3), "{start:?}");
    holds_together(&world);
}

#[test]
fn a_step_while_the_service_was_down_is_a_fact_all_the_same() {
    for by_ns in [-2 * HOUR_NS, 2 * HOUR_NS, 1_500_000_000] {
        let lasted = |step: bool| {
            let mut world = World::watching(telephony(3));
            world.run_for(minutes(5));
            telephony_is(&mut world, &FarEnd::Refuses);
            world.run_for(minutes(5));
            if step {
                world.now.utc.0 += by_ns;
            }
            world.killed_and_back(seconds(4));
            world.run_for(minutes(5));
            telephony_is(&mut world, &FarEnd::Answers);
            world.run_for(minutes(6));
            assert_eq!(steps(&world), if step { vec![by_ns] } else { vec![] });
            holds_together(&world);
            span(&world).lasted()
        };
        assert_eq!(lasted(true), lasted(false), "{by_ns} ns");
    }
}

#[test]
fn noise_of_two_clocks_is_no_step() {
    let mut world = World::watching(telephony(4));
    world.run_for(minutes(1));
    world.now.utc.0 += 15_000_000;
    world.killed_and_back(seconds(4));
    assert!(steps(&world).is_empty());
}

/// The runs of this probe that have a fact, with the moment of that.
fn runs(world: &World, probe: &str) -> Vec<(Utc, Instant, Judged)> {
    let facts = world.facts.iter();
    facts
        .filter_map(|fact| match fact.event().unwrap() {
            Event::Verdict(judged) if judged.probe.as_str() == probe => {
                Some((fact.utc, fact.boot, judged))
            }
            _ => None,
        })
        .collect()
}

#[test]
fn a_probe_on_its_way_over_a_step_left_when_it_left() {
    for by_ns in [-2 * HOUR_NS, 2 * HOUR_NS, -1_000_000_000, 1_000_000_000] {
        let mut world = World::watching(telephony(5));
        world.run_for(minutes(5));
        world.far_end("xivo1", &FarEnd::Silent);
        // A silent OPTIONS is given up after two seconds.
        let from = world.now;
        while world.starts_of("xivo1/options", from.instant).is_empty() {
            world.run_for(Duration::from_millis(100));
        }
        let left = from.after(world.starts_of("xivo1/options", from.instant)[0]);
        world.run_for(Duration::from_millis(700));
        set_clock(&mut world, by_ns);
        let left_now = Utc(left.utc.0 + by_ns);
        world.run_for(seconds(20));
        let (_, _, first) = runs(&world, "xivo1/options")
            .into_iter()
            .find(|(_, at, judged)| *at >= left.instant && judged.failure.is_some())
            .expect("it fails");
        assert_eq!(first.sent, left_now, "{by_ns} ns");
        let good = first.last_good.expect("it was good before");
        assert!(
            good < left_now && left_now.since(good) <= seconds(6),
            "{by_ns} ns: {good:?}"
        );
        let since = world.view_now().targets[2].since;
        assert!(
            apart(since, left_now) <= seconds(10),
            "{by_ns} ns: the page says {since:?}"
        );
        assert_eq!(
            world.replayed().view(world.now).targets[2].since,
            since,
            "{by_ns} ns: a restart says the same"
        );
        holds_together(&world);
    }
}
