//! What a caller would hear, called at real Asterisk servers (`tests/lab`, numbers 0199001100 and up), over
//! networks that the kernel makes bad. Witnesses that we did not write: tshark on a capture of the same
//! call, the kernel's count of the packets it dropped, and the PBX's own count of what it heard.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use vigie::audio::prompt::{Match, Reference, Word};
use vigie::calls::observe::{Observed, Outcome};
use vigie::calls::script::{Route, Task};
use vigie::io::shard::{self, run_one};
use vigie::probe::call::{Hear, Settings};
use vigie::probe::{Failure, Verdict};
use vigie::quality::leg;
use vigie::quality::media_state::MediaState;
use vigie::rtp::Figures;
use vigie::sip::Transport;

use crate::support::analysis::{assert_tshark_agrees, explained};
use crate::support::bad_wire::{Cable, Losses};
use crate::support::burners::Burners;
use crate::support::capture::{Capture, Row};
use crate::support::patience::wait_for;
use crate::support::plant::RealPlant;
use crate::support::vigie::probe;

const US: &str = "127.0.0.1";
const PBX: &str = "127.0.1.1";
const BURNERS: usize = 4;

/// The PBX reports every second: no test waits longer for its view.
const REPORTS: [(&str, &str); 1] = [("VIGIE_LAB_RTCP_MS", "1000")];

fn plant() -> RealPlant {
    RealPlant::start_with(&["xivo1"], &REPORTS)
}

/// One call as a probe makes it, and all that came of it.
struct Call {
    observed: Observed,
    verdict: Verdict,
    quality: Option<leg::Report>,
}

/// Calls a number of the lab from `us`, and stays for so many seconds.
fn call_at(us: &str, pbx: &str, number: &str, seconds: u64, hear: Hear) -> Call {
    let address = |text: &str| text.parse::<IpAddr>().expect("an address");
    let mut settings = Settings::new(format!("sip:{number}@{pbx}"), format!("sip:vigie@{us}"));
    settings.hold = Duration::from_secs(seconds);
    settings.hear = hear;
    let route = Route {
        transport: Transport::Udp,
        peer: SocketAddr::new(address(pbx), 5060),
        local: SocketAddr::new(address(us), 0),
        server_name: None,
        fresh: true,
    };
    let task = Task::Call(settings.plan(route, None, true));
    let mut observed = run_one(task, &shard::Settings::default());
    observed.examine(None);
    let (verdict, quality) = settings.judge_and_report(&observed);
    Call {
        verdict,
        quality,
        observed,
    }
}

fn call(number: &str, seconds: u64) -> Call {
    call_at(US, PBX, number, seconds, Hear::Anything)
}

impl Call {
    #[track_caller]
    fn quality(&self) -> &leg::Report {
        self.quality
            .as_ref()
            .unwrap_or_else(|| panic!("a call with sound: {:?}", self.verdict))
    }

    #[track_caller]
    fn stream(&self) -> &Figures {
        let quality = self.quality();
        quality
            .stream
            .as_ref()
            .unwrap_or_else(|| panic!("a stream: {quality:#?}"))
    }

    fn failure(&self) -> &str {
        self.verdict
            .failure
            .as_ref()
            .map_or("", |failure: &Failure| &failure.code)
    }

    #[track_caller]
    fn assert_state(&self, expected: MediaState) {
        let found = self.quality().media_state;
        assert_eq!(found, expected, "{:?}: {:#?}", self.verdict, self.quality);
    }

    /// What was heard from the answer on, held against a sound of the lab.
    #[track_caller]
    fn compared_with(&self, plant: &RealPlant, sound: &str) -> Match {
        let recording = self.observed.recording.as_ref().expect("a probe keeps it");
        let reference = Reference::new(&plant.sound(sound)).expect("seconds of sound");
        reference.compare(&recording.heard.samples)
    }

    #[track_caller]
    fn audio_round_trip_ms(&self) -> f64 {
        let echo = self.observed.echoed.as_ref();
        let echo = echo.unwrap_or_else(|| panic!("an echo of our chirp: {:?}", self.verdict));
        assert!(echo.likeness > 0.85, "{echo:?}");
        echo.round_trip.as_secs_f64() * 1000.0
    }

    #[track_caller]
    fn rtcp_round_trip_ms(&self) -> f64 {
        let round_trip = self.observed.rtp.round_trip.expect("reports both ways");
        round_trip.as_secs_f64() * 1000.0
    }
}

