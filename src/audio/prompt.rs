//! Did the announcement play? Compares what was heard with a recording of the right one.
//!
//! Three windows of the recording are looked for, twice: by cross-correlation, which survives noise, and by a
//! fingerprint of its spectrum in time (`fingerprint`), which survives clocks and codecs that move the
//! waveform. No words are recognised: the same sentence by another speaker is a wrong announcement.
//! `calls` asks once a call is over.

use std::ops::Range;

use serde::Serialize;

use super::SAMPLE_RATE;
use super::activity::{FRAME, Frame};
use super::correlate::{Haystack, Profile, SOUND_MAX};
use super::extent::Extent;
use super::fingerprint::{Print, Spectra};

/// The right announcement, without silence at its ends.
#[derive(Clone, Debug)]
pub struct Reference {
    samples: Vec<i16>,
    windows: [Window; 3],
}

#[derive(Clone, Debug)]
struct Window {
    /// First sample in the reference.
    start: usize,
    samples: Vec<i16>,
    print: Print,
}

/// Why a recording cannot be a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "only {sound_ms} ms of sound between its silences; an announcement needs {SHORTEST_MS} ms to be told from another"
)]
pub struct TooShort {
    pub sound_ms: u32,
}

/// What was heard, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// The announcement of the reference, perhaps not all of it.
    Right,
    /// Sound, but not this announcement.
    Wrong,
    /// No sound.
    Nothing,
}

/// How what was heard compares with the reference.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Match {
    pub word: Word,
    pub windows: [Likeness; 3],
    /// Where the announcement lies; only of the right one.
    pub found: Option<Place>,
}

/// How well one window of the reference fits at its best place.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Likeness {
    /// Cross-correlation coefficient, 0 to 1.
    pub ncc: f64,
    /// Share of the bits of the fingerprint that differ, 0 to 1; unrelated sound is near 0.45.
    pub bit_error_rate: f64,
}

/// The right announcement in the sound heard.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Place {
    /// Its beginning after the first sample heard, milliseconds. Negative: it had begun before.
    pub offset_ms: f64,
    /// The first and the last of the announcement that was heard, milliseconds after its beginning.
    pub from_ms: u32,
    pub to_ms: u32,
    /// Nothing of it is missing at either end.
    pub whole: bool,
    /// Louder than the reference, decibels.
    pub louder_db: f64,
}

/// Three windows of half a second.
const SHORTEST_MS: u32 = 1500;
/// Two seconds: shorter windows are alike more often, longer ones suffer more from clocks that differ.
const WINDOW_MAX: usize = 16_000;
/// A window fits if its waveform does: other announcements reach 0.24, 20 ms inserted in it leave 0.54.
const NCC_MIN: f64 = 0.45;
/// Or if its fingerprint does: other announcements stay above 0.41.
const BIT_ERRORS_MAX: f64 = 0.30;
/// Windows of three that must fit.
const WINDOWS_MIN: usize = 2;
/// With silence at both ends it is no more than can be searched.
const HEARD_MAX: usize = SOUND_MAX - 2 * WINDOW_MAX;
/// The windows may move against each other by so much: slips of jitter buffers and clocks.
const DRIFT: usize = 2000;

impl Likeness {
    const NONE: Self = Self {
        ncc: 0.0,
        bit_error_rate: 1.0,
    };

    #[must_use]
    pub fn fits(&self) -> bool {
        self.ncc >= NCC_MIN || self.bit_error_rate <= BIT_ERRORS_MAX
    }

    /// How clearly it fits, for comparison: 1 is perfect, 0 just fits.
    fn margin(&self) -> f64 {
        let wave = (self.ncc - NCC_MIN) / (1.0 - NCC_MIN);
        wave.max((BIT_ERRORS_MAX - self.bit_error_rate) / BIT_ERRORS_MAX)
    }
}

