//! Interarrival jitter (RFC 3550 §6.4.1 and A.8), in milliseconds as a real number.
//!
//! The arrival times must be kernel stamps: those of the program add its own waiting. Feed only
//! packets of sound: telephone events keep one timestamp over many packets, comfort noise comes seldom.

use super::delay::milliseconds_between;
use crate::time::Instant;

/// The estimator of one source.
#[derive(Clone, Debug, Default)]
pub struct Jitter {
    last: Option<Seen>,
    ms: f64,
}

/// When a packet came, and when it says that it was sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) at: Instant,
    pub(super) timestamp: u32,
}

/// A step of the timestamp that differs from the wall by more than this is a new clock, not jitter.
const NEW_CLOCK_MS: f64 = 2000.0;

impl Seen {
    /// How much longer or shorter the way of this packet was than that of the one before: |D(i-1,i)|.
    pub(super) fn difference_ms(self, before: Self, clock_rate: u32) -> f64 {
        let stepped = self.timestamp.wrapping_sub(before.timestamp).cast_signed();
        let sent_ms = f64::from(stepped) * 1000.0 / f64::from(clock_rate);
        (milliseconds_between(before.at, self.at) - sent_ms).abs()
    }
}

/// J(i) of J(i-1) and |D(i-1,i)|.
pub(super) fn smoothed(jitter_ms: f64, difference_ms: f64) -> f64 {
    jitter_ms + (difference_ms - jitter_ms) / 16.0
}

impl Jitter {
    /// One more packet of sound; `clock_rate` is 8000 for G.711.
    pub fn hear(&mut self, at: Instant, timestamp: u32, clock_rate: u32) {
        let seen = Seen { at, timestamp };
        let Some(last) = self.last.replace(seen) else {
            return;
        };
        let difference_ms = seen.difference_ms(last, clock_rate);
        self.ms = if difference_ms > NEW_CLOCK_MS {
            0.0
        } else {
            smoothed(self.ms, difference_ms)
        };
    }

    /// The next packet begins anew (another source, another address); the figures stay.
    pub const fn forget_last(&mut self) {
        self.last = None;
    }

    #[must_use]
    pub const fn ms(&self) -> f64 {
        self.ms
    }

    /// In timestamp units, as a report block carries it.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "jitter lies between 0 and 2000 ms"
    )]
    pub fn units(&self, clock_rate: u32) -> u32 {
        (self.ms * f64::from(clock_rate) / 1000.0) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Jitter after each packet of a 20 ms stream, given the extra transit of each in microseconds.
    fn trace(transit_us: impl IntoIterator<Item = u64>) -> Vec<f64> {
        let mut jitter = Jitter::default();
        let mut trace = Vec::new();
        for (n, transit) in (0_u32..).zip(transit_us) {
            let at = Instant(u64::from(n) * 20_000_000 + transit * 1000);
            jitter.hear(at, n.wrapping_mul(160).wrapping_add(0xffff_ff00), 8000);
            trace.push(jitter.ms());
        }
        trace
    }

    fn max(trace: &[f64]) -> f64 {
        trace.iter().copied().fold(0.0, f64::max)
    }

    #[test]
    fn values_of_appendix_a_8() {
        // Each packet 5 ms later or earlier than the last: |D| = 5 ms throughout.
        let alternating = trace((0..200).map(|n| if n % 2 == 0 { 0 } else { 5000 }));
        for (packet, expected) in [
            (0, 0.0),
            (1, 0.3125),
            (2, 0.605_469),
            (16, 3.219_629),
            (199, 5.0),
        ] {
            assert!(
                (alternating[packet] - expected).abs() < 1e-4,
                "packet {packet}"
            );
        }
        let spike = trace((0..100).map(|n| if n == 50 { 15_000 } else { 0 }));
        assert!((max(&spike) - 1.816_406_25).abs() < 1e-9);
        let step = trace((0..500).map(|n| if n >= 250 { 40_000 } else { 0 }));
        assert!((max(&step) - 2.5).abs() < 1e-9);
        assert!(step[499] < 1e-4);
        assert!(max(&trace((0..500).map(|n| n * 4))) < 0.005); // 200 ppm of drift
    }

    #[test]
    fn a_new_clock_is_not_jitter() {
        let mut jitter = Jitter::default();
        jitter.hear(Instant(0), 0, 8000);
        jitter.hear(Instant(20_000_000), 4_000_000, 8000);
        assert_eq!(jitter.ms().to_bits(), 0.0_f64.to_bits());
        jitter.hear(Instant(40_000_000), 4_000_160, 8000);
        assert_eq!(jitter.ms().to_bits(), 0.0_f64.to_bits());
    }

    #[test]
    fn a_report_carries_timestamp_units() {
        let mut jitter = Jitter::default();
        jitter.hear(Instant(0), 0, 8000);
        jitter.hear(Instant(36_000_000), 160, 8000); // 16 ms late: 1 ms of jitter
        assert_eq!(jitter.units(8000), 8);
    }
}
