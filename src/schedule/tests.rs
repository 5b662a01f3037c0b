//! The schedule in virtual time.

use super::*;
use proptest::prelude::*;

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn probe(name: &str, every: u64, trunk: Option<&str>) -> Settings {
    Settings {
        probe: name.into(),
        every: secs(every),
        timeout: secs(2),
        trunk: trunk.map(TrunkId::from),
        account: None,
    }
}

fn with(probes: &[Settings]) -> Schedule {
    let mut schedule = Schedule::new(Seed(7));
    schedule.reconcile(Instant(0), probes.to_vec(), BTreeMap::new());
    schedule
}

/// Runs until `until`, every run lasting `lasting`; returns each start with its moment.
fn starts(schedule: &mut Schedule, until: Instant, lasting: Duration) -> Vec<(Instant, Start)> {
    let mut seen = Vec::new();
    let mut ends: BTreeSet<(Instant, ProbeId)> = BTreeSet::new();
    loop {
        let next = [
            schedule.deadline().map(|(at, _)| at),
            ends.first().map(|(at, _)| *at),
        ]
        .into_iter()
        .flatten()
        .min();
        let Some(now) = next.filter(|at| *at <= until) else {
            return seen;
        };
        while let Some((at, probe)) = ends.first().cloned() {
            if at > now {
                break;
            }
            ends.pop_first();
            schedule.ended(now, &probe, Some(true));
        }
        while let Some(start) = schedule.due(now) {
            ends.insert((now + lasting, start.probe.clone()));
            seen.push((now, start));
        }
    }
}

#[test]
fn a_probe_runs_once_per_interval() {
    let mut schedule = with(&[probe("a", 30, None)]);
    let seen = starts(&mut schedule, Instant(0) + secs(3000), secs(1));
    assert!((100..=101).contains(&seen.len()), "{}", seen.len());
}

#[test]
fn a_long_run_skips_moments_instead_of_overlapping() {
    let mut schedule = with(&[Settings {
        timeout: secs(20),
        ..probe("a", 5, None)
    }]);
    let seen = starts(&mut schedule, Instant(0) + secs(100), secs(12));
    for pair in seen.windows(2) {
        assert!(pair[1].0.since(pair[0].0) >= secs(12), "{pair:?}");
    }
    assert!(seen.len() > 5);
}

#[test]
fn after_a_stall_late_runs_are_skipped_without_a_storm() {
    let probes: Vec<_> = (0..300)
        .map(|n| probe(&format!("p{n}"), 30, None))
        .collect();
    let mut schedule = with(&probes);
    starts(&mut schedule, Instant(0) + secs(60), secs(1));
    let now = Instant(0) + secs(3600);
    for entry in schedule.running.keys().cloned().collect::<Vec<_>>() {
        schedule.ended(now, &entry, None);
    }
    let mut at_once = 0;
    while schedule.due(now).is_some() {
        at_once += 1;
    }
    assert!(at_once < 30, "{at_once} probes left together after a stall");
    let seen = starts(&mut schedule, now + secs(31), secs(1));
    assert!(seen.len() + at_once >= 300, "{} ran", seen.len());
}

#[test]
fn a_planned_run_does_not_take_the_place_of_one_that_is_wanted_later() {
    let mut schedule = with(&[probe("a", 60, None)]);
    let (planned, _) = schedule.deadline().unwrap();
    let wanted = planned + secs(4);
    schedule.ask(&"a".into(), wanted, Why::Suspicion);
    assert_eq!(schedule.due(planned).unwrap().why, Why::Routine);
    schedule.ended(planned + secs(1), &"a".into(), Some(true));
    assert_eq!(schedule.due(planned + secs(3)), None);
    assert_eq!(schedule.due(wanted).unwrap().why, Why::Suspicion);
}

#[test]
fn what_is_asked_while_a_probe_runs_happens_after_it() {
    let mut schedule = with(&[probe("a", 60, None)]);
    let (first, _) = schedule.deadline().unwrap();
    assert!(schedule.due(first).is_some());
    schedule.ask(&"a".into(), first, Why::Suspicion);
    assert_eq!(schedule.due(first), None);
    schedule.ended(first + secs(1), &"a".into(), Some(true));
    assert_eq!(
        schedule.due(first + secs(1)),
        Some(Start {
            probe: "a".into(),
            why: Why::Suspicion
        })
    );
}

