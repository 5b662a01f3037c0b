//! `vigie analyse` counts what happened to a stream, to the last decimal: fifteen captures made in code, each
//! with one thing in it. tshark says the same of every one (`real_tshark`).

use std::fs;

use serde_json::Value;

use crate::support::analysis::{explained, range};
use crate::support::made::{Family, Link, PORT, captures};

/// Packets, lost, delta and jitter of each row.
fn rows(json: &Value) -> Vec<String> {
    json["streams"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            format!(
                "{} {} {} {}",
                row["packets"],
                row["lost"],
                range(&row["delta_ms"]),
                range(&row["jitter_ms"])
            )
        })
        .collect()
}

/// Packets, lost, delta and jitter in milliseconds; what chance did is Python's (`support::made`).
const EXPECTED: &[(&str, &[&str])] = &[
    ("A clean", &["500 0 20.000/20.000/20.000 0.000/0.000/0.000"]),
    (
        "B every other 5 ms late",
        &["500 0 15.000/20.010/25.000 0.312/4.850/5.000"],
    ),
    (
        "C 40 ms later from the middle on",
        &["500 0 20.000/20.080/60.000 0.000/0.080/2.500"],
    ),
    (
        "D one 15 ms late",
        &["500 0 5.000/20.000/35.000 0.000/0.060/1.816"],
    ),
    (
        "E lost in bursts",
        &["949 51 20.000/21.076/180.000 0.000/0.000/0.000"],
    ),
    (
        "F two swapped",
        &["500 0 20.000/20.000/20.000 0.000/0.160/4.692"],
    ),
    (
        "G sequence numbers wrap",
        &["500 0 20.000/20.000/20.000 0.000/0.000/0.000"],
    ),
    (
        "H one twice",
        &["501 -1 0.000/19.960/20.000 0.000/0.000/0.000"],
    ),
    (
        "I clock 200 ppm slow",
        &["500 0 20.004/20.004/20.004 0.000/0.004/0.004"],
    ),
    (
        "J a second of silence not sent",
        &["500 0 20.000/20.000/20.000 0.000/0.000/0.000"],
    ),
    (
        "K timestamp jumps",
        &["500 0 20.000/20.000/20.000 0.000/20.040/625.000"],
    ),
    (
        "L up to 10 ms late",
        &["500 0 10.703/19.999/29.566 0.108/3.026/4.676"],
    ),
    (
        "M the source changes",
        &[
            "250 0 20.000/20.000/20.000 0.000/0.000/0.000",
            "250 0 20.000/20.000/20.000 0.000/0.000/0.000",
        ],
    ),
    (
        "N the payload type changes",
        &["500 0 20.000/20.000/20.000 0.000/0.000/0.000"],
    ),
    (
        "O head and tail missing",
        &["480 0 20.000/20.000/20.000 0.000/0.000/0.000"],
    ),
];

/// Figures beyond those of tshark, by the first letter of the capture and a JSON pointer into its first row.
const BEYOND: &[(&str, &str, &str)] = &[
    ("A", "/payload_types", "[8]"),
    ("A", "/media_state", "\"DIGITAL_SILENCE\""),
    ("A", "/pdv_ms/max", "0.0"),
    ("C", "/pdv_ms/p99", "40.0"),
    ("D", "/pdv_ms/max", "15.0"),
    ("E", "/loss_runs/longest", "8"),
    ("E", "/burst/bursts", "13"),
    ("F", "/reordered", "1"),
    ("F", "/duplicates", "0"),
    ("H", "/duplicates", "1"),
    ("J", "/report/stream/longest_wait_ms", "1020.0"),
    ("K", "/report/stream/jumps/timestamp", "1"),
    ("N", "/report/stream/jumps/payload_type", "1"),
    ("N", "/payload_types", "[8,0]"),
    ("O", "/expected", "480"),
];

