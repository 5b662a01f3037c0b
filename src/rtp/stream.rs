//! One stream that arrives: one SSRC in one direction, packet by packet, and its figures.
//!
//! Made for a thread that keeps time: a packet costs a few sums and one line of a log of fixed length; what
//! needs the whole log is computed when the figures are asked for. It knows no sound and no peer: `session`
//! and the reader of captures feed it.

use serde::Serialize;

use super::Packet;
use super::arrived::Arrived;
pub use super::arrived::Content;
use super::clock::{Clock, Reading, Tick};
use super::delay::{self, Pdv};
use super::jitter::Jitter;
use super::log::{Heard, Log};
use super::loss::{BurstGap, LossRuns, Record, share};
use super::patch::{self, Patch};
use super::playout::{self, Buffer, Playout};
use super::rtcp::Block;
use super::skew;
use super::source::{Arrival, Source};
use super::spacing::{Range, Spacing};
use crate::time::Instant;

/// One stream. The log takes the packets of its first hour, 24 bytes each: 4.3 MB at most. What comes later
/// is counted, and enters jitter and delta; it is missing from delay variation, runs, bursts, playout and skew
/// (`judged_packets` says how many these speak of).
#[derive(Clone, Debug)]
pub struct Stream {
    ssrc: u32,
    clock_rate: u32,
    /// From the first packet on.
    source: Option<Source>,
    jitter: Jitter,
    spacing: Spacing,
    clock: Clock,
    log: Log,
    /// Place of the highest sequence number in the log's own numbers, which no restart sets back.
    head: u32,
    /// Far from the others; believed once its successor comes.
    stray: Option<Arrived>,
    payload_types: Vec<u8>,
    payload_type_changes: u32,
    last_sound_type: Option<u8>,
    started: Instant,
    ended: Instant,
    longest_wait_ns: u64,
}

/// 73 years after the machine booted: stamps that are forged stay within what sums can hold.
const AT_NS_MAX: u64 = 1 << 61;
/// Places before the first packet, for those that it overtook; more than `source` lets it overtake.
const HEAD_START: u32 = 1000;
/// More payload types than any offer of ours holds; a fuzzer's are not collected.
const PAYLOAD_TYPES_MAX: usize = 16;

/// What a stream was. Names end in their unit; a percentage goes from 0 to 100.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    pub ssrc: u32,
    /// In order of first sight.
    pub payload_types: Vec<u8>,
    #[serde(flatten)]
    pub counts: Counts,
    /// Least, mean and most as tshark counts them.
    pub jitter: Range,
    /// RFC 3550 A.8 at the end, as the next report would say it.
    pub jitter_last_ms: f64,
    /// Between arrivals, as tshark counts it.
    pub delta: Range,
    /// Between any two packets that followed each other, pauses included.
    pub longest_wait_ms: f64,
    /// Packets of the log: those that all figures from here to `skew_ppm` speak of, but for `loss_percent`.
    pub judged_packets: u64,
    pub pdv: Option<Pdv>,
    pub loss_percent: f64,
    pub loss_runs: LossRuns,
    /// Of packets that never came; those of a playout buffer are in `playout`.
    pub burst: BurstGap,
    pub burst_r: f64,
    /// Fixed 50 ms, fixed 200 ms, adaptive up to 500 ms.
    pub playout: [Playout; 3],
    /// Ten seconds each, behind the adaptive buffer.
    pub patches: Vec<Patch>,
    /// Parts per million by which the sender's clock runs slow against ours, from the slope of the least
    /// transit; `None` for less than ten seconds.
    pub skew_ppm: Option<f64>,
    pub jumps: Jumps,
    /// The step of the timestamp that more than half of the packets show.
    pub ptime_ms: Option<f64>,
    #[serde(rename = "started_ns")]
    pub started: Instant,
    #[serde(rename = "ended_ns")]
    pub ended: Instant,
}

/// Packets counted by their sequence numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Received, duplicates included.
    pub packets: u64,
    /// From the first to the last that was heard: what was lost before and after cannot be seen here.
    pub expected: u64,
    /// Expected minus received, as RFC 3550 A.3 and tshark have it: duplicates make it smaller.
    pub lost: i64,
    /// Never came, whatever came twice; over expected this is `loss_percent`.
    pub missing: u64,
    pub duplicates: u64,
    pub reordered: u64,
    /// Times that the sender began its sequence numbers anew.
    pub restarts: u32,
    /// Far from all others and never followed: another sender with the same SSRC. In no other figure.
    pub strays: u64,
}

