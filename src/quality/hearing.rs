//! What one direction of a leg let us hear, packet by packet: levels, digits, and when it began and ended.
//!
//! The statistics of the packets are `rtp`'s; this is their content. It costs a few microseconds a packet and keeps
//! no sound, so it runs on the thread that paces media. `calls` holds one per call, `analysis` one per source.
//!
//! Sound is heard in the order it arrives: a packet that was overtaken is counted and not heard, as a duplicate is
//! not. Of two sources at once the newer is heard.

use std::time::Duration;

use arrayvec::ArrayVec;

use crate::audio::activity::{Activity, FRAME_MS, Levels};
use crate::audio::{dtmf, keypad};
use crate::rtp::Packet;
use crate::rtp::source::Arrival;
use crate::time::Instant;

use super::media_state::{HeardBack, STOPPED_AFTER, Signs};

/// The content of one direction.
#[derive(Clone, Debug, Default)]
pub struct Hearing {
    activity: Activity,
    packets: Packets,
    sources: Sources,
    keys: dtmf::Receiver,
    keypad: keypad::Detector,
    digits: String,
    tones: String,
    /// Of a payload type that was not agreed, or of a size that its codec cannot have.
    pub wrong_payload: u64,
    pub wrong_source: u64,
    moments: Moments,
    holes: Holes,
    pace: Pace,
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

/// More digits than anybody dials; a far end that sends them without end fills no memory.
const DIGITS_MAX: usize = 256;

impl Hearing {
    /// A packet of sound, decoded; empty when its codec cannot be decoded here.
    pub fn sound(&mut self, at: Instant, arrival: Arrival, packet: &Packet<'_>, samples: &[i16]) {
        self.packet(at, packet.marker, Kind::Sound);
        self.moments.first_sound.get_or_insert(at);
        if arrival == Arrival::Duplicate {
            return;
        }
        self.packets.sound += 1;
        let is_next = matches!(arrival, Arrival::InOrder | Arrival::Restarted);
        if self.sources.is_heard(at, packet.ssrc) && is_next {
            self.pace.hear(at, self.activity.frames());
            self.activity.hear(samples);
            append(&mut self.tones, &self.keypad.hear(samples));
        }
    }

    /// Comfort noise (RFC 3389): the far end says that nobody speaks.
    pub fn comfort_noise(&mut self, at: Instant, arrival: Arrival, packet: &Packet<'_>) {
        self.packet(at, packet.marker, Kind::ComfortNoise);
        self.packets.comfort_noise += u64::from(arrival != Arrival::Duplicate);
    }

    /// A telephone event (RFC 4733); the digit, when it is a new one.
    pub fn event(&mut self, at: Instant, arrival: Arrival, packet: &Packet<'_>) -> Option<char> {
        self.packet(at, packet.marker, Kind::Event);
        self.packets.events += u64::from(arrival != Arrival::Duplicate);
        let event = dtmf::Event::parse(packet.payload)?;
        let digit = self.keys.hear(packet.timestamp, event)?;
        append(&mut self.digits, digit.encode_utf8(&mut [0; 4]));
        Some(digit)
    }

    fn packet(&mut self, at: Instant, marker: bool, kind: Kind) {
        if let Some(last) = self.moments.last_packet
            && !marker
        {
            self.holes.hear(last, at);
        }
        self.holes.is_explained = kind == Kind::ComfortNoise;
        self.moments.packet(at);
    }

    #[must_use]
    pub const fn moments(&self) -> &Moments {
        &self.moments
    }

    /// Digits by RFC 4733, in order, the first 256.
    #[must_use]
    pub fn digits(&self) -> &str {
        &self.digits
    }

    /// Digits as tones in the sound, the first 256.
    #[must_use]
    pub fn tones(&self) -> &str {
        &self.tones
    }

    /// Packets of sound from a source that another had replaced.
    #[must_use]
    pub const fn second_source(&self) -> u64 {
        self.sources.second
    }

    /// When the first speech, or a tone that stands out, was heard.
    #[must_use]
    pub fn first_speech(&self) -> Option<Instant> {
        self.pace.at(self.levels()?.first_active_ms? / FRAME_MS)
    }

    /// Levels of all sound that could be decoded.
    #[must_use]
    pub fn levels(&self) -> Option<Levels> {
        self.activity.levels()
    }

