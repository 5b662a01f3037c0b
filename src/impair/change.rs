//! Headers and sound, changed in place. What is no RTP, and RTCP on the same port, passes untouched.

use fastrand::Rng;
use serde::{Deserialize, Serialize};

use super::delay::normal;
use super::settings::{Gain, Header, Noise, Settings, Sound};
use crate::audio::g711::Law;
use crate::audio::level;
use crate::rtp::packet;

/// What names a packet in a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rtp {
    pub ssrc: u32,
    pub sequence: u16,
    pub timestamp: u32,
    pub payload_type: u8,
}

/// What was done to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    Ssrc,
    PayloadType,
    Timestamp,
    Sequence,
    MarkerStripped,
    Gain,
    Noise,
    Silence,
    ComfortNoise,
}

/// RTCP that shares the port: these seven bits would be its packet type (RFC 5761 §4).
const RTCP_TYPES: std::ops::RangeInclusive<u8> = 64..=95;

const COMFORT_NOISE: u8 = 13;
const PADDING: u8 = 0x20;
const MARKER: u8 = 0x80;

/// Changes the packet with this number; says how its header reads then and what was changed.
pub(super) fn apply(
    settings: &Settings,
    number: u64,
    bytes: &mut Vec<u8>,
    random: &mut Rng,
) -> (Option<Rtp>, Vec<Change>) {
    let Some(found) = Found::within(bytes) else {
        return (None, Vec::new());
    };
    let mut changes = Vec::new();
    change_sound(settings.sound, number, found, bytes, random, &mut changes);
    change_header(settings.header, number, bytes, &mut changes);
    let rtp = packet::parse(bytes).ok().map(|packet| Rtp {
        ssrc: packet.ssrc,
        sequence: packet.sequence_number,
        timestamp: packet.timestamp,
        payload_type: packet.payload_type,
    });
    (rtp, changes)
}

/// Where the payload stands.
#[derive(Clone, Copy)]
struct Found {
    law: Option<Law>,
    from: usize,
    until: usize,
}

impl Found {
    fn within(bytes: &[u8]) -> Option<Self> {
        let packet = packet::parse(bytes).ok()?;
        if RTCP_TYPES.contains(&packet.payload_type) {
            return None;
        }
        let padded = bytes[0] & PADDING != 0;
        let padding = if padded { *bytes.last()? } else { 0 };
        let until = bytes.len() - usize::from(padding);
        Some(Self {
            law: match packet.payload_type {
                0 => Some(Law::Mu),
                8 => Some(Law::A),
                _ => None,
            },
            from: until - packet.payload.len(),
            until,
        })
    }
}

fn change_header(header: Header, number: u64, bytes: &mut [u8], changes: &mut Vec<Change>) {
    if let Some(ssrc) = header.ssrc.filter(|ssrc| ssrc.during.has(number)) {
        bytes[8..12].copy_from_slice(&ssrc.value.to_be_bytes());
        changes.push(Change::Ssrc);
    }
    let payload_type = header.payload_type.filter(|it| it.during.has(number));
    if let Some(payload_type) = payload_type {
        bytes[1] = (bytes[1] & MARKER) | payload_type.value;
        changes.push(Change::PayloadType);
    }
    if let Some(jump) = header.timestamp.filter(|jump| number >= jump.from) {
        let field: &mut [u8; 4] = (&mut bytes[4..8]).try_into().expect("four bytes");
        *field = u32::from_be_bytes(*field)
            .wrapping_add_signed(jump.by)
            .to_be_bytes();
        changes.push(Change::Timestamp);
    }
    if let Some(jump) = header.sequence.filter(|jump| number >= jump.from) {
        let field: &mut [u8; 2] = (&mut bytes[2..4]).try_into().expect("two bytes");
        *field = u16::from_be_bytes(*field)
            .wrapping_add_signed(jump.by)
            .to_be_bytes();
        changes.push(Change::Sequence);
    }
    if header.strip_markers && bytes[1] & MARKER != 0 {
        bytes[1] &= !MARKER;
        changes.push(Change::MarkerStripped);
    }
}

fn change_sound(
    sound: Sound,
    number: u64,
    found: Found,
    bytes: &mut Vec<u8>,
    random: &mut Rng,
    changes: &mut Vec<Change>,
) {
    let Some(law) = found.law else { return };
    let payload = &mut bytes[found.from..found.until];
    if let Some(gain) = sound.gain.filter(|gain| gain.during.has(number)) {
        amplify(law, payload, gain);
        changes.push(Change::Gain);
    }
    if let Some(noise) = sound.noise.filter(|noise| noise.during.has(number)) {
        add_noise(law, payload, noise, random);
        changes.push(Change::Noise);
    }
    if sound.silence.is_some_and(|span| span.has(number)) {
        payload.fill(law.silence());
        changes.push(Change::Silence);
    }
    if let Some(level) = sound.comfort_noise.filter(|it| it.during.has(number)) {
        bytes.truncate(found.from);
        bytes.push(level.dbov.unsigned_abs());
        bytes[0] &= !PADDING;
        bytes[1] = (bytes[1] & MARKER) | COMFORT_NOISE;
        changes.push(Change::ComfortNoise);
    }
}

fn amplify(law: Law, payload: &mut [u8], gain: Gain) {
    let factor = 10_f64.powf(gain.db / 20.0);
    for octet in payload {
        *octet = law.encode(clipped(f64::from(law.decode(*octet)) * factor));
    }
}

