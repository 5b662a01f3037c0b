//! Where a piece of sound lies in a longer one: normalised cross-correlation, by FFT.
//!
//! The coefficient is Pearson's, so neither level nor a constant voltage count; its sign is dropped, for a
//! hybrid may turn the polarity. The place is told between samples. `chirp` and `prompt` use it.

use std::f64::consts::PI;
use std::ops::Range;
use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

use super::SAMPLE_RATE;

/// Sound to look in, transformed once for any number of pieces.
pub(super) struct Haystack<'a> {
    samples: &'a [i16],
    spectrum: Vec<Complex<f32>>,
    /// Sums of the samples, and of their squares, before each place.
    sums: Vec<(i64, u64)>,
    forward: Arc<dyn RealToComplex<f32>>,
    backward: Arc<dyn ComplexToReal<f32>>,
}

/// Where the piece fits best.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Peak {
    /// First sample of the place, with its fraction.
    pub(super) at: f64,
    /// Correlation coefficient there, 0 to 1.
    pub(super) ncc: f64,
    /// Correlation coefficient of the best other place, further than [`NEAR`] away.
    pub(super) second: f64,
}

/// 30 ms: a jitter buffer that inserts or drops a frame of 20 ms in the middle of a piece makes two peaks of
/// one piece. Two echoes nearer than this are taken for one.
pub(super) const NEAR: usize = 240;

/// Two minutes: what has not begun by then is not waited for, and a recording of an hour would take gigabytes.
pub(super) const SOUND_MAX: usize = 120 * SAMPLE_RATE as usize;

/// A window below −60 dBov correlates with nothing: its sound is rounding.
const FAINTEST_MEAN_SQUARE: f64 = 1073.7;

impl std::fmt::Debug for Haystack<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Haystack")
            .field("samples", &self.samples.len())
            .finish_non_exhaustive()
    }
}

impl<'a> Haystack<'a> {
    /// Takes the first [`SOUND_MAX`] samples: about 55 bytes each while it is searched, 53 MB at most.
    pub(super) fn new(samples: &'a [i16]) -> Self {
        let samples = &samples[..samples.len().min(SOUND_MAX)];
        let length = transform_length(samples.len());
        let mut planner = RealFftPlanner::new();
        let forward = planner.plan_fft_forward(length);
        let backward = planner.plan_fft_inverse(length);
        let spectrum = spectrum(&*forward, samples.iter().map(|sample| f32::from(*sample)));
        let mut sums = Vec::with_capacity(samples.len() + 1);
        let (mut sum, mut squares) = (0_i64, 0_u64);
        sums.push((sum, squares));
        for sample in samples {
            sum += i64::from(*sample);
            squares += u64::from(sample.unsigned_abs()).pow(2);
            sums.push((sum, squares));
        }
        Self {
            samples,
            spectrum,
            sums,
            forward,
            backward,
        }
    }

    /// How well the whole piece fits at each place; `None` if it is longer than the sound, or silent.
    pub(super) fn profile(&self, piece: &[i16]) -> Option<Profile> {
        self.coefficients(piece).map(Profile)
    }

    /// The coefficient at each place where the whole piece fits.
    fn coefficients(&self, piece: &[i16]) -> Option<Vec<f32>> {
        let places = (self.samples.len() + 1).checked_sub(piece.len())?;
        let length = real(i64::try_from(piece.len()).ok()?);
        let mean = real(piece.iter().map(|sample| i64::from(*sample)).sum()) / length;
        let norm = piece
            .iter()
            .map(|sample| (f64::from(*sample) - mean).powi(2))
            .sum::<f64>()
            .sqrt();
        if norm == 0.0 {
            return None;
        }
        let mut correlation = self.correlation(piece, mean);
        correlation.truncate(places);
        let scale = 1.0 / norm / real(i64::try_from(self.forward.len()).ok()?);
        for (place, value) in correlation.iter_mut().enumerate() {
            let energy = self.energy(place, piece.len(), length);
            *value = if energy > FAINTEST_MEAN_SQUARE * length {
                single(f64::from(*value) * scale / energy.sqrt())
            } else {
                0.0
            };
        }
        Some(correlation)
    }

