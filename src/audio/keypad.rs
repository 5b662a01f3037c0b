//! Digits as tones in the sound itself (ITU-T Q.23), written and heard.
//!
//! The detector takes blocks of 205 samples that overlap by half and asks of each: is one of the four low
//! and one of the four high frequencies, within the tolerance of Q.24, nearly all there is (Goertzel)?
//! Digits as packets are `dtmf`. `calls` listens for the digits of a far end, and for a leak of ours beside
//! RFC 4733.

use std::f64::consts::PI;

use super::{SAMPLE_RATE, dtmf};

/// Hertz, low group then high group (Q.23).
const FREQUENCIES: [f64; 8] = [697.0, 770.0, 852.0, 941.0, 1209.0, 1336.0, 1477.0, 1633.0];

/// By low group, then high group.
const KEYS: [[char; 4]; 4] = [
    ['1', '2', '3', 'A'],
    ['4', '5', '6', 'B'],
    ['7', '8', '9', 'C'],
    ['*', '0', '#', 'D'],
];

/// The sound of these digits, each with its pause; `None` if a character is on no key.
///
/// `on_ms` and `off_ms` are 40 at least for a receiver to hear them (Q.24 table A-1). `dbov` is the level
/// of each of the two tones.
#[must_use]
pub fn tones(digits: &str, on_ms: u16, off_ms: u16, dbov: f64) -> Option<Vec<i16>> {
    let amplitude = 32_768.0 * std::f64::consts::SQRT_2 * 10_f64.powf(dbov / 20.0);
    let samples = |ms: u16| u32::from(ms) * SAMPLE_RATE / 1000;
    let mut sound = Vec::new();
    for digit in digits.chars() {
        let (low, high) = frequencies(digit)?;
        sound.extend((0..samples(on_ms)).map(|n| {
            let turns = 2.0 * PI * f64::from(n) / f64::from(SAMPLE_RATE);
            let value = amplitude * ((low * turns).sin() + (high * turns).sin());
            #[expect(
                clippy::cast_possible_truncation,
                reason = "held within 16 bits by the cast"
            )]
            let sample = value.round() as i16;
            sample
        }));
        sound.extend((0..samples(off_ms)).map(|_| 0));
    }
    Some(sound)
}

fn frequencies(digit: char) -> Option<(f64, f64)> {
    dtmf::code(digit)?;
    let digit = digit.to_ascii_uppercase();
    KEYS.iter().zip(&FREQUENCIES[..4]).find_map(|(row, low)| {
        let column = row.iter().position(|key| *key == digit)?;
        Some((*low, FREQUENCIES[4 + column]))
    })
}

/// Hears digits in sound.
#[derive(Clone, Debug, Default)]
pub struct Detector {
    /// Samples not judged yet, fewer than a block.
    window: Vec<i16>,
    key: Key,
}

#[derive(Clone, Copy, Debug, Default)]
enum Key {
    #[default]
    Up,
    /// Heard in one block.
    Touched(char),
    /// Told; heard until so many blocks ago.
    Down { digit: char, missed: u8 },
}

/// 25.6 ms: the eight frequencies then lie close to multiples of 39 Hz and hardly leak into each other, and 1.5 % of
/// one can be told from 3.5 %.
const BLOCK: usize = 205;
/// Half a block, so that a tone of 40 ms fills two blocks wherever it begins.
const HOP: usize = 102;
/// Blocks without the digit before the key is up again, 13 ms each: noise may hide a tone for one.
const RELEASE: u8 = 2;
/// The strongest frequency of a group above the next of the same group; voices have many at once.
const DOMINANCE: f64 = 6.309_573; // 8 dB
/// High tone over low tone (Q.24: 4 dB stronger to 8 dB weaker).
const TWIST: std::ops::RangeInclusive<f64> = 0.158_489..=2.511_886;
/// Where a tone is looked for beside its frequency. It is taken to be at the loudest of these: up to 2.6 % away it is
/// the tone, from there on another (Q.24 table A-1: a digit up to 1.5 %, none from 3.5 % on).
const TUNING: [f64; 9] = [
    0.97, 0.9775, 0.985, 0.9925, 1.0, 1.0075, 1.015, 1.0225, 1.03,
];
const TUNED: std::ops::RangeInclusive<usize> = 1..=7;
/// Share of the two tones in all the energy of the block, each at its own frequency.
const SHARE: f64 = 0.7;
/// The same at the frequencies of Q.23: a tone of 1633 Hz that is 1.5 % away keeps a fifth of its power there.
/// With less nothing is looked for nearby, which costs more than all the rest.
const SHARE_NEARBY: f64 = 0.15;
/// Mean square of −45 dBov: Q.24 asks for tones of −25 dBm0 each and lets us ignore those below −55.
const FAINTEST: f64 = 34_000.0;

