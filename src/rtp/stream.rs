//! One stream that arrives: one SSRC in one direction, packet by packet, and its figures.
//!
//! Made for a thread that keeps time: a packet costs a few sums and one line of a log of fixed length; what
//! needs the whole log is computed when the figures are asked for. It knows no sound and no peer: `session`
//! and the reader of captures feed it.

use serde::Serialize;

use super::Packet;
use super::adaptive;
use super::delay::{self, Pdv};
use super::jitter::Jitter;
use super::loss::{BurstGap, LossRuns, Record, share};
use super::patch::{self, Patch};
use super::playout::{self, Buffer, Playout};
use super::rtcp::Block;
use super::skew;
use super::source::{Arrival, Source};
use super::spacing::{Range, Spacing};
use crate::time::Instant;

/// What the payload type of a packet says it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    Sound,
    /// RFC 3389, seldom sent.
    ComfortNoise,
    /// A telephone event (RFC 4733): one timestamp over many packets.
    Event,
}

/// One stream. The log takes the packets of its first hour, 24 bytes each: 4.3 MB at most. What comes later
/// is counted, and enters jitter and delta; it is missing from delay variation, runs, bursts, playout and skew.
#[derive(Clone, Debug)]
pub struct Stream {
    ssrc: u32,
    clock_rate: u32,
    /// From the first packet on.
    source: Option<Source>,
    jitter: Jitter,
    spacing: Spacing,
    clock: Clock,
    log: Vec<Heard>,
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

/// An hour of packets of 20 ms.
const LOG_MAX: usize = 180_000;
/// Places before the first packet, for those that it overtook; more than `source` lets it overtake.
const HEAD_START: u32 = 1000;
/// More payload types than any offer of ours holds; a fuzzer's are not collected.
const PAYLOAD_TYPES_MAX: usize = 16;

/// What the log takes of a packet.
#[derive(Clone, Copy, Debug)]
struct Arrived {
    at: Instant,
    timestamp: u32,
    content: Content,
}

/// A line of the log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard {
    pub(super) at: Instant,
    /// Arrival minus timestamp, from the first packet of the epoch on.
    pub(super) transit_ns: i64,
    /// Place in the stream.
    pub(super) number: u32,
    /// Counts the clocks that the far end began; transits of different ones cannot be compared.
    pub(super) epoch: u16,
    content: Content,
}

impl Heard {
    /// When it was spoken, on our clock: had it been as quick as the first of its epoch, it came then.
    pub(super) const fn spoken_ns(&self) -> i64 {
        self.at.0.cast_signed().saturating_sub(self.transit_ns)
    }