impl Figures {
    /// How that buffer would have fared.
    #[must_use]
    pub const fn playout_of(&self, buffer: Buffer) -> &Playout {
        match buffer {
            Buffer::Fixed50 => &self.playout[0],
            Buffer::Fixed200 => &self.playout[1],
            Buffer::Adaptive500 => &self.playout[2],
        }
    }
}

impl Counts {
    fn of(source: &Source) -> Self {
        let duplicates = u64::from(source.duplicates);
        let missing = source.lost().saturating_add_unsigned(duplicates);
        Self {
            packets: u64::from(source.received()),
            expected: u64::from(source.expected()),
            lost: source.lost(),
            missing: u64::try_from(missing).unwrap_or(0),
            duplicates,
            reordered: u64::from(source.reordered),
            restarts: source.restarts(),
            strays: u64::from(source.strays),
        }
    }
}

/// What changed from one packet to the next though nothing should.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Jumps {
    /// The timestamp left the wall's time.
    pub timestamp: u32,
    /// The sequence number leapt, and stayed there.
    pub sequence: u32,
    /// Of sound; comfort noise and events come and go.
    pub payload_type: u32,
}

impl Stream {
    #[must_use]
    pub fn new(ssrc: u32, clock_rate: u32) -> Self {
        Self {
            ssrc,
            clock_rate: clock_rate.max(1),
            source: None,
            jitter: Jitter::default(),
            spacing: Spacing::default(),
            clock: Clock::default(),
            log: Log::default(),
            head: HEAD_START,
            stray: None,
            payload_types: Vec::new(),
            payload_type_changes: 0,
            last_sound_type: None,
            started: Instant::default(),
            ended: Instant::default(),
            longest_wait_ns: 0,
        }
    }

    /// Timestamp units per second, from the next packet on: of its payload type. Another one is another clock.
    pub fn tick(&mut self, clock_rate: u32) {
        self.clock_rate = clock_rate.max(1);
    }

    #[must_use]
    pub const fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// When the first packet came, whatever it carried.
    #[must_use]
    pub const fn started(&self) -> Instant {
        self.started
    }

    /// When the last one came.
    #[must_use]
    pub const fn ended(&self) -> Instant {
        self.ended
    }

    /// One packet of this source; `at` must be the kernel's stamp, for the program's own waiting would be
    /// taken for the network's.
    pub fn hear(&mut self, at: Instant, packet: &Packet<'_>, content: Content) -> Arrival {
        let at = at.min(Instant(AT_NS_MAX));
        let number = packet.sequence_number;
        let (arrival, ahead) = if let Some(source) = &mut self.source {
            let ahead = number.wrapping_sub(source.max());
            (source.update(number), ahead)
        } else {
            self.source = Some(Source::new(number));
            (self.started, self.ended) = (at, at);
            (Arrival::InOrder, 0)
        };
        let arrived = Arrived {
            at,
            timestamp: packet.timestamp,
            marker: packet.marker,
            payload_type: packet.payload_type,
            content,
        };
        match arrival {
            Arrival::InOrder => {
                self.head = self.head.saturating_add(u32::from(ahead));
                self.place(arrived, self.head);
            }
            Arrival::Reordered => {
                let behind = u32::from(ahead.wrapping_neg());
                self.place(arrived, self.head.saturating_sub(behind));
            }
            Arrival::Stray => self.stray = Some(arrived),
            Arrival::Restarted => {
                self.jitter.forget_last();
                for arrived in self.stray.take().into_iter().chain([arrived]) {
                    self.head = self.head.saturating_add(1);
                    self.place(arrived, self.head);
                }
            }
            Arrival::Duplicate => self.note(arrived),
        }
        arrival
    }

    /// A packet of this sender, duplicate or not.
    fn note(&mut self, arrived: Arrived) {
        let Arrived {
            at,
            payload_type,
            content,
            ..
        } = arrived;
        let wait_ns = at.0.saturating_sub(self.ended.0);
        self.longest_wait_ns = self.longest_wait_ns.max(wait_ns);
        self.ended = self.ended.max(at);
        self.spacing.hear(arrived, self.clock_rate);
        if !self.payload_types.contains(&payload_type)
            && self.payload_types.len() < PAYLOAD_TYPES_MAX
        {
            self.payload_types.push(payload_type);
        }
        if content == Content::Sound
            && let Some(before) = self.last_sound_type.replace(payload_type)
            && before != payload_type
        {
            self.payload_type_changes += 1;
        }
    }