#[test]
fn every_packet_of_fifteen_captures_is_accounted_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("made.pcap");
    let mut names = Vec::new();
    for (made, (name, expected)) in captures().iter().zip(EXPECTED) {
        names.push(made.name);
        for family in [Family::V4, Family::V6] {
            fs::write(&file, made.file(family, Link::Raw)).unwrap();
            // By its port, and by its look.
            for port in [&["--rtp-port", &PORT.to_string()][..], &[]] {
                let json = explained(&file, port);
                assert_eq!(rows(&json), *expected, "{name}, {family:?}, {port:?}");
                for (_, pointer, value) in BEYOND.iter().filter(|it| name.starts_with(it.0)) {
                    let found = json["streams"][0].pointer(pointer).map(Value::to_string);
                    assert_eq!(found.as_deref(), Some(*value), "{name}: {pointer}");
                }
            }
        }
    }
    let expected: Vec<&str> = EXPECTED.iter().map(|it| it.0).collect();
    assert_eq!(names, expected);
}

#[test]
fn every_link_shows_the_same_stream() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("made.pcap");
    let all = captures();
    let (made, expected) = (&all[4], EXPECTED[4].1);
    for link in Link::ALL {
        for family in [Family::V4, Family::V6] {
            fs::write(&file, made.file(family, link)).unwrap();
            let json = explained(&file, &[]);
            assert_eq!(rows(&json), expected, "{link:?} {family:?}");
            assert_eq!(json["warnings"], serde_json::json!([]), "{link:?}");
        }
    }
}

#[test]
fn a_capture_cut_off_within_a_packet_is_read_up_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("made.pcap");
    let whole = captures()[0].file(Family::V4, Link::Raw);
    fs::write(&file, &whole[..whole.len() - 7]).unwrap();
    let json = explained(&file, &[]);
    assert_eq!(json["streams"][0]["packets"], 499);
    assert_eq!(
        json["warnings"],
        serde_json::json!(["the file is damaged after packet 499: it ends within a packet"])
    );
}

/// Keys that scripts rely on: they are added to, never changed.
#[test]
fn the_keys_of_the_json_are_a_promise() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("made.pcap");
    fs::write(&file, captures()[0].file(Family::V4, Link::Raw)).unwrap();
    let json = explained(&file, &[]);
    for pointer in [
        "/file",
        "/frames",
        "/warnings",
        "/dialogs",
        "/streams/0/ssrc",
        "/streams/0/source",
        "/streams/0/destination",
        "/streams/0/payload_types",
        "/streams/0/encodings",
        "/streams/0/start_ms",
        "/streams/0/end_ms",
        "/streams/0/packets",
        "/streams/0/expected",
        "/streams/0/lost",
        "/streams/0/loss_percent",
        "/streams/0/duplicates",
        "/streams/0/reordered",
        "/streams/0/delta_ms/mean",
        "/streams/0/jitter_ms/min",
        "/streams/0/jitter_ms/mean",
        "/streams/0/jitter_ms/max",
        "/streams/0/jitter_ms/last",
        "/streams/0/pdv_ms/p50",
        "/streams/0/pdv_ms/p95",
        "/streams/0/pdv_ms/p99",
        "/streams/0/pdv_ms/max",
        "/streams/0/loss_runs/histogram",
        "/streams/0/burst/bursts",
        "/streams/0/mos/cq",
        "/streams/0/mos/lq",
        "/streams/0/mos/grounded",
        "/streams/0/mos/scale",
        "/streams/0/media_state",
        "/streams/0/limits_broken",
        "/streams/0/dialog",
        "/streams/0/far_end",
        "/streams/0/round_trip_ms",
        "/streams/0/report",
    ] {
        assert!(json.pointer(pointer).is_some(), "{pointer} in {json:#}");
    }
    assert_eq!(json["streams"][0]["ssrc"], "0x11223344");
    // A file that is no capture is told in JSON, too.
    fs::write(&file, "no capture").unwrap();
    let refused = explained(&file, &[]);
    assert_eq!(refused["failure"]["code"], "bad_input", "{refused:#}");
}
