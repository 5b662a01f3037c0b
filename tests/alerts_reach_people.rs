//! Whoever has to know hears of an outage soon, once, and of its end: across restarts, a failing disk and planned
//! work.

use std::collections::BTreeSet;
use std::time::Duration;

use vigie::alert::notice::{Notice, Reason};
use vigie::alert::settings::{Channel, DIGEST, Filter, Kind, REMINDER, TIMEOUT, Webhook};
use vigie::engine::input::Input;
use vigie::engine::plant::Plant;
use vigie::health::standing::Subject;
use vigie::incident::IncidentId;
use vigie::incident::act::What;
use vigie::probe::{Blame, Failure, Word};
use vigie::time::Instant;

use crate::support::world::{FarEnd, World, hint, minutes, seconds, target, telephony};

fn channel(name: &str, min: Word) -> Channel {
    Channel {
        name: name.into(),
        kind: Kind::Webhook(Webhook {
            url: "https://192.0.2.1/vigie".into(),
            secret: "env:KEY".parse().expect("a reference"),
        }),
        filter: Filter {
            min,
            ..Filter::default()
        },
        reminder: Some(REMINDER),
        digest: DIGEST,
        timeout: TIMEOUT,
        page: None,
    }
}

fn told(seed: u64) -> Plant {
    let mut plant = telephony(seed);
    plant.alerts = vec![channel("duty", Word::Down)];
    plant
}

fn calm(plant: Plant) -> World {
    let mut world = World::watching(plant);
    world.run_for(minutes(5));
    assert!(world.sent.is_empty(), "{:?}", world.sent);
    world
}

fn all(world: &mut World, far: &FarEnd) {
    for whom in ["xivo1", "xivo2", "patton/call"] {
        world.far_end(whom, far);
    }
}

/// Everything that was told, and when it left.
fn notices(world: &World) -> Vec<(Instant, Notice)> {
    let sent = world.sent.iter();
    sent.flat_map(|(at, outgoing)| outgoing.notices.iter().map(|notice| (*at, notice.clone())))
        .collect()
}

fn count(world: &World, reason: Reason) -> usize {
    let notices = notices(world);
    notices
        .iter()
        .filter(|(_, notice)| notice.reason == reason)
        .count()
}

#[test]
fn an_outage_is_told_within_seconds_and_its_end_once() {
    let mut world = calm(told(1));
    let began = world.now.instant;
    all(&mut world, &FarEnd::Refuses);
    world.run_for(minutes(10));
    all(&mut world, &FarEnd::Answers);
    world.run_for(minutes(30));
    let (first, notice) = notices(&world).remove(0);
    assert_eq!(notice.reason, Reason::Opened);
    assert!(first.since(began) <= seconds(6), "{:?}", first.since(began));
    assert_eq!(
        (
            count(&world, Reason::Opened),
            count(&world, Reason::Restored)
        ),
        (1, 1)
    );
    let deadlines: BTreeSet<String> = notices(&world)
        .into_iter()
        .filter_map(|(_, notice)| Some(notice.deadline?.indicator))
        .collect();
    assert!(deadlines.contains("IC6"), "{deadlines:?}");
    assert!(count(&world, Reason::Worse) <= 2, "{:#?}", notices(&world));
}

#[test]
fn kills_at_random_moments_of_an_outage_tell_nobody_twice_and_forget_nobody() {
    let mut kills = 0;
    for seed in 0..25 {
        let mut chance = fastrand::Rng::with_seed(seed);
        let mut world = calm(told(seed));
        all(&mut world, &FarEnd::Refuses);
        for _ in 0..4 {
            world.run_for(Duration::from_millis(chance.u64(10..60_000)));
            world.killed_and_back(Duration::from_millis(chance.u64(300..5_000)));
            kills += 1;
        }
        world.run_for(minutes(2));
        let started = world
            .engine
            .book()
            .incident(IncidentId(1))
            .and_then(|known| known.started());
        all(&mut world, &FarEnd::Answers);
        for _ in 0..4 {
            world.run_for(Duration::from_millis(chance.u64(10..60_000)));
            world.killed_and_back(Duration::from_millis(chance.u64(300..5_000)));
            kills += 1;
        }
        world.run_for(minutes(30));
        assert_eq!(world.engine.book().incidents().count(), 1, "seed {seed}");
        let incident = world
            .engine
            .book()
            .incident(IncidentId(1))
            .expect("the one");
        assert_eq!(incident.started(), started, "seed {seed}");
        assert_eq!(
            (
                count(&world, Reason::Opened),
                count(&world, Reason::Restored)
            ),
            (1, 1),
            "seed {seed}: {:#?}",
            notices(&world)
        );
        let ids: Vec<String> = notices(&world)
            .into_iter()
            .map(|(_, notice)| notice.id)
            .collect();
        let different: BTreeSet<&String> = ids.iter().collect();
        assert_eq!(ids.len(), different.len(), "seed {seed}: {ids:?}");
    }
    assert_eq!(kills, 200);
}

