//! What is kept of one call for later: every packet, and the sound that was heard.
//!
//! Kept on the thread that paces media, so nothing is computed here: a packet is one copy into a buffer, a
//! sample one place in a row. What it means is found out afterwards, by `examine` and by whoever
//! writes files of it. Bounded: a far end that talks without end fills no memory.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use crate::audio::SAMPLE_RATE;
use crate::time::Instant;

/// How much is kept of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Bytes of memory for SIP, RTP and RTCP, both ways; later packets are counted only.
    pub packet_bytes: usize,
    /// Sound heard from the answer on.
    pub heard: Duration,
}

/// One finished call, for a judge and for files.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recording {
    pub packets: Packets,
    pub heard: Heard,
    /// When the first sample of each chirp of ours was due to leave; the second, fourth… run backwards.
    pub chirps: Vec<Instant>,
    /// When the 2xx came.
    pub answered: Option<Instant>,
}

/// SIP, RTP and RTCP in the order in which they were seen, in one buffer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Packets {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    bytes_max: usize,
    /// Packets that found no room.
    pub left_out: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Entry {
    at: Instant,
    from: SocketAddr,
    to: SocketAddr,
    end: usize,
}

const ENTRY_BYTES: usize = size_of::<Entry>();

/// One packet as it went by. SIP over TCP and TLS is a packet per message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// When the kernel received it, or when it was due to leave.
    pub at: Instant,
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub payload: &'a [u8],
}

impl Packets {
    pub(super) const fn new(bytes_max: usize) -> Self {
        Self {
            bytes: Vec::new(),
            entries: Vec::new(),
            bytes_max,
            left_out: 0,
        }
    }

    pub(super) fn keep(&mut self, at: Instant, from: SocketAddr, to: SocketAddr, payload: &[u8]) {
        // A packet of no bytes takes room as well.
        let entries = (self.entries.len() + 1) * ENTRY_BYTES;
        if entries + self.bytes.len() + payload.len() > self.bytes_max {
            self.left_out += 1;
            return;
        }
        self.bytes.extend_from_slice(payload);
        let end = self.bytes.len();
        self.entries.push(Entry { at, from, to, end });
    }

    pub fn iter(&self) -> impl Iterator<Item = Datagram<'_>> {
        let mut begin = 0;
        self.entries.iter().map(move |entry| {
            let payload = &self.bytes[begin..entry.end];
            begin = entry.end;
            let Entry { at, from, to, .. } = *entry;
            Datagram {
                at,
                from,
                to,
                payload,
            }
        })
    }
}

/// Sound heard, each packet at the place that its RTP timestamp gives it; 0 where nothing came.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Heard {
    /// 8000 Hz.
    pub samples: Vec<i16>,
    /// When the first sample would have been heard by the quickest packet of all.
    pub begins: Instant,
    /// Each packet: its first sample, and what it alone says of when the first of all was heard.
    packets: Vec<(usize, Instant)>,
    samples_max: usize,
    /// RTP timestamp of the first sample, once there is one.
    origin: Option<u32>,
}

/// A place further away than this is no loss but a far end that began to count anew.
const GAP_MAX: usize = 2 * SAMPLE_RATE as usize;

/// 5 ms, the shortest packet of any telephone; more packets than fit are heard and not timed.
const PACKET_MIN: usize = SAMPLE_RATE as usize / 200;

/// Sound that is kept from before the answer: its first packets may overtake the 2xx.
const OVERTAKING: usize = SAMPLE_RATE as usize / 5;

impl Heard {
    pub(super) fn new(length: Duration) -> Self {
        let samples = length.as_millis() * u128::from(SAMPLE_RATE) / 1000;
        Self {
            samples_max: usize::try_from(samples).unwrap_or(usize::MAX),
            ..Self::default()
        }
    }

    /// A packet of sound: when it came, its timestamp, its samples.
    pub(super) fn hear(
        &mut self,
        at: Instant,
        timestamp: u32,
        samples: impl ExactSizeIterator<Item = i16>,
    ) {
        let Some(place) = self.place(at, timestamp) else {
            return;
        };
        // Together with the samples before it: the earliest of all says how long the way takes at least.
        let begins = back(at, place);
        if self.samples.is_empty() || begins < self.begins {
            self.begins = begins;
        }
        let end = (place + samples.len()).min(self.samples_max);
        if place < end && self.packets.len() < self.samples_max / PACKET_MIN {
            self.packets.push((place, begins));
        }
        if self.samples.len() < end {
            self.samples.resize(end, 0);
        }
        if let Some(room) = self.samples.get_mut(place..end) {
            for (kept, sample) in room.iter_mut().zip(samples) {
                *kept = sample;
            }
        }
    }

