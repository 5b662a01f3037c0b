//! Which packets were of no use, and how they stood together: runs, bursts and gaps (RFC 3611 §4.7.2).
//!
//! Bursts are found by the definition of the clause on the whole record, not by the counters of A.2, which
//! miss the first loss of a burst and never close the last one. Numbers here are places in the stream,
//! counted from its first packet.

use std::collections::BTreeMap;

use serde::Serialize;

/// Good packets in a row that end a burst (§4.7.2 recommends 16: at 20 ms a gap then loses under 5 %).
pub const GMIN: u8 = 16;

/// Neighbouring packets of no use: lost, or lost and discarded, as the caller chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) first: u64,
    pub(super) length: u64,
}

/// All runs of a stretch of packets, in order. It is as long as the packets that arrived, however many a
/// forged sequence number claims were lost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    /// Packets from the first to the last, whatever became of them.
    pub(super) packets: u64,
    pub(super) runs: Vec<Run>,
}

/// How losses stood together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LossRuns {
    pub runs: u64,
    /// Packets lost in a row, at most.
    pub longest: u64,
    /// Packets in a row → how often.
    pub histogram: BTreeMap<u64, u64>,
}

/// Bursts and gaps (§4.7.2). A loss with [`GMIN`] good packets on both sides belongs to the gap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct BurstGap {
    pub bursts: u64,
    pub burst_packets: u64,
    pub gap_packets: u64,
    /// Part of the packets in bursts that was of no use, 0 to 100.
    pub burst_density_percent: f64,
    pub gap_density_percent: f64,
    /// Mean length.
    pub burst_ms: f64,
    pub gap_ms: f64,
}

impl Record {
    /// From packets in order: how many never came before each, and whether it was good itself.
    pub(super) fn of(packets: impl IntoIterator<Item = (u64, bool)>) -> Self {
        let mut record = Self::default();
        for (missing, good) in packets {
            record.push_bad(missing);
            record.push(good);
        }
        record
    }

    /// One more packet at the end.
    pub(super) fn push(&mut self, good: bool) {
        if good {
            self.packets += 1;
        } else {
            self.push_bad(1);
        }
    }

    pub(super) fn push_bad(&mut self, length: u64) {
        if length == 0 {
            return;
        }
        match self.runs.last_mut() {
            Some(run) if run.first + run.length == self.packets => run.length += length,
            Some(_) | None => self.runs.push(Run {
                first: self.packets,
                length,
            }),
        }
        self.packets += length;
    }

    /// What follows on this one; a run across the seam is one.
    pub(super) fn append(&mut self, later: &Self) {
        let mut end = 0;
        for run in &later.runs {
            self.packets += run.first - end;
            self.push_bad(run.length);
            end = run.first + run.length;
        }
        self.packets += later.packets - end;
    }

    pub(super) fn bad(&self) -> u64 {
        self.runs.iter().map(|run| run.length).sum()
    }

    /// Part of no use, 0 to 1.
    pub(super) fn ratio(&self) -> f64 {
        share(self.bad(), self.packets)
    }

    pub(super) fn loss_runs(&self) -> LossRuns {
        let mut histogram = BTreeMap::new();
        for run in &self.runs {
            *histogram.entry(run.length).or_insert(0) += 1;
        }
        LossRuns {
            runs: self.runs.len() as u64,
            longest: histogram.keys().next_back().copied().unwrap_or(0),
            histogram,
        }
    }

    /// Mean run over the mean run that chance alone would give (G.107 7.2); 1 is chance, and the least.
    pub(super) fn burst_r(&self) -> f64 {
        if self.runs.is_empty() {
            return 1.0;
        }
        (share(self.bad(), self.runs.len() as u64) * (1.0 - self.ratio())).max(1.0)
    }

    pub(super) fn burst_gap(&self, ptime_ms: f64) -> BurstGap {
        let (mut burst, mut gap) = (Stretch::default(), Stretch::default());
        let mut gap_from = 0;
        let mut rest = self.runs.as_slice();
        while let Some((group, after)) = next_group(rest) {
            rest = after;
            let first = group[0].first;
            let last = group[group.len() - 1];
            let end = last.first + last.length;
            let bad: u64 = group.iter().map(|run| run.length).sum();
            if bad == 1 {
                gap.bad += 1;
                continue;
            }
            gap.extend(first - gap_from);
            burst.extend(end - first);
            burst.bad += bad;
            gap_from = end;
        }
        gap.extend(self.packets - gap_from);
        BurstGap {
            bursts: burst.count,
            burst_packets: burst.packets,
            gap_packets: gap.packets,
            burst_density_percent: 100.0 * share(burst.bad, burst.packets),
            gap_density_percent: 100.0 * share(gap.bad, gap.packets),
            burst_ms: ptime_ms * share(burst.packets, burst.count),
            gap_ms: ptime_ms * share(gap.packets, gap.count),
        }
    }
}

/// The runs that stand closer together than [`GMIN`], and those after them.
fn next_group(runs: &[Run]) -> Option<(&[Run], &[Run])> {
    let first = runs.first()?;
    let mut end = first.first + first.length;
    let mut length = 1;
    for run in &runs[1..] {
        if run.first - end >= u64::from(GMIN) {
            break;
        }
        end = run.first + run.length;
        length += 1;
    }
    Some(runs.split_at(length))
}

/// Bursts, or gaps, summed.
#[derive(Default)]
struct Stretch {
    count: u64,
    packets: u64,
    bad: u64,
}

impl Stretch {
    /// One of this many packets; one of none did not happen.
    const fn extend(&mut self, packets: u64) {
        if packets > 0 {
            self.count += 1;
            self.packets += packets;
        }
    }
}

/// Zero when there is nothing to share.
#[expect(
    clippy::cast_precision_loss,
    reason = "packets of one stream are far below 2^52"
)]
#[must_use]
pub fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}