fn add_noise(law: Law, payload: &mut [u8], noise: Noise, random: &mut Rng) {
    let samples: Vec<i16> = payload.iter().map(|octet| law.decode(*octet)).collect();
    let dbov = level::dbov(&samples) - noise.snr_db;
    let rms = 32_768.0 * 10_f64.powf(dbov / 20.0);
    for (octet, sample) in payload.iter_mut().zip(samples) {
        let noise = rms * normal(1.0 - random.f64(), random.f64());
        *octet = law.encode(clipped(f64::from(sample) + noise));
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "clamped to what 16 bits hold"
)]
fn clipped(sample: f64) -> i16 {
    sample
        .round()
        .clamp(f64::from(i16::MIN), f64::from(i16::MAX)) as i16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::tone;
    use crate::rtp::Packet;

    fn settings(text: &str) -> Settings {
        serde_json::from_str(text).expect(text)
    }

    fn tone_packet(payload_type: u8) -> Vec<u8> {
        let payload: Vec<u8> = (0..160).map(|n| Law::A.encode(tone::sample(n))).collect();
        packet::write(Packet {
            marker: true,
            payload_type,
            sequence_number: 65_535,
            timestamp: 100,
            ssrc: 7,
            payload: &payload,
        })
    }

    fn changed(text: &str, number: u64, mut bytes: Vec<u8>) -> (Vec<u8>, Vec<Change>) {
        let mut random = Rng::with_seed(1);
        let (_, changes) = apply(&settings(text), number, &mut bytes, &mut random);
        (bytes, changes)
    }

    #[test]
    fn each_field_is_changed_where_it_stands_and_from_its_packet_on() {
        let text = r#"{"header": {
            "ssrc": {"value": 9, "during": {"from": 5, "until": 6}},
            "payload_type": {"value": 0, "during": {"from": 5}},
            "timestamp": {"from": 5, "by": -200},
            "sequence": {"from": 5, "by": 1000},
            "strip_markers": true}}"#;
        let (bytes, changes) = changed(text, 5, tone_packet(8));
        let packet = packet::parse(&bytes).unwrap();
        assert_eq!(
            (packet.ssrc, packet.payload_type, packet.marker),
            (9, 0, false)
        );
        assert_eq!(
            (packet.timestamp, packet.sequence_number),
            (100_u32.wrapping_sub(200), 999)
        );
        assert_eq!(changes.len(), 5);
        let (bytes, changes) = changed(text, 4, tone_packet(8));
        assert_eq!(changes, [Change::MarkerStripped]);
        assert_eq!(packet::parse(&bytes).unwrap().ssrc, 7);
    }

    fn levels(text: &str) -> (f64, f64, i16) {
        let (bytes, _) = changed(text, 0, tone_packet(8));
        let payload = packet::parse(&bytes).unwrap().payload;
        let heard: Vec<i16> = payload.iter().map(|octet| Law::A.decode(*octet)).collect();
        let sent: Vec<i16> = (0..160)
            .map(|n| Law::A.decode(Law::A.encode(tone::sample(n))))
            .collect();
        let noise: Vec<i16> = heard.iter().zip(&sent).map(|(h, s)| h - s).collect();
        let loudest = heard.iter().map(|sample| sample.saturating_abs()).max();
        (level::dbov(&heard), level::dbov(&noise), loudest.unwrap())
    }

    #[test]
    fn sound_has_the_level_that_was_asked_for() {
        let louder = levels(r#"{"sound": {"gain": {"db": 6}}}"#).0;
        assert!((louder - tone::LEVEL_DBOV - 6.0).abs() < 0.2, "{louder}");
        // Full scale of A-law.
        assert_eq!(levels(r#"{"sound": {"gain": {"db": 60}}}"#).2, 32_256);
        let noise = levels(r#"{"sound": {"noise": {"snr_db": 10}}}"#).1;
        assert!((noise - tone::LEVEL_DBOV + 10.0).abs() < 1.0, "{noise}");
        let silent = levels(r#"{"sound": {"silence": {}}}"#).0;
        assert!((silent + 72.25).abs() < 0.01, "{silent}");
    }

    #[test]
    fn comfort_noise_keeps_the_header_and_drops_the_padding() {
        let mut padded = tone_packet(8);
        padded[0] |= PADDING;
        padded.extend([0, 0, 0, 4]);
        let text = r#"{"sound": {"comfort_noise": {"dbov": -50}}}"#;
        let (bytes, changes) = changed(text, 0, padded);
        let packet = packet::parse(&bytes).unwrap();
        assert_eq!((packet.payload_type, packet.payload), (13, &[50][..]));
        assert_eq!((packet.sequence_number, packet.timestamp), (65_535, 100));
        assert_eq!(changes, [Change::ComfortNoise]);
    }

    #[test]
    fn what_is_no_g711_keeps_its_payload_and_what_is_no_rtp_keeps_all() {
        let text = r#"{"sound": {"silence": {}}, "header": {"strip_markers": true, "ssrc": {"value": 1}}}"#;
        let (bytes, changes) = changed(text, 0, tone_packet(101));
        assert_eq!(changes, [Change::Ssrc, Change::MarkerStripped]);
        assert_eq!(bytes[12..], tone_packet(101)[12..]);
        let receiver_report = [0x80, 201, 0, 1, 0, 0, 0, 9].repeat(2);
        for other in [
            b"OPTIONS sip:x SIP/2.0\r\n".to_vec(),
            receiver_report,
            vec![],
        ] {
            assert_eq!(changed(text, 0, other.clone()), (other, Vec::new()));
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..60)) {
            let text = r#"{"sound": {"gain": {"db": 3}, "noise": {"snr_db": 3}, "comfort_noise": {"dbov": -3}}, "header": {"sequence": {"from": 0, "by": -5}}}"#;
            changed(text, 0, bytes);
        }
    }
}
