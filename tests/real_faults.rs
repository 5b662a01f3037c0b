//! Real Asterisk servers break, and the service that watches them says so: XIVO 1 and nothing else, the
//! line on its backup, and all well again after the repair.
//!
//! The cadences are those of the product. `VIGIE_FAULT_RUNS=5` repeats every fault and prints the least,
//! middle and most seconds; the tests alone make one run.
#![expect(clippy::print_stdout, reason = "the figures are what one runs it for")]

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::support::patience::{Stopwatch, look_for, wait_for};
use crate::support::plant::{FastAgi, RealPlant};
use crate::support::sipp::Caller;
use crate::support::vigie::Service;

const SECRETS: [(&str, &str); 3] = [
    ("SECRET_4001", "s3cret-4001"),
    ("SECRET_4002", "s3cret-4002"),
    ("SECRET_4003", "s3cret-4003"),
];
const SERVERS: [&str; 5] = ["xivo1", "xivo2", "xivo3", "patton", "agent-4099"];

/// Calls are placed once a minute; three of them fail or pass, each with its time-outs.
const SEEN_WITHIN: Duration = Duration::from_secs(100);
/// What OPTIONS alone can tell: every 5 s, and two confirmations of 2 s each.
const SEEN_BY_OPTIONS_WITHIN: Duration = Duration::from_secs(12);

/// The whole plant, watched and well.
struct Watched {
    plant: RealPlant,
    fastagi: Option<FastAgi>,
    _fastagi_of_xivo2: FastAgi,
    service: Service,
}

impl Watched {
    fn start() -> Self {
        let plant = RealPlant::start(&SERVERS);
        let fastagi = Some(FastAgi::on("127.0.1.1"));
        let fastagi_of_xivo2 = FastAgi::on("127.0.1.2");
        let service = Service::run(
            include_str!("testdata/asterisk_plant.toml"),
            "127.0.0.1:8119",
            &SECRETS,
        );
        let watched = Self {
            plant,
            fastagi,
            _fastagi_of_xivo2: fastagi_of_xivo2,
            service,
        };
        watched.wait_until_well();
        watched
    }

    /// Every target and line good, and confirmed so.
    fn wait_until_well(&self) -> Duration {
        let mut last = Value::Null;
        let well = look_for(SEEN_WITHIN, || {
            last = self.service.status();
            is_well(&words(&last)).then_some(())
        });
        well.unwrap_or_else(|| panic!("not well again: {last:#}\n{}", self.service.log()))
            .1
    }

    /// Watches every word on the page until `seen` agrees. Nothing may be anything but good meanwhile,
    /// except what `expected` names.
    fn watch(
        &self,
        what: &str,
        within: Duration,
        expected: &[&str],
        mut seen: impl FnMut(&BTreeMap<String, String>) -> bool,
    ) -> Duration {
        let clock = Stopwatch::start();
        let mut before = BTreeMap::new();
        let (_, took) = wait_for(what, within, || {
            let status = self.service.status();
            let now = words(&status);
            for (id, word) in &now {
                if before.get(id).is_some_and(|old| old != word) {
                    println!("    {:5.1} s  {id}: {word}", clock.elapsed().as_secs_f64());
                }
                assert!(
                    word == "good" || expected.contains(&id.as_str()),
                    "{what}: {id} is {word}: {status:#}"
                );
            }
            let is_seen = seen(&now);
            before = now;
            is_seen.then_some(())
        });
        took
    }

    /// XIVO 1 down and blamed with this code, the line answered by XIVO 2, nothing else touched.
    fn watch_xivo1_fall(&self, fault: &str, within: Duration) -> Duration {
        let fallen = self.watch(fault, within, &["xivo1", "accueil-119"], |words| {
            words["xivo1"] == "down"
        });
        // The line follows as soon as a call through the gateway has been signed by XIVO 2.
        self.watch(fault, SEEN_WITHIN, &["xivo1", "accueil-119"], |words| {
            words["accueil-119"] == "degraded"
        });
        let status = self.service.status();
        assert_eq!(status["lines"][0]["answered_by"], "XIVO 2", "{status:#}");
        assert_eq!(
            status["lines"][0]["failure"]["code"], "served_by_backup",
            "{status:#}"
        );
        // Calls are taken, and that is what the supervisor asks.
        assert_eq!(status["answer"], "yes", "{status:#}");
        let failure = &subject(&status, "targets", "xivo1")["failure"];
        println!("    XIVO 1: {}", failure["words"].as_str().unwrap_or("?"));
        fallen
    }

    fn watch_recovery(&self, what: &str) -> Duration {
        self.watch(what, SEEN_WITHIN, &["xivo1", "accueil-119"], is_well)
    }
}

/// The confirmed word of every target and line, by id.
fn words(status: &Value) -> BTreeMap<String, String> {
    ["targets", "lines"]
        .iter()
        .flat_map(|kind| status[kind].as_array().expect("a list"))
        .map(|subject| {
            let text = |key: &str| subject[key].as_str().expect(key).to_owned();
            (text("id"), text("verdict"))
        })
        .collect()
}

/// The service has looked, and all is good. Its very first view is empty.
fn is_well(words: &BTreeMap<String, String>) -> bool {
    !words.is_empty() && words.values().all(|word| word == "good")
}

fn subject<'a>(status: &'a Value, kind: &str, id: &str) -> &'a Value {
    status[kind]
        .as_array()
        .and_then(|subjects| subjects.iter().find(|subject| subject["id"] == id))
        .expect("it is on the page")
}

fn runs() -> u32 {
    std::env::var("VIGIE_FAULT_RUNS").ok().map_or(1, |text| {
        text.parse().expect("VIGIE_FAULT_RUNS is a number")
    })
}

