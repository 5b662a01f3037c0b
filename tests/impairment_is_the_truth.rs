//! What a receiver measures behind `vigie impair` is what the impairment says it did.
//!
//! In virtual time to the last packet and the last microsecond, for every impairment and many seeds; then
//! through the real program on loopback, where the counts are those of its log. How near the times are is
//! shown beside tshark, in `real_impairment`.

use std::net::UdpSocket;
use std::time::Duration;

use nix::sys::signal::Signal;
use vigie::calls::Component;
use vigie::impair::{Cause, Fate, Settings};
use vigie::io::impair::Way;
use vigie::rtp::{Figures, Stream};

use crate::support::relay::{Receivers, Relay, send_streams, ssrc};
use crate::support::truth::{Truth, hear, through};

/// Everything that changes when and whether packets arrive, as one writes it.
pub(crate) const WEATHER: &[(&str, &str)] = &[
    ("good network", ""),
    ("single losses", "loss = { p = 0.05, r = 1 }"),
    (
        "bursts of loss",
        "loss = { p = 0.02, r = 0.4 }, delay_ms = 60",
    ),
    (
        "half lost while bad",
        "loss = { p = 0.05, r = 0.2, bad = 0.5, good = 0.01 }",
    ),
    ("a hole", "outages = [{ from = 100, until = 130 }]"),
    (
        "a queue's jitter",
        r#"delay_ms = 60, jitter = { shape = "uniform", ms = 30 }"#,
    ),
    (
        "jitter that reorders",
        r#"delay_ms = 20, jitter = { shape = "normal", ms = 25, overtake = true }"#,
    ),
    (
        "a long tail",
        r#"jitter = { shape = "pareto", ms = 10, overtake = true }"#,
    ),
    ("reordered by 1", "reorder = { chance = 0.05 }"),
    ("reordered by 5", "reorder = { chance = 0.05, by = 5 }"),
    ("duplicates", "duplicate = { chance = 0.1 }"),
    (
        "late duplicates",
        "duplicate = { chance = 0.1, after_ms = 30 }",
    ),
    ("stalls", "stall = { every_ms = 2000, for_ms = 150 }"),
    ("a slow link", "rate = { kbit_per_s = 78, queue_ms = 60 }"),
    ("a slow clock", "skew_ppm = 500"),
    (
        "all at once",
        r#"loss = { p = 0.02, r = 0.4 }, rate = { kbit_per_s = 82 }, delay_ms = 40,
        jitter = { shape = "normal", ms = 10, overtake = true }, skew_ppm = -100,
        stall = { every_ms = 3000, for_ms = 100 }, reorder = { chance = 0.03, by = 2 },
        duplicate = { chance = 0.03, after_ms = 5 }"#,
    ),
];

pub(crate) fn settings(keys: &str) -> Settings {
    let mut read: toml::Table = toml::from_str(&format!("keys = {{ {keys} }}")).expect(keys);
    let settings: Settings = read.remove("keys").unwrap().try_into().expect(keys);
    settings.check().expect(keys);
    settings
}

/// Eight seconds of sound: they fit one window of PDV.
const PACKETS: u16 = 400;

fn measured(keys: &str, seed: u64) -> (Truth, Figures) {
    let (records, arrived) = through(settings(keys), seed, PACKETS);
    let mut stream = Stream::new(7, 8000);
    for (at, bytes) in &arrived {
        hear(&mut stream, *at, bytes);
    }
    (Truth::of(&records), stream.figures())
}

#[test]
fn a_receiver_finds_every_loss_duplicate_and_reordering_and_every_microsecond() {
    for (name, keys) in WEATHER {
        let mut different = std::collections::BTreeSet::new();
        for seed in 0..40 {
            let name = format!("{name}, seed {seed}");
            let (truth, figures) = measured(keys, seed);
            truth.assert_counts(&figures, &name);
            let distance_ms = truth.distance_ms(&figures);
            assert!(
                distance_ms < 0.001,
                "{name}: {distance_ms} ms\n{truth:?}\n{figures:?}"
            );
            different.insert(format!("{figures:?}"));
        }
        // What has chance in it differs from seed to seed.
        let has_chance = ["chance", "loss", "jitter"]
            .iter()
            .any(|key| keys.contains(key));
        assert_eq!(different.len() > 30, has_chance, "{name}");
    }
}

