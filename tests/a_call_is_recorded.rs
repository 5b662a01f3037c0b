//! A call is kept as it went: every packet, the sound at its place in time, and no answer to a challenge.
//!
//! The embedded lab echoes over a network in memory, in virtual time; what is kept is held against what the
//! network is known to have done.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use vigie::audio::level;
use vigie::calls::observe::Observed;
use vigie::calls::recording::Recording;
use vigie::calls::script::{CallPlan, Credentials, Keep, MediaPlan, Purpose, Task};
use vigie::id::Seed;
use vigie::lab::{Lab, Layout};

use crate::support::network::{Network, Script, WATCH, Weather, call, respond};

const fn at(host: u8) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, host)), 5060)
}

const XIVO1: SocketAddr = at(1);

fn plant(weather: Weather, seed: u64) -> Network<Lab> {
    let layout = Layout {
        xivo1: XIVO1,
        xivo2: at(2),
        xivo3: at(3),
        patton: at(10),
        phones: Vec::new(),
    };
    let mut lab = Lab::new(&layout, Seed(seed));
    lab.start();
    Network::joining(lab, weather, seed)
}

fn kept() -> CallPlan {
    CallPlan {
        keep: Some(Keep {
            packet_bytes: 1 << 20,
            heard: Duration::from_secs(8),
        }),
        ..call(XIVO1, "0199001199")
    }
}

fn examined(network: &mut Network<Lab>, plan: CallPlan) -> Observed {
    network.start(1, Task::Call(plan));
    let mut observed = network.result(Duration::from_secs(20));
    observed.examine(None);
    observed
}

fn recording(observed: &Observed) -> &Recording {
    observed.recording.as_deref().expect("the plan asks for it")
}

#[test]
fn the_way_of_sound_there_and_back_is_timed_by_a_chirp() {
    for seed in 0..10 {
        let mut network = plant(Weather::CALM, seed);
        let observed = examined(&mut network, kept());
        let echoed = observed.echoed.expect("the lab echoes");
        // A millisecond each way; the lab echoes at once.
        let error = echoed.round_trip.abs_diff(Duration::from_millis(2));
        assert!(
            error < Duration::from_micros(100),
            "seed {seed}: {echoed:?}"
        );
        assert!(echoed.likeness > 0.99, "seed {seed}: {echoed:?}");
        assert!(echoed.return_loss_db.abs() < 0.5, "seed {seed}: {echoed:?}");
        // The tone is heard back beside it.
        assert!(
            observed.echo_dbov.is_some_and(|level| level > -25.0),
            "seed {seed}"
        );
    }
}

#[test]
fn a_bad_way_is_timed_too() {
    for seed in 0..10 {
        let weather = Weather {
            lost_percent: 5,
            doubled_percent: 5,
            late: Duration::from_millis(30),
        };
        let mut network = plant(weather, seed);
        let observed = examined(&mut network, kept());
        assert!(observed.rtp.received >= 100, "seed {seed}: a whole call");
        let echoed = observed.echoed.expect("the lab echoes");
        // Each packet is up to 30 ms late, both ways; the quickest says where the axis begins.
        assert!(
            echoed.round_trip < Duration::from_millis(63),
            "seed {seed}: {echoed:?}"
        );
    }
}

#[test]
fn every_packet_is_kept_in_order_with_its_ends() {
    let mut network = plant(Weather::CALM, 1);
    let observed = examined(&mut network, kept());
    let packets: Vec<_> = recording(&observed).packets.iter().collect();
    let methods: Vec<String> = packets
        .iter()
        .filter(|packet| packet.to.port() == 5060 || packet.from.port() == 5060)
        .map(|packet| {
            let text = String::from_utf8_lossy(packet.payload);
            let line = text.lines().next().unwrap_or_default();
            line.split(' ').take(2).collect::<Vec<_>>().join(" ")
        })
        .collect();
    let uri = format!("sip:0199001199@{XIVO1}");
    assert_eq!(methods.first(), Some(&format!("INVITE {uri}")));
    assert_eq!(
        methods.last().map(String::as_str),
        Some("SIP/2.0 200"),
        "of the BYE"
    );
    let media = |ours: bool| {
        packets
            .iter()
            .filter(|packet| (packet.from.ip() == WATCH.ip()) == ours)
            .filter(|packet| packet.to.port() != 5060 && packet.from.port() != 5060)
            .filter(|packet| matches!(packet.payload[1] & 0x7f, 0 | 8 | 101))
            .count()
    };
    assert_eq!(media(true), usize::try_from(observed.rtp.sent).unwrap());
    assert_eq!(
        media(false),
        usize::try_from(observed.rtp.received).unwrap()
    );
    assert!(
        packets
            .iter()
            .all(|packet| packet.at >= observed.started && packet.at <= observed.finished)
    );
}

