//! A line that is worse than it has been all week is degraded, though no limit says so; noise never is.

use std::sync::Arc;
use std::time::Duration;

use vigie::engine::plant::{Plant, Probe};
use vigie::id::Seed;
use vigie::probe::call::Settings;
use vigie::probe::{Check, Failure, Word};
use vigie::quality::limits::Limit;
use vigie::quality::metric::Metric;
use vigie::sla::contract::Terms;

use crate::support::world::{FarEnd, World, call, minutes, seconds, target};

const DAY: Duration = Duration::from_secs(24 * 3600);
const HOUR: Duration = Duration::from_secs(3600);

/// One line, called every ten minutes: a week is a thousand calls.
fn a_line() -> Plant {
    Plant {
        name: "119".into(),
        seed: Seed(1),
        targets: vec![target("line", &[], vec![the_call(|_| {})])],
        lines: Vec::new(),
        trunks: Vec::new(),
        terms: Terms::default(),
        alerts: Vec::new(),
        places: vigie::health::Places::default(),
    }
}

/// The call, with other settings than usual.
fn the_call(change: impl FnOnce(&mut Settings)) -> Probe {
    let probe = call("line/call", "t2", 600);
    let Check::Call(settings) = probe.check.as_ref() else {
        panic!("{probe:?}");
    };
    let mut settings = settings.clone();
    change(&mut settings);
    Probe {
        check: Arc::new(Check::Call(settings)),
        ..probe
    }
}

const fn jitter(microseconds: u32) -> FarEnd {
    FarEnd::Jitters {
        microseconds,
        we_overloaded: false,
    }
}

/// A world whose line has had a day with a jitter of 3.5 to 4.5 ms.
fn after_a_calm_day(plant: Plant) -> World {
    let mut world = World::watching(plant);
    let day: Vec<FarEnd> = (0..150).map(|n| jitter(3_500 + n % 2 * 1_000)).collect();
    world.next_runs("line/call", &day);
    world.far_end("line", &jitter(4_000));
    world.run_for(DAY + HOUR);
    assert_eq!(world.changes_to("line"), [Word::Good]);
    world
}

fn failure(world: &World) -> Failure {
    let view = world.view_now();
    let failure = view.targets[0].failure.clone();
    failure.expect("what is degraded says why")
}

#[test]
fn a_line_that_leaves_its_week_is_degraded_and_says_value_limit_and_what_is_usual() {
    let mut world = after_a_calm_day(a_line());
    let began = world.now.instant;
    world.far_end("line", &jitter(25_000));
    world.run_for(minutes(20));
    assert_eq!(world.word("line"), Word::Degraded);
    let failure_of_line = failure(&world);
    assert_eq!(failure_of_line.code, "unusual_jitter_ms");
    assert_eq!(
        failure_of_line.words,
        "jitter 25 ms, limit 12 ms (usual here 4 ms)"
    );
    assert_eq!(failure_of_line.words_fr(), "son plus haché que d’habitude");
    let calls = world.starts_of("line/call", began).len();
    assert!(calls <= 4, "{calls} calls");

    world.far_end("line", &jitter(4_000));
    world.run_for(minutes(20));
    assert_eq!(world.word("line"), Word::Good);
}

#[test]
fn a_single_bad_call_changes_nothing() {
    let mut world = after_a_calm_day(a_line());
    world.changes.clear();
    world.next_runs("line/call", &[jitter(25_000)]);
    world.run_for(HOUR);
    assert!(world.changes.iter().all(|(_, change)| !change.is_hard()));
}

/// A week of noise with a long tail, as jitter has it, and a day of the same after it.
#[test]
fn the_noise_of_a_natural_week_never_degrades_a_line() {
    let mut random = fastrand::Rng::with_seed(119);
    let mut noise = || {
        let mut microseconds = 4_000;
        while random.u8(..) < 154 {
            microseconds += 1_000;
        }
        jitter(microseconds)
    };
    let calls: Vec<FarEnd> = (0..1_200).map(|_| noise()).collect();
    let mut world = World::watching(a_line());
    world.next_runs("line/call", &calls);
    world.run_for(8 * DAY);
    assert_eq!(world.changes_to("line"), [Word::Good]);
}

#[test]
fn a_restart_forgets_nothing_of_the_week() {
    let mut world = after_a_calm_day(a_line());
    world.killed_and_back(seconds(5));
    world.far_end("line", &jitter(25_000));
    world.run_for(minutes(20));
    assert_eq!(failure(&world).code, "unusual_jitter_ms");

    world.give(vigie::engine::input::Input::Stopping);
    let live = serde_json::to_string(&world.view_now()).unwrap();
    let replayed = serde_json::to_string(&world.replayed().view(world.now)).unwrap();
    assert_eq!(live, replayed);
    world.changes.clear();
    world.killed_and_back(seconds(5));
    world.run_for(minutes(20));
    assert_eq!(world.word("line"), Word::Degraded);
    assert_eq!(world.changes, []);
}

#[test]
fn calls_of_an_overloaded_watchdog_neither_breach_nor_teach() {
    let ours = |microseconds| FarEnd::Jitters {
        microseconds,
        we_overloaded: true,
    };
    let mut world = after_a_calm_day(a_line());
    world.far_end("line", &ours(25_000));
    world.run_for(6 * HOUR);
    assert_eq!(world.changes_to("line"), [Word::Good], "no breach");
    world.far_end("line", &jitter(25_000));
    world.run_for(minutes(20));
    assert_eq!(
        failure(&world).words,
        "jitter 25 ms, limit 12 ms (usual here 4 ms)",
        "nothing was learnt of the six hours"
    );

    let mut world = World::watching(a_line());
    world.far_end("line", &ours(4_000));
    world.run_for(DAY + HOUR);
    world.far_end("line", &jitter(25_000));
    world.run_for(HOUR);
    assert_eq!(world.changes_to("line"), [Word::Good], "nothing is known");
}

#[test]
fn a_metric_that_is_not_judged_is_not_compared_either() {
    let mut plant = a_line();
    plant.targets[0].probes[0] =
        the_call(|call| call.limits.set(Metric::JitterMs, Limit::default()));
    let mut world = after_a_calm_day(plant);
    world.far_end("line", &jitter(25_000));
    world.run_for(HOUR);
    assert_eq!(world.changes_to("line"), [Word::Good]);
}

#[test]
fn a_probe_that_asks_something_else_begins_its_week_anew() {
    let mut world = after_a_calm_day(a_line());
    let mut plant = a_line();
    plant.targets[0].probes[0] = the_call(|call| call.hold = seconds(4));
    world.reload(plant);
    world.far_end("line", &jitter(25_000));
    world.changes.clear();
    world.run_for(HOUR);
    assert_eq!(world.word("line"), Word::Good);
    // The line has other calls now, and a restart must not give the old ones back.
    world.killed_and_back(seconds(5));
    world.run_for(HOUR);
    assert_eq!(world.word("line"), Word::Good);
}
