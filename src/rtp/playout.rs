//! What a phone would have played: packets that came too late for a jitter buffer are of no use.
//!
//! Three buffers are tried on the record of arrivals: fixed 50 ms, fixed 200 ms, adaptive up to 500 ms, as
//! operators know them from passive monitors. Nothing is played: a packet is either in time or not.

use serde::Serialize;

use super::adaptive;
use super::delay::{self, ALL_LATE_NS, Mean, milliseconds};
use super::log::{Heard, Place};
use super::loss::{BurstGap, Record};

/// How one buffer would have fared.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Playout {
    pub buffer: Buffer,
    /// Mean delay that the buffer adds to the quickest packets (of ten seconds): what nobody waits for in vain.
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

/// Also tells which lines came too late for the adaptive buffer.
pub(super) fn all(
    log: &[Heard],
    timed: &[usize],
    order: &[Place],
    frame_ns: i64,
) -> ([Playout; 3], Vec<bool>) {
    let judge = |buffer, late: &[bool], nominal_ms| {
        let packets = order.iter().map(|place| (place.missing, !late[place.line]));
        let record = Record::of(packets);
        Playout {
            buffer,
            nominal_ms,
            lost: order.iter().map(|place| place.missing).sum(),
            discarded: order.iter().map(|place| u64::from(late[place.line])).sum(),
            loss_percent: 100.0 * record.ratio(),
            burst_r: record.burst_r(),
            burst: record.burst_gap(milliseconds(frame_ns)),
        }
    };
    let fixed = |buffer, depth_ns| {
        let (late, nominal_ms) = fixed(log, timed, depth_ns);
        judge(buffer, &late, nominal_ms)
    };
    let (late, nominal_ms) = adaptive::late(log, timed, frame_ns);
    let playout = [
        fixed(Buffer::Fixed50, 50_000_000),
        fixed(Buffer::Fixed200, 200_000_000),
        judge(Buffer::Adaptive500, &late, nominal_ms),
    ];
    (playout, late)
}

/// Which lines came later than the first one of their clock by more than the depth, and the mean delay of the
/// others in milliseconds: a first packet that was slow makes the buffer as much deeper.
fn fixed(log: &[Heard], timed: &[usize], depth_ns: i64) -> (Vec<bool>, f64) {
    let mut late = vec![false; log.len()];
    let (mut epoch, mut plays_ns) = (None, 0);
    let mut late_since = None;
    let mut delay = Mean::default();
    for window in delay::windows(log, timed) {
        let least_ns = delay::least_ns(log, window);
        for line in window {
            let heard = &log[*line];
            let starved =
                late_since.is_some_and(|since| heard.at.0.saturating_sub(since) >= ALL_LATE_NS);
            if epoch.replace(heard.epoch) != Some(heard.epoch) || starved {
                plays_ns = heard.transit_ns + depth_ns;
            }
            late[*line] = heard.transit_ns > plays_ns;
            if late[*line] {
                late_since.get_or_insert(heard.at.0);
            } else {
                late_since = None;
                delay.add(milliseconds(plays_ns - least_ns));
            }
        }
    }
    (late, delay.mean())
}
