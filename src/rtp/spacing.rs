//! Time between packets and jitter, counted as tshark counts them, so that a person with a capture finds
//! our figures again. What reports and alarms use is [`super::jitter`] and [`super::delay`].
//!
//! Every packet moves the estimate of RFC 3550 A.8, duplicates and jumps of the timestamp included. A packet
//! with a marker, comfort noise and the packet after it stand after a pause: they enter no figure. A packet
//! older than the first one is left out whole. Unlike tshark, telephone events do not move the jitter: their
//! timestamp stands still, which tshark takes for lateness.

use serde::Serialize;

use super::arrived::{Arrived, Content};
use super::delay::milliseconds_between;
use super::jitter::{Seen, smoothed};
use crate::time::Instant;

/// Least, average and most of something in milliseconds; zeros when there was nothing to count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Range {
    pub min_ms: f64,
    pub mean_ms: f64,
    pub max_ms: f64,
}

/// One stream as tshark sees it.
#[derive(Clone, Debug, Default)]
pub(super) struct Spacing {
    last_at: Option<Instant>,
    last_sound: Option<Seen>,
    first_timestamp: Option<u32>,
    jitter_ms: f64,
    after_comfort_noise: bool,
    delta: Tally,
    jitter: Tally,
}

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    /// Packets after the first, whether their value is counted or not.
    packets: u32,
    counted: Option<Range>,
}

impl Spacing {
    pub(super) fn hear(&mut self, packet: Arrived, clock_rate: u32) {
        let Arrived { at, content, .. } = packet;
        let noise = content == Content::ComfortNoise;
        let after_noise = std::mem::replace(&mut self.after_comfort_noise, noise);
        let counts = !packet.marker && !noise && !after_noise;
        let first = *self.first_timestamp.get_or_insert(packet.timestamp);
        if packet.timestamp.wrapping_sub(first).cast_signed() < 0 {
            self.delta.hear(0.0, false);
            self.jitter.hear(0.0, false);
            return;
        }
        if let Some(last) = self.last_at.replace(at) {
            self.delta.hear(milliseconds_between(last, at), counts);
        }
        if content == Content::Event {
            return;
        }
        let seen = Seen {
            at,
            timestamp: packet.timestamp,
        };
        if let Some(last) = self.last_sound.replace(seen) {
            self.jitter_ms = smoothed(self.jitter_ms, seen.difference_ms(last, clock_rate));
            self.jitter.hear(self.jitter_ms, counts);
        }
    }

    pub(super) fn delta(&self) -> Range {
        self.delta.range()
    }

    pub(super) fn jitter(&self) -> Range {
        self.jitter.range()
    }
}

impl Tally {
    /// A packet that does not count weighs in the mean as if it were the mean.
    fn hear(&mut self, value: f64, counts: bool) {
        self.packets = self.packets.saturating_add(1);
        if counts {
            let before = self.counted.unwrap_or(Range {
                min_ms: value,
                mean_ms: 0.0,
                max_ms: value,
            });
            let step = (value - before.mean_ms) / f64::from(self.packets);
            self.counted = Some(Range {
                min_ms: before.min_ms.min(value),
                mean_ms: before.mean_ms + step,
                max_ms: before.max_ms.max(value),
            });
        }
    }

    fn range(self) -> Range {
        self.counted.unwrap_or_default()
    }
}