    /// Where a timestamp lies; `None` before the first.
    fn place(&mut self, at: Instant, timestamp: u32) -> Option<usize> {
        let origin = *self.origin.get_or_insert(timestamp);
        let place = timestamp.wrapping_sub(origin);
        // Half the circle of timestamps lies behind: what came too late to be kept.
        let from_here = usize::try_from(place).unwrap_or(usize::MAX);
        let is_near = from_here <= self.samples.len().saturating_add(GAP_MAX);
        if is_near {
            return Some(from_here);
        }
        let is_behind =
            origin.wrapping_sub(timestamp) <= u32::try_from(GAP_MAX).unwrap_or(u32::MAX);
        if is_behind && self.samples.len() < GAP_MAX {
            return None;
        }
        // Another count: it goes on where the clock says, so that places stay times.
        let elapsed = at.since(self.begins).as_millis() * u128::from(SAMPLE_RATE) / 1000;
        let place = usize::try_from(elapsed)
            .unwrap_or(usize::MAX)
            .max(self.samples.len());
        let behind = u32::try_from(place).unwrap_or(u32::MAX);
        self.origin = Some(timestamp.wrapping_sub(behind));
        Some(place)
    }

    /// Before the answer only the last moment is kept, not to fill the room with ring-back.
    pub(super) fn forget_early(&mut self) {
        // In larger steps than packets, so that not every packet moves all samples.
        if self.samples.len() <= 2 * OVERTAKING {
            return;
        }
        let early = self.samples.len() - OVERTAKING;
        self.samples.drain(..early);
        self.begins = self.begins + length(early);
        self.packets.retain_mut(|(place, begins)| {
            *begins = *begins + length(early);
            place
                .checked_sub(early)
                .inspect(|left| *place = *left)
                .is_some()
        });
        let early = u32::try_from(early).unwrap_or(u32::MAX);
        self.origin = self.origin.map(|origin| origin.wrapping_add(early));
    }

    /// When this sample was heard.
    #[must_use]
    pub fn time_of(&self, sample: usize) -> Instant {
        self.begins + length(sample)
    }

    /// When the first of these samples was heard, by the quickest of the packets that carried them. Later than
    /// [`Self::time_of`] says where a buffer on the way has grown since the quickest packet of all.
    #[must_use]
    pub fn first_of(&self, samples: &Range<usize>) -> Option<Instant> {
        let carried = self
            .packets
            .iter()
            .filter(|(place, _)| samples.contains(place));
        let begins = carried.map(|(_, begins)| *begins).min()?;
        Some(begins + length(samples.start))
    }

    /// The first sample that was heard at this moment or later.
    #[must_use]
    pub fn sample_at(&self, at: Instant) -> usize {
        let ns = at.since(self.begins).as_nanos() * u128::from(SAMPLE_RATE);
        usize::try_from(ns.div_ceil(1_000_000_000)).unwrap_or(usize::MAX)
    }
}

/// How long so many samples last.
pub(super) fn length(samples: usize) -> Duration {
    let samples = u64::try_from(samples).unwrap_or(u64::MAX);
    Duration::from_nanos(samples.saturating_mul(1_000_000_000 / u64::from(SAMPLE_RATE)))
}

