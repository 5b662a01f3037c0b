//! Sounds for tests: noise, sines, sweeps and a voice that says a different sentence for each seed.
//!
//! The voice is a train of pulses through three formants, with noise for consonants and pauses between
//! words: enough like speech in its spectrum, rhythm and pitch to be told from another sentence.

use std::f64::consts::PI;

use super::g711::Law;

impl Law {
    /// As it sounds after the way.
    pub(super) fn through(self, samples: &[i16]) -> Vec<i16> {
        samples
            .iter()
            .map(|sample| self.decode(self.encode(*sample)))
            .collect()
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a cast of floats saturates"
)]
pub(super) fn sample(value: f64) -> i16 {
    value.round() as i16
}

fn amplitude(rms_dbov: f64) -> f64 {
    32_768.0 * 10_f64.powf(rms_dbov / 20.0)
}

pub(super) fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap()
}

/// White noise of this RMS level.
pub(super) fn noise(seed: u64, length: usize, dbov: f64) -> Vec<i16> {
    let mut random = fastrand::Rng::with_seed(seed);
    let peak = amplitude(dbov) * 3_f64.sqrt();
    (0..length)
        .map(|_| sample(peak * (2.0 * random.f64() - 1.0)))
        .collect()
}

pub(super) fn sine(hertz: f64, dbov: f64, length: usize) -> Vec<i16> {
    let peak = amplitude(dbov) * 2_f64.sqrt();
    (0..count(length))
        .map(|n| sample(peak * (2.0 * PI * hertz * f64::from(n) / 8000.0).sin()))
        .collect()
}

/// One sweep over the whole length, −20 dBov.
pub(super) fn sweep(from: f64, to: f64, length: usize) -> Vec<i16> {
    let peak = amplitude(-20.0) * 2_f64.sqrt();
    let seconds = f64::from(count(length)) / 8000.0;
    (0..count(length))
        .map(|n| {
            let at = f64::from(n) / 8000.0;
            let turns = from * at + (to - from) * at * at / (2.0 * seconds);
            sample(peak * (2.0 * PI * turns).sin())
        })
        .collect()
}

/// Both at once; as long as the first.
pub(super) fn mixed(one: &[i16], other: &[i16]) -> Vec<i16> {
    one.iter()
        .zip(other.iter().chain(std::iter::repeat(&0)))
        .map(|(one, other)| one.saturating_add(*other))
        .collect()
}

/// Louder or quieter.
pub(super) fn louder(samples: &[i16], db: f64) -> Vec<i16> {
    let gain = 10_f64.powf(db / 20.0);
    samples
        .iter()
        .map(|value| sample(f64::from(*value) * gain))
        .collect()
}

/// Packets of 20 ms lost at random and heard as nothing.
pub(super) fn lossy(seed: u64, samples: &[i16], percent: u32) -> Vec<i16> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut heard = samples.to_vec();
    for packet in heard.chunks_mut(160) {
        if random.u32(0..100) < percent {
            packet.fill(0);
        }
    }
    heard
}

/// Played by a clock that is off by so much, linearly interpolated.
pub(super) fn skewed(samples: &[i16], ppm: f64) -> Vec<i16> {
    let step = 1.0 + ppm / 1e6;
    (0..count(samples.len() - 1))
        .map_while(|n| {
            let at = f64::from(n) * step;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a small place"
            )]
            let place = at as usize;
            let (one, next) = (samples.get(place)?, samples.get(place + 1)?);
            Some(sample(f64::from(*one) + at.fract() * f64::from(next - one)))
        })
        .collect()
}

/// Three formants of a vowel, hertz.
const VOWELS: [[f64; 3]; 6] = [
    [730.0, 1090.0, 2440.0],
    [270.0, 2290.0, 3010.0],
    [300.0, 870.0, 2240.0],
    [530.0, 1840.0, 2480.0],
    [570.0, 840.0, 2410.0],
    [440.0, 1020.0, 2240.0],
];

/// A sentence of words and pauses, about −24 dBov while it speaks; another seed is another sentence,
/// by the same voice if four divides the difference.
pub(super) fn speech(seed: u64, length: usize) -> Vec<i16> {
    let mut random = fastrand::Rng::with_seed(seed.wrapping_mul(0x9e37_79b9) + 1);
    let pitch = [95.0, 118.0, 170.0, 205.0][usize::try_from(seed % 4).unwrap()];
    let mut sound = Vec::with_capacity(length);
    while sound.len() < length {
        for _ in 0..random.usize(1..5) {
            syllable(&mut random, pitch, &mut sound);
        }
        let pause = random.usize(400..2800);
        sound.extend(std::iter::repeat_n(0.0, pause));
    }
    sound.truncate(length);
    let energy: f64 = sound.iter().map(|value| value * value).sum();
    let spoken = sound.iter().filter(|value| value.abs() > 1e-9).count();
    let rms = (energy / f64::from(count(spoken))).sqrt();
    sound
        .iter()
        .map(|value| sample(value / rms * amplitude(-24.0)))
        .collect()
}

/// Perhaps a hiss, then a vowel that glides into another.
fn syllable(random: &mut fastrand::Rng, pitch: f64, sound: &mut Vec<f64>) {
    if random.bool() {
        let mut last = 0.0;
        for _ in 0..random.usize(300..900) {
            let white = random.f64() - 0.5;
            sound.push(0.6 * (white - last));
            last = white;
        }
    }
    let vowel = |random: &mut fastrand::Rng| VOWELS[random.usize(0..VOWELS.len())];
    let (from, to) = (vowel(random), vowel(random));
    let glide = pitch * (0.85 + 0.3 * random.f64());
    let length = random.u32(800..2200);
    let mut filters = [[0.0_f64; 2]; 3];
    let mut phase = 0.0;
    for n in 0..length {
        let part = f64::from(n) / f64::from(length);
        phase += (pitch + (glide - pitch) * part) / 8000.0;
        let pulse = if phase >= 1.0 { 1.0 } else { 0.0 };
        phase -= pulse;
        let mut value = 0.0;
        for ((filter, (from, to)), gain) in filters
            .iter_mut()
            .zip(from.iter().zip(to))
            .zip([1.0, 0.6, 0.3])
        {
            let hertz = from + (to - from) * part;
            let radius = (-PI * 80.0 / 8000.0_f64).exp();
            let next = pulse + 2.0 * radius * (2.0 * PI * hertz / 8000.0).cos() * filter[0]
                - radius * radius * filter[1];
            *filter = [next, filter[0]];
            value += gain * next;
        }
        sound.push(value * (PI * part).sin().sqrt());
    }
}
