//! What a receiver must find, counted from the truth log of an impairment and from nothing else.

use std::collections::BTreeMap;

use vigie::id::Seed;
use vigie::impair::{Departing, Fate, Impairment, Input, Output, Record, Settings};
use vigie::rtp::Packet;
use vigie::rtp::packet;
use vigie::rtp::spacing::Range;
use vigie::rtp::stream::{Content, Figures, Stream};
use vigie::time::Instant;

pub(crate) const PTIME_MS: u64 = 20;
const PTIME_NS: u64 = PTIME_MS * 1_000_000;
/// So that the sequence numbers of a stream of a few hundred packets wrap.
const FIRST: u16 = 65_400;

/// Figures that follow from the fates. Packets are those between the first and the last that arrived, as a
/// receiver knows no others, but for `sent`, `head` and `tail`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Truth {
    pub sent: u64,
    /// Lost before the first that arrived, and after the last.
    pub head: u64,
    pub tail: u64,
    /// What tshark says is lost: it expects what lies between the one that came first and the one that came
    /// last, though others may have been sent before and after.
    pub lost_of_tshark: i64,
    pub expected: u64,
    pub missing: u64,
    pub duplicates: u64,
    pub reordered: u64,
    pub runs: BTreeMap<u64, u64>,
    pub jitter: Range,
    /// The slowest packet against the quickest.
    pub pdv_max_ms: f64,
}

impl Truth {
    pub(crate) fn of(records: &[Record]) -> Self {
        let mut departures: Vec<(Instant, u64)> = records
            .iter()
            .flat_map(|record| record.fate.left().into_iter().map(|at| (at, record.packet)))
            .collect();
        departures.sort_unstable();
        let lost = |record: &&Record| matches!(record.fate, Fate::Lost { .. });
        let sent = records.len() as u64;
        let first = departures.iter().map(|(_, n)| *n).min().expect("one");
        let last = departures.iter().map(|(_, n)| *n).max().expect("one");
        let came_first = departures.first().expect("one").1.cast_signed();
        let came_last = departures.last().expect("one").1.cast_signed();
        let mut runs = BTreeMap::new();
        let between = &records[usize::try_from(first).unwrap()..=usize::try_from(last).unwrap()];
        for run in between.split(|record| !matches!(record.fate, Fate::Lost { .. })) {
            if !run.is_empty() {
                *runs.entry(run.len() as u64).or_insert(0) += 1;
            }
        }
        let twice = |record: &&Record| matches!(record.fate, Fate::Duplicated { .. });
        Self {
            sent,
            head: first,
            tail: sent - 1 - last,
            lost_of_tshark: (came_last - came_first + 1) - (departures.len() as u64).cast_signed(),
            expected: last - first + 1,
            missing: between.iter().filter(lost).count() as u64,
            duplicates: records.iter().filter(twice).count() as u64,
            reordered: reordered(&departures),
            runs,
            jitter: jitter(&departures),
            pdv_max_ms: pdv_max_ms(records),
        }
    }

    /// What of it a receiver must find exactly.
    #[track_caller]
    pub(crate) fn assert_counts(&self, figures: &Figures, name: &str) {
        let counts = figures.counts;
        let found = (
            counts.packets,
            counts.expected,
            counts.missing,
            counts.duplicates,
            counts.reordered,
            counts.lost,
        );
        let missing = self.missing.cast_signed();
        let expected = (
            self.expected - self.missing + self.duplicates,
            self.expected,
            self.missing,
            self.duplicates,
            self.reordered,
            missing - self.duplicates.cast_signed(),
        );
        assert_eq!(found, expected, "{name}: {self:?}\n{figures:?}");
        assert_eq!(figures.loss_runs.histogram, self.runs, "{name}");
    }

    /// The furthest that a figure of time is from the truth, in milliseconds.
    pub(crate) fn distance_ms(&self, figures: &Figures) -> f64 {
        let pdv = figures.pdv.expect("sound came").max_ms;
        range_distance_ms(self.jitter, figures.jitter).max((self.pdv_max_ms - pdv).abs())
    }
}

pub(crate) fn range_distance_ms(one: Range, other: Range) -> f64 {
    [
        one.min_ms - other.min_ms,
        one.mean_ms - other.mean_ms,
        one.max_ms - other.max_ms,
    ]
    .into_iter()
    .map(f64::abs)
    .fold(0.0, f64::max)
}

