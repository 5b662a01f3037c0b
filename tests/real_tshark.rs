//! tshark reads what vigie writes: an instrument that nobody here made.
//!
//! `tests/run` runs these where tshark is installed; `cargo test` alone lists them as ignored.

use std::fs;
use std::process::Command;

use vigie::rtp::rtcp::{self, Delay, Extended, JitterBuffer, Levels, Losses, Scores, VoipMetrics};

use crate::support::analysis::assert_tshark_agrees;
use crate::support::made::{Family, Link, PORT, captures};

/// A capture of UDP datagrams, each from 192.0.2.1:5001 to 192.0.2.2:5001, in bare IP packets.
fn capture(datagrams: &[Vec<u8>]) -> Vec<u8> {
    const MAGIC: u32 = 0xa1b2_c3d4;
    const LINKTYPE_RAW: u32 = 101;
    let mut bytes = Vec::new();
    for word in [MAGIC, 0x0004_0002, 0, 0, 65_535, LINKTYPE_RAW] {
        bytes.extend(word.to_le_bytes());
    }
    for (second, payload) in (1_700_000_000_u32..).zip(datagrams) {
        let udp = u16::try_from(8 + payload.len()).unwrap();
        for word in [second, 0, u32::from(udp) + 20, u32::from(udp) + 20] {
            bytes.extend(word.to_le_bytes());
        }
        let [high, low] = (udp + 20).to_be_bytes();
        bytes.extend([0x45, 0, high, low, 0, 0, 0, 0, 64, 17, 0, 0]);
        bytes.extend([192, 0, 2, 1, 192, 0, 2, 2]);
        for field in [5001, 5001, udp, 0] {
            bytes.extend(u16::to_be_bytes(field));
        }
        bytes.extend(payload);
    }
    bytes
}

fn voice() -> VoipMetrics {
    VoipMetrics {
        ssrc: 0x0909_0909,
        losses: Losses {
            lost_256: 7,
            discarded_256: 3,
            burst_density_256: 128,
            gap_density_256: 1,
            burst_ms: 120,
            gap_ms: 4321,
            gmin: 16,
        },
        round_trip_ms: 61,
        end_system_delay_ms: 75,
        levels: Levels {
            signal_dbm0: Some(-15),
            noise_dbm0: Some(-70),
            rerl_db: None,
        },
        scores: Scores {
            r: Some(82),
            r_external: None,
            mos_lq_x10: Some(41),
            mos_cq_x10: Some(40),
        },
        buffer: JitterBuffer {
            config: 0b0011_0000,
            nominal_ms: 60,
            max_ms: 500,
            absolute_max_ms: 500,
        },
    }
}

/// Our compounds of all shapes: no packet is malformed, each field is the one we meant.
#[test]
#[ignore = "needs tshark: tests/run peers"]
fn our_rtcp_decodes_in_tshark() {
    let sender = rtcp::SenderInfo {
        ntp: 0xb44d_b705_2000_0000,
        rtp_timestamp: 1,
        packets: 2,
        octets: 320,
    };
    let block = rtcp::Block {
        ssrc: 0x0909_0909,
        fraction_lost: 64,
        lost: -3,
        extended_max: 0x1_0002,
        jitter: 160,
        last_sr: 0xb705_2000,
        delay_since_last_sr: 0x0005_4000,
    };
    let all = rtcp::Report {
        ssrc: 7,
        sender: Some(sender),
        blocks: vec![block],
        extended: Extended {
            reference_time: Some(sender.ntp),
            delays: vec![
                Delay {
                    ssrc: 0x0909_0909,
                    last_rr: 5,
                    delay_since_last_rr: 6,
                };
                2
            ],
            voip_metrics: vec![voice()],
        },
        bye: true,
    };
    let plain = rtcp::Report {
        ssrc: 7,
        ..rtcp::Report::default()
    };
    let heard = rtcp::Report {
        sender: None,
        bye: false,
        ..all.clone()
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rtcp.pcap");
    let compounds = [&all, &plain, &heard].map(rtcp::write);
    fs::write(&file, capture(&compounds)).unwrap();

    let expected = [
        ("_ws.malformed", ""),
        ("_ws.expert.message", ""),
        ("rtcp.pt", "200,202,207,203"),
        ("rtcp.ssrc.cum_nr", "-3"),
        ("rtcp.ssrc.jitter", "160"),
        ("rtcp.xr.bt", "4,5,7"),
        ("rtcp.xr.dlrr", "6,6"),
        ("rtcp.xr.voipmetrics.burstdensity", "128"),
        ("rtcp.xr.voipmetrics.gapdensity", "1"),
        ("rtcp.xr.voipmetrics.burstduration", "120"),
        ("rtcp.xr.voipmetrics.gapduration", "4321"),
        ("rtcp.xr.voipmetrics.rtdelay", "61"),
        ("rtcp.xr.voipmetrics.esdelay", "75"),
        ("rtcp.xr.voipmetrics.signallevel", "-15"),
        ("rtcp.xr.voipmetrics.noiselevel", "-70"),
        ("rtcp.xr.voipmetrics.rerl", "127"),
        ("rtcp.xr.voipmetrics.gmin", "16"),
        ("rtcp.xr.voipmetrics.rfactor", "82"),
        ("rtcp.xr.voipmetrics.extrfactor", "127"),
        ("rtcp.xr.voipmetrics.moslq", "4.1"),
        ("rtcp.xr.voipmetrics.moscq", "4"),
        ("rtcp.xr.voipmetrics.jba", "3"),
        ("rtcp.xr.voipmetrics.jbnominal", "60"),
        ("rtcp.xr.voipmetrics.jbmax", "500"),
        ("rtcp.xr.voipmetrics.jbabsmax", "500"),
    ];
    let mut tshark = Command::new("tshark");
    tshark.args(["-n", "-d", "udp.port==5001,rtcp", "-T", "fields", "-r"]);
    tshark.arg(&file);
    for (field, _) in expected {
        tshark.args(["-e", field]);
    }
    let output = tshark.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let text = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    for ((field, expected), found) in expected.into_iter().zip(lines[0].split('\t')) {
        assert_eq!(found, expected, "{field}");
    }
    for (line, kinds) in [(lines[1], "201,202"), (lines[2], "201,202,207")] {
        let fields: Vec<&str> = line.split('\t').collect();
        assert_eq!(fields[..3], ["", "", kinds], "{line}");
    }
}

#[test]
#[ignore = "needs tshark: tests/run peers"]
fn tshark_has_the_same_figures_of_every_stream() {
    let folder = tempfile::tempdir().unwrap();
    let (pcap, pcapng) = (
        folder.path().join("made.pcap"),
        folder.path().join("made.pcapng"),
    );
    for made in captures() {
        // What stands before the packets does not depend on what is in them: one capture shows it.
        let links = if made.name.starts_with('L') {
            &Link::ALL[..]
        } else {
            &[Link::Raw]
        };
        for link in links.iter().copied() {
            for family in [Family::V4, Family::V6] {
                let name = format!("{}, {link:?}, {family:?}", made.name);
                fs::write(&pcap, made.file(family, link)).unwrap();
                assert_tshark_agrees(&pcap, Some(PORT), &name);
                let converted = Command::new("editcap")
                    .args(["-F", "pcapng"])
                    .args([&pcap, &pcapng])
                    .status()
                    .expect("the program editcap, which comes with tshark");
                assert!(converted.success(), "{name}: {converted}");
                assert_tshark_agrees(&pcapng, Some(PORT), &format!("{name}, pcapng"));
            }
        }
    }
}
