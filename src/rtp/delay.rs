//! Packet delay variation (RFC 5481 §4.2 PDV): how much later than the quickest packet each one came.
//!
//! Unlike jitter it sees a step and a stall for as long as they last, and a change of packet time does not
//! fool it. The quickest is sought in windows, so that the drift of two clocks is not taken for delay.

use serde::Serialize;

use super::stream::Heard;

/// Two clocks that differ by 100 ppm drift 1 ms in it.
const WINDOW_NS: u64 = 10_000_000_000;

/// Delay beyond the least, in milliseconds; of each hundred packets 50, 95 or 99 stay below.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Pdv {
    pub p50_ms: f64,
    pub p95_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
}

/// `None` without a packet of sound.
pub(super) fn pdv(heard: &[Heard]) -> Option<Pdv> {
    let mut variations = Vec::with_capacity(heard.len());
    let sound: Vec<&Heard> = heard.iter().filter(|heard| heard.is_sound()).collect();
    let first = sound.first()?.at.0;
    let window = |heard: &Heard| (heard.epoch, heard.at.0.saturating_sub(first) / WINDOW_NS);
    for packets in sound.chunk_by(|a, b| window(a) == window(b)) {
        let least = packets.iter().map(|heard| heard.transit_ns).min()?;
        variations.extend(packets.iter().map(|heard| heard.transit_ns - least));
    }
    variations.sort_unstable();
    // Nearest rank: the least value that so many of a hundred do not exceed.
    let percentile = |percent: usize| {
        let rank = (variations.len() * percent).div_ceil(100).max(1);
        milliseconds(variations[rank - 1])
    };
    Some(Pdv {
        p50_ms: percentile(50),
        p95_ms: percentile(95),
        p99_ms: percentile(99),
        max_ms: percentile(100),
    })
}

#[expect(
    clippy::cast_precision_loss,
    reason = "nanoseconds of a call are far below 2^52"
)]
pub(super) fn milliseconds(nanos: i64) -> f64 {
    nanos as f64 / 1e6
}