#[test]
fn what_is_lost_before_the_first_and_after_the_last_only_the_sender_knows() {
    let keys = "outages = [{ until = 50 }, { from = 380 }], loss = { p = 0.02, r = 0.4 }";
    for seed in 0..40 {
        let (truth, figures) = measured(keys, seed);
        truth.assert_counts(&figures, &format!("seed {seed}"));
        assert!(truth.head >= 50 && truth.tail >= 20);
        // RFC 3550 counts from the first packet to the last that came.
        let seen = figures.counts.missing;
        let sent = u64::from(PACKETS);
        assert_eq!(truth.sent, sent);
        assert_eq!(
            sent - (figures.counts.packets - figures.counts.duplicates),
            seen + truth.head + truth.tail,
            "seed {seed}"
        );
    }
}

#[test]
fn a_changed_header_is_seen_and_loses_nothing() {
    for (keys, expected) in [
        (
            "header.payload_type = { value = 0, during = { from = 200 } }",
            (0, 0, 1, 0),
        ),
        (
            "header.timestamp = { from = 200, by = 80000 }",
            (1, 0, 0, 0),
        ),
        ("header.sequence = { from = 200, by = 10000 }", (0, 1, 0, 0)),
        ("header.strip_markers = true", (0, 0, 0, 0)),
    ] {
        let (records, arrived) = through(settings(keys), 1, PACKETS);
        let mut stream = Stream::new(7, 8000);
        for (at, bytes) in &arrived {
            hear(&mut stream, *at, bytes);
        }
        let figures = stream.figures();
        let jumps = figures.jumps;
        let missing = figures.counts.missing;
        assert_eq!(
            (jumps.timestamp, jumps.sequence, jumps.payload_type, missing),
            expected,
            "{keys}"
        );
        assert!(
            records
                .iter()
                .all(|record| matches!(record.fate, Fate::Delivered { .. }))
        );
    }
    // Another source: two streams, each whole.
    let keys = "header.ssrc = { value = 9, during = { from = 150 } }";
    let (_, arrived) = through(settings(keys), 1, PACKETS);
    let sources: Vec<u32> = arrived
        .iter()
        .map(|(_, bytes)| vigie::rtp::packet::parse(bytes).unwrap().ssrc)
        .collect();
    assert_eq!(sources, [vec![7; 150], vec![9; 250]].concat());
}

/// Longer than any stream here takes; ends a test whose packets never come.
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn through_the_real_program_the_counts_are_those_of_its_log() {
    const PACKETS: u16 = 150;
    let weather = [
        "loss = { p = 0.05, r = 0.4 }, delay_ms = 30",
        r#"delay_ms = 20, jitter = { shape = "normal", ms = 15, overtake = true }"#,
        "reorder = { chance = 0.1, by = 2 }, duplicate = { chance = 0.1, after_ms = 5 }",
        "outages = [{ until = 20 }], stall = { every_ms = 1000, for_ms = 150 }",
    ];
    let mut receivers = Receivers::open(4, 33_000..=33_099);
    let relays: Vec<Relay> = receivers
        .addresses
        .iter()
        .zip(weather)
        .map(|(to, keys)| Relay::start(*to, &["--seed", "42", "--there", keys]))
        .collect();
    let to: Vec<_> = relays.iter().map(|relay| relay.address).collect();
    let sender = std::thread::spawn(move || {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        send_streams(&socket, &to, PACKETS);
    });
    let arrived = receivers.receive(PATIENCE, |_| {
        relays
            .iter()
            .all(|relay| relay.sealed() == usize::from(PACKETS))
    });
    sender.join().expect("it sends");
    for (receiver, (mut relay, keys)) in relays.into_iter().zip(weather).enumerate() {
        let truth = Truth::of(&relay.records(Component::Rtp, Way::There));
        let mut stream = Stream::new(ssrc(u32::try_from(receiver).unwrap()), 8000);
        for packet in arrived.iter().filter(|packet| packet.receiver == receiver) {
            hear(&mut stream, packet.at, &packet.bytes);
        }
        let figures = stream.figures();
        truth.assert_counts(&figures, keys);
        assert_eq!(truth.sent, u64::from(PACKETS), "{keys}");
        let said = relay.stop(Signal::SIGTERM);
        let delivered = truth.expected - truth.missing;
        let line = format!(
            "rtp  there {PACKETS} came, {delivered} delivered ({} twice), {} lost (",
            truth.duplicates,
            truth.missing + truth.head + truth.tail
        );
        assert!(said.contains(&line), "{line}\n{said}");
    }
}