impl Reference {
    /// Takes a recording of the right announcement; silence at its ends does not belong to it.
    ///
    /// # Errors
    /// [`TooShort`] says how much sound there was.
    pub fn new(recording: &[i16]) -> Result<Self, TooShort> {
        let samples = trimmed(recording);
        let sound_ms = milliseconds(samples.len());
        if sound_ms < SHORTEST_MS {
            return Err(TooShort { sound_ms });
        }
        let length = (samples.len() / 3).min(WINDOW_MAX);
        let windows = [0, (samples.len() - length) / 2, samples.len() - length].map(|start| {
            let samples = samples[start..start + length].to_vec();
            Window {
                start,
                print: Spectra::new(&samples).print(&samples),
                samples,
            }
        });
        Ok(Self {
            samples: samples.to_vec(),
            windows,
        })
    }

    /// Sound of the announcement, without silence at its ends, milliseconds.
    #[must_use]
    pub fn length_ms(&self) -> u32 {
        milliseconds(self.samples.len())
    }

    /// Compares what was heard, its first 116 s; gaps must be filled with silence.
    #[must_use]
    pub fn compare(&self, heard: &[i16]) -> Match {
        let heard = &heard[..heard.len().min(HEARD_MAX)];
        if heard.chunks(FRAME).all(|frame| Frame::of(frame).silent) {
            return Match::without(Word::Nothing, [Likeness::NONE; 3]);
        }
        // Silence around it, so that a window is found of which only a part was heard.
        let margin = self.windows[0].samples.len();
        let mut sound = vec![0; margin];
        sound.extend_from_slice(heard);
        sound.resize(sound.len() + margin, 0);

        let search = Search::new(&sound, &self.windows);
        let Some(offset) = search.anchor() else {
            return Match::without(Word::Wrong, search.anywhere().map(|(_, likeness)| likeness));
        };
        let fits = search.near(offset);
        let windows = fits.map(|(_, likeness)| likeness);
        if !self.is_right(&sound, offset, &windows) {
            return Match::without(Word::Wrong, windows);
        }
        let offset = self
            .windows
            .iter()
            .zip(fits)
            .find(|(_, (_, likeness))| likeness.fits())
            .map_or(offset, |(window, (place, _))| place - real(window.start));
        Match {
            word: Word::Right,
            windows,
            found: Some(self.place(&sound, offset, real(margin))),
        }
    }

    /// Two windows fit; or one, and nothing at all was heard where the others would be: the call was over.
    fn is_right(&self, sound: &[i16], offset: f64, windows: &[Likeness; 3]) -> bool {
        let fitting = windows.iter().filter(|window| window.fits()).count();
        let cut = || {
            windows.iter().any(|window| window.ncc >= NCC_MIN)
                && self
                    .windows
                    .iter()
                    .zip(windows)
                    .filter(|(_, likeness)| !likeness.fits())
                    .all(|(window, _)| window.is_silent_in(sound, offset))
        };
        fitting >= WINDOWS_MIN || fitting > 0 && cut()
    }

    fn place(&self, sound: &[i16], offset: f64, margin: f64) -> Place {
        let extent = Extent::of(&self.samples, sound, offset);
        Place {
            offset_ms: (offset - margin) * 1000.0 / f64::from(SAMPLE_RATE),
            from_ms: milliseconds(extent.from),
            to_ms: milliseconds(extent.to),
            whole: extent.whole,
            louder_db: extent.louder_db,
        }
    }
}

impl Window {
    /// Less than a fifth of its place holds sound.
    fn is_silent_in(&self, sound: &[i16], offset: f64) -> bool {
        let start = sample(offset + real(self.start)).min(sound.len());
        let end = (start + self.samples.len()).min(sound.len());
        let frames = sound[start..end].chunks(FRAME);
        let all = frames.len();
        let loud = frames.filter(|frame| !Frame::of(frame).silent).count();
        loud * 5 <= all
    }
}

impl Match {
    const fn without(word: Word, windows: [Likeness; 3]) -> Self {
        Self {
            word,
            windows,
            found: None,
        }
    }
}

/// All windows of a reference in one sound.
struct Search<'a> {
    windows: &'a [Window; 3],
    profiles: [Option<Profile>; 3],
    spectra: Spectra,
    length: usize,
}

impl<'a> Search<'a> {
    fn new(sound: &[i16], windows: &'a [Window; 3]) -> Self {
        let haystack = Haystack::new(sound);
        Self {
            windows,
            profiles: windows
                .each_ref()
                .map(|window| haystack.profile(&window.samples)),
            spectra: Spectra::new(sound),
            length: sound.len(),
        }
    }

