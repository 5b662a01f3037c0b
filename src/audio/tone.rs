//! The test tone: 1000 Hz, whose echo proves that both directions carry sound.
//!
//! Eight samples make one period at 8000 Hz, so the tone is a table and its phase a remainder.

/// Samples in one period of 1000 Hz.
pub const PERIOD: usize = 8;

/// Frequency of the tone, hertz.
pub const FREQUENCY: u16 = 1000;

/// −16 dBm0: a full-scale sine is +3.14 dBm0 in A-law (G.711 §4), so this one peaks at 3618 of 32768;
/// loud enough to measure, far from clipping.
const ONE_PERIOD: [i16; PERIOD] = [0, 2558, 3618, 2558, 0, -2558, -3618, -2558];

/// RMS level of the tone as sent, dBov.
pub const LEVEL_DBOV: f64 = -22.15;

/// The sample at this position of the stream.
#[must_use]
pub const fn sample(position: usize) -> i16 {
    ONE_PERIOD[position % PERIOD]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::level;

    #[test]
    fn the_tone_has_the_level_it_claims() {
        let samples: Vec<i16> = (0..160).map(sample).collect();
        assert!((level::dbov(&samples) - LEVEL_DBOV).abs() < 0.05);
    }
}