/// Packets that left, for the first time, after a later one.
fn reordered(departures: &[(Instant, u64)]) -> u64 {
    let (mut count, mut seen) = (0, Vec::new());
    for (_, packet) in departures {
        if seen.contains(packet) {
            continue;
        }
        count += u64::from(seen.iter().any(|other| other > packet));
        seen.push(*packet);
    }
    count
}

/// RFC 3550 A.8 in milliseconds over everything that left. As tshark has it: what is older than the first
/// packet is left out, and weighs in the mean as if it were the mean.
fn jitter(departures: &[(Instant, u64)]) -> Range {
    let mut before = departures[0];
    let (mut jitter, mut packets) = (0.0_f64, 0.0);
    let mut range: Option<Range> = None;
    for (left, packet) in &departures[1..] {
        packets += 1.0;
        if *packet < departures[0].1 {
            continue;
        }
        let apart_ms = left.0.abs_diff(before.0.0) as f64 / 1e6;
        let sent_apart_ms = (*packet as f64 - before.1 as f64) * PTIME_MS as f64;
        jitter += ((apart_ms - sent_apart_ms).abs() - jitter) / 16.0;
        before = (*left, *packet);
        let so_far = range.unwrap_or(Range {
            min_ms: jitter,
            mean_ms: 0.0,
            max_ms: jitter,
        });
        range = Some(Range {
            min_ms: so_far.min_ms.min(jitter),
            mean_ms: so_far.mean_ms + (jitter - so_far.mean_ms) / packets,
            max_ms: so_far.max_ms.max(jitter),
        });
    }
    range.unwrap_or_default()
}

fn pdv_max_ms(records: &[Record]) -> f64 {
    let transit = |record: &Record| {
        let left = record.fate.left().into_iter().min()?;
        Some(left.0.cast_signed() - (record.packet * PTIME_NS).cast_signed())
    };
    let transits: Vec<i64> = records.iter().filter_map(transit).collect();
    let least = transits.iter().min().expect("one");
    let most = transits.iter().max().expect("one");
    (most - least) as f64 / 1e6
}

/// Packet `number` of a stream: A-law, no marker.
pub(crate) fn sound(ssrc: u32, number: u16) -> Vec<u8> {
    packet::write(Packet {
        marker: false,
        payload_type: 8,
        sequence_number: FIRST.wrapping_add(number),
        timestamp: 8000 + u32::from(number) * 160,
        ssrc,
        payload: &[0x55; 160],
    })
}

/// A receiver of one source.
pub(crate) fn hear(stream: &mut Stream, at: Instant, bytes: &[u8]) {
    let packet = packet::parse(bytes).expect("RTP");
    let content = match packet.payload_type {
        13 => Content::ComfortNoise,
        101 => Content::Event,
        _ => Content::Sound,
    };
    stream.hear(at, &packet, content);
}

/// A stream of `count` packets through an impairment in virtual time: what it says of each packet, in order,
/// and what arrives.
pub(crate) fn through(
    settings: Settings,
    seed: u64,
    count: u16,
) -> (Vec<Record>, Vec<(Instant, Vec<u8>)>) {
    let mut machine = Impairment::new(settings, Seed(seed));
    let (mut records, mut arrived, mut came) = (Vec::new(), Vec::new(), 0);
    loop {
        let next_ns = 1_000_000_000 + u64::from(came) * PTIME_NS;
        let arrival = (came < count).then_some(Instant(next_ns));
        let Some(mut now) = arrival.into_iter().chain(machine.deadline()).min() else {
            break;
        };
        if arrival == Some(now) {
            let bytes = &sound(7, came);
            machine.handle(now, Input::Datagram { at: now, bytes });
            came += 1;
        } else {
            machine.handle(now, Input::Wake);
        }
        while let Some(output) = machine.poll_output() {
            match output {
                Output::Send(Departing { packet, due, bytes }) => {
                    // One after the other, as on a wire.
                    now = Instant(now.0 + 1);
                    arrived.push((now, bytes));
                    let at = Some(now);
                    machine.handle(now, Input::Left { packet, due, at });
                }
                Output::Sealed(record) => records.push(record),
            }
        }
    }
    records.sort_by_key(|record| record.packet);
    (records, arrived)
}