    /// The offset of the reference at which its clearest window fits; `None` if none fits anywhere.
    fn anchor(&self) -> Option<f64> {
        self.windows
            .iter()
            .zip(self.anywhere())
            .filter(|(_, (_, likeness))| likeness.fits())
            .max_by(|(_, (_, one)), (_, (_, other))| one.margin().total_cmp(&other.margin()))
            .map(|(window, (place, _))| place - real(window.start))
    }

    fn anywhere(&self) -> [(f64, Likeness); 3] {
        [0, 1, 2].map(|n| self.best(n, 0..self.length))
    }

    /// The windows where they should be if the reference began at this offset.
    fn near(&self, offset: f64) -> [(f64, Likeness); 3] {
        [0, 1, 2].map(|n| {
            let place = sample(offset + real(self.windows[n].start));
            self.best(n, place.saturating_sub(DRIFT)..place + DRIFT + 1)
        })
    }

    /// The best place of a window among some.
    fn best(&self, n: usize, places: Range<usize>) -> (f64, Likeness) {
        let wave = self.profiles[n]
            .as_ref()
            .and_then(|profile| profile.best_in(places.clone()));
        let print = self.spectra.best(&self.windows[n].print, places);
        let likeness = Likeness {
            ncc: wave.map_or(0.0, |(_, ncc)| ncc),
            bit_error_rate: print.map_or(1.0, |(_, rate)| rate),
        };
        let place = match (wave, print) {
            (Some((place, ncc)), _) if ncc >= NCC_MIN => place,
            (_, Some((place, _))) => real(place),
            (Some((place, _)), None) => place,
            (None, None) => 0.0,
        };
        (place, likeness)
    }
}

/// The recording from its first frame with sound to its last.
fn trimmed(recording: &[i16]) -> &[i16] {
    let loud = |frame: &&[i16]| !Frame::of(frame).silent;
    let frames = || recording.chunks(FRAME);
    let Some(first) = frames().position(|frame| loud(&frame)) else {
        return &[];
    };
    let last = frames().rposition(|frame| loud(&frame)).unwrap_or(first);
    &recording[first * FRAME..((last + 1) * FRAME).min(recording.len())]
}

