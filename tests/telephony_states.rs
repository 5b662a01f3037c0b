//! Who is blamed for what: the gateway, either PBX, the line, the switch, and ourselves.

use vigie::board::view::Answer;
use vigie::engine::fact::{Event, Judged};
use vigie::engine::plant::Trunk;
use vigie::health::standing::Subject;
use vigie::probe::Word;
use vigie::time::Utc;

use crate::support::world::{FarEnd, World, call, hint, minutes, seconds, telephony};

fn healthy() -> World {
    let mut world = World::watching(telephony(7));
    world.far_end("patton/call", &FarEnd::Signs("*1#"));
    world.run_for(minutes(3));
    assert_eq!(world.view_now().answer, Answer::Yes);
    assert_eq!(world.ever_down(), [].into());
    world
}

fn target(id: &str) -> Subject {
    Subject::Target(id.into())
}

/// Since when it is down, as it was last confirmed.
fn down_since(world: &World, id: &str) -> Utc {
    let own = world.changes.iter().rev().map(|(_, change)| change);
    let last = own.clone().find(|change| change.subject == target(id));
    let last = last.expect("it changed");
    assert_eq!((last.to.word, last.to.confirmed), (Word::Down, true));
    last.to.since
}

#[test]
fn a_killed_pbx_is_down_within_six_seconds_and_the_line_goes_on() {
    let mut world = healthy();
    let from = world.now.instant;
    world.far_end("xivo1/options", &FarEnd::Refuses);
    world.far_end("xivo1/call", &FarEnd::Refuses);
    world.far_end("patton/call", &FarEnd::Signs("*2#"));
    world.run_for(minutes(1));
    let took = world.confirmed(&target("xivo1"), Word::Down, from).unwrap();
    assert!(took <= seconds(6), "{took:?}");
    assert_eq!(world.line("119"), Word::Degraded, "served by the backup");
    let view = world.view_now();
    assert_eq!(view.answer, Answer::Yes);
    assert_eq!(view.because, "Les appels sont pris par le secours, XIVO2.");
    assert_eq!(view.lines[0].answered_by.as_deref(), Some("XIVO2"));
    assert_eq!(world.ever_down(), [target("xivo1")].into());
}

#[test]
fn a_hung_pbx_is_down_within_twelve_seconds() {
    for seed in 0..20 {
        let mut world = World::watching(telephony(seed));
        world.far_end("patton/call", &FarEnd::Signs("*1#"));
        world.run_for(minutes(3) + seconds(seed));
        let from = world.now.instant;
        world.far_end("xivo1/options", &FarEnd::Silent);
        world.far_end("xivo1/call", &FarEnd::Silent);
        world.far_end("patton/call", &FarEnd::Signs("*2#"));
        world.run_for(minutes(1));
        let took = world.confirmed(&target("xivo1"), Word::Down, from);
        assert!(took.unwrap() <= seconds(12), "seed {seed}: {took:?}");
        assert_eq!(world.ever_down(), [target("xivo1")].into());
    }
}

#[test]
fn a_pbx_that_answers_options_but_takes_no_call_is_down() {
    let mut world = healthy();
    world.far_end("xivo1/call", &FarEnd::Refuses);
    world.run_for(minutes(2));
    assert_eq!(world.word("xivo1"), Word::Down);
    assert_eq!(world.ever_down(), [target("xivo1")].into());
}

#[test]
fn a_line_that_moves_to_the_backup_asks_the_pbx_it_left() {
    for seed in 0..20 {
        let mut world = World::watching(telephony(seed));
        world.far_end("patton/call", &FarEnd::Signs("*1#"));
        world.run_for(minutes(3) + seconds(3 * seed));
        let from = world.now.instant;
        world.far_end("xivo1/call", &FarEnd::Refuses);
        world.far_end("patton/call", &FarEnd::Signs("*2#"));
        world.run_for(minutes(2));
        let line = Subject::Line("119".into());
        let on_backup = world.confirmed(&line, Word::Degraded, from).unwrap();
        let down = world.confirmed(&target("xivo1"), Word::Down, from).unwrap();
        assert!(
            down <= on_backup + seconds(2),
            "seed {seed}: {on_backup:?}, {down:?}"
        );
    }
}

