//! What one direction of a leg let us hear, packet by packet: levels, digits, and when it began and ended.
//!
//! The statistics of the packets are `rtp`'s; this is their content. It costs a few microseconds a packet and keeps
//! no sound, so it runs on the thread that paces media. `calls` holds one per call, `analysis` one per source.

use std::time::Duration;

use crate::audio::activity::{Activity, Levels};
use crate::audio::{dtmf, keypad};
use crate::rtp::source::Arrival;
use crate::time::Instant;

use super::media_state::{HeardBack, Signs};

/// The content of one direction.
#[derive(Clone, Debug, Default)]
pub struct Hearing {
    activity: Activity,
    packets: Packets,
    keys: dtmf::Receiver,
    keypad: keypad::Detector,
    /// Digits by RFC 4733, in order.
    pub digits: String,
    /// Digits as tones in the sound.
    pub tones: String,
    pub wrong_payload: u64,
    pub wrong_source: u64,
    moments: Moments,
}

/// Packets by what they carry; duplicates count once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Packets {
    sound: u64,
    comfort_noise: u64,
    events: u64,
}

/// When things were first and last heard, by kernel stamps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moments {
    /// The first packet of any kind: a digit comes by the same path as a voice.
    pub first_packet: Option<Instant>,
    /// The first of sound, whatever is in it.
    pub first_sound: Option<Instant>,
    pub last_packet: Option<Instant>,
}

impl Hearing {
    /// A packet of sound, decoded; empty when its codec cannot be decoded here.
    pub fn sound(&mut self, at: Instant, arrival: Arrival, samples: &[i16]) {
        self.moments.packet(at);
        self.moments.first_sound.get_or_insert(at);
        if arrival == Arrival::Duplicate {
            return;
        }
        self.packets.sound += 1;
        self.activity.hear(samples);
        self.tones.push_str(&self.keypad.hear(samples));
    }

    /// Comfort noise (RFC 3389): the far end says that nobody speaks.
    pub fn comfort_noise(&mut self, at: Instant) {
        self.moments.packet(at);
        self.packets.comfort_noise += 1;
    }

    /// A telephone event (RFC 4733); the digit, when it is a new one.
    pub fn event(&mut self, at: Instant, timestamp: u32, payload: &[u8]) -> Option<char> {
        self.moments.packet(at);
        self.packets.events += 1;
        let event = dtmf::Event::parse(payload)?;
        let digit = self.keys.hear(timestamp, event)?;
        self.digits.push(digit);
        Some(digit)
    }

    #[must_use]
    pub const fn moments(&self) -> &Moments {
        &self.moments
    }

    /// When the first speech, or a tone that stands out, was heard.
    #[must_use]
    pub fn first_speech(&self) -> Option<Instant> {
        let into = self.levels()?.first_active_ms?;
        Some(self.moments.first_sound? + Duration::from_millis(into.into()))
    }

    /// Levels of all sound that could be decoded.
    #[must_use]
    pub fn levels(&self) -> Option<Levels> {
        self.activity.levels()
    }

    /// What the word of this direction depends on; it was to carry sound from one moment to the other.
    #[must_use]
    pub fn signs(&self, from: Instant, to: Instant, heard_back: HeardBack) -> Signs {
        let levels = self.levels();
        Signs {
            listened: to.since(from),
            sound: self.packets.sound,
            comfort_noise: self.packets.comfort_noise,
            events: self.packets.events,
            wrong_payload: self.wrong_payload,
            wrong_source: self.wrong_source,
            ended_for: self
                .moments
                .last_packet
                .map_or_else(|| to.since(from), |last| to.since(last)),
            levels,
            heard_back,
        }
    }
}

impl Moments {
    fn packet(&mut self, at: Instant) {
        self.first_packet.get_or_insert(at);
        self.last_packet = self.last_packet.max(Some(at));
    }
}