/// Breaks and mends again and again, and prints what it took.
fn rehearse(
    fault: &str,
    mut once: impl FnMut(&mut Watched) -> Duration,
    mut mend: impl FnMut(&mut Watched),
) {
    let mut watched = Watched::start();
    let (mut down, mut up) = (Vec::new(), Vec::new());
    for _ in 0..runs() {
        down.push(once(&mut watched));
        mend(&mut watched);
        up.push(watched.watch_recovery(fault));
    }
    println!(
        "{fault}: XIVO 1 down after {}; all good again {} after the repair",
        spread(&mut down),
        spread(&mut up)
    );
}

fn spread(seconds: &mut [Duration]) -> String {
    seconds.sort_unstable();
    let of = |at: usize| seconds[at].as_secs_f64();
    if seconds.len() == 1 {
        format!("{:.1} s", of(0))
    } else {
        format!(
            "{:.1} / {:.1} / {:.1} s (min / median / max of {})",
            of(0),
            of(seconds.len() / 2),
            of(seconds.len() - 1),
            seconds.len()
        )
    }
}

#[test]
#[ignore = "needs Asterisk and baresip: tests/run peers"]
fn a_killed_pbx_is_down_and_its_backup_answers() {
    rehearse(
        "killed",
        |watched| {
            watched.plant.kill("xivo1");
            watched.watch_xivo1_fall("killed", SEEN_BY_OPTIONS_WITHIN)
        },
        |watched| watched.plant.boot("xivo1"),
    );
}

#[test]
#[ignore = "needs Asterisk and baresip: tests/run peers"]
fn a_hung_pbx_is_down_and_its_backup_answers() {
    rehearse(
        "stopped by SIGSTOP",
        |watched| {
            watched.plant.hang("xivo1");
            watched.watch_xivo1_fall("stopped by SIGSTOP", SEEN_BY_OPTIONS_WITHIN)
        },
        |watched| watched.plant.unhang("xivo1"),
    );
}

#[test]
#[ignore = "needs Asterisk and baresip: tests/run peers"]
fn a_pbx_without_its_fastagi_is_down_by_its_calls() {
    rehearse(
        "FastAGI dead",
        |watched| {
            watched.fastagi = None;
            watched.watch_xivo1_fall("FastAGI dead", SEEN_WITHIN)
        },
        |watched| watched.fastagi = Some(FastAgi::on("127.0.1.1")),
    );
}

#[test]
#[ignore = "needs Asterisk, baresip and SIPp: tests/run peers"]
fn a_pbx_that_stops_gracefully_refuses_calls_and_is_down() {
    rehearse(
        "core stop gracefully",
        |watched| {
            // A caller who waits keeps the server in its stop.
            let caller = Caller::waits_at("127.0.0.1:5080", "0199001190", "127.0.1.1:5060");
            wait_for("the caller waits", Duration::from_secs(10), || {
                let queue = watched.plant.console("xivo1", "queue show preaccueil");
                queue.contains("has 1 calls").then_some(())
            });
            watched.plant.stop_gracefully("xivo1");
            let took = watched.watch_xivo1_fall("core stop gracefully", SEEN_WITHIN);
            drop(caller);
            took
        },
        |watched| {
            watched.plant.kill("xivo1");
            watched.plant.boot("xivo1");
        },
    );
}

/// Two seconds of absence are an outage or are not, as the moment falls; either way the page is good
/// again by itself, and nothing but XIVO 1 and its line is ever touched.
#[test]
#[ignore = "needs Asterisk and baresip: tests/run peers"]
fn a_restarted_pbx_touches_nothing_else() {
    let mut watched = Watched::start();
    for _ in 0..runs() {
        let clock = Stopwatch::start();
        watched.plant.restart("xivo1");
        let absent = clock.elapsed().as_secs_f64();
        // Time for every probe of the fast lane to have met the absence, or not.
        let mut seen = None;
        watched.watch(
            "restarted",
            SEEN_WITHIN,
            &["xivo1", "accueil-119"],
            |words| {
                if words["xivo1"] != "good" && seen.is_none() {
                    seen = Some(clock.elapsed());
                }
                clock.elapsed() > SEEN_BY_OPTIONS_WITHIN
            },
        );
        let seen = seen.map_or_else(
            || "never shown down".to_owned(),
            |after| format!("shown down after {:.1} s", after.as_secs_f64()),
        );
        let well = watched.watch_recovery("restarted").as_secs_f64()
            + SEEN_BY_OPTIONS_WITHIN.as_secs_f64();
        println!(
            "restarted: XIVO 1 absent for {absent:.1} s, {seen}; all good at most {well:.1} s later"
        );
    }
}

#[test]
#[ignore = "needs Asterisk and baresip: tests/run peers"]
fn a_watch_that_is_killed_in_an_outage_comes_back_knowing_it() {
    let mut watched = Watched::start();
    watched.plant.kill("xivo1");
    watched.watch_xivo1_fall("killed", SEEN_BY_OPTIONS_WITHIN);
    let before = watched.service.status();
    watched.service.killed_and_back();
    let restarted = |words: &BTreeMap<String, String>| !words.is_empty();
    watched.watch(
        "the page is back",
        SEEN_WITHIN,
        &["xivo1", "accueil-119"],
        restarted,
    );
    let after = watched.service.status();
    for (kind, id) in [
        ("targets", "xivo1"),
        ("targets", "xivo2"),
        ("lines", "accueil-119"),
    ] {
        let (was, is) = (subject(&before, kind, id), subject(&after, kind, id));
        assert_eq!(was["verdict"], is["verdict"], "{id}: {after:#}");
        assert_eq!(was["since"], is["since"], "{id}: {after:#}");
    }
}