#[test]
fn a_pbx_that_is_back_asks_for_the_line_it_carried() {
    let mut world = healthy();
    world.far_end("xivo1/", &FarEnd::Refuses);
    world.far_end("patton/call", &FarEnd::Signs("*2#"));
    world.run_for(minutes(5));
    let from = world.now.instant;
    world.far_end("xivo1/", &FarEnd::Answers);
    // The gateway sees it a little later than we do.
    world.run_for(seconds(5));
    world.far_end("patton/call", &FarEnd::Signs("*1#"));
    world.run_for(minutes(1));
    let line = Subject::Line("119".into());
    let took = world.confirmed(&line, Word::Good, from).unwrap();
    assert!(took <= seconds(25), "{took:?}");
}

#[test]
fn options_unanswered_while_calls_pass_is_degraded_never_down() {
    let mut world = healthy();
    world.far_end("xivo1/options", &FarEnd::Silent);
    world.run_for(minutes(10));
    assert_eq!(world.word("xivo1"), Word::Degraded);
    assert_eq!(world.ever_down(), [].into());
    world.far_end("xivo1/options", &FarEnd::Answers);
    world.run_for(minutes(1));
    assert_eq!(world.word("xivo1"), Word::Good);
}

#[test]
fn a_dead_gateway_takes_the_line_and_not_the_pbxs() {
    let mut world = healthy();
    let from = world.now.instant;
    world.far_end("patton/", &FarEnd::Silent);
    world.run_for(minutes(1));
    assert_eq!(world.word("patton"), Word::Down);
    assert_eq!(world.line("119"), Word::Down);
    let view = world.view_now();
    assert_eq!(view.answer, Answer::No);
    assert_eq!(
        view.because,
        "La ligne 119, accueil ne répond pas : PATTON est en panne."
    );
    let line = Subject::Line("119".into());
    let took = world.confirmed(&line, Word::Down, from).unwrap();
    assert!(took <= seconds(12), "{took:?}");
    assert_eq!(world.ever_down(), [line, target("patton")].into());
}

#[test]
fn a_line_that_two_numbers_prove_is_down_within_twelve_seconds_when_neither_carries_sound() {
    for seed in 0..20 {
        let mut plant = telephony(seed);
        // The cadence of the demonstration: both numbers on one trunk, one call at a time.
        plant.targets[1].probes.pop();
        plant.targets[1].probes.push(call("patton/call", "t2", 8));
        plant.targets[1].probes.push(call("patton/queue", "t2", 30));
        plant.lines[0].proofs.push("patton/queue".into());
        for pbx in &mut plant.targets[2..4] {
            let id = format!("{}/call", pbx.id);
            pbx.probes.pop();
            pbx.probes.push(call(&id, pbx.id.as_str(), 5));
        }
        for id in ["t2", "xivo1", "xivo2"] {
            plant.trunks.push(Trunk {
                id: id.into(),
                calls_per_hour_max: 720,
            });
        }
        let mut world = World::watching(plant);
        world.far_end("patton/call", &FarEnd::Signs("*1#"));
        world.run_for(minutes(3) + seconds(seed));
        let from = world.now.instant;
        // Each such call takes its whole time to tell: what was heard is told at its end.
        for mute in ["patton/call", "patton/queue", "xivo1/call"] {
            world.far_end(mute, &FarEnd::Silent);
        }
        world.run_for(minutes(1));
        let line = Subject::Line("119".into());
        let took = world.confirmed(&line, Word::Down, from);
        assert!(took.unwrap() <= seconds(12), "seed {seed}: {took:?}");
        assert_eq!(world.ever_down(), [line, target("xivo1")].into());
    }
}

