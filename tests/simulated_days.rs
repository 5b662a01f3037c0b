//! Days of a call centre in a simulated world: what must hold on any of them, and that the checker can fail.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use vigie::sim::plant::Pace;
use vigie::sim::run::{Outcome, Settings, run};
use vigie::sim::sabotage::Sabotage;
use vigie::sim::shrink::shrink;
use vigie::sim::story::{Happening, Story, What};
use vigie::sim::summary::Summary;
use vigie::sim::world::{How, Part};

/// Seeds that broke a property once, each with what was wrong then. They are lived through at the usual pace.
const PAST_SEEDS: &[(u64, &str)] = &[
    (
        1,
        "a gateway whose OPTIONS was answered again was told to be well since its call had begun to fail",
    ),
    (
        4,
        "what three runs confirmed was told since the third, not since the first that failed",
    ),
    (
        25,
        "the checker asked for the outage of a server that a reload had taken out of the plant",
    ),
    (
        35,
        "a PBX that comes and goes uses up the calls of its trunk, and is unseen for a while",
    ),
];

/// In a build without optimisation a day at the usual pace takes a second.
const COARSE: Settings = Settings {
    pace: Pace::COARSE,
    sabotage: Sabotage::None,
};

const USUAL: Settings = Settings {
    pace: Pace::USUAL,
    sabotage: Sabotage::None,
};

/// Lives through the stories of these seeds on two threads.
fn all(seeds: std::ops::Range<u64>, story: fn(u64) -> Story) -> Summary {
    let next = AtomicU64::new(seeds.start);
    let live = || {
        let mut summary = Summary::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return summary;
            }
            let Outcome {
                summary: one,
                broken,
            } = run(&story(seed), COARSE);
            assert!(
                broken.is_none(),
                "{}\nthe shortest story: vigie sim --pace coarse --days 2 --seed {seed}",
                broken.unwrap()
            );
            summary.add(one);
        }
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(live);
        let mut summary = live();
        summary.add(other.join().unwrap());
        summary
    })
}

#[test]
fn two_hundred_seeds_of_two_days_keep_every_property() {
    let summary = all(1..201, |seed| Story::of(seed, 2));
    assert_eq!(summary.days, 400);
    // A world in which nothing happens would prove nothing.
    assert!(summary.outages_to_see > 500, "{summary}");
    assert_eq!(summary.outages_seen, summary.outages_to_see, "{summary}");
    assert!(summary.restarts > 50, "{summary}");
    assert!(summary.away > Duration::from_secs(3_600), "{summary}");
}

#[test]
fn a_hundred_days_of_noise_raise_no_alarm() {
    let summary = all(1..101, |seed| Story::noise(seed, 1));
    assert_eq!(summary.days, 100);
    assert_eq!((summary.outages, summary.alarms), (0, 0), "{summary}");
    assert!(summary.happenings > 300, "{summary}");
}

