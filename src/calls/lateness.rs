//! How late we were ourselves, as a percentile: own sends, own reading of what had arrived.

use std::time::Duration;

/// Samples of one call, microseconds.
#[derive(Clone, Debug, Default)]
pub(super) struct Lateness {
    samples_us: Vec<u32>,
}

/// Six minutes of 50 packets a second; after that the picture is clear and the memory stays small.
const SAMPLES_MAX: usize = 20_000;

impl Lateness {
    pub(super) fn record(&mut self, late: Duration) {
        if self.samples_us.len() < SAMPLES_MAX {
            self.samples_us
                .push(u32::try_from(late.as_micros()).unwrap_or(u32::MAX));
        }
    }

    /// The value that 99 of 100 samples do not exceed; 0 without samples.
    pub(super) fn p99_us(&self) -> u64 {
        let mut sorted = self.samples_us.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * 99).div_ceil(100).max(1);
        sorted.get(rank - 1).copied().map_or(0, u64::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_99th_of_100_counts() {
        let mut lateness = Lateness::default();
        assert_eq!(lateness.p99_us(), 0);
        for us in (1..=100).rev() {
            lateness.record(Duration::from_micros(us));
        }
        assert_eq!(lateness.p99_us(), 99);
    }
}