#[test]
fn both_pbxs_dead_take_the_line_and_not_the_gateway() {
    let mut world = healthy();
    world.far_end("xivo", &FarEnd::Refuses);
    world.far_end("patton/call", &FarEnd::Refuses);
    world.run_for(minutes(2));
    assert_eq!(world.line("119"), Word::Down);
    assert_eq!(
        world.word("patton"),
        Word::Good,
        "it answers; nobody is behind it"
    );
    let down = [
        Subject::Line("119".into()),
        target("xivo1"),
        target("xivo2"),
    ];
    assert_eq!(world.ever_down(), down.into());
}

#[test]
fn a_gateway_that_answers_and_passes_no_call_is_degraded() {
    let mut world = healthy();
    world.far_end("patton/call", &FarEnd::Refuses);
    world.run_for(minutes(2));
    assert_eq!(world.line("119"), Word::Down);
    assert_eq!(world.word("patton"), Word::Degraded);
    assert_eq!(world.ever_down(), [Subject::Line("119".into())].into());
}

#[test]
fn a_dead_switch_explains_what_hangs_on_it() {
    let mut world = healthy();
    for all in ["switch", "patton", "xivo"] {
        world.far_end(all, &FarEnd::Silent);
    }
    world.run_for(minutes(1));
    for child in ["patton", "xivo1", "xivo2"] {
        assert_eq!(world.word(child), Word::Down);
        let view = world.view_now();
        let shown = view
            .targets
            .iter()
            .find(|one| one.id.as_str() == child)
            .unwrap();
        assert_eq!(shown.because_of, Some("switch".into()), "{child}");
    }
    let blamed: Vec<_> = world
        .changes
        .iter()
        .filter(|(_, change)| change.to.word == Word::Down && change.to.because_of.is_none())
        .map(|(_, change)| change.subject.clone())
        .collect();
    assert_eq!(blamed, [target("switch")], "only the switch is to blame");
}

#[test]
fn a_ping_that_is_never_answered_spares_no_call_its_confirmation() {
    for (name, from_the_start) in [("since ever", true), ("since this morning", false)] {
        let mut world = World::watching(telephony(7));
        world.far_end("patton/call", &FarEnd::Signs("*1#"));
        if from_the_start {
            world.far_end("patton/ping", &FarEnd::Silent);
            world.next_runs("patton/call", &[FarEnd::Refuses]);
        }
        world.run_for(minutes(3));
        world.far_end("patton/ping", &FarEnd::Silent);
        world.run_for(minutes(5));
        for _ in 0..5 {
            world.next_runs("patton/call", &[FarEnd::Refuses]);
            world.run_for(minutes(3));
        }
        assert_eq!(world.ever_down(), [].into(), "{name}");
        assert_eq!(world.line("119"), Word::Good, "{name}");
        let from = world.now.instant;
        world.far_end("patton/call", &FarEnd::Refuses);
        world.run_for(minutes(2));
        let line = Subject::Line("119".into());
        let took = world.confirmed(&line, Word::Down, from);
        assert!(took.unwrap() <= seconds(62), "{name}: {took:?}");
    }
}

#[test]
fn after_a_reboot_an_old_failure_of_a_ping_still_spares_no_confirmation() {
    let mut world = healthy();
    world.far_end("patton/ping", &FarEnd::Silent);
    world.run_for(minutes(5));
    world.now.instant = vigie::time::Instant(20_000_000_000);
    world.killed_and_back(minutes(1));
    world.next_runs("patton/call", &[FarEnd::Refuses]);
    world.run_for(minutes(5));
    assert_eq!(world.ever_down(), [].into());
}