    /// What the word of this direction depends on; it was to carry sound from one moment to the other.
    #[must_use]
    pub fn signs(&self, from: Instant, to: Instant, heard_back: HeardBack) -> Signs {
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
            longest_hole: self.holes.longest(from, to),
            levels: self.levels(),
            heard_back,
        }
    }
}

fn append(digits: &mut String, more: &str) {
    let room = DIGITS_MAX.saturating_sub(digits.len());
    digits.extend(more.chars().take(room));
}

impl Moments {
    fn packet(&mut self, at: Instant) {
        self.first_packet.get_or_insert(at);
        self.last_packet = self.last_packet.max(Some(at));
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Sound,
    ComfortNoise,
    Event,
}

/// Times without a packet that nothing explains: a sender that pauses says so, by comfort noise before the pause or
/// by the marker after it (RFC 3551 §4.1).
#[derive(Clone, Debug, Default)]
struct Holes {
    longest: ArrayVec<(Instant, Instant), HOLES_MAX>,
    /// The last packet announced a pause.
    is_explained: bool,
}

/// Of so many the longest since the answer is told; with more of them nobody asks for the longest.
const HOLES_MAX: usize = 16;

impl Holes {
    fn hear(&mut self, from: Instant, to: Instant) {
        if self.is_explained || to.since(from) <= STOPPED_AFTER {
            return;
        }
        if self.longest.is_full() {
            let shortest = (0..HOLES_MAX).min_by_key(|place| span(self.longest[*place]));
            self.longest.swap_remove(shortest.unwrap_or(0));
        }
        self.longest.push((from, to));
    }

    fn longest(&self, from: Instant, to: Instant) -> Duration {
        let within = |hole: &(Instant, Instant)| span((hole.0.max(from), hole.1.min(to)));
        self.longest.iter().map(within).max().unwrap_or_default()
    }
}

fn span((from, to): (Instant, Instant)) -> Duration {
    to.since(from)
}

/// Which source is heard. A far end that moves a call has a new one and leaves the old; two that go on side by side
/// are crosstalk or a forked call.
#[derive(Clone, Debug, Default)]
struct Sources {
    /// Every one, in order of first sight.
    seen: ArrayVec<u32, SOURCES_MAX>,
    present: Option<(u32, Instant)>,
    second: u64,
}

/// As many as a session tells apart.
const SOURCES_MAX: usize = 16;
/// A source that was left is heard again when the newer is gone for ten packets.
const GONE_AFTER: Duration = Duration::from_millis(200);

impl Sources {
    fn is_heard(&mut self, at: Instant, ssrc: u32) -> bool {
        let is_heard = match self.present {
            Some((present, last)) => {
                present == ssrc || self.is_new(ssrc) || at.since(last) > GONE_AFTER
            }
            None => true,
        };
        if !is_heard {
            self.second += 1;
            return false;
        }
        if self.is_new(ssrc) {
            let _ = self.seen.try_push(ssrc);
        }
        self.present = Some((ssrc, at));
        true
    }

    fn is_new(&self, ssrc: u32) -> bool {
        !self.seen.is_full() && !self.seen.contains(&ssrc)
    }
}

/// When each frame of sound came. Sound is counted in frames; where packets are missing, or the sender pauses, time
/// goes on without it.
#[derive(Clone, Debug, Default)]
struct Pace {
    /// A frame and its arrival, wherever the frames before it no longer say when it came.
    marks: ArrayVec<(u32, Instant), MARKS_MAX>,
}

/// Speech is awaited at the beginning of a call: what comes after so many pauses is dated by the last of them.
const MARKS_MAX: usize = 64;
/// Less is jitter, or a few packets lost.
const OFF_PACE_NS: u64 = 100_000_000;

impl Pace {
    fn hear(&mut self, at: Instant, frame: u32) {
        let is_on_pace = self
            .at(frame)
            .is_some_and(|expected| at.0.abs_diff(expected.0) <= OFF_PACE_NS);
        if !is_on_pace {
            let _ = self.marks.try_push((frame, at));
        }
    }

    fn at(&self, frame: u32) -> Option<Instant> {
        let (marked, at) = self.marks.iter().rev().find(|mark| mark.0 <= frame)?;
        let frames = u64::from(frame - marked);
        Some(*at + Duration::from_millis(frames * u64::from(FRAME_MS)))
    }
}

#[cfg(test)]
mod tests;