#[test]
fn seeds_that_failed_once_hold() {
    for (seed, why) in PAST_SEEDS {
        let outcome = run(&Story::of(*seed, 2), USUAL);
        assert_eq!(outcome.broken, None, "seed {seed}: {why}");
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let story = Story::of(12, 1);
    let (one, other) = (run(&story, COARSE).summary, run(&story, COARSE).summary);
    assert_eq!(one, other);
    assert_ne!(one.hash, run(&Story::of(13, 1), COARSE).summary.hash);
}

#[test]
fn a_story_reads_back_from_its_json() {
    let story = Story::of(3, 2);
    let text = serde_json::to_string(&story).unwrap();
    assert_eq!(serde_json::from_str::<Story>(&text).unwrap(), story);
}

#[test]
fn a_broken_watchdog_is_found_and_its_story_shrinks() {
    const CASES: &[(Sabotage, &[&str])] = &[
        (
            Sabotage::DeafToRecovery,
            &[
                "all is good again when nothing fails",
                "P11: a step of the clock is told and bends no duration",
            ],
        ),
        (Sabotage::DoublesFacts, &["facts form a chain"]),
        (
            Sabotage::CriesWolf,
            &["never down without a truth that is bad"],
        ),
        (
            Sabotage::SleepsThroughOutages,
            &["every outage is seen within its budget"],
        ),
    ];
    let mut story = Story::noise(7, 1);
    story.happenings.push(Happening {
        at_ms: 40_000_000,
        for_ms: 1_200_000,
        what: What::Fails {
            part: Part::Xivo1,
            how: How::Silent,
        },
    });
    story.happenings.sort_by_key(|one| one.at_ms);
    for (sabotage, properties) in CASES {
        let settings = Settings {
            sabotage: *sabotage,
            ..COARSE
        };
        let broken = run(&story, settings).broken.unwrap();
        assert!(
            properties.contains(&broken.property),
            "{sabotage:?}: {broken}"
        );
        let (short, _) = shrink(&story, &broken, 60, |story| run(story, settings).broken);
        assert!(short.happenings.len() <= 1, "{sabotage:?}: {short}");
    }
}

/// Each property about incidents, clocks, people and alerts, by what breaks it and a seed that shows it: without the
/// sabotage this seed holds.
const BROKEN: &[(Sabotage, u64, &str)] = &[
    (
        Sabotage::ClosesTwice,
        1,
        "P5: an incident closes once, and no span that ended is edited",
    ),
    (
        Sabotage::NeverCloses,
        2,
        "P5: every incident is closed after an hour of calm",
    ),
    (
        Sabotage::MisquotesFacts,
        1,
        "an incident rests on a failure that was confirmed, never on blindness",
    ),
    (
        Sabotage::MissesOpenings,
        1,
        "what is down is in one open incident",
    ),
    (
        Sabotage::CountsEveryHour,
        3,
        "P6: a clock shows the seconds that count",
    ),
    (
        Sabotage::LengthensPauses,
        1,
        "P7: parts add up, a pause never adds, longer is never less",
    ),
    (
        Sabotage::ForgetsIncidents,
        1,
        "P10: a restart keeps all incidents and acts",
    ),
    (
        Sabotage::AnswersTooSoon,
        1,
        "an act that is accepted is a fact, an absurd one is refused",
    ),
    (
        Sabotage::ApprovesForHimself,
        2,
        "an act that is accepted is a fact, an absurd one is refused",
    ),
    (
        Sabotage::ActsOnRefusals,
        1,
        "an act that is refused changes nothing",
    ),
    (
        Sabotage::ExcludesRaw,
        2,
        "exclusions and corrections leave the raw figure",
    ),
    (
        Sabotage::TellsNobody,
        1,
        "P13: an outage is always somebody's to hear",
    ),
    (
        Sabotage::DeafToAcknowledgements,
        7,
        "nobody is reminded of what is in hand",
    ),
    (
        Sabotage::WaitsInLine,
        1,
        "a first alert leaves at once, the rest in digests, whatever other channels do",
    ),
    (
        Sabotage::TellsAgain,
        1,
        "nobody is told again what he is known to have heard",
    ),
    (Sabotage::ShortensWork, 56, "planned work holds an alert"),
    (Sabotage::LosesPost, 1, "what is in the outbox is sent"),
    (
        Sabotage::SwallowsEnds,
        1,
        "whoever heard the alarm hears the end",
    ),
];

#[test]
fn every_property_about_incidents_people_and_alerts_can_fail() {
    for (sabotage, seed, property) in BROKEN {
        let settings = Settings {
            sabotage: *sabotage,
            ..COARSE
        };
        let broken = run(&Story::of(*seed, 2), settings).broken;
        let found = broken.as_ref().map(|broken| broken.property);
        assert_eq!(found, Some(*property), "{sabotage:?}: {broken:?}");
    }
}