/// Calls a number that hangs up by itself, which [`Call`] then is about to the last packet: were it us who
/// hang up, a capture would show what was still on its way.
fn call_to_its_end(us: &str, pbx: &str, number: &str) -> Call {
    let call = call_at(us, pbx, number, 25, Hear::Anything);
    let outcome = &call.observed.outcome;
    assert!(
        matches!(outcome, Outcome::HungUpByFarEnd { .. }),
        "{outcome:?}"
    );
    call
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

#[expect(clippy::cast_precision_loss, reason = "a few hundred packets")]
const fn figure(count: u64) -> f64 {
    count as f64
}

#[expect(clippy::print_stdout, reason = "the figures are what one runs it for")]
fn print(what: &str) {
    println!("    {what}");
}

#[test]
#[ignore = "needs Asterisk: tests/run peers"]
fn an_echo_is_heard_and_timed() {
    let plant = plant();
    let call = call_at(US, PBX, "0199001100", 6, Hear::Echo);
    call.assert_state(MediaState::Ok);
    let (audio, rtcp) = (call.audio_round_trip_ms(), call.rtcp_round_trip_ms());
    print(&format!(
        "audio {audio:.3} ms, RTCP {rtcp:.3} ms there and back"
    ));
    // A packet is sent back as it comes; what is between is two schedulers.
    assert!(audio < 5.0, "{audio} ms");
    assert!(rtcp < 5.0, "{rtcp} ms");
    let heard = heard_by_the_pbx(&plant);
    assert_eq!(
        heard["rxcount"],
        figure(call.observed.rtp.sent),
        "{heard:?}"
    );
}

#[test]
#[ignore = "needs Asterisk: tests/run peers"]
fn a_jitter_buffer_delays_the_sound_and_no_report_tells() {
    let _plant = plant();
    let call = call_at(US, PBX, "0199001114", 6, Hear::Echo);
    call.assert_state(MediaState::Ok);
    let (audio, rtcp) = (call.audio_round_trip_ms(), call.rtcp_round_trip_ms());
    print(&format!(
        "audio {audio:.3} ms, RTCP {rtcp:.3} ms there and back"
    ));
    assert!(audio >= rtcp + 20.0, "audio {audio} ms, RTCP {rtcp} ms");
}

#[test]
#[ignore = "needs Asterisk: tests/run peers"]
fn the_right_announcement_is_told_from_another() {
    let plant = plant();
    let right = call("0199001101", 7);
    right.assert_state(MediaState::Ok);
    let found = right.compared_with(&plant, "greeting");
    assert_eq!(found.word, Word::Right, "{found:#?}");
    let place = found.found.expect("it has a place");
    assert!(place.whole, "{found:#?}");
    assert!(place.offset_ms.abs() < 40.0, "at once: {found:#?}");
    assert!(place.louder_db.abs() < 0.5, "{found:#?}");
    let level = right.quality().levels.and_then(|levels| levels.active_dbov);
    assert!((level.expect("speech") + 26.0).abs() < 1.5, "{level:?}");

    let wrong = call("0199001102", 7);
    wrong.assert_state(MediaState::Ok);
    let found = wrong.compared_with(&plant, "greeting");
    assert_eq!(found.word, Word::Wrong, "{found:#?}");
    assert_eq!(wrong.compared_with(&plant, "other").word, Word::Right);
}

#[test]
#[ignore = "needs Asterisk: tests/run peers"]
fn half_an_announcement_is_not_the_whole() {
    let plant = plant();
    // Played on into the quiet room, and cut by a hang-up.
    for (number, hung_up) in [("0199001104", false), ("0199001103", true)] {
        let call = call(number, 6);
        let ended_early = matches!(call.observed.outcome, Outcome::HungUpByFarEnd { .. });
        assert_eq!(
            ended_early, hung_up,
            "{number}: {:?}",
            call.observed.outcome
        );
        if hung_up {
            assert_eq!(call.failure(), "hung_up_early", "{:?}", call.verdict);
        }
        let found = call.compared_with(&plant, "greeting");
        let place = found
            .found
            .unwrap_or_else(|| panic!("{number}: {found:#?}"));
        assert!(!place.whole, "{number}: {found:#?}");
        assert!((2700..=3100).contains(&place.to_ms), "{number}: {found:#?}");
    }
}

#[test]
#[ignore = "needs Asterisk: tests/run peers"]
fn an_announcement_that_comes_late_is_timed() {
    let plant = plant();
    let call = call("0199001105", 7);
    call.assert_state(MediaState::Ok);
    let delay = call.quality().greeting_delay_ms.expect("a greeting");
    // Two seconds from the first packet; the 200 OK leaves another thread of the PBX, a little before or after it.
    assert!((1900.0..=2100.0).contains(&delay), "{delay} ms");
    let found = call.compared_with(&plant, "greeting").found;
    let place = found.expect("the greeting");
    assert!((place.offset_ms - 2000.0).abs() < 40.0, "{place:?}");
}

#[test]
#[ignore = "needs Asterisk: tests/run peers"]
fn sound_without_a_voice_has_a_word_of_its_own() {
    let plant = plant();
    let silent = call("0199001108", 3);
    silent.assert_state(MediaState::NoMedia);
    assert_eq!(silent.failure(), "no_media", "{:?}", silent.verdict);
    let heard = heard_by_the_pbx(&plant);
    assert_eq!(heard["txcount"], 0.0, "{heard:?}");
    assert_eq!(
        heard["rxcount"],
        figure(silent.observed.rtp.sent),
        "{heard:?}"
    );

    let nothing = call("0199001109", 4);
    nothing.assert_state(MediaState::DigitalSilence);
    assert_eq!(
        nothing.failure(),
        "digital_silence",
        "{:?}",
        nothing.verdict
    );

    let low = call("0199001106", 4);
    low.assert_state(MediaState::LowLevel);
    assert_eq!(low.failure(), "low_level", "{:?}", low.verdict);
    let level = low.quality().levels.and_then(|levels| levels.active_dbov);
    assert!((level.expect("speech") + 50.0).abs() < 3.0, "{level:?}");

    let clipped = call("0199001107", 4);
    let share = clipped.quality().levels.expect("levels").clip_percent;
    assert!(share > 0.5, "{share} %");
}

#[test]
#[ignore = "needs Asterisk: tests/run peers"]
fn a_milliwatt_has_its_level() {
    let _plant = plant();
    let call = call("0199001110", 3);
    call.assert_state(MediaState::Ok);
    let level = call.quality().levels.and_then(|levels| levels.active_dbov);
    let level = level.expect("a tone");
    // 0 dBm0 is a sine 3.14 dB below the most that A-law holds (G.711 Table 5), so −6.15 dBov.
    assert!((level + 6.15).abs() < 0.3, "{level} dBov");
}

#[test]
#[ignore = "needs Asterisk: tests/run peers"]
fn digits_are_heard_as_events_and_as_tones() {
    let _plant = plant();
    for (number, events, tones) in [
        ("0199001111", "1234567890*#ABCD", ""),
        ("0199001112", "", "1234567890*#ABCD"),
        ("0199001113", "", "1234567890*#ABCD"),
    ] {
        let call = call(number, 6);
        let quality = call.quality();
        assert_eq!(quality.dtmf, events, "{number}: {quality:#?}");
        assert_eq!(quality.dtmf_tones, tones, "{number}: {quality:#?}");
        call.assert_state(MediaState::Ok);
    }
}

#[test]
#[ignore = "needs Asterisk: tests/run peers"]
fn no_codec_in_common_is_refused_with_488() {
    let _plant = plant();
    let call = call_at("127.0.1.51", PBX, "0199001100", 2, Hear::Anything);
    assert_eq!(call.failure(), "sip_488", "{:?}", call.verdict);
    assert!(call.quality.is_none(), "{:#?}", call.quality);
}

#[test]
#[ignore = "needs Asterisk, tshark and nftables: tests/run peers"]
fn every_tenth_packet_dropped_toward_us_is_counted() {
    let _plant = plant();
    let losses = Losses::every(10, "lo", US);
    let capture = Capture::on("lo");
    let call = call_to_its_end(US, PBX, "0199001105");
    let row = capture.end(PBX).row_from(PBX);
    let dropped = losses.count();
    assert!(dropped >= 70, "{dropped} were dropped: {row:?}");
    let stream = call.stream();
    assert_eq!(stream.counts.missing, dropped, "{stream:#?}");
    assert_eq!(stream.loss_runs.longest, 1, "{stream:#?}");
    assert_eq!(stream.loss_runs.runs, dropped, "{stream:#?}");
    assert_agrees(stream, &row);
    // A chirp with holes is still found.
    let echo = call_at(US, PBX, "0199001100", 4, Hear::Echo);
    assert!(echo.audio_round_trip_ms() < 5.0);
}

#[test]
#[ignore = "needs Asterisk and nftables: tests/run peers"]
fn every_tenth_packet_dropped_on_its_way_to_them_is_told_by_them() {
    let plant = plant();
    let losses = Losses::every(10, "lo", PBX);
    let call = call("0199001101", 6);
    let heard = heard_by_the_pbx(&plant);
    let dropped = losses.count();
    assert!(dropped >= 28, "{dropped} were dropped");
    assert_eq!(call.stream().counts.missing, 0, "{:#?}", call.stream());
    assert_eq!(
        heard["rxcount"] + figure(dropped),
        figure(call.observed.rtp.sent),
        "{heard:?}"
    );
    let leg = call.observed.leg.as_ref().expect("a call with sound");
    let about_us = leg.far_end.about_us.expect("the PBX reports");
    print(&format!(
        "dropped {dropped}; reported {about_us:?}; {heard:?}"
    ));
    // What it has reported is the loss of up to a second before the end, by its own word.
    assert_eq!(f64::from(about_us.lost), heard["lp"], "{heard:?}");
    assert!(
        (figure(dropped) - 6.0..=figure(dropped)).contains(&f64::from(about_us.lost)),
        "{dropped} dropped, {about_us:?}"
    );
}

#[test]
#[ignore = "needs Asterisk and nftables: tests/run peers"]
fn a_wall_toward_us_is_no_media() {
    let plant = plant();
    let _wall = Losses::all("lo", US);
    let call = call("0199001101", 3);
    call.assert_state(MediaState::NoMedia);
    assert_eq!(call.failure(), "no_media", "{:?}", call.verdict);
    let heard = heard_by_the_pbx(&plant);
    assert!(heard["txcount"] > 140.0, "{heard:?}");
}

#[test]
#[ignore = "needs Asterisk and nftables: tests/run peers"]
fn a_wall_on_the_way_to_them_is_one_way() {
    let plant = plant();
    let _wall = Losses::all("lo", PBX);
    let call = call("0199001101", 6);
    let heard = heard_by_the_pbx(&plant);
    assert_eq!(heard["rxcount"], 0.0, "{heard:?}");
    call.assert_state(MediaState::OneWay);
}

#[test]
#[ignore = "needs Asterisk, tshark and tc: tests/run peers"]
fn a_narrow_cable_makes_packets_late_and_loses_some() {
    let cable = Cable::laid();
    let settings = [
        ("VIGIE_LAB_XIVO1", Cable::FAR),
        ("VIGIE_LAB_CALLERS", Cable::NEAR),
        REPORTS[0],
    ];
    let _plant = cable.at_the_far_end(|| RealPlant::start_here(&["xivo1"], &settings));
    // G.711 with its headers is 80 kbit/s, and 85.6 on this cable.
    cable.narrow(76, 4000);
    let capture = Capture::on("near");
    let call = call_to_its_end(Cable::NEAR, Cable::FAR, "0199001105");
    let row = capture.end(Cable::FAR).row_from(Cable::FAR);
    let stream = call.stream();
    assert_agrees(stream, &row);
    assert!(stream.counts.missing > 5, "{stream:#?}");
    let pdv = stream.pdv.expect("sound");
    let late = stream.playout.map(|buffer| buffer.discarded);
    print(&format!(
        "lost {}, {pdv:?}, discarded {late:?}",
        stream.counts.missing
    ));
    // The queue of 4000 bytes is 421 ms long, and full to the last whole packet of 214. How late the PBX
    // itself was comes on top.
    assert!(pdv.p95_ms >= 390.0, "{pdv:?}");
    assert!(late[0] > 100, "a buffer of 50 ms is of no use: {stream:#?}");
}

/// The same call by three instruments: ours on the wire's stamps, tshark on a capture.
#[test]
#[ignore = "needs Asterisk and tshark: tests/run peers"]
fn tshark_has_the_same_figures_with_the_machine_idle_and_busy() {
    let _plant = plant();
    for burners in [0, BURNERS] {
        let burning = Burners::light(burners);
        let capture = Capture::on("lo");
        let call = call_to_its_end(US, PBX, "0199001101");
        drop(burning);
        let captured = capture.end(PBX);
        let row = captured.row_from(PBX);
        let stream = call.stream();
        let offline = analysed(&captured.path(), stream.ssrc);
        print(&format!(
            "{burners} burners: {:?}, tshark {:?}, vigie analyse {}",
            stream.jitter, row.jitter_ms, offline["jitter_ms"]
        ));
        assert_eq!(offline["packets"], stream.counts.packets, "{offline:#}");
        assert_eq!(offline["lost"], stream.counts.lost, "{offline:#}");
        for (name, live) in [
            ("min", stream.jitter.min_ms),
            ("mean", stream.jitter.mean_ms),
            ("max", stream.jitter.max_ms),
        ] {
            let read = offline["jitter_ms"][name].as_f64().expect("milliseconds");
            assert!(
                (read - live).abs() < 0.0015,
                "{name}: {live} and {offline:#}"
            );
        }
        assert_agrees(stream, &row);
    }
}

/// The same stream as `vigie analyse` finds it in a capture.
fn analysed(capture: &Path, ssrc: u32) -> Value {
    let done = Command::new(env!("CARGO_BIN_EXE_vigie"))
        .arg("analyse")
        .arg(capture)
        .arg("--json")
        .output()
        .expect("the program under test");
    let said: Value = serde_json::from_slice(&done.stdout).expect("JSON");
    let ssrc = format!("0x{ssrc:08X}");
    let streams = said["streams"].as_array().into_iter().flatten();
    let ours = streams.into_iter().find(|stream| {
        let name = stream["ssrc"].as_str().unwrap_or_default();
        name.eq_ignore_ascii_case(&ssrc)
    });
    ours.unwrap_or_else(|| panic!("{ssrc} in {said:#}")).clone()
}

/// Loss exact, times to the three decimals that tshark prints.
#[track_caller]
fn assert_agrees(stream: &Figures, row: &Row) {
    assert_eq!(stream.ssrc, row.ssrc);
    assert_eq!(stream.counts.packets, row.packets, "{row:?} {stream:#?}");
    assert_eq!(stream.counts.lost, row.lost, "{row:?} {stream:#?}");
    for (ours, theirs) in [
        (stream.jitter.min_ms, &row.jitter_ms[0]),
        (stream.jitter.mean_ms, &row.jitter_ms[1]),
        (stream.jitter.max_ms, &row.jitter_ms[2]),
        (stream.delta.min_ms, &row.delta_ms[0]),
        (stream.delta.mean_ms, &row.delta_ms[1]),
        (stream.delta.max_ms, &row.delta_ms[2]),
    ] {
        let theirs: f64 = theirs.parse().expect("milliseconds");
        assert!(
            (ours - theirs).abs() < 0.0015,
            "{ours} and {theirs}: {row:?} {:?} {:?}",
            stream.jitter,
            stream.delta
        );
    }
}

/// What an engineer types says the same.
#[test]
#[ignore = "needs Asterisk: tests/run peers"]
fn the_command_line_tells_what_was_heard() {
    let _plant = plant();
    let report = probe(&["call", "sip:0199001101@127.0.1.1", "--hold", "4s"]);
    report.assert_good();
    let quality = &report.json["quality"];
    assert_eq!(quality["media_state"], "OK", "{:#}", report.json);
    assert_eq!(quality["stream"]["lost"], 0, "{:#}", report.json);
    let mos = quality["opinion"]["mos_cq"].as_f64().expect("an opinion");
    assert!((4.2..=4.45).contains(&mos), "{:#}", report.json);
}

/// What an engineer does with a capture of a call: the SIP in it tells each instrument where the sound is.
#[test]
#[ignore = "needs Asterisk and tshark: tests/run peers"]
fn an_analysis_of_a_captured_call_has_the_rows_of_tshark() {
    let _plant = plant();
    let capture = Capture::on("lo");
    let call = call_at(US, PBX, "0199001101", 4, Hear::Anything);
    let captured = capture.end(PBX);
    assert_tshark_agrees(&captured.path(), None, "a call at Asterisk");
    let json = explained(&captured.path(), &[]);
    let streams = json["streams"].as_array().expect("a list");
    assert_eq!(streams.len(), 2, "{json:#}");
    let heard = call.stream();
    let row = streams
        .iter()
        .find(|row| row["ssrc"] == format!("{:#010x}", heard.ssrc));
    let row = row.unwrap_or_else(|| panic!("our stream among {json:#}"));
    assert_eq!(row["packets"], heard.counts.packets, "{json:#}");
    assert_eq!(row["media_state"], "OK", "{json:#}");
    assert_eq!(row["dialog"], 0, "{json:#}");
    let ladder: Vec<&str> = json["dialogs"][0]["ladder"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|rung| rung["what"].as_str())
        .collect();
    for what in ["INVITE", "200 OK", "ACK", "BYE"] {
        let is_there = ladder.iter().any(|rung| rung.starts_with(what));
        assert!(is_there, "{what} in {ladder:?}");
    }
    assert!(!json.to_string().contains("0199001101"), "{json:#}");
}