    /// Its timestamp says when it was spoken.
    pub(super) fn is_sound(&self) -> bool {
        self.content == Content::Sound
    }
}

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
    /// The commonest step of the timestamp from one packet to the next.
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
            log: Vec::new(),
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

    #[must_use]
    pub const fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// One packet of this source; `at` must be the kernel's stamp, for the program's own waiting would be
    /// taken for the network's.
    pub fn hear(&mut self, at: Instant, packet: &Packet<'_>, content: Content) -> Arrival {
        let number = packet.sequence_number;
        let (arrival, ahead) = if let Some(source) = &mut self.source {
            let ahead = number.wrapping_sub(source.max());
            let wait = at.0.saturating_sub(self.ended.0);
            self.longest_wait_ns = self.longest_wait_ns.max(wait);
            (source.update(number), ahead)
        } else {
            self.source = Some(Source::new(number));
            self.started = at;
            (Arrival::InOrder, 0)
        };
        self.ended = self.ended.max(at);
        self.note_payload_type(packet.payload_type, content);
        self.spacing.hear(at, packet, content, self.clock_rate);
        let arrived = Arrived {
            at,
            timestamp: packet.timestamp,
            content,
        };
        match arrival {
            Arrival::InOrder => {
                self.head = self.head.saturating_add(u32::from(ahead));
                self.place(arrived, self.head, u32::from(ahead));
            }
            Arrival::Reordered => {
                let behind = u32::from(ahead.wrapping_neg());
                self.place(arrived, self.head.saturating_sub(behind), 0);
            }
            Arrival::Stray => self.stray = Some(arrived),
            Arrival::Restarted => {
                self.jitter.forget_last();
                for arrived in self.stray.take().into_iter().chain([arrived]) {
                    self.head = self.head.saturating_add(1);
                    self.place(arrived, self.head, 1);
                }
            }
            Arrival::Duplicate => {}
        }
        arrival
    }

    /// A packet found its place, so many `steps` ahead of all others, 0 when it was overtaken.
    fn place(&mut self, arrived: Arrived, number: u32, steps: u32) {
        let Arrived {
            at,
            timestamp,
            content,
        } = arrived;
        let mut transit_ns = 0;
        if content == Content::Sound {
            self.jitter.hear(at, timestamp, self.clock_rate);
            transit_ns = self.clock.hear(at, timestamp, steps, self.clock_rate);
        }
        if self.log.len() < LOG_MAX {
            self.log.push(Heard {
                at,
                transit_ns,
                number,
                epoch: self.clock.epoch,
                content,
            });
        }
    }

    fn note_payload_type(&mut self, payload_type: u8, content: Content) {
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
        let ptime_ns = self.clock.ptime_ns(self.clock_rate);
        let frame_ns = ptime_ns
            .unwrap_or(PTIME_NS)
            .clamp(FRAME_NS_MIN, FRAME_NS_MAX);
        let mut by_number: Vec<usize> = (0..self.log.len()).collect();
        by_number.sort_by_key(|line| self.log[*line].number);
        let record = Record::between(
            by_number
                .iter()
                .map(|line| u64::from(self.log[*line].number)),
        );
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
            pdv: delay::pdv(&self.log),
            loss_percent: 100.0 * share(counts.missing, counts.expected),
            loss_runs: record.loss_runs(),
            burst: record.burst_gap(delay::milliseconds(frame_ns)),
            burst_r: record.burst_r(),
            playout: playout::all(&self.log, &by_number, frame_ns),
            patches: patch::patches(
                &self.log,
                &by_number,
                &adaptive::late(&self.log, frame_ns).0,
            ),
            skew_ppm: skew::skew_ppm(&self.log),
            jumps: Jumps {
                timestamp: self.clock.jumps,
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

/// The far end's clock as its timestamps tell it.
#[derive(Clone, Debug, Default)]
struct Clock {
    last: Option<Tick>,
    epoch: u16,
    jumps: u32,
    /// The commonest step of consecutive packets so far, by majority vote (Boyer and Moore).
    step: i32,
    votes: u32,
}

#[derive(Clone, Copy, Debug)]
struct Tick {
    at: Instant,
    timestamp: u32,
    transit_ns: i64,
}

/// A timestamp that leaves the wall's time by more than this within one step has jumped, unless the step is
/// that of the packets between: then the network held the packet. Smaller ones are pauses and late packets.
const JUMP_NS: i64 = 200_000_000;

/// A day: stamps that are forged stay within what sums can hold.
const TRANSIT_NS_MAX: i64 = 86_400_000_000_000;

impl Clock {
    /// The transit of a packet of sound that stands `steps` packets after the last, 0 when it was overtaken.
    fn hear(&mut self, at: Instant, timestamp: u32, steps: u32, clock_rate: u32) -> i64 {
        let Some(last) = self.last else {
            self.last = Some(Tick {
                at,
                timestamp,
                transit_ns: 0,
            });
            return 0;
        };
        let step = timestamp.wrapping_sub(last.timestamp).cast_signed();
        let waited = at.0.cast_signed().wrapping_sub(last.at.0.cast_signed());
        let difference = waited.saturating_sub(nanos(step.into(), clock_rate));
        let expected = i64::from(self.step) * i64::from(steps);
        let odd = nanos(i64::from(step) - expected, clock_rate).abs() > JUMP_NS / 2;
        let transit_ns = last.transit_ns.saturating_add(difference);
        let mut transit_ns = transit_ns.clamp(-TRANSIT_NS_MAX, TRANSIT_NS_MAX);
        if steps > 0 && odd && difference.abs() > JUMP_NS {
            self.jumps += 1;
            self.epoch = self.epoch.saturating_add(1);
            transit_ns = 0;
        } else if steps == 1 {
            self.vote(step);
        }
        if steps > 0 {
            self.last = Some(Tick {
                at,
                timestamp,
                transit_ns,
            });
        }
        transit_ns
    }

    const fn vote(&mut self, step: i32) {
        if self.votes == 0 {
            self.step = step;
        }
        if self.step == step {
            self.votes += 1;
        } else {
            self.votes -= 1;
        }
    }

    fn ptime_ns(&self, clock_rate: u32) -> Option<i64> {
        (self.step > 0).then(|| nanos(self.step.into(), clock_rate))
    }
}

/// Timestamp units as time.
fn nanos(units: i64, clock_rate: u32) -> i64 {
    units.saturating_mul(1_000_000_000) / i64::from(clock_rate)
}

#[cfg(test)]
mod tests;