fn milliseconds(samples: usize) -> u32 {
    u32::try_from(samples / 8).unwrap_or(u32::MAX)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a place in a sound of minutes is far below 2^53"
)]
fn real(place: usize) -> f64 {
    place as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "held at zero; a cast of floats saturates"
)]
fn sample(place: f64) -> usize {
    place.round().max(0.0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::g711::Law;
    use crate::audio::{sounds, tone};

    /// The first two are by one voice. The margins, worst of twelve such sentences: right 0.87 and 0.18 at 10 %
    /// loss, 0.93 and 0.35 under noise; wrong 0.37 and 0.38.
    const SENTENCES: [u64; 3] = [0, 4, 7];
    /// 6 s.
    const LENGTH: usize = 48_000;

    fn sentence(seed: u64) -> Vec<i16> {
        sounds::speech(seed, LENGTH)
    }

    /// Heard after half a second of the far end's silence, through A-law.
    fn heard(samples: &[i16]) -> Vec<i16> {
        let mut sound = vec![0; 4000];
        sound.extend(samples);
        sound.extend([0; 4000]);
        Law::A.through(&sound)
    }

    /// Less of the high tones, and noise 12 dB below.
    fn muffled(samples: &[i16], seed: u64) -> Vec<i16> {
        let smooth: Vec<i16> = samples
            .windows(2)
            .map(|pair| pair[0] / 2 + pair[1] / 2)
            .collect();
        sounds::mixed(&smooth, &sounds::noise(seed, smooth.len(), -36.0))
    }

    type Way = fn(&[i16], u64) -> Vec<i16>;

    /// What may happen to sound, with a seed for its chance.
    const WAYS: &[(&str, Way)] = &[
        ("clean", |sound, _| sound.to_vec()),
        ("12 dB quieter", |sound, _| sounds::louder(sound, -12.0)),
        ("10 % lost", |sound, seed| sounds::lossy(seed, sound, 10)),
        ("20 % lost", |sound, seed| sounds::lossy(seed, sound, 20)),
        ("10 dB over noise", |sound, seed| {
            sounds::mixed(sound, &sounds::noise(seed, sound.len(), -34.0))
        }),
        ("muffled, noise", muffled),
        ("50 ppm skew", |sound, _| sounds::skewed(sound, 50.0)),
        ("500 ppm skew", |sound, _| sounds::skewed(sound, -500.0)),
        ("frames inserted", |sound, _| {
            let mut slipped = sound.to_vec();
            for at in [30_000, 8000] {
                slipped.splice(at..at, [0; 160]);
            }
            slipped
        }),
    ];

    /// The worst of every window that is asked for on each way: coefficient, share of wrong bits, and error of
    /// the offset in milliseconds. Noise spoils the bits and slips the waveform, which is why both are asked.
    const WORST: &[(&str, f64, f64, f64)] = &[
        ("clean", 0.99, 0.10, 0.05),
        ("12 dB quieter", 0.99, 0.10, 0.05),
        ("10 % lost", 0.80, 0.25, 0.05),
        ("20 % lost", 0.70, 0.29, 0.05),
        ("10 dB over noise", 0.90, 0.40, 0.05),
        ("muffled, noise", 0.90, 0.40, 0.1),
        ("50 ppm skew", 0.95, 0.10, 0.1),
        // The place of so long a window is uncertain by a period of the voice.
        ("500 ppm skew", 0.50, 0.20, 12.0),
        ("frames inserted", 0.30, 0.25, 0.1),
    ];

    #[test]
    #[expect(clippy::print_stdout, reason = "the margins are to be read")]
    fn the_right_announcement_is_known_whatever_happens_on_the_way() {
        for ((name, way), (_, ncc_min, errors_max, offset_max)) in WAYS.iter().zip(WORST) {
            let (mut ncc, mut errors, mut offset) = (1.0_f64, 0.0_f64, 0.0_f64);
            for seed in SENTENCES {
                let sentence = sentence(seed);
                let reference = Reference::new(&sentence).unwrap();
                let matched = reference.compare(&heard(&way(&sentence, seed)));
                assert_eq!(matched.word, Word::Right, "{name} {seed}: {matched:?}");
                let found = matched.found.unwrap();
                assert!(found.whole, "{name} {seed}: {matched:?}");
                offset = offset.max((found.offset_ms - 500.0).abs());
                for window in matched.windows {
                    ncc = ncc.min(window.ncc);
                    errors = errors.max(window.bit_error_rate);
                }
            }
            println!("{name:17} ncc >= {ncc:.3}, bits <= {errors:.3}, offset {offset:.3} ms");
            assert!(ncc >= *ncc_min, "{name}: {ncc}");
            assert!(errors <= *errors_max, "{name}: {errors}");
            assert!(offset <= *offset_max, "{name}: {offset}");
        }
    }

    #[test]
    #[expect(clippy::print_stdout, reason = "the margins are to be read")]
    fn another_announcement_is_wrong() {
        let (mut ncc, mut errors) = (0.0_f64, 1.0_f64);
        for seed in SENTENCES {
            let reference = Reference::new(&sentence(seed)).unwrap();
            for other in SENTENCES.into_iter().filter(|other| *other != seed) {
                let matched = reference.compare(&heard(&sentence(other)));
                assert_eq!(matched.word, Word::Wrong, "{seed} {other}: {matched:?}");
                assert_eq!(matched.found, None);
                for window in matched.windows {
                    ncc = ncc.max(window.ncc);
                    errors = errors.min(window.bit_error_rate);
                }
            }
        }
        println!("wrong                ncc <= {ncc:.3}, bit errors >= {errors:.3}");
        assert!(ncc < 0.40, "{ncc}");
        assert!(errors > 0.33, "{errors}");
    }

    #[test]
    fn other_sounds_are_wrong_and_silence_is_nothing() {
        let reference = Reference::new(&sentence(1)).unwrap();
        for (name, sound, word) in [
            ("noise", sounds::noise(1, LENGTH, -26.0), Word::Wrong),
            ("tone", (0..LENGTH).map(tone::sample).collect(), Word::Wrong),
            ("sweep", sounds::sweep(300.0, 3400.0, LENGTH), Word::Wrong),
            ("a word", sentence(2)[..4000].to_vec(), Word::Wrong),
            ("silence", vec![8; LENGTH], Word::Nothing),
            ("zeros", vec![0; LENGTH], Word::Nothing),
            ("no sample", vec![], Word::Nothing),
        ] {
            let matched = reference.compare(&sound);
            assert_eq!(matched.word, word, "{name}: {matched:?}");
        }
    }

    #[test]
    fn the_level_is_told() {
        let sentence = sentence(3);
        let reference = Reference::new(&sentence).unwrap();
        for db in [-20.0, -12.0, 0.0, 3.0] {
            let matched = reference.compare(&heard(&sounds::louder(&sentence, db)));
            let louder = matched.found.unwrap().louder_db;
            assert!((louder - db).abs() < 0.2, "{db}: {louder}");
        }
    }

    #[test]
    fn what_was_cut_off_is_told() {
        for seed in SENTENCES {
            let sentence = sentence(seed);
            let reference = Reference::new(&sentence).unwrap();
            let length = reference.length_ms();
            let voice = sounds::speech(seed + 4, LENGTH);
            let but = |range: Range<usize>, other: &[i16]| {
                let mut sound = sentence.clone();
                sound.splice(range, other.iter().copied());
                heard(&sound)
            };
            for (name, sound, from, to) in [
                ("whole", heard(&sentence), 0, length),
                ("half", heard(&sentence[..24_000]), 0, 3000),
                ("a third", heard(&sentence[..16_000]), 0, 2000),
                ("then another voice", but(30_000..48_000, &voice), 0, 3750),
                ("late by a second", heard(&sentence[8000..]), 1000, length),
                (
                    "silent for a second",
                    but(0..8000, &[0; 8000]),
                    1000,
                    length,
                ),
                (
                    "no silence before",
                    Law::Mu.through(&sentence[4000..]),
                    500,
                    length,
                ),
                (
                    "a gap of 400 ms",
                    but(22_000..25_200, &[0; 3200]),
                    0,
                    length,
                ),
            ] {
                let matched = reference.compare(&sound);
                assert_eq!(matched.word, Word::Right, "{name} {seed}: {matched:?}");
                let found = matched.found.unwrap();
                let (early, late) = (found.from_ms.abs_diff(from), found.to_ms.abs_diff(to));
                // A cut inside a pause is seen at the last word before it, or the first after.
                assert!(early <= 400 && late <= 400, "{name} {seed}: {found:?}");
                assert_eq!(
                    found.whole,
                    from == 0 && to == length,
                    "{name} {seed}: {found:?}"
                );
            }
        }
    }

    #[test]
    fn the_offset_is_exact_to_a_sample() {
        let sentence = sentence(6);
        let reference = Reference::new(&sentence).unwrap();
        for samples in [0_u16, 1, 4000, 12_345] {
            let mut sound = vec![0; usize::from(samples)];
            sound.extend(&sentence);
            let found = reference.compare(&Law::A.through(&sound)).found.unwrap();
            let expected = f64::from(samples) / 8.0;
            assert!(
                (found.offset_ms - expected).abs() < 0.02,
                "{samples}: {found:?}"
            );
        }
        let cut = reference.compare(&sentence[8000..]).found.unwrap();
        assert!((cut.offset_ms + 1000.0).abs() < 0.02, "{cut:?}");
    }

    #[test]
    fn a_reference_needs_sound_and_loses_the_silence_around_it() {
        let mut recording = vec![8; 8000];
        recording.extend(sounds::noise(1, 16_000, -26.0));
        recording.extend([8; 8000]);
        assert_eq!(Reference::new(&recording).unwrap().length_ms(), 2000);
        for (name, recording, sound_ms) in [
            ("nothing", &[][..], 0),
            ("silence", &[8; 32_000], 0),
            ("a second", &recording[..16_000], 1000),
        ] {
            assert_eq!(
                Reference::new(recording).unwrap_err(),
                TooShort { sound_ms },
                "{name}"
            );
        }
    }
}
