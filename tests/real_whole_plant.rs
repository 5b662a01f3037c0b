//! The configuration that we ship watches the whole plant beside a burning CPU, and nothing turns red.
//!
//! The telephony is real Asterisk servers at the addresses of the sample; the rest of the plant says what
//! its servers would say first. `VIGIE_SOAK_SECONDS=1800` is the half hour, at the cadences of the sample; the
//! tests alone take a minute, and so much faster come the probes of the slow lane and the rare calls.
#![expect(clippy::print_stdout, reason = "the figures are what one runs it for")]

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::certificate::Certificate;
use crate::support::namespace;
use crate::support::patience::{Stopwatch, hold_for, look_for};
use crate::support::plant::{FastAgi, RealPlant};
use crate::support::rest;
use crate::support::vigie::Service;

const SECRETS: [(&str, &str); 3] = [
    ("VIGIE_XIVO1_SECRET", "s3cret-sonde"),
    ("VIGIE_XIVO2_SECRET", "s3cret-sonde"),
    ("VIGIE_XIVO3_SECRET", "s3cret-sonde"),
];
/// The lab at the addresses of the sample; the watchdog stands where the old monitoring stood.
const ADDRESSES: [(&str, &str); 5] = [
    ("VIGIE_LAB_XIVO1", "192.0.2.11"),
    ("VIGIE_LAB_XIVO2", "192.0.2.12"),
    ("VIGIE_LAB_XIVO3", "192.0.2.13"),
    ("VIGIE_LAB_PATTON", "192.0.2.10"),
    ("VIGIE_LAB_CALLERS", "192.0.2.30"),
];
/// Machines that are switched off, and the fibre that is not there yet.
const ABSENT: [u8; 3] = [8, 60, 61];
const SITES: [&str; 3] = [
    "www.allo119.gouv.fr",
    "www.giped.gouv.fr",
    "www.onpe.gouv.fr",
];

/// Something else that wants a whole core, as a back-up at night does.
struct Burner(Child);

impl Burner {
    fn light() -> Self {
        let burner = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "perl", "-e", "1 while 1"])
            .stdin(Stdio::null())
            .spawn();
        Self(burner.expect("the programs setpriv and perl"))
    }
}

impl Drop for Burner {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The sample with what every installer has to fill in: where it stands, whom it trusts and asks.
fn configuration(authority: &std::path::Path, compressed: bool) -> String {
    let sample = include_str!("../deploy/vigie.toml");
    let mut text = sample.to_owned();
    let mut fillings = vec![
        ("data = \"/var/lib/vigie\"", "data = \"@DATA@\"".to_owned()),
        ("local = \"0.0.0.0\"", "local = \"192.0.2.30\"".to_owned()),
        (
            "# resolvers = [\"192.0.2.53\"]",
            format!("resolvers = [\"{}\"]", rest::NAME_SERVER),
        ),
        (
            "# tls_ca = \"/etc/vigie/ca.pem\"",
            format!("tls_ca = \"{}\"", authority.display()),
        ),
    ];
    if compressed {
        // More calls than a real trunk may be given.
        fillings.push((
            "\ncalls_per_hour_max = 90\n",
            "\ncalls_per_hour_max = 360\n".to_owned(),
        ));
        for rare in ["lane = \"slow\"", "every = \"3m\"", "every = \"5m\""] {
            let often = if rare.starts_with("lane") {
                "lane = \"standard\""
            } else {
                "every = \"40s\""
            };
            fillings.push((rare, often.to_owned()));
        }
    }
    for (placeholder, ours) in fillings {
        assert!(text.contains(placeholder), "the sample has {placeholder}");
        text = text.replace(placeholder, &ours);
    }
    text
}

/// Everything that is not good, in words. That this machine is overloaded may be said, for then it is; it must
/// not be said of the plant.
fn complaints(status: &Value) -> Vec<String> {
    let subjects = ["lines", "targets"]
        .iter()
        .flat_map(|kind| status[kind].as_array().expect("a list"));
    let mut complaints: Vec<String> = subjects
        .filter(|subject| subject["verdict"] != "good")
        .map(|subject| {
            format!(
                "{} is {}: {}",
                subject["id"], subject["verdict"], subject["failure"]
            )
        })
        .collect();
    if status["fresh"] != true {
        complaints.push("the view is old".to_owned());
    }
    complaints
}

#[test]
#[ignore = "needs Asterisk and baresip: tests/run peers"]
fn the_whole_plant_stays_good_beside_a_burning_cpu() {
    let seconds = std::env::var("VIGIE_SOAK_SECONDS").map_or(60, |text| {
        text.parse()
            .expect("VIGIE_SOAK_SECONDS is a number of seconds")
    });
    namespace::enter_own_network();
    namespace::own_addresses_of("192.0.2", &ABSENT);
    let web = Certificate::for_names("authority of the plant", &SITES, 2099);
    let folder = tempfile::tempdir().expect("a folder for the authority");
    let authority = folder.path().join("ca.pem");
    std::fs::write(&authority, &web.authority).expect("to write the authority");
    rest::serve(&web);
    let servers = ["xivo1", "xivo2", "xivo3", "patton", "agent-4099"];
    let _plant = RealPlant::start_here(&servers, &ADDRESSES);
    let _fastagi = ["192.0.2.11", "192.0.2.12"].map(FastAgi::on);
    let service = Service::run(
        &configuration(&authority, seconds < 600),
        "127.0.0.1:8119",
        &SECRETS,
    );

    let mut missing = Vec::new();
    let started = look_for(Duration::from_secs(60), || {
        let status = service.status();
        missing = complaints(&status);
        let all = status["targets"].as_array().map_or(0, Vec::len);
        (all == 56 && missing.is_empty()).then_some(())
    });
    let (_, took) = started.unwrap_or_else(|| panic!("not good: {missing:#?}\n{}", service.log()));
    println!(
        "whole plant: every target seen good {:.1} s after the start",
        took.as_secs_f64()
    );

    let mut own_faults = BTreeSet::new();
    let _burner = Burner::light();
    let clock = Stopwatch::start();
    let (cpu, memory) = (service.cpu(), service.memory_kib());
    hold_for(
        "watching the whole plant",
        Duration::from_secs(seconds),
        Duration::from_millis(250),
        || {
            let status = service.status();
            let faults = status["own_faults"].as_array().expect("a list");
            own_faults.extend(faults.iter().map(|fault| fault["code"].to_string()));
            let complaints = complaints(&status);
            (!complaints.is_empty()).then(|| format!("{complaints:#?}\n{}", service.log()))
        },
    );
    let runs: u64 = service.status()["targets"]
        .as_array()
        .expect("a list")
        .iter()
        .flat_map(|target| target["probes"].as_array().expect("a list"))
        .flat_map(|probe| probe["runs"].as_array().expect("a list"))
        .map(|count| count.as_u64().expect("a count"))
        .sum();
    println!("whole plant: faults of this machine that were told: {own_faults:?}");
    println!(
        "whole plant: {} s beside a burning CPU, {runs} probes, no false alarm; {:.2} % of a core, \
         {:.1} MB at first, {:.1} MB at last",
        seconds,
        100.0 * (service.cpu() - cpu).as_secs_f64() / clock.elapsed().as_secs_f64(),
        mb(memory),
        mb(service.memory_kib()),
    );
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53 KiB")]
fn mb(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