impl Detector {
    /// More sound, in the order it was sent; the digits that began in it.
    #[must_use]
    pub fn hear(&mut self, samples: &[i16]) -> String {
        self.window.extend_from_slice(samples);
        let mut digits = String::new();
        let mut from = 0;
        while let Some(block) = self.window.get(from..from + BLOCK) {
            if let Some(digit) = self.key.next(digit_of(block)) {
                digits.push(digit);
            }
            from += HOP;
        }
        self.window.drain(..from);
        digits
    }
}

impl Key {
    /// The key after one more block; a digit when it is told for the first time.
    fn next(&mut self, heard: Option<char>) -> Option<char> {
        let (next, told) = match (*self, heard) {
            (Self::Touched(digit), Some(again)) if digit == again => {
                (Self::Down { digit, missed: 0 }, Some(digit))
            }
            (Self::Down { digit, .. }, Some(again)) if digit == again => {
                (Self::Down { digit, missed: 0 }, None)
            }
            (Self::Down { digit, missed }, None) if missed + 1 < RELEASE => {
                let missed = missed + 1;
                (Self::Down { digit, missed }, None)
            }
            (Self::Up | Self::Touched(_) | Self::Down { .. }, Some(digit)) => {
                (Self::Touched(digit), None)
            }
            (Self::Up | Self::Touched(_) | Self::Down { .. }, None) => (Self::Up, None),
        };
        *self = next;
        told
    }
}

/// The digit whose two tones are this block.
fn digit_of(block: &[i16]) -> Option<char> {
    let energy: f64 = block.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    if energy < FAINTEST * BLOCK_SAMPLES {
        return None;
    }
    // |X|² of a sine of amplitude a is (a·n/2)²; its energy in the block is n·a²/2.
    let share = |low: f64, high: f64| (low + high) * 2.0 / BLOCK_SAMPLES / energy;
    let powers = powers(block, FREQUENCIES);
    let (row, column) = (strongest(&powers[..4])?, strongest(&powers[4..])?);
    if share(powers[row], powers[4 + column]) < SHARE_NEARBY {
        return None;
    }
    let low = tuned(block, &powers[..4], row, FREQUENCIES[row])?;
    let high = tuned(block, &powers[4..], column, FREQUENCIES[4 + column])?;
    (share(low, high) > SHARE && TWIST.contains(&(high / low))).then(|| KEYS[row][column])
}

const BLOCK_SAMPLES: f64 = 205.0;

fn strongest(group: &[f64]) -> Option<usize> {
    let (place, _) = group
        .iter()
        .enumerate()
        .max_by(|one, other| one.1.total_cmp(other.1))?;
    Some(place)
}

/// The power of the tone that lies near one frequency of a group, if it is near enough and the others of the
/// group are far below it.
fn tuned(block: &[i16], group: &[f64], place: usize, hertz: f64) -> Option<f64> {
    let nearby = powers(block, TUNING.map(|factor| factor * hertz));
    let at = strongest(&nearby)?;
    let power = nearby[at];
    let is_alone = group
        .iter()
        .enumerate()
        .all(|(other, weaker)| other == place || weaker * DOMINANCE <= power);
    (TUNED.contains(&at) && is_alone).then_some(power)
}