#[test]
fn the_answer_to_a_challenge_is_not_kept() {
    let far = Script::at(XIVO1, |message| match message.split(' ').next() {
        Some("INVITE") if message.contains("\r\nAuthorization: Digest ") => {
            vec![respond(message, "486 Busy Here", &[], "")]
        }
        Some("INVITE") => {
            let challenge = "WWW-Authenticate: Digest realm=\"pbx\", nonce=\"abc\"";
            vec![respond(message, "401 Unauthorized", &[challenge], "")]
        }
        _ => Vec::new(),
    });
    let mut network = Network::joining(far, Weather::CALM, 1);
    let plan = CallPlan {
        credentials: Some(Credentials {
            user: "4001".to_owned(),
            secret: "a secret".to_owned(),
        }),
        ..kept()
    };
    network.start(1, Task::Call(plan));
    let observed = network.result(Duration::from_secs(20));
    let kept = &recording(&observed).packets;
    let texts = kept
        .iter()
        .map(|packet| String::from_utf8_lossy(packet.payload).into_owned());
    let answers: Vec<String> = texts.filter(|text| text.contains("response=")).collect();
    assert_eq!(answers.len(), 1, "one INVITE answers the challenge");
    assert!(answers[0].contains(&format!("response=\"{}\"", "x".repeat(32))));
    assert!(
        !network
            .far
            .heard
            .iter()
            .any(|message| message.contains("xxxx"))
    );
}

#[test]
fn what_is_played_comes_back_at_its_place() {
    let mut network = plant(Weather::CALM, 3);
    // Silence until the signature of the lab is over, then half a second of a square wave: its edge is a
    // place in time.
    let mut sound = vec![0_i16; 12_000];
    sound.extend((0..4_000).map(|n| if n % 16 < 8 { 8_000 } else { -8_000 }));
    let plan = CallPlan {
        media: MediaPlan::Play(Arc::from(sound)),
        ..kept()
    };
    let observed = examined(&mut network, plan);
    let heard = &recording(&observed).heard;
    let answered = recording(&observed).answered.expect("answered");
    let begins = heard.samples.iter().position(|sample| sample.abs() > 6_000);
    let begins = heard
        .time_of(begins.expect("the lab echoes"))
        .since(answered);
    // Our first packet leaves within 20 ms of the answer, and is 2 ms on its way.
    assert!((1_500..=1_525).contains(&begins.as_millis()), "{begins:?}");
    let wave = heard.sample_at(answered + begins);
    let level = level::dbov(&heard.samples[wave..wave + 800]);
    assert!((level + 12.2).abs() < 0.3, "{level}");
}

#[test]
fn a_call_that_is_watched_tells_how_it_goes_and_others_do_not() {
    let mut network = plant(Weather::CALM, 1);
    examined(
        &mut network,
        CallPlan {
            live: true,
            ..kept()
        },
    );
    let looks = std::mem::take(&mut network.looks);
    assert_eq!(looks.len(), 14, "five a second for three seconds");
    let last = looks.last().expect("looks");
    assert_eq!(last.at, Duration::from_millis(2_800));
    assert!(
        last.level_dbov.is_some_and(|level| level > -30.0),
        "{last:?}"
    );
    assert!(last.mos.is_some_and(|mos| mos > 4.3), "{last:?}");
    assert!(last.loss_percent < f64::EPSILON, "{last:?}");
    examined(&mut network, kept());
    assert!(network.looks.is_empty());
}

#[test]
fn a_load_test_keeps_nothing() {
    let mut network = plant(Weather::CALM, 1);
    let plan = CallPlan {
        purpose: Purpose::Load,
        ..call(XIVO1, "0199001199")
    };
    let observed = examined(&mut network, plan);
    assert_eq!((observed.recording, observed.ladder), (None, Vec::new()));
}
