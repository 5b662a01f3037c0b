//! How loud: RMS level, and the level of one frequency (Goertzel) to find our own tone in an echo.

use std::f64::consts::PI;

use super::SAMPLE_RATE;

/// Below this there is nothing: the level of digital silence in A-law is −72 dBov.
pub const FLOOR_DBOV: f64 = -96.0;

/// RMS level against full scale, dBov (facts of G.711: the loudest sine is −3.2 dBov).
#[must_use]
pub fn dbov(samples: &[i16]) -> f64 {
    if samples.is_empty() {
        return FLOOR_DBOV;
    }
    let energy: f64 = samples
        .iter()
        .map(|sample| f64::from(*sample).powi(2))
        .sum();
    decibels(energy / count(samples))
}

/// RMS level of one frequency in the window, dBov. A window of 800 samples (100 ms) tells
/// frequencies apart that lie a multiple of 10 Hz from each other.
#[must_use]
pub fn frequency_dbov(samples: &[i16], frequency: u16) -> f64 {
    if samples.is_empty() {
        return FLOOR_DBOV;
    }
    let coefficient = 2.0 * (2.0 * PI * f64::from(frequency) / f64::from(SAMPLE_RATE)).cos();
    let (mut last, mut before) = (0.0, 0.0);
    for sample in samples {
        let next = coefficient * last + (f64::from(*sample) - before);
        before = last;
        last = next;
    }
    let power = before.mul_add(before, last * last) - coefficient * last * before;
    // |X|² of a sine of amplitude a is (a·n/2)²; its mean square is a²/2.
    decibels(power * 2.0 / count(samples).powi(2))
}

fn count(samples: &[i16]) -> f64 {
    u32::try_from(samples.len()).map_or(f64::MAX, f64::from)
}

fn decibels(mean_square: f64) -> f64 {
    (10.0 * (mean_square / (32_768.0 * 32_768.0)).log10()).max(FLOOR_DBOV)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{g711::Law, tone};

    fn sine(frequency: f64, amplitude: f64, length: usize) -> Vec<i16> {
        (0..length)
            .map(|n| {
                let n = f64::from(u32::try_from(n).unwrap());
                #[expect(clippy::cast_possible_truncation, reason = "amplitude is below 32768")]
                let sample = (amplitude * (2.0 * PI * frequency * n / 8000.0).sin()).round() as i16;
                sample
            })
            .collect()
    }

    #[test]
    fn levels_of_known_signals() {
        for (name, samples, expected) in [
            ("full-scale square", vec![32_767, -32_767], 0.0),
            ("digital silence of A-law", vec![8; 160], -72.25),
            ("nothing", vec![], FLOOR_DBOV),
            ("zeros", vec![0; 160], FLOOR_DBOV),
            ("sine at half scale", sine(440.0, 16_384.0, 8000), -9.03),
        ] {
            assert!(
                (dbov(&samples) - expected).abs() < 0.01,
                "{name}: {}",
                dbov(&samples)
            );
        }
    }

    #[test]
    fn our_tone_is_found_and_others_are_not() {
        let ours: Vec<i16> = (0..160)
            .map(|n| Law::A.decode(Law::A.encode(tone::sample(n))))
            .collect();
        assert!((frequency_dbov(&ours, tone::FREQUENCY) - tone::LEVEL_DBOV).abs() < 0.2);
        for other in [400.0, 440.0, 950.0, 1050.0, 2000.0] {
            let heard = frequency_dbov(&sine(other, 8000.0, 800), tone::FREQUENCY);
            assert!(heard < -60.0, "{other} Hz: {heard}");
        }
    }

    #[test]
    fn the_tone_is_measured_under_loud_speech_like_noise() {
        let mut random = fastrand::Rng::with_seed(3);
        let mixed: Vec<i16> = (0..1600)
            .map(|n| tone::sample(n) + random.i16(-1000..1000))
            .collect();
        assert!((frequency_dbov(&mixed, tone::FREQUENCY) - tone::LEVEL_DBOV).abs() < 0.5);
    }
}