#[test]
fn answers_go_back_to_whoever_sent_last_and_reports_take_the_next_port() {
    for (how, report_delay_ms) in [("plain", 0), ("impaired", 40)] {
        let mut far = Receivers::open(1, 33_100..=33_101);
        let keys = "delay_ms = 40";
        let rtcp = format!("--rtcp={how}");
        let mut relay = Relay::start(far.addresses[0], &[&rtcp, "--there", keys, "--back", keys]);
        let reports = (relay.address.ip(), relay.address.port() + 1);
        let phones = [0, 1].map(|_| {
            let phone = UdpSocket::bind("127.0.0.1:0").expect("a port");
            phone.set_read_timeout(Some(PATIENCE)).expect("a timeout");
            phone
        });
        let far_end = UdpSocket::bind("127.0.0.1:0").expect("a port");
        for (phone, said) in phones.iter().zip([b"one", b"two"]) {
            phone.send_to(said, relay.address).expect("loopback");
            phone.send_to(b"report", reports).expect("loopback");
            let heard = far.receive(PATIENCE, |arrived| arrived.len() == 2);
            for packet in heard {
                let expected: &[u8] = match packet.component {
                    Component::Rtp => said,
                    Component::Rtcp => b"report",
                };
                assert_eq!(packet.bytes, expected);
                far_end.send_to(b"answer", packet.from).expect("loopback");
                let mut buffer = [0; 100];
                let (length, from) = phone.recv_from(&mut buffer).expect("an answer");
                assert_eq!(&buffer[..length], b"answer");
                let rtp = packet.component == Component::Rtp;
                assert_eq!(from == relay.address, rtp, "from where it was asked");
            }
        }
        let said = relay.stop(Signal::SIGINT);
        assert_eq!(said.lines().count(), 5, "{said}");
        for (component, delay_ms) in [(Component::Rtp, 40), (Component::Rtcp, report_delay_ms)] {
            for way in [Way::There, Way::Back] {
                let records = relay.records(component, way);
                assert_eq!(records.len(), 2, "{how} {component:?} {way:?}");
                for record in records {
                    let Fate::Delivered { due, .. } = record.fate else {
                        panic!("{record:?}");
                    };
                    assert_eq!(due.since(record.at), Duration::from_millis(delay_ms));
                }
            }
        }
    }
}

#[test]
fn what_is_on_its_way_when_it_is_stopped_is_written_down_as_lost() {
    let far = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let to = far.local_addr().expect("bound");
    let keys = "delay_ms = 60000, outages = [{ until = 1 }]";
    let mut relay = Relay::start(to, &["--there", keys, "--rtcp"]);
    let phone = UdpSocket::bind("127.0.0.1:0").expect("a port");
    for _ in 0..10 {
        phone.send_to(b"sound", relay.address).expect("loopback");
    }
    // It has read them all once the first, which is lost, and this report are in its log.
    let reports = (relay.address.ip(), relay.address.port() + 1);
    phone.send_to(b"report", reports).expect("loopback");
    crate::support::patience::wait_for("the first fates", PATIENCE, || {
        (relay.sealed() == 2).then_some(())
    });
    let said = relay.stop(Signal::SIGTERM);
    assert!(
        said.contains(
            "10 came, 0 delivered (0 twice), 10 lost (1 outage, 0 loss, 0 queue, 0 unsent, 9 ended)"
        ),
        "{said}"
    );
    let records = relay.records(Component::Rtp, Way::There);
    let lost_by = |by| move |record: &&vigie::impair::Record| record.fate == Fate::Lost { by };
    assert_eq!(records.iter().filter(lost_by(Cause::Outage)).count(), 1);
    assert_eq!(records.iter().filter(lost_by(Cause::Ended)).count(), 9);
}
