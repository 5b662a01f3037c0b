//! A stream cut into patches of ten seconds, each with its own loss: a call is not as bad as its mean.
//!
//! R is averaged over these (`quality`), MOS never.

use serde::Serialize;

use super::log::{Heard, Place};
use super::loss::Record;
use crate::time::Instant;

/// About ten seconds of a stream behind a playout buffer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Patch {
    #[serde(rename = "began_ns")]
    pub began: Instant,
    #[serde(rename = "ended_ns")]
    pub ended: Instant,
    /// Lost or discarded, of all.
    pub loss_percent: f64,
    pub burst_r: f64,
}

/// As the windows of `quality::average`: shorter ones would judge by a handful of packets.
const PATCH_NS: u64 = 10_000_000_000;

/// `late` says which lines came too late.
/// What is missing counts where its successor arrived.
pub(super) fn patches(log: &[Heard], order: &[Place], late: &[bool]) -> Vec<Patch> {
    let Some(first) = order.first().map(|place| log[place.line].at) else {
        return Vec::new();
    };
    let mut patches = Vec::new();
    let mut open = Open::new(first);
    for place in order {
        let heard = &log[place.line];
        if heard.at.since(open.began).as_nanos() >= u128::from(PATCH_NS) {
            let began = heard.at;
            patches.push(std::mem::replace(&mut open, Open::new(began)).close());
        }
        open.record.push_bad(place.missing);
        open.record.push(!late[place.line]);
        open.ended = open.ended.max(heard.at);
    }
    patches.push(open.close());
    patches
}

struct Open {
    began: Instant,
    ended: Instant,
    record: Record,
}

impl Open {
    fn new(began: Instant) -> Self {
        Self {
            began,
            ended: began,
            record: Record::default(),
        }
    }

    fn close(self) -> Patch {
        Patch {
            began: self.began,
            ended: self.ended,
            loss_percent: 100.0 * self.record.ratio(),
            burst_r: self.record.burst_r(),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::rtp::Packet;
    use crate::rtp::stream::{Content, Stream};
    use crate::time::Instant;

    #[test]
    fn loss_counts_in_its_own_ten_seconds() {
        let mut stream = Stream::new(1, 8000);
        for n in (0..1500_u16).filter(|n| !(600..650).contains(n)) {
            let packet = Packet {
                marker: false,
                payload_type: 8,
                sequence_number: n,
                timestamp: u32::from(n) * 160,
                ssrc: 1,
                payload: &[0xd5; 160],
            };
            stream.hear(Instant(u64::from(n) * 20_000_000), &packet, Content::Sound);
        }
        let patches = stream.figures().patches;
        let percent: Vec<f64> = patches.iter().map(|patch| patch.loss_percent).collect();
        assert_eq!(percent, [0.0, 10.0, 0.0]);
        assert_eq!(patches[1].began, Instant(10_000_000_000));
    }

    #[test]
    fn nothing_heard_is_no_patch() {
        assert_eq!(Stream::new(1, 8000).figures().patches, []);
    }
}
