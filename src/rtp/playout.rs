//! What a phone would have played: packets that came too late for a jitter buffer are of no use.
//!
//! Three buffers are tried on the record of arrivals: fixed 50 ms, fixed 200 ms, adaptive up to 500 ms, as
//! operators know them from passive monitors. Nothing is played: a packet is either in time or not.

use serde::Serialize;

use super::adaptive;
use super::delay::milliseconds;
use super::loss::{BurstGap, Record};
use super::stream::Heard;

/// How one buffer would have fared.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Playout {
    pub buffer: Buffer,
    /// Mean delay that the buffer adds to the first packet.
    pub nominal_ms: f64,
    /// Never came.
    pub lost: u64,
    /// Came too late.
    pub discarded: u64,
    /// Both, of all packets.
    pub loss_percent: f64,
    pub burst_r: f64,
    pub burst: BurstGap,
}

/// The buffers that are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Buffer {
    #[serde(rename = "fixed_50_ms")]
    Fixed50,
    #[serde(rename = "fixed_200_ms")]
    Fixed200,
    #[serde(rename = "adaptive_500_ms")]
    Adaptive500,
}

/// `by_number` holds the lines of the log in the order of their sequence numbers.
pub(super) fn all(log: &[Heard], by_number: &[usize], ptime_ns: i64) -> [Playout; 3] {
    [Buffer::Fixed50, Buffer::Fixed200, Buffer::Adaptive500].map(|buffer| {
        let (late, nominal_ms) = match buffer {
            Buffer::Fixed50 => (fixed(log, 50), 50.0),
            Buffer::Fixed200 => (fixed(log, 200), 200.0),
            Buffer::Adaptive500 => adaptive::late(log, ptime_ns),
        };
        judge(
            buffer,
            nominal_ms,
            log,
            by_number,
            &late,
            milliseconds(ptime_ns),
        )
    })
}

fn judge(
    buffer: Buffer,
    nominal_ms: f64,
    log: &[Heard],
    by_number: &[usize],
    late: &[bool],
    ptime_ms: f64,
) -> Playout {
    let mut record = Record::default();
    let (mut lost, mut discarded) = (0, 0);
    let mut next = None;
    for line in by_number {
        let number = log[*line].number;
        let missing = match next {
            Some(next) if number < next => continue,
            Some(next) => u64::from(number - next),
            None => 0,
        };
        record.push_bad(missing);
        record.push(!late[*line]);
        lost += missing;
        discarded += u64::from(late[*line]);
        next = Some(number + 1);
    }
    Playout {
        buffer,
        nominal_ms,
        lost,
        discarded,
        loss_percent: 100.0 * record.ratio(),
        burst_r: record.burst_r(),
        burst: record.burst_gap(ptime_ms),
    }
}

/// No device plays nothing for ever: when all packets of a second came late it begins anew.
const ALL_LATE_NS: u64 = 1_000_000_000;

/// Which lines came later than the first one of their clock by more than the depth.
fn fixed(log: &[Heard], depth_ms: i64) -> Vec<bool> {
    let (mut epoch, mut first_ns) = (None, 0);
    let mut late_since = None;
    let judge = |heard: &Heard| {
        if !heard.is_sound() {
            return false;
        }
        let starved =
            late_since.is_some_and(|since| heard.at.0.saturating_sub(since) >= ALL_LATE_NS);
        if epoch.replace(heard.epoch) != Some(heard.epoch) || starved {
            first_ns = heard.transit_ns;
        }
        let late = heard.transit_ns - first_ns > depth_ms * 1_000_000;
        late_since = late.then(|| late_since.unwrap_or(heard.at.0));
        late
    };
    log.iter().map(judge).collect()
}
