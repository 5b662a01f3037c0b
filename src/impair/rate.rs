//! A link that carries only so much: a token bucket and the queue before it.

use std::time::Duration;

use super::settings::{Rate, milliseconds};
use crate::time::Instant;

/// Headers of IPv4 and UDP, which the link carries too.
const HEADERS: u32 = 28;

/// The bucket, kept as the moment at which it will be full again.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    full: Instant,
    /// When the last packet left: the queue keeps its order.
    last: Instant,
}

impl Bucket {
    /// When a datagram of this many bytes leaves the queue; `None` when it finds no room in it.
    pub(super) fn leaves(&mut self, at: Instant, bytes: usize, rate: Rate) -> Option<Instant> {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let cost = carried(bytes.saturating_add(HEADERS), rate);
        let burst = carried(rate.burst_bytes, rate);
        let filled = Instant((self.full + cost).0.saturating_sub(nanoseconds(burst)));
        let leaves = at.max(self.last).max(filled);
        if leaves.since(at) > milliseconds(rate.queue_ms) {
            return None;
        }
        self.full = self.full.max(leaves) + cost;
        self.last = leaves;
        Some(leaves)
    }
}

/// How long the link takes for so many bytes.
fn carried(bytes: u32, rate: Rate) -> Duration {
    milliseconds(f64::from(bytes) * 8.0 / rate.kbit_per_s)
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// When packets of 200 bytes of IP leave (ms), sent every `every_ms`.
    fn trace(rate: Rate, every_ms: u64, count: u64) -> Vec<Option<u64>> {
        let mut bucket = Bucket::default();
        let start = 1_000_000 * MS;
        (0..count)
            .map(|n| {
                let at = Instant(start + n * every_ms * MS);
                let leaves = bucket.leaves(at, 172, rate)?;
                Some((leaves.0 - start) / MS)
            })
            .collect()
    }

    #[test]
    fn packets_leave_at_the_rate_once_the_bucket_is_empty() {
        // 200 bytes at 80 kbit/s take 20 ms.
        let mut rate = Rate {
            kbit_per_s: 80.0,
            burst_bytes: 200,
            queue_ms: 1000.0,
        };
        let some = |ms: &[u64]| ms.iter().copied().map(Some).collect::<Vec<_>>();
        assert_eq!(trace(rate, 20, 4), some(&[0, 20, 40, 60]));
        assert_eq!(trace(rate, 10, 4), some(&[0, 20, 40, 60]));
        rate.burst_bytes = 600;
        assert_eq!(trace(rate, 0, 6), some(&[0, 0, 0, 20, 40, 60]));
    }

    #[test]
    fn what_would_wait_too_long_is_lost_and_costs_nothing() {
        let rate = Rate {
            kbit_per_s: 80.0,
            burst_bytes: 200,
            queue_ms: 30.0,
        };
        // At 10 ms apart the wait grows by 10 ms each until the fifth would wait 40 ms.
        let expected = [
            Some(0),
            Some(20),
            Some(40),
            Some(60),
            None,
            Some(80),
            None,
            Some(100),
        ];
        assert_eq!(trace(rate, 10, 8), expected);
    }
}
