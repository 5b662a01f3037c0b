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
    /// When its last packet came.
    #[serde(rename = "ended_ns")]
    pub ended: Instant,
    /// Whatever became of them: what the patch weighs.
    pub packets: u32,
    /// Lost or discarded.
    pub useless: u32,
    /// The same, of all.
    pub loss_percent: f64,
    pub burst_r: f64,
}

/// About as long as a caller remembers a bad patch. Were it shorter, one lost packet would make the worst one; were
/// it longer, a bad patch would vanish in it.
const PATCH_NS: u64 = 10_000_000_000;
/// A last patch shorter than this joins the one before: it would judge by a handful of packets.
const SHORTEST_NS: u64 = 5_000_000_000;

/// `late` says which lines came too late. What never came counts evenly between its neighbours; a pause is no patch.
pub(super) fn patches(log: &[Heard], order: &[Place], late: &[bool]) -> Vec<Patch> {
    let Some(first) = order.first().map(|place| log[place.line].at) else {
        return Vec::new();
    };
    let mut open = Patches {
        first,
        patches: Vec::new(),
    };
    let mut before = first;
    for place in order {
        let at = log[place.line].at.max(before);
        open.miss(before, at, place.missing);
        open.at(at).record.push(!late[place.line]);
        before = at;
    }
    open.close()
}

struct Patches {
    first: Instant,
    patches: Vec<Open>,
}

struct Open {
    place: u64,
    ended: Instant,
    record: Record,
}

impl Patches {
    fn place(&self, at: Instant) -> u64 {
        at.0.saturating_sub(self.first.0) / PATCH_NS
    }

    /// The patch of that moment, or the last one if another began.
    fn at(&mut self, at: Instant) -> &mut Open {
        let place = self.place(at);
        let index = match self.patches.last() {
            Some(last) if last.place >= place => self.patches.len() - 1,
            Some(_) | None => {
                self.patches.push(Open {
                    place,
                    ended: at,
                    record: Record::default(),
                });
                self.patches.len() - 1
            }
        };
        let open = &mut self.patches[index];
        open.ended = open.ended.max(at);
        open
    }

    /// So many never came between two moments.
    fn miss(&mut self, from: Instant, to: Instant, missing: u64) {
        if self.place(from) == self.place(to) {
            self.at(to).record.push_bad(missing);
            return;
        }
        let step_ns = to.0.saturating_sub(from.0) / (missing + 1);
        let mut at = from.0;
        for _ in 0..missing {
            at += step_ns;
            self.at(Instant(at)).record.push_bad(1);
        }
    }

    fn close(mut self) -> Vec<Patch> {
        let began = |open: &Open| Instant(self.first.0.saturating_add(open.place * PATCH_NS));
        if let [.., before, last] = self.patches.as_mut_slice()
            && last.place == before.place + 1
            && last.ended.0.saturating_sub(began(last).0) < SHORTEST_NS
        {
            before.record.append(&last.record);
            before.ended = last.ended;
            self.patches.pop();
        }
        let patches = self.patches.iter().map(|open| Patch {
            began: began(open),
            ended: open.ended,
            packets: u32::try_from(open.record.packets).unwrap_or(u32::MAX),
            useless: u32::try_from(open.record.bad()).unwrap_or(u32::MAX),
            loss_percent: 100.0 * open.record.ratio(),
            burst_r: open.record.burst_r(),
        });
        patches.collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::rtp::Packet;
    use crate::rtp::stream::{Content, Stream};
    use crate::time::Instant;

    /// Packets, and those of no use, of each patch, of a stream of this many packets.
    fn patches(count: u16, lost: impl Fn(u16) -> bool) -> Vec<(u32, u32)> {
        let mut stream = Stream::new(1, 8000);
        for n in (0..count).filter(|n| !lost(*n)) {
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
        for patch in &patches {
            assert_eq!(patch.began.0 % 10_000_000_000, 0, "{patch:?}");
        }
        let seen = patches.iter().map(|it| (it.packets, it.useless));
        seen.collect()
    }

    #[test]
    fn loss_counts_in_its_own_ten_seconds() {
        let good = (500, 0);
        let in_the_middle = patches(1500, |n| (600..650).contains(&n));
        assert_eq!(in_the_middle, [good, (500, 50), good]);
        // Two packets stand at the beginning of a third patch, which is too short to be one.
        let at_the_end = patches(1003, |n| (1000..1002).contains(&n));
        assert_eq!(at_the_end, [good, (503, 2)]);
        let shortest = patches(1251, |n| n == 1100);
        assert_eq!(shortest, [good, good, (251, 1)]);
    }

    #[test]
    fn an_outage_counts_in_all_the_patches_that_it_spans() {
        let outage = patches(6000, |n| (1250..4000).contains(&n));
        let useless: Vec<u32> = outage.iter().map(|(_, useless)| *useless).collect();
        assert_eq!(useless, [0, 0, 250, 500, 500, 500, 500, 500, 0, 0, 0, 0]);
        assert!(outage.iter().all(|(packets, _)| *packets == 500));
    }

    #[test]
    fn nothing_heard_is_no_patch() {
        assert_eq!(Stream::new(1, 8000).figures().patches, []);
    }
}