#[test]
fn our_own_fault_makes_everything_blind_and_nothing_down() {
    let mut world = healthy();
    for all in ["switch", "patton", "xivo"] {
        world.far_end(all, &FarEnd::Blind);
    }
    world.run_for(minutes(10));
    let view = world.view_now();
    assert_eq!(view.answer, Answer::Unknown);
    assert!(
        view.targets
            .iter()
            .all(|target| target.state == Word::Blind)
    );
    assert_eq!(world.ever_down(), [].into());
    for all in ["switch", "patton", "xivo"] {
        world.far_end(all, &FarEnd::Answers);
    }
    world.run_for(minutes(2));
    assert_eq!(world.view_now().answer, Answer::Yes);
    assert_eq!(world.ever_down(), [].into());
}

#[test]
fn silence_across_a_stall_of_ours_is_not_theirs() {
    let mut world = healthy();
    world.run_for(seconds(5));
    while world.oldest_run().is_none() {
        world.run_for(std::time::Duration::from_millis(1));
    }
    for all in ["switch", "patton", "xivo"] {
        world.far_end(all, &FarEnd::Silent);
    }
    world.run_for(seconds(1));
    world.pass(seconds(30));
    world.step();
    for all in ["switch", "patton", "xivo"] {
        world.far_end(all, &FarEnd::Answers);
    }
    world.run_for(minutes(5));
    assert_eq!(world.ever_down(), [].into());
    assert!(
        world
            .facts
            .iter()
            .any(|fact| fact.payload.contains("woken_late")),
        "the stall is on record"
    );
}

#[test]
fn a_recovery_takes_two_good_runs_and_dates_from_the_first() {
    let mut world = healthy();
    world.far_end("xivo1", &FarEnd::Refuses);
    world.run_for(minutes(5));
    assert_eq!(world.word("xivo1"), Word::Down);
    let (back, back_utc) = (world.now.instant, world.now.utc);
    world.far_end("xivo1", &FarEnd::Answers);
    world.run_for(minutes(1));
    let took = world.confirmed(&target("xivo1"), Word::Good, back).unwrap();
    assert!(took <= seconds(15), "{took:?}");
    let view = world.view_now();
    let shown = view
        .targets
        .iter()
        .find(|one| one.id.as_str() == "xivo1")
        .unwrap();
    assert!(
        shown.since.since(back_utc) < took,
        "dated by its confirmation"
    );
}

#[test]
fn a_flapping_target_is_unstable_and_stays_visible() {
    let mut world = healthy();
    for _ in 0..6 {
        world.far_end("switch", &FarEnd::Silent);
        world.run_for(seconds(45));
        world.far_end("switch", &FarEnd::Answers);
        world.run_for(seconds(45));
    }
    let shown = |world: &World| {
        let view = world.view_now();
        view.targets
            .into_iter()
            .find(|one| one.id.as_str() == "switch")
            .unwrap()
    };
    assert!(shown(&world).unstable);
    assert_eq!(shown(&world).state, Word::Good, "it is not hidden");
    world.run_for(minutes(15));
    assert!(!shown(&world).unstable);
}

#[test]
fn a_step_of_the_wall_clock_neither_keeps_nor_ends_the_flag_of_a_flapping_target() {
    for step_hours in [-2_i64, 2] {
        let mut world = healthy();
        for _ in 0..6 {
            world.far_end("switch", &FarEnd::Silent);
            world.run_for(seconds(45));
            world.far_end("switch", &FarEnd::Answers);
            world.run_for(seconds(45));
        }
        let unstable = |world: &World| world.view_now().targets[0].unstable;
        assert!(unstable(&world));
        let by_ns = step_hours * 3_600_000_000_000;
        world.now.utc.0 += by_ns;
        world.give(vigie::engine::input::Input::ClockStepped { by_ns });
        world.run_for(seconds(40));
        assert!(unstable(&world), "{step_hours} h: it swung a minute ago");
        let replayed = world.replayed().view(world.now).targets[0].unstable;
        assert!(replayed, "{step_hours} h: a restart knows it too");
        world.run_for(minutes(15));
        assert!(!unstable(&world), "{step_hours} h: it is calm since 15 min");
    }
}