    /// Σ piece(n) · sound(n + place), not scaled. Places where the piece fits do not wrap around.
    fn correlation(&self, piece: &[i16], mean: f64) -> Vec<f32> {
        let centred = piece.iter().map(|sample| single(f64::from(*sample) - mean));
        let mut product = spectrum(&*self.forward, centred);
        for (piece, sound) in product.iter_mut().zip(&self.spectrum) {
            *piece = piece.conj() * sound;
        }
        // A product of two spectra of real sound is real at both ends, but for rounding.
        if let [first, .., last] = &mut *product {
            (first.im, last.im) = (0.0, 0.0);
        }
        let mut correlation = self.backward.make_output_vec();
        self.backward
            .process(&mut product, &mut correlation)
            .expect("the buffers were made by the plan, and both ends are real");
        correlation
    }

    /// Energy of a window without its mean.
    fn energy(&self, place: usize, piece: usize, length: f64) -> f64 {
        let (sum_before, before) = self.sums[place];
        let (sum, squares) = self.sums[place + piece];
        let sum = real(sum - sum_before);
        real((squares - before).cast_signed()) - sum * sum / length
    }
}

/// Correlation coefficients, one for each place.
#[derive(Debug)]
pub(super) struct Profile(Vec<f32>);

impl Profile {
    /// The best of all places.
    pub(super) fn peak(&self) -> Option<Peak> {
        let (place, _) = self.highest(0..self.0.len())?;
        let after = (place + NEAR + 1).min(self.0.len());
        let others = [0..place.saturating_sub(NEAR), after..self.0.len()];
        let second = others
            .into_iter()
            .filter_map(|range| self.highest(range))
            .map(|(_, ncc)| f64::from(ncc).min(1.0))
            .fold(0.0, f64::max);
        let (at, ncc) = refined(&self.0, place);
        Some(Peak { at, ncc, second })
    }

    /// The best of some places, and its coefficient.
    pub(super) fn best_in(&self, places: Range<usize>) -> Option<(f64, f64)> {
        let (place, _) = self.highest(places)?;
        Some(refined(&self.0, place))
    }

    fn highest(&self, places: Range<usize>) -> Option<(usize, f32)> {
        let end = places.end.min(self.0.len());
        let start = places.start.min(end);
        (start..)
            .zip(&self.0[start..end])
            .map(|(place, value)| (place, value.abs()))
            .max_by(|one, other| one.1.total_cmp(&other.1))
    }
}

fn spectrum(
    plan: &dyn RealToComplex<f32>,
    samples: impl Iterator<Item = f32>,
) -> Vec<Complex<f32>> {
    let mut input = plan.make_input_vec();
    for (place, sample) in input.iter_mut().zip(samples) {
        *place = sample;
    }
    let mut output = plan.make_output_vec();
    plan.process(&mut input, &mut output)
        .expect("the buffers were made by the plan");
    output
}

/// The next length of 2, 3 or 5 times a power of two: fast, and at most a third too long.
fn transform_length(samples: usize) -> usize {
    let power = samples.max(8).next_power_of_two();
    [power / 8 * 5, power / 8 * 6, power]
        .into_iter()
        .find(|length| *length >= samples)
        .unwrap_or(power)
}

/// Values on each side that the interpolation takes.
const NEIGHBOURS: usize = 17;
/// Steps between two samples when looking for the top.
const FINE: i32 = 16;

/// Place and height of the top near the highest value: the values between the samples by band-limited
/// interpolation, then the parabola through the highest three of them. A parabola through the samples
/// alone would be a fifth of a sample off for sound near 4 kHz, and a quarter too low.
fn refined(values: &[f32], at: usize) -> (f64, f64) {
    let place = real(i64::try_from(at).unwrap_or(i64::MAX));
    if at < NEIGHBOURS || at + NEIGHBOURS >= values.len() {
        // At either end there is nothing to interpolate with: the nearest sample has to do.
        return (place, f64::from(values[at].abs()).min(1.0));
    }
    let height = |step: i32| between(values, at, f64::from(step) / f64::from(FINE)).abs();
    let Some((step, top)) = (-FINE..=FINE)
        .map(|step| (step, height(step)))
        .max_by(|one, other| one.1.total_cmp(&other.1))
    else {
        return (place, 0.0);
    };
    let (before, after) = (height(step - 1), height(step + 1));
    let bend = before - 2.0 * top + after;
    let shift = if bend < 0.0 {
        0.5 * (before - after) / bend
    } else {
        0.0
    };
    let at = place + (f64::from(step) + shift) / f64::from(FINE);
    (at.max(0.0), top.min(1.0))
}