    /// A packet found its place.
    fn place(&mut self, arrived: Arrived, number: u32) {
        self.note(arrived);
        let sound = arrived.content == Content::Sound;
        let reading = sound.then(|| self.read(arrived, number)).flatten();
        self.log.push(Heard {
            at: arrived.at,
            transit_ns: reading.map_or(0, |reading| reading.transit_ns),
            number,
            epoch: reading.map_or(0, |reading| reading.epoch),
            timed: reading.is_some(),
        });
    }

    /// What its timestamp says.
    fn read(&mut self, arrived: Arrived, number: u32) -> Option<Reading> {
        let Arrived {
            at,
            timestamp,
            marker,
            ..
        } = arrived;
        let reading = self.clock.hear(Tick {
            at,
            timestamp,
            number,
            marker,
            rate: self.clock_rate,
            transit_ns: 0,
        })?;
        if reading.fresh {
            self.jitter.forget_last();
        }
        if let Some(held) = reading.paused {
            self.log
                .begin_epoch(held.at, held.number, reading.epoch, held.transit_ns);
        }
        self.jitter.hear(at, timestamp, self.clock_rate);
        Some(reading)
    }

    /// What a report of ours says of this source (RFC 3550 §6.4.1); times of their SR are the session's.
    pub(super) fn block(&mut self) -> Option<Block> {
        let source = self.source.as_mut()?;
        Some(Block {
            ssrc: self.ssrc,
            fraction_lost: source.fraction_lost(),
            lost: i32::try_from(source.lost()).unwrap_or(i32::MAX),
            extended_max: source.extended_max(),
            jitter: self.jitter.units(self.clock_rate),
            ..Block::default()
        })
    }

    /// The figures that are there at any time, without the cost of the others.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.source
            .as_ref()
            .map_or_else(Counts::default, Counts::of)
    }

    /// RFC 3550 A.8 by now, in milliseconds.
    #[must_use]
    pub const fn jitter_ms(&self) -> f64 {
        self.jitter.ms()
    }

    /// All figures; sorts the log, so not for each packet.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let counts = self.counts();
        let ptime_ns = self.clock.ptime_ns();
        let frame_ns = ptime_ns
            .unwrap_or(PTIME_NS)
            .clamp(FRAME_NS_MIN, FRAME_NS_MAX);
        let (lines, timed) = (self.log.lines(), self.log.timed());
        let order = self.log.in_order();
        let record = Record::of(order.iter().map(|place| (place.missing, true)));
        let (playout, late) = playout::all(lines, &timed, &order, frame_ns);
        Figures {
            ssrc: self.ssrc,
            payload_types: self.payload_types.clone(),
            counts,
            jitter: self.spacing.jitter(),
            jitter_last_ms: self.jitter.ms(),
            delta: self.spacing.delta(),
            longest_wait_ms: delay::milliseconds(
                i64::try_from(self.longest_wait_ns).unwrap_or(i64::MAX),
            ),
            judged_packets: lines.len() as u64,
            pdv: delay::pdv(lines, &timed),
            loss_percent: 100.0 * share(counts.missing, counts.expected),
            loss_runs: record.loss_runs(),
            burst: record.burst_gap(delay::milliseconds(frame_ns)),
            burst_r: record.burst_r(),
            playout,
            patches: patch::patches(lines, &order, &late),
            skew_ppm: skew::skew_ppm(lines, &timed),
            jumps: Jumps {
                timestamp: self.clock.jumps(),
                sequence: counts.restarts,
                payload_type: self.payload_type_changes,
            },
            ptime_ms: ptime_ns.map(delay::milliseconds),
            started: self.started,
            ended: self.ended,
        }
    }
}

/// Of G.711 unless agreed otherwise (RFC 3551 table 1).
const PTIME_NS: i64 = 20_000_000;
/// Shorter frames than any codec's would cost the emulation time for nothing.
const FRAME_NS_MIN: i64 = 5_000_000;
const FRAME_NS_MAX: i64 = 1_000_000_000;

#[cfg(test)]
mod tests;