#[test]
fn an_alert_that_left_and_was_not_answered_leaves_again_under_the_same_key() {
    let mut world = calm(told(2));
    world.providers_answer = false;
    all(&mut world, &FarEnd::Refuses);
    world.run_for(minutes(1));
    let keys: Vec<String> = world
        .sent
        .iter()
        .map(|(_, outgoing)| outgoing.key())
        .collect();
    assert_eq!(
        keys.len(),
        1,
        "one message is on its way, the rest waits: {keys:?}"
    );
    world.providers_answer = true;
    world.killed_and_back(seconds(1));
    world.run_for(seconds(2));
    let again: Vec<String> = world
        .sent
        .iter()
        .skip(1)
        .map(|(_, outgoing)| outgoing.key())
        .collect();
    assert_eq!(again.first(), keys.first());
}

#[test]
fn six_hundred_and_fifty_targets_that_fall_at_once_are_two_messages() {
    let mut plant = told(3);
    for number in 0..650 {
        let id = format!("srv{number}");
        let ping = hint(&format!("{id}/ping"), 5);
        plant.targets.push(target(&id, &["switch"], vec![ping]));
    }
    let mut world = calm(plant);
    let began = world.now.instant;
    world.far_end("srv", &FarEnd::Silent);
    world.run_for(minutes(2));
    let first = world.sent.first().expect("told").0;
    assert!(
        first.since(began) <= seconds(12),
        "{:?}",
        first.since(began)
    );
    assert_eq!(world.engine.book().incidents().count(), 1);
    assert!(world.sent.len() <= 2, "{}", world.sent.len());
    let last = world.changes.last().expect("down").0;
    assert!(last.since(began) <= seconds(15), "{:?}", last.since(began));
}

#[test]
fn a_failing_disk_holds_up_no_alert() {
    let mut world = calm(told(4));
    world.store_works = false;
    world.give(Input::OwnFault(Failure::new(
        Blame::Ours,
        "store_full",
        "no space left",
    )));
    all(&mut world, &FarEnd::Refuses);
    world.run_for(minutes(1));
    assert_eq!(count(&world, Reason::Opened), 1);
}

#[test]
fn planned_work_holds_alerts_until_it_is_over_and_drops_none() {
    for lasting in [minutes(30), minutes(5)] {
        let mut world = calm(told(5));
        let subjects = ["xivo1", "xivo2", "patton"].map(|id| Subject::Target(id.into()));
        let subjects = subjects
            .into_iter()
            .chain([Subject::Line("119".into())])
            .collect();
        let (from, until) = (world.now.utc, world.now.utc + minutes(20));
        let text = "mise à jour".to_owned();
        world
            .act(
                "karim",
                What::Maintain {
                    subjects,
                    from,
                    until,
                    text,
                },
            )
            .expect("planned");
        let began = world.now.instant;
        all(&mut world, &FarEnd::Refuses);
        world.run_for(lasting.min(minutes(19)));
        assert!(world.sent.is_empty(), "{:#?}", world.sent);
        world.run_for(lasting.saturating_sub(minutes(19)));
        all(&mut world, &FarEnd::Answers);
        world.run_for(minutes(60));
        let first = notices(&world).first().expect("told after all").0;
        assert!(first.since(began) >= minutes(19), "{lasting:?}");
        assert_eq!(count(&world, Reason::Opened), 1, "{lasting:?}");
        assert_eq!(count(&world, Reason::Restored), 1, "{lasting:?}");
    }
}

#[test]
fn a_reminder_comes_until_somebody_has_it_in_hand() {
    let mut world = calm(told(6));
    all(&mut world, &FarEnd::Refuses);
    world.run_for(minutes(65));
    // At 30 min; the warnings of the contract at 45 and 60 min remind as well.
    assert_eq!(count(&world, Reason::Reminder), 1);
    let incident = IncidentId(1);
    world
        .act("karim", What::Acknowledge { incident })
        .expect("known");
    world.run_for(minutes(60));
    assert_eq!(count(&world, Reason::Reminder), 1);
    for (reason, times) in [(Reason::AtRisk, 2), (Reason::Breach, 2)] {
        assert_eq!(count(&world, reason), times, "IC6 and IC5: {reason:?}");
    }
}

#[test]
fn a_fault_of_our_own_is_told_when_it_lasts() {
    for (lasting, times) in [(seconds(20), 0), (minutes(3), 1)] {
        let mut world = calm(told(7));
        let failure = Failure::new(Blame::Ours, "no_socket", "no free descriptor");
        world.give(Input::OwnFault(failure));
        world.run_for(lasting);
        world.give(Input::OwnFaultOver {
            code: "no_socket".into(),
        });
        world.run_for(minutes(2));
        assert_eq!(count(&world, Reason::OwnFault), times, "{lasting:?}");
        assert_eq!(count(&world, Reason::OwnFaultOver), times, "{lasting:?}");
    }
}
