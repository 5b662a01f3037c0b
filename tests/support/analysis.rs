//! `vigie analyse` asked as a script asks it, and laid beside tshark line by line.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::capture::rows_of;

/// `vigie analyse --json` of a file.
pub(crate) fn explained(file: &Path, arguments: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_vigie"))
        .args(["analyse", "--json"])
        .args(arguments)
        .arg(file)
        .output()
        .expect("the binary was built for this test");
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stdout)))
}

/// `least/mean/most`, three decimals each, as tshark prints them.
pub(crate) fn range(of: &Value) -> String {
    ["min", "mean", "max"]
        .map(|key| format!("{:.3}", of[key].as_f64().unwrap()))
        .join("/")
}

/// The same, where a figure that lies on the edge of two decimals, to the nanosecond, reads as tshark's does.
fn beside_theirs(of: &Value, theirs: Option<&[String; 3]>) -> String {
    const HALF_A_DIGIT_MS: f64 = 0.0005;
    const NANOSECOND_MS: f64 = 1e-6;
    let keys = ["min", "mean", "max"].into_iter().enumerate();
    let figures: Vec<String> = keys
        .map(|(place, key)| {
            let ours = of[key].as_f64().unwrap();
            let theirs = theirs.map(|theirs| theirs[place].as_str());
            let rounds_to = |text: &&str| {
                let printed: f64 = text.parse().unwrap();
                (ours - printed).abs() <= HALF_A_DIGIT_MS + NANOSECOND_MS
            };
            match theirs.filter(rounds_to) {
                Some(theirs) => theirs.to_owned(),
                None => format!("{ours:.3}"),
            }
        })
        .collect();
    figures.join("/")
}

/// Every row of tshark is one of ours with the same packets, loss, delta and jitter, and there is no other.
/// Both are told the port of RTP, or learn it from the SIP in the capture.
#[track_caller]
pub(crate) fn assert_tshark_agrees(file: &Path, port: Option<u16>, name: &str) {
    let named = port.map(|port| port.to_string());
    let decode = port.map(|port| format!("udp.port=={port},rtp"));
    let (asked, asked_of_tshark) = match (&named, &decode) {
        (Some(port), Some(decode)) => (
            vec!["--rtp-port", port.as_str()],
            vec!["-d", decode.as_str()],
        ),
        _ => (Vec::new(), Vec::new()),
    };
    // The last stream to begin comes first there.
    let mut rows = rows_of(file, &asked_of_tshark);
    rows.reverse();
    let theirs: Vec<String> = rows
        .iter()
        .map(|row| {
            format!(
                "{:#010x} {} > {}: {} packets, {} lost, {} {}",
                row.ssrc,
                row.source,
                row.destination,
                row.packets,
                row.lost,
                row.delta_ms.join("/"),
                row.jitter_ms.join("/")
            )
        })
        .collect();
    let ours: Vec<String> = explained(file, &asked)["streams"]
        .as_array()
        .expect("a list")
        .iter()
        .enumerate()
        .map(|(place, row)| {
            let beside = rows.get(place);
            format!(
                "{} {} > {}: {} packets, {} lost, {} {}",
                row["ssrc"].as_str().expect("a word"),
                host(&row["source"]),
                host(&row["destination"]),
                row["packets"],
                row["lost"],
                beside_theirs(&row["delta_ms"], beside.map(|row| &row.delta_ms)),
                beside_theirs(&row["jitter_ms"], beside.map(|row| &row.jitter_ms))
            )
        })
        .collect();
    assert!(!theirs.is_empty(), "{name}: tshark sees nothing");
    assert_eq!(ours, theirs, "{name}");
}

fn host(address: &Value) -> String {
    let address: SocketAddr = address
        .as_str()
        .and_then(|text| text.parse().ok())
        .expect("an address with a port");
    address.ip().to_string()
}