/// The value at a fraction of a sample after a place, by the sinc of its neighbours under a Hann window.
fn between(values: &[f32], at: usize, fraction: f64) -> f64 {
    const REACH: i32 = 16;
    (-REACH..=REACH)
        .filter_map(|offset| {
            let value = values.get(at.checked_add_signed(isize::try_from(offset).ok()?)?)?;
            let distance = f64::from(offset) - fraction;
            let window = 0.5 + 0.5 * (PI * distance / f64::from(REACH + 2)).cos();
            let angle = PI * distance;
            let sinc = if angle.abs() < 1e-9 {
                1.0
            } else {
                angle.sin() / angle
            };
            Some(f64::from(*value) * sinc * window)
        })
        .sum()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "sums of 16-bit samples stay below 2^53 for hours of sound"
)]
fn real(value: i64) -> f64 {
    value as f64
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "16-bit samples need 16 of the 24 bits"
)]
fn single(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::sounds;

    fn dot(piece: &[f64], window: &[f64]) -> f64 {
        piece
            .iter()
            .zip(window)
            .map(|(one, other)| one * other)
            .sum()
    }

    fn centred(samples: &[i16]) -> Vec<f64> {
        let mean = samples.iter().map(|sample| f64::from(*sample)).sum::<f64>()
            / f64::from(sounds::count(samples.len()));
        samples
            .iter()
            .map(|sample| f64::from(*sample) - mean)
            .collect()
    }

    /// The FFT says what the sum of the definition says, at every place.
    #[test]
    fn every_coefficient_is_that_of_the_definition() {
        let sound: Vec<i16> = sounds::noise(1, 1000, -20.0)
            .iter()
            .map(|value| value + 700)
            .collect();
        let piece = sounds::mixed(&sound[300..500], &sounds::noise(2, 200, -22.0));
        let haystack = Haystack::new(&sound);
        let fast = haystack.coefficients(&piece).unwrap();
        assert_eq!(fast.len(), 801);
        let piece = centred(&piece);
        for (place, fast) in fast.iter().enumerate() {
            let window = centred(&sound[place..place + 200]);
            let slow = dot(&piece, &window) / (dot(&piece, &piece) * dot(&window, &window)).sqrt();
            assert!(
                (slow - f64::from(*fast)).abs() < 1e-4,
                "{place}: {slow} {fast}"
            );
        }
    }

    #[test]
    fn a_piece_is_found_at_its_place() {
        let sound = sounds::speech(1, 40_000);
        let haystack = Haystack::new(&sound);
        for place in [0, 1, 7777, 24_000] {
            let peak = haystack
                .profile(&sound[place..place + 16_000])
                .and_then(|profile| profile.peak())
                .unwrap();
            let expected = f64::from(sounds::count(place));
            assert!((peak.at - expected).abs() < 0.01, "{place}: {peak:?}");
            assert!(peak.ncc > 0.999 && peak.second < 0.5, "{place}: {peak:?}");
        }
    }

    #[test]
    fn polarity_level_and_a_constant_do_not_count() {
        let sound = sounds::noise(3, 8000, -20.0);
        let piece: Vec<i16> = sound[2000..4000]
            .iter()
            .map(|value| 900 - value / 4)
            .collect();
        let peak = Haystack::new(&sound)
            .profile(&piece)
            .unwrap()
            .peak()
            .unwrap();
        assert!(
            peak.ncc > 0.999 && (peak.at - 2000.0).abs() < 0.01,
            "{peak:?}"
        );
    }

    #[test]
    fn two_minutes_are_searched() {
        let piece = sounds::noise(5, 800, -20.0);
        let mut sound = vec![0; SOUND_MAX];
        let begin = SOUND_MAX - 800;
        sound[begin..].copy_from_slice(&piece);
        sound.extend(sounds::noise(6, 800, -20.0));
        let haystack = Haystack::new(&sound);
        let at = |piece: &[i16]| haystack.profile(piece).unwrap().peak().unwrap();
        assert!(at(&piece).ncc > 0.99);
        assert!(at(&sound[SOUND_MAX..]).ncc < 0.3);
    }

    #[test]
    fn what_cannot_be_found() {
        let noise = sounds::noise(4, 1000, -20.0);
        for (name, sound, piece) in [
            ("no piece", &*noise, &[][..]),
            ("a silent piece", &noise, &[5; 100]),
            ("a piece too long", &noise[..50], &noise),
            ("no sound", &[], &noise),
        ] {
            assert!(Haystack::new(sound).profile(piece).is_none(), "{name}");
        }
        let silence = [8; 1000];
        let peak = Haystack::new(&silence)
            .profile(&noise[..100])
            .unwrap()
            .peak();
        assert_eq!(peak.unwrap().ncc, 0.0);
    }
}
