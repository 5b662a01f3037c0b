//! What a caller would hear, called at real Asterisk servers (`tests/lab`, numbers 0199001100 and up), over
//! networks that the kernel makes bad. Witnesses that we did not write: tshark on a capture of the same
//! call, the kernel's count of the packets it dropped, and the PBX's own count of what it heard.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::support::bad_wire::{Cable, Losses};
use crate::support::capture::Capture;
use crate::support::patience::wait_for;
use crate::support::plant::RealPlant;
use crate::support::vigie::{Report, probe};

const US: &str = "127.0.0.1";
const PBX: &str = "127.0.1.1";

/// Reports of the media come every second: no test waits longer for the far end's view.
const REPORTS: [(&str, &str); 1] = [("VIGIE_LAB_RTCP_MS", "1000")];

fn plant() -> RealPlant {
    RealPlant::start_with(&["xivo1"], &REPORTS)
}

/// A call of this length to a number of the lab.
fn call(number: &str, hold: &str) -> Report {
    call_at(PBX, number, hold, &[])
}

fn call_at(pbx: &str, number: &str, hold: &str, options: &[&str]) -> Report {
    let uri = format!("sip:{number}@{pbx}");
    let mut arguments = vec!["call", &uri, "--hold", hold];
    arguments.extend(options);
    probe(&arguments)
}

/// What the PBX says of the media of its last call, by its own names: `rxcount`, `lp`, `rtt`…
fn heard_by_the_pbx(plant: &RealPlant) -> BTreeMap<String, f64> {
    let (line, _) = wait_for("the PBX ends the call", Duration::from_secs(5), || {
        let log = plant.log("xivo1");
        let said = log.rsplit_once("app_verbose.c: heard by the PBX: ")?.1;
        Some(said.split_once('\n')?.0.to_owned())
    });
    line.split(';')
        .filter_map(|figure| figure.split_once('='))
        .filter_map(|(name, value)| Some((name.to_owned(), value.trim().parse().ok()?)))
        .collect()
}

#[test]
#[ignore = "needs Asterisk: tests/run peers"]
fn an_answer_without_a_packet_is_no_media() {
    let plant = plant();
    let report = call("0199001108", "3s");
    assert_eq!(report.verdict(), "down", "{:#}", report.json);
    assert_eq!(report.failure(), "no_media", "{:#}", report.json);
    let heard = heard_by_the_pbx(&plant);
    assert_eq!(heard["txcount"], 0.0, "{heard:?}");
    assert!(heard["rxcount"] > 140.0, "{heard:?}");
}

#[test]
#[ignore = "needs Asterisk: tests/run peers"]
fn a_pbx_that_hangs_up_in_the_middle_is_said_so() {
    let _plant = plant();
    let report = call("0199001103", "6s");
    assert_eq!(report.failure(), "hung_up_early", "{:#}", report.json);
}

#[test]
#[ignore = "needs Asterisk: tests/run peers"]
fn no_codec_in_common_is_refused_with_488() {
    let _plant = plant();
    let report = call_at(PBX, "0199001100", "2s", &["--local", "127.0.1.51:0"]);
    assert_eq!(report.verdict(), "down", "{:#}", report.json);
    assert_eq!(report.blame(), "refused", "{:#}", report.json);
    assert_eq!(report.failure(), "sip_488", "{:#}", report.json);
}

#[test]
#[ignore = "needs Asterisk: tests/run peers"]
fn all_digits_of_rfc_4733_are_heard() {
    let _plant = plant();
    let report = call("0199001111", "4s");
    report.assert_good();
    assert_eq!(report.json["dtmf"], "1234567890*#ABCD", "{:#}", report.json);
}

#[test]
#[ignore = "needs Asterisk, tshark and nftables: tests/run peers"]
fn every_tenth_packet_that_the_kernel_drops_toward_us_is_counted() {
    let _plant = plant();
    let losses = Losses::every(10, "lo", US);
    let capture = Capture::on("lo");
    let report = call("0199001100", "4s");
    let row = capture.end(PBX).row_from(PBX);
    let dropped = i64::try_from(losses.count()).expect("a few");
    assert!(dropped >= 18, "{dropped} were dropped: {row:?}");
    assert_eq!(report.json["rtp"]["lost"], dropped, "{:#}", report.json);
    assert_eq!(row.lost, dropped, "{row:?}");
    assert_eq!(
        report.json["rtp"]["received"], row.packets,
        "{:#}",
        report.json
    );
}

#[test]
#[ignore = "needs Asterisk and nftables: tests/run peers"]
fn every_tenth_packet_that_the_kernel_drops_toward_them_is_counted_by_them() {
    let plant = plant();
    let losses = Losses::every(10, "lo", PBX);
    let report = call("0199001101", "6s");
    let heard = heard_by_the_pbx(&plant);
    let dropped = losses.count();
    assert!(dropped >= 28, "{dropped} were dropped");
    let sent = report.json["rtp"]["sent"].as_f64().expect("a count");
    assert_eq!(heard["rxcount"] + figure(dropped), sent, "{heard:?}");
    // Its own loss is that of its last report, up to a second before the end.
    let lost = heard["lp"];
    assert!(
        (figure(dropped) - 6.0..=figure(dropped)).contains(&lost),
        "{heard:?}"
    );
}

#[expect(clippy::print_stdout, reason = "the figures are what one runs it for")]
fn println_figures(report: &Report, heard: &BTreeMap<String, f64>, dropped: u64) {
    println!(
        "dropped {dropped}; the PBX: {heard:?}; ours: {:#}",
        report.json
    );
}

#[expect(clippy::cast_precision_loss, reason = "a few hundred packets")]
fn figure(count: u64) -> f64 {
    count as f64
}

#[test]
#[ignore = "needs Asterisk and nftables: tests/run peers"]
fn a_wall_toward_us_is_no_media() {
    let plant = plant();
    let _wall = Losses::all("lo", US);
    let report = call("0199001101", "3s");
    assert_eq!(report.failure(), "no_media", "{:#}", report.json);
    let heard = heard_by_the_pbx(&plant);
    assert!(heard["txcount"] > 140.0, "{heard:?}");
}

#[test]
#[ignore = "needs Asterisk and tc: tests/run peers"]
fn a_narrow_cable_makes_packets_late_and_loses_some() {
    let cable = Cable::laid();
    let settings = [
        ("VIGIE_LAB_XIVO1", Cable::FAR),
        ("VIGIE_LAB_CALLERS", Cable::NEAR),
        REPORTS[0],
    ];
    let _plant = cable.at_the_far_end(|| RealPlant::start_here(&["xivo1"], &settings));
    // G.711 with its headers is 80 kbit/s and 88 on this cable.
    cable.narrow(76, 200);
    let capture = Capture::on("near");
    let report = call_at(Cable::FAR, "0199001101", "6s", &["--local", "192.0.2.1:0"]);
    let row = capture.end(Cable::FAR).row_from(Cable::FAR);
    println_figures(&report, &BTreeMap::new(), 0);
    assert_eq!(report.json["rtp"]["lost"], row.lost, "{row:?}");
}