#[test]
fn a_prober_that_never_reports_makes_its_probe_blind() {
    let mut world = healthy();
    world.far_end("switch", &FarEnd::Lost);
    world.run_for(minutes(5));
    assert_eq!(world.word("switch"), Word::Blind);
    assert_eq!(world.ever_down(), [].into());
}

#[test]
fn a_store_that_fails_never_turns_anything_red_and_the_page_goes_on() {
    use vigie::engine::input::Input;
    use vigie::probe::{Blame, Failure};
    let mut world = healthy();
    world.store_works = false;
    let committed = world.facts.last().unwrap().seq;
    let failure = Failure::new(Blame::Ours, "store_full", "no space left on the disk");
    world.give(Input::OwnFault(failure));
    world.run_for(minutes(5));
    let view = world.view.clone().unwrap();
    assert!(view.fact <= committed, "the gate stays open");
    assert_eq!(view.own_faults[0].code, "store_full");
    assert_eq!(world.ever_down(), [].into());
    world.store_works = true;
    world.give(Input::OwnFaultOver {
        code: "store_full".into(),
    });
    world.run_for(seconds(2));
    assert_eq!(world.view.clone().unwrap().own_faults, []);
}

/// The calls of the line that were not good, as the journal tells them.
fn bad_calls(world: &World) -> Vec<Judged> {
    let verdicts = world.facts.iter().filter_map(|fact| match fact.event() {
        Ok(Event::Verdict(judged)) if judged.probe.as_str() == "patton/call" => Some(judged),
        _ => None,
    });
    verdicts.filter(|call| call.word != Word::Good).collect()
}

/// What was confirmed of the line while it was not good, and since when.
fn confirmed_of_the_line(world: &World) -> Vec<(Word, Utc)> {
    world
        .changes
        .iter()
        .map(|(_, change)| change)
        .filter(|change| change.subject == Subject::Line("119".into()) && change.is_hard())
        .filter(|change| matches!(change.to.word, Word::Degraded | Word::Down))
        .map(|change| (change.to.word, change.to.since))
        .collect()
}

