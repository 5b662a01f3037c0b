//! A secret that was changed on the server costs a few log-ins an hour, never a ban, and blames nobody.

use std::sync::Arc;
use std::time::Duration;

use vigie::engine::plant::{Plant, Probe, Role};
use vigie::probe::{Account, Check, Word, call, register};
use vigie::secret::SecretRef;
use vigie::sip::Transport;
use vigie::time::Instant;

use crate::support::world::{FarEnd, World, minutes, seconds, telephony};

fn account() -> Account {
    Account {
        user: "vigie".into(),
        secret: SecretRef::Env("VIGIE_XIVO1_SECRET".into()),
    }
}

/// XIVO 1 with a registration and a call of one account.
fn with_an_account() -> Plant {
    let mut plant = telephony(7);
    let xivo1 = &mut plant.targets[2];
    let mut settings = call::Settings::new("sip:*43@192.0.2.11", "sip:vigie@192.0.2.11");
    settings.account = Some(account());
    xivo1.probes[2].check = Arc::new(Check::Call(settings));
    xivo1.probes.push(Probe {
        id: "xivo1/register".into(),
        check: Arc::new(Check::Register(register::Settings {
            aor: "sip:vigie@192.0.2.11".into(),
            proxy: None,
            transport: Transport::Udp,
            account: account(),
            expires: seconds(60),
            answer_within: seconds(5),
        })),
        every: seconds(60),
        timeout: seconds(5),
        trunk: None,
        role: Role::Hint,
    });
    plant
}

fn healthy() -> World {
    let mut world = World::watching(with_an_account());
    world.far_end("patton/call", &FarEnd::Signs("*1#"));
    world.run_for(minutes(3));
    assert_eq!(world.word("xivo1"), Word::Good);
    world
}

/// When the account was used since then.
fn log_ins(world: &World, from: Instant) -> Vec<Duration> {
    let mut all = world.starts_of("xivo1/call", from);
    all.extend(world.starts_of("xivo1/register", from));
    all.sort();
    all
}

#[test]
fn a_changed_secret_is_tried_every_ten_minutes_and_is_not_an_outage() {
    let mut world = healthy();
    let from = world.now.instant;
    world.far_end("xivo1/call", &FarEnd::LockedOut);
    world.far_end("xivo1/register", &FarEnd::LockedOut);
    world.run_for(minutes(5));
    // Whatever else fails meanwhile.
    world.far_end("xivo1/options", &FarEnd::Silent);
    world.far_end("patton", &FarEnd::Refuses);
    world.run_for(minutes(25));
    world.far_end("xivo1/options", &FarEnd::Answers);
    world.far_end("patton", &FarEnd::Answers);
    world.run_for(minutes(30));
    let tries = log_ins(&world, from);
    assert!((6..=8).contains(&tries.len()), "{tries:?}");
    // Once more after a minute: a PBX that starts refuses what it does not know yet.
    assert!(tries[1] - tries[0] >= minutes(1), "{tries:?}");
    for pair in tries[1..].windows(2) {
        assert!(pair[1] - pair[0] >= minutes(10), "{tries:?}");
    }
    assert_eq!(world.word("xivo1"), Word::Blind);
    let view = world.view_now();
    assert_eq!(
        view.targets[2].failure.as_ref().unwrap().code,
        "wrong_password"
    );
    let down: Vec<_> = world.ever_down().into_iter().collect();
    assert!(!format!("{down:?}").contains("xivo1"), "{down:?}");
}

#[test]
fn a_reload_tries_a_mended_secret_at_once() {
    let mut world = healthy();
    world.far_end("xivo1/call", &FarEnd::LockedOut);
    world.far_end("xivo1/register", &FarEnd::LockedOut);
    world.run_for(minutes(15));
    assert_eq!(world.word("xivo1"), Word::Blind);
    world.far_end("xivo1/call", &FarEnd::Answers);
    world.far_end("xivo1/register", &FarEnd::Answers);
    world.reload(with_an_account());
    world.run_for(minutes(1));
    assert_eq!(world.word("xivo1"), Word::Good);
    let from = world.now.instant;
    world.run_for(minutes(10));
    let calls = world.starts_of("xivo1/call", from);
    assert!(calls.len() >= 9, "back to every minute: {calls:?}");
}

#[test]
fn a_registration_that_is_not_allowed_does_not_stop_the_calls_of_its_account() {
    let mut world = healthy();
    world.far_end("xivo1/register", &FarEnd::LockedOut);
    world.run_for(minutes(15));
    assert_eq!(world.word("xivo1"), Word::Good, "its calls pass");
    let from = world.now.instant;
    world.run_for(minutes(60));
    let calls = world.starts_of("xivo1/call", from);
    assert!(calls.len() >= 58, "{calls:?}");
    let tries = world.starts_of("xivo1/register", from);
    assert!((5..=7).contains(&tries.len()), "{tries:?}");
    assert_eq!(world.ever_down(), [].into());
}

#[test]
fn a_pbx_that_refuses_while_it_starts_is_seen_again_within_two_minutes() {
    let mut world = healthy();
    world.far_end("xivo1/call", &FarEnd::LockedOut);
    world.far_end("xivo1/register", &FarEnd::LockedOut);
    let from = world.now.instant;
    while log_ins(&world, from).is_empty() {
        world.run_for(seconds(1));
    }
    world.far_end("xivo1/call", &FarEnd::Answers);
    world.far_end("xivo1/register", &FarEnd::Answers);
    world.run_for(minutes(2) + seconds(40));
    assert_eq!(world.word("xivo1"), Word::Good);
}

#[test]
fn a_service_that_is_killed_again_and_again_does_not_log_in_each_time() {
    let mut world = healthy();
    world.far_end("xivo1/call", &FarEnd::LockedOut);
    world.far_end("xivo1/register", &FarEnd::LockedOut);
    world.run_for(minutes(3));
    let from = world.now.instant;
    for _ in 0..20 {
        world.killed_and_back(seconds(1));
        world.run_for(seconds(10));
    }
    let tries = log_ins(&world, from);
    assert!(tries.len() <= 4, "{tries:?}");
}