#[test]
fn an_unreported_run_is_lost_after_its_timeout_and_grace() {
    let mut schedule = with(&[probe("a", 60, None)]);
    let (first, _) = schedule.deadline().unwrap();
    schedule.due(first);
    assert_eq!(schedule.lost(first + secs(6)), None);
    assert_eq!(schedule.lost(first + secs(2) + GRACE), Some("a".into()));
    schedule.ended(first + secs(7), &"a".into(), None);
    assert_eq!(schedule.lost(first + secs(8)), None);
}

#[test]
fn a_removed_call_keeps_its_trunk_until_it_ends() {
    let mut schedule = with(&[probe("old", 60, Some("t2"))]);
    let (now, _) = schedule.deadline().unwrap();
    schedule.due(now);
    schedule.reconcile(now, vec![probe("new", 1, Some("t2"))], BTreeMap::new());
    assert_eq!(schedule.due(now + secs(1)), None, "old still calls");
    schedule.ended(now + secs(1), &"old".into(), Some(true));
    assert_eq!(schedule.due(now + secs(1)).unwrap().probe, "new".into());
}

#[test]
fn a_probe_in_a_hurry_runs_more_often_until_told_otherwise() {
    let mut schedule = with(&[probe("call", 60, Some("t2"))]);
    starts(&mut schedule, Instant(0) + secs(120), secs(1));
    let from = Instant(0) + secs(120);
    schedule.hurry(from, &"call".into(), Some(secs(15)));
    let seen = starts(&mut schedule, from + secs(60), secs(1));
    assert!(seen.len() >= 4, "{seen:?}");
    schedule.hurry(from + secs(60), &"call".into(), None);
    let seen = starts(&mut schedule, from + secs(660), secs(1));
    assert!((9..=11).contains(&seen.len()), "{}", seen.len());
}

proptest! {
    #[test]
    fn never_two_calls_on_one_trunk_and_no_overlap(
        seed: u64,
        asks in prop::collection::vec((0..8_u8, 0..600_u64, 0..3_u8), 0..60),
        lasting_ms in 1..20_000_u64,
    ) {
        let probes: Vec<_> = (0..8)
            .map(|n| Settings {
                timeout: secs(25),
                ..probe(&format!("p{n}"), [5, 30, 60][n % 3], [Some("t1"), Some("t2"), None][n % 3])
            })
            .collect();
        let mut schedule = Schedule::new(Seed(seed));
        schedule.reconcile(Instant(0), probes.clone(), BTreeMap::new());
        let lasting = Duration::from_millis(lasting_ms);
        let mut asks = asks;
        asks.sort_by_key(|ask| ask.1);
        let mut running: BTreeMap<ProbeId, Instant> = BTreeMap::new();
        let mut now = Instant(0);
        while now < Instant(0) + secs(600) {
            running.retain(|probe, end| {
                let over = *end <= now;
                if over {
                    schedule.ended(now, probe, Some(seed % 2 == 0));
                }
                !over
            });
            while asks.first().is_some_and(|ask| Instant(0) + secs(ask.1) <= now) {
                let (which, _, why) = asks.remove(0);
                let why = [Why::Routine, Why::Suspicion, Why::Confirmation][usize::from(why)];
                schedule.ask(&format!("p{which}").as_str().into(), now, why);
            }
            while let Some(start) = schedule.due(now) {
                let trunk = probes.iter().find(|p| p.probe == start.probe).unwrap().trunk.clone();
                prop_assert!(!running.contains_key(&start.probe), "{} overlaps itself", start.probe);
                if trunk.is_some() {
                    for other in running.keys() {
                        let theirs = &probes.iter().find(|p| p.probe == *other).unwrap().trunk;
                        prop_assert!(*theirs != trunk, "{} and {other} share a trunk", start.probe);
                    }
                }
                running.insert(start.probe, now + lasting);
            }
            let next = running.values().copied().min().into_iter()
                .chain(schedule.deadline().map(|(at, _)| at))
                .chain(asks.first().map(|ask| Instant(0) + secs(ask.1)))
                .min()
                .unwrap();
            prop_assert!(next > now, "time stands still at {now:?}");
            now = next;
        }
    }
}