#[test]
fn three_calls_in_a_row_that_callers_complain_of_are_down_since_the_first() {
    use FarEnd::{Limps, Mumbles, Refuses, Signs};
    type Confirmed<'a> = &'a [(Word, usize)];
    let good = Signs("*1#");
    // What the calls meet, and each word that it confirms with the call that it dates from.
    let cases: [(&[FarEnd], Confirmed<'_>); 13] = [
        (&[Mumbles, Mumbles, Mumbles], &[(Word::Down, 0)]),
        (&[Refuses, Refuses, Refuses], &[(Word::Down, 0)]),
        (&[Mumbles, Refuses, Mumbles], &[(Word::Down, 0)]),
        (&[Refuses, Mumbles, Refuses], &[(Word::Down, 0)]),
        (&[Mumbles, Mumbles, good.clone()], &[]),
        (&[Mumbles, Mumbles, good, Mumbles], &[]),
        (&[Mumbles, Limps, Mumbles], &[(Word::Degraded, 0)]),
        (&[Mumbles, Mumbles, Limps], &[(Word::Degraded, 0)]),
        (&[Limps, Refuses, Mumbles], &[(Word::Degraded, 0)]),
        (
            &[Limps, Mumbles, Mumbles, Mumbles],
            &[(Word::Degraded, 0), (Word::Down, 1)],
        ),
        (
            &[Mumbles, Limps, Mumbles, Mumbles, Mumbles],
            &[(Word::Degraded, 0), (Word::Down, 2)],
        ),
        (
            &[Limps, Limps, Limps, Mumbles, Mumbles, Mumbles],
            &[(Word::Degraded, 0), (Word::Down, 3)],
        ),
        (
            &[Limps, Limps, Limps, Mumbles, Mumbles, Limps, Mumbles],
            &[(Word::Degraded, 0)],
        ),
    ];
    for (met, expected) in cases {
        let mut world = healthy();
        world.next_runs("patton/call", met);
        world.run_for(minutes(10));
        let calls = bad_calls(&world);
        let expected: Vec<_> = expected
            .iter()
            .map(|(word, call)| (*word, calls[*call].sent))
            .collect();
        assert_eq!(confirmed_of_the_line(&world), expected, "{met:?}");
        assert_eq!(world.line("119"), Word::Good, "{met:?}");
    }
}

#[test]
fn a_line_nobody_understands_is_an_outage_in_words_that_say_so() {
    let mut world = healthy();
    let from = world.now.instant;
    world.far_end("patton/call", &FarEnd::Mumbles);
    world.run_for(minutes(3));
    let line = Subject::Line("119".into());
    let took = world.confirmed(&line, Word::Down, from).unwrap();
    assert!(took <= minutes(1) + seconds(11), "{took:?}");
    let view = world.view_now();
    assert_eq!(view.answer, Answer::No);
    assert_eq!(
        view.because,
        "La ligne 119, accueil décroche, mais la voix est trop mauvaise pour se comprendre."
    );
    let incident = world.engine.book().incidents().next().unwrap();
    let span = incident.span_of(&line).unwrap();
    assert_eq!(span.word, Word::Down);
    assert_eq!(span.start.at, bad_calls(&world)[0].sent);
    assert_eq!(world.ever_down(), [line].into());
}

#[test]
fn a_restart_among_the_three_calls_keeps_the_count_and_the_beginning() {
    for before in [1, 2] {
        let mut world = healthy();
        world.far_end("patton/call", &FarEnd::Mumbles);
        while bad_calls(&world).len() < before {
            world.run_for(seconds(1));
        }
        assert_eq!(world.line("119"), Word::Good);
        world.killed_and_back(seconds(5));
        while bad_calls(&world).len() < 3 {
            assert_eq!(world.line("119"), Word::Good, "after {before}");
            world.run_for(seconds(1));
        }
        let first = bad_calls(&world)[0].sent;
        assert_eq!(
            confirmed_of_the_line(&world),
            [(Word::Down, first)],
            "after {before}"
        );
    }
}

#[test]
fn a_hint_that_fails_since_hours_does_not_backdate_the_outage_that_began_when_all_failed() {
    let mut plant = telephony(7);
    plant.targets[0].probes.push(hint("switch/snmp", 30));
    let mut world = World::watching(plant);
    world.far_end("patton/call", &FarEnd::Signs("*1#"));
    world.run_for(minutes(3));
    world.far_end("switch/snmp", &FarEnd::Silent);
    world.run_for(minutes(120));
    assert_eq!(world.word("switch"), Word::Degraded);
    let all_failed = world.now.utc;
    world.far_end("switch/ping", &FarEnd::Silent);
    world.run_for(minutes(3));
    let began = down_since(&world, "switch");
    assert!(began >= all_failed, "{began:?} before {all_failed:?}");
}

#[test]
fn an_outage_that_two_hints_see_one_after_the_other_begins_with_the_first() {
    let mut plant = telephony(7);
    plant.targets[0].probes.push(hint("switch/snmp", 30));
    let mut world = World::watching(plant);
    world.run_for(minutes(3));
    let first_failed = world.now.utc;
    world.far_end("switch/snmp", &FarEnd::Silent);
    world.run_for(seconds(45));
    let second_failed = world.now.utc;
    world.far_end("switch/ping", &FarEnd::Silent);
    world.run_for(minutes(3));
    let began = down_since(&world, "switch");
    assert!((first_failed..second_failed).contains(&began), "{began:?}");
}