/// Squared magnitude of each frequency; all of them walk the block together, which one machine
/// instruction does for several at once.
fn powers<const N: usize>(block: &[i16], hertz: [f64; N]) -> [f64; N] {
    let coefficients = hertz.map(|hertz| 2.0 * (2.0 * PI * hertz / f64::from(SAMPLE_RATE)).cos());
    let mut last = [0.0; N];
    let mut before = [0.0; N];
    for sample in block {
        let sample = f64::from(*sample);
        for n in 0..N {
            let next = coefficients[n] * last[n] + (sample - before[n]);
            before[n] = last[n];
            last[n] = next;
        }
    }
    let mut powers = [0.0; N];
    for n in 0..N {
        powers[n] =
            before[n] * before[n] + last[n] * last[n] - coefficients[n] * last[n] * before[n];
    }
    powers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::g711::Law;
    use crate::audio::{level, sounds, tone};

    const ALL: &str = "1234567890*#ABCD";

    fn heard(samples: &[i16]) -> String {
        let mut detector = Detector::default();
        let mut digits = String::new();
        for packet in samples.chunks(160) {
            digits += &detector.hear(packet);
        }
        digits
    }

    #[test]
    fn all_digits_are_heard_clean_and_in_noise() {
        for law in [Law::A, Law::Mu] {
            for (on, off) in [(40, 40), (50, 50), (80, 60), (100, 100), (250, 80)] {
                for dbov in [-9.0, -16.0, -31.0] {
                    let clean = tones(ALL, on, off, dbov).unwrap();
                    assert_eq!(
                        heard(&law.through(&clean)),
                        ALL,
                        "{law:?} {on}/{off} ms {dbov}"
                    );
                }
            }
            for (snr, seed) in [20.0, 15.0, 10.0, 6.0].into_iter().zip(1..) {
                let clean = tones(ALL, 100, 100, -16.0).unwrap();
                // The tones together are 3 dB louder than one.
                let noisy = sounds::mixed(&clean, &sounds::noise(seed, clean.len(), -13.0 - snr));
                assert_eq!(heard(&law.through(&noisy)), ALL, "{law:?} {snr} dB");
            }
        }
    }

    #[test]
    fn a_tone_is_one_digit_and_the_same_key_twice_is_two() {
        for (digits, on, off) in [("5", 3000, 40), ("55", 60, 50), ("1112", 40, 40)] {
            assert_eq!(heard(&tones(digits, on, off, -16.0).unwrap()), digits);
        }
        // Q.24: a tone of 20 ms is no digit.
        assert_eq!(heard(&tones("5", 20, 40, -16.0).unwrap()), "");
        assert_eq!(tones("1x", 40, 40, -16.0), None);
        assert_eq!(tones("d", 40, 40, -16.0), tones("D", 40, 40, -16.0));
    }

    #[test]
    fn twist_and_level_have_limits() {
        let pair = |low: f64, high: f64| -> Vec<i16> {
            let one = sounds::sine(770.0, low, 800);
            sounds::mixed(&one, &sounds::sine(1336.0, high, 800))
        };
        for (low, high, expected) in [
            (-16.0, -16.0, "5"),
            (-16.0, -23.0, "5"),
            (-16.0, -25.0, ""),
            (-16.0, -13.0, "5"),
            (-19.0, -14.0, ""),
            (-60.0, -60.0, ""),
        ] {
            assert_eq!(heard(&pair(low, high)), expected, "{low} {high}");
        }
    }

    /// Q.24 table A-1: tones within 1.5 % of their frequency are digits, beyond 3.5 % they are none.
    #[test]
    fn frequencies_have_a_tolerance() {
        let off = |low_percent: f64, high_percent: f64| -> String {
            ALL.chars()
                .map(|digit| {
                    let (low, high) = frequencies(digit).unwrap();
                    let low = sounds::sine(low * (1.0 + low_percent / 100.0), -16.0, 800);
                    let high = sounds::sine(high * (1.0 + high_percent / 100.0), -16.0, 800);
                    heard(&Law::A.through(&sounds::mixed(&low, &high)))
                })
                .collect()
        };
        for within in [-1.5, -1.0, 1.0, 1.5] {
            for (low, high) in [
                (within, within),
                (within, 0.0),
                (0.0, within),
                (within, -within),
            ] {
                assert_eq!(off(low, high), ALL, "{low} % {high} %");
            }
        }
        for beyond in [-5.0, -3.5, 3.5, 5.0] {
            for (low, high) in [(beyond, beyond), (beyond, 0.0), (0.0, beyond)] {
                assert_eq!(off(low, high), "", "{low} % {high} %");
            }
        }
    }

    #[test]
    fn nothing_else_is_a_digit() {
        let mut chords = Vec::new();
        for root in [
            220.0, 261.6, 329.6, 392.0, 440.0, 523.3, 659.3, 698.5, 784.0, 880.0,
        ] {
            let mut chord = vec![0; 4000];
            for (step, dbov) in [(1.0, -20.0), (1.26, -22.0), (1.5, -22.0), (2.0, -26.0)] {
                chord = sounds::mixed(&chord, &sounds::sine(root * step, dbov, 4000));
            }
            chords.extend(chord);
        }
        let cases = [
            (
                "speech",
                (0..8)
                    .flat_map(|seed| sounds::speech(seed, 64_000))
                    .collect(),
            ),
            ("music", chords),
            ("our tone", (0..64_000).map(tone::sample).collect()),
            ("chirp", sounds::sweep(300.0, 3400.0, 64_000)),
            ("noise", sounds::noise(5, 64_000, -20.0)),
            (
                "dial tone",
                sounds::mixed(
                    &sounds::sine(350.0, -19.0, 32_000),
                    &sounds::sine(440.0, -19.0, 32_000),
                ),
            ),
            ("silence", vec![8; 8000]),
        ];
        for (name, samples) in cases {
            assert_eq!(
                heard(&Law::A.through(&samples)),
                "",
                "{name} {}",
                level::dbov(&samples)
            );
        }
    }

    #[test]
    fn digits_are_heard_between_words() {
        let mut sound = sounds::speech(3, 16_000);
        sound.extend(tones("42#", 80, 80, -16.0).unwrap());
        sound.extend(sounds::speech(4, 16_000));
        assert_eq!(heard(&sound), "42#");
    }
}