fn back(at: Instant, samples: usize) -> Instant {
    let ns = u64::try_from(length(samples).as_nanos()).unwrap_or(u64::MAX);
    Instant(at.0.saturating_sub(ns))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Instant {
        Instant(1_000_000_000 + ms * 1_000_000)
    }

    /// Packets of 20 ms as (arrival ms, timestamp in packets, sample), and where they end up.
    fn placed(packets: &[(u64, i64, i16)]) -> (Vec<i16>, Instant) {
        let mut heard = Heard::new(Duration::from_secs(1));
        for (at, number, sample) in packets {
            let timestamp = u32::try_from((number * 160).rem_euclid(1 << 32)).unwrap();
            heard.hear(ms(*at), timestamp, [*sample; 160].into_iter());
        }
        let firsts = heard.samples.iter().step_by(160).copied().collect();
        (firsts, heard.begins)
    }

    #[test]
    fn the_timestamp_says_where_and_the_quickest_packet_says_when() {
        let far = 1 << 25;
        for (name, packets, samples, begins) in [
            (
                "in order",
                &[(0, 5, 1), (20, 6, 2), (40, 7, 3)][..],
                &[1, 2, 3][..],
                ms(0),
            ),
            (
                "lost, then silence",
                &[(0, 5, 1), (40, 7, 3)],
                &[1, 0, 3],
                ms(0),
            ),
            (
                "overtaken",
                &[(0, 5, 1), (40, 7, 3), (45, 6, 2)],
                &[1, 2, 3],
                ms(0),
            ),
            (
                "the first was slow",
                &[(30, 5, 1), (35, 6, 2)],
                &[1, 2],
                ms(15),
            ),
            (
                "across the end of the count",
                &[(0, far - 1, 1), (20, far, 2)],
                &[1, 2],
                ms(0),
            ),
            (
                "older than the first",
                &[(0, 5, 1), (20, 4, 9)],
                &[1],
                ms(0),
            ),
            (
                "a new count",
                &[(0, 5, 1), (60, 900_000, 2)],
                &[1, 0, 0, 2],
                ms(0),
            ),
            (
                "a new count below",
                &[(0, 900_000, 1), (20, 5, 2), (40, 6, 3)],
                &[1, 2, 3],
                ms(0),
            ),
        ] {
            let (found, at) = placed(packets);
            assert_eq!((found.as_slice(), at), (samples, begins), "{name}");
        }
    }

    #[test]
    fn a_buffer_that_grows_makes_the_later_samples_late() {
        let mut heard = Heard::new(Duration::from_secs(1));
        // The first comes at once, all others 60 ms later than their timestamps say.
        for (at, number) in [(0, 0), (80, 1), (100, 2), (125, 3)] {
            heard.hear(ms(at), number * 160, [1; 160].into_iter());
        }
        assert_eq!(heard.time_of(160), ms(20));
        for (samples, first) in [
            (0..160, Some(ms(0))),
            (160..640, Some(ms(80))),
            (480..640, Some(ms(125))),
            (640..800, None),
        ] {
            assert_eq!(heard.first_of(&samples), first, "{samples:?}");
        }
    }

    #[test]
    fn no_more_than_agreed_is_kept() {
        let mut heard = Heard::new(Duration::from_millis(30));
        for n in 0..10 {
            heard.hear(ms(20 * u64::from(n)), 160 * n, [1; 160].into_iter());
        }
        assert_eq!(heard.samples.len(), 240);
        let mut packets = Packets::new(10 + 2 * ENTRY_BYTES);
        let (here, there) = (
            SocketAddr::from(([192, 0, 2, 1], 1)),
            SocketAddr::from(([192, 0, 2, 2], 2)),
        );
        for payload in [&b"12345"[..], b"123456", b"67890"] {
            packets.keep(ms(0), here, there, payload);
        }
        let kept: Vec<&[u8]> = packets.iter().map(|packet| packet.payload).collect();
        assert_eq!((kept, packets.left_out), (vec![&b"12345"[..], b"67890"], 1));
    }

    #[test]
    fn packets_of_no_sound_and_copies_without_end_fill_no_memory() {
        let nobody = SocketAddr::from(([192, 0, 2, 1], 1));
        let mut packets = Packets::new(1000);
        let mut heard = Heard::new(Duration::from_secs(1));
        for n in 0..10_000 {
            packets.keep(ms(n), nobody, nobody, &[]);
            heard.hear(ms(n), 0, [1; 160].into_iter());
        }
        assert_eq!(packets.entries.len(), 1000 / ENTRY_BYTES);
        assert_eq!(packets.iter().count() as u64 + packets.left_out, 10_000);
        assert_eq!(heard.packets.len(), 200);
    }

    #[test]
    fn of_early_sound_only_the_last_moment_is_kept() {
        let mut heard = Heard::new(Duration::from_secs(9));
        for n in 0..50 {
            heard.hear(ms(20 * u64::from(n)), 160 * n, [1; 160].into_iter());
        }
        heard.forget_early();
        assert_eq!((heard.samples.len(), heard.begins), (1600, ms(800)));
        assert_eq!(heard.first_of(&(160..320)), Some(ms(820)));
        assert_eq!(heard.packets.len(), 10);
        heard.hear(ms(1000), 160 * 50, [2; 160].into_iter());
        assert_eq!((heard.samples[1600], heard.samples.len()), (2, 1760));
        assert_eq!(
            (heard.time_of(1600), heard.sample_at(ms(1000))),
            (ms(1000), 1600)
        );
    }
}
