//! What a stretch of sound is like: how loud its speech, how low its noise, how much of it is nothing.
//!
//! Takes samples in the order they were sent, in pieces of any size, and judges frames of 20 ms. It does
//! not know what was said (`prompt`) nor what was lost on the way: a caller that wants a gap to count as
//! silence gives silence. `calls` and `analysis` use it, one per direction of a leg.
//!
//! The memory is fixed, about 2 kB however long the call: levels are kept as a histogram in steps of half
//! a decibel, with the first frame that reached each step.

use arrayvec::ArrayVec;
use serde::Serialize;

use super::level::{self, FLOOR_DBOV};
use super::speech_level::{MARGIN_DB, SpeechLevel};

/// Samples of one frame of 20 ms.
pub const FRAME: usize = 160;

const FRAME_SAMPLES: f64 = 160.0;
/// Milliseconds of one frame.
pub const FRAME_MS: u32 = 20;

/// Below this a frame is silence, dBov. The silence octets of G.711 decode to −72 (A-law) and to nothing
/// (µ-law); a phone in a quiet room lies near −55. Higher would call quiet rooms dead lines, lower would
/// miss a gateway that dithers its silence.
pub const SILENCE_DBOV: f64 = -60.0;

/// One frame of 20 ms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frame {
    /// RMS level, dBov.
    pub dbov: f64,
    /// Nothing is there that a caller could hear: below [`SILENCE_DBOV`].
    pub silent: bool,
}

impl Frame {
    /// Judges the samples of one frame.
    #[must_use]
    pub fn of(samples: &[i16]) -> Self {
        let dbov = level::dbov(samples);
        Self {
            dbov,
            silent: dbov < SILENCE_DBOV,
        }
    }
}

/// Figures of the sound so far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Levels {
    /// Whole frames of 20 ms heard.
    pub frames: u32,
    /// Level of the speech without its pauses, dBov (ITU-T P.56 method B); `None` when all was silence.
    pub active_dbov: Option<f64>,
    /// Share of the time that is speech, its pauses up to 200 ms included, percent (P.56 activity factor).
    /// Steady noise alone is active all the time: tell it from speech by the noise floor.
    pub activity_percent: f64,
    /// The level that one frame in ten does not exceed, dBov, to half a decibel.
    pub noise_floor_dbov: f64,
    /// Share of clipped samples among the active ones, percent.
    pub clip_percent: f64,
    /// Mean of all samples, in steps of 1/32768 of full scale.
    pub dc_offset: f64,
    /// Share of silent frames, percent.
    pub silent_percent: f64,
    /// The longest run of silent frames, milliseconds; of sound that came, not of the time without packets.
    pub longest_silence_ms: u32,
    /// The run of silent frames that lasts until now, milliseconds.
    pub trailing_silence_ms: u32,
    /// Sound before the first speech: until the first 60 ms that are as loud as speech here, milliseconds. Sound
    /// that came: who knows when it came tells the delay.
    pub first_active_ms: Option<u32>,
}

/// Hears sound and keeps its levels.
#[derive(Clone, Debug)]
pub struct Activity {
    /// Samples of a frame that is not whole yet.
    part: ArrayVec<i16, FRAME>,
    frames: u32,
    /// Sum of all samples of whole frames.
    sum: i64,
    speech: SpeechLevel,
    clipping: Clipping,
    silence: Silence,
    /// Frames per step of level.
    histogram: [u32; STEPS],
    /// For each step, the first frame that began so many frames whose quietest is of that level.
    first: [Option<u32>; STEPS],
    /// Levels of the last frames, newest last.
    recent: ArrayVec<f64, ONSET>,
}

/// Half decibels from −96 to 0 dBov.
const STEPS: usize = 193;
/// A click is shorter than 60 ms, a syllable longer.
const ONSET: usize = 3;
const ONSET_FRAMES: u32 = 3;

#[derive(Clone, Copy, Debug, Default)]
struct Silence {
    frames: u32,
    longest: u32,
    trailing: u32,
}

/// Clipped samples: at the end of the scale, or flat at the peak of the sound.
///
/// Sound that was clipped before it was made quieter has flat tops below full scale. G.711 itself makes
/// flat tops, its steps being up to 1/16 of a value: three samples in a row for tones up to 452 Hz, four up
/// to 301 Hz. So four are asked for, at the highest value of the whole sound.
#[derive(Clone, Copy, Debug, Default)]
struct Clipping {
    full_scale: u64,
    peak: u16,
    flat: u64,
    run: u64,
    last: i16,
}

/// The last step of both laws is 32256 (A) and 32124 (µ).
const FULL_SCALE: u16 = 32_000;
/// Peaks below −12 dBFS are not looked at: there flat tops are those of quiet, coarse sound.
const FLAT_PEAK_MIN: u16 = 8192;
const FLAT_RUN_MIN: u64 = 4;

impl Default for Activity {
    fn default() -> Self {
        Self {
            part: ArrayVec::new(),
            frames: 0,
            sum: 0,
            speech: SpeechLevel::default(),
            clipping: Clipping::default(),
            silence: Silence::default(),
            histogram: [0; STEPS],
            first: [None; STEPS],
            recent: ArrayVec::new(),
        }
    }
}

impl Activity {
    /// More sound, in the order it was sent.
    pub fn hear(&mut self, mut samples: &[i16]) {
        if !self.part.is_empty() {
            let missing = (FRAME - self.part.len()).min(samples.len());
            let (head, rest) = samples.split_at(missing);
            self.part.extend(head.iter().copied());
            samples = rest;
            if !self.part.is_full() {
                return;
            }
            let whole = self.part.take();
            self.frame(&whole);
        }
        let mut frames = samples.chunks_exact(FRAME);
        for frame in frames.by_ref() {
            self.frame(frame);
        }
        self.part.extend(frames.remainder().iter().copied());
    }

    fn frame(&mut self, samples: &[i16]) {
        let frame = Frame::of(samples);
        self.sum += samples.iter().map(|sample| i64::from(*sample)).sum::<i64>();
        self.speech.hear(samples);
        self.clipping.hear(samples);
        self.silence.hear(frame.silent);
        self.histogram[step(frame.dbov)] += 1;
        if self.recent.is_full() {
            self.recent.remove(0);
        }
        self.recent.push(frame.dbov);
        self.frames = self.frames.saturating_add(1);
        if self.recent.is_full() {
            let held = self.recent.iter().copied().fold(0.0, f64::min);
            self.first[step(held)].get_or_insert(self.frames - ONSET_FRAMES);
        }
    }

    /// Whole frames heard so far.
    #[must_use]
    pub const fn frames(&self) -> u32 {
        self.frames
    }

    /// The figures so far; `None` before the first whole frame.
    #[must_use]
    pub fn levels(&self) -> Option<Levels> {
        if self.frames == 0 {
            return None;
        }
        let speech = self
            .speech
            .active()
            .filter(|speech| speech.dbov >= SILENCE_DBOV);
        let activity = speech.map_or(0.0, |speech| speech.share);
        let samples = f64::from(self.frames) * FRAME_SAMPLES;
        Some(Levels {
            frames: self.frames,
            active_dbov: speech.map(|speech| speech.dbov),
            activity_percent: 100.0 * activity,
            noise_floor_dbov: self.noise_floor(),
            clip_percent: self.clipping.percent_of(activity * samples),
            dc_offset: real(self.sum) / samples,
            silent_percent: 100.0 * f64::from(self.silence.frames) / f64::from(self.frames),
            longest_silence_ms: self.silence.longest.saturating_mul(FRAME_MS),
            trailing_silence_ms: self.silence.trailing.saturating_mul(FRAME_MS),
            first_active_ms: speech
                .and_then(|speech| self.first_at(speech.dbov - MARGIN_DB))
                .map(|frame| frame.saturating_mul(FRAME_MS)),
        })
    }

    /// The first frame of sound at least this loud for a while.
    fn first_at(&self, dbov: f64) -> Option<u32> {
        self.first[step(dbov.max(SILENCE_DBOV))..]
            .iter()
            .flatten()
            .min()
            .copied()
    }

    fn noise_floor(&self) -> f64 {
        let tenth = self.frames.div_ceil(10);
        let mut below = 0;
        for (frames, step) in self.histogram.iter().zip(0_u32..) {
            below += frames;
            if below >= tenth {
                return FLOOR_DBOV + 0.5 * f64::from(step);
            }
        }
        0.0
    }
}

impl Silence {
    fn hear(&mut self, silent: bool) {
        if silent {
            self.frames += 1;
            self.trailing += 1;
            self.longest = self.longest.max(self.trailing);
        } else {
            self.trailing = 0;
        }
    }
}

impl Clipping {
    fn hear(&mut self, samples: &[i16]) {
        for sample in samples {
            let magnitude = sample.unsigned_abs();
            if magnitude < self.peak.max(FLAT_PEAK_MIN) {
                self.run = 0;
                continue;
            }
            if magnitude >= FULL_SCALE {
                self.full_scale += 1;
            }
            if magnitude > self.peak {
                self.peak = magnitude;
                self.flat = 0;
                self.run = 0;
            }
            self.run = if self.run > 0 && *sample == self.last {
                self.run + 1
            } else {
                1
            };
            self.last = *sample;
            if self.run == FLAT_RUN_MIN {
                self.flat += FLAT_RUN_MIN;
            } else if self.run > FLAT_RUN_MIN {
                self.flat += 1;
            }
        }
    }

    fn percent_of(&self, active: f64) -> f64 {
        let clipped = if self.peak >= FULL_SCALE {
            self.full_scale
        } else {
            self.flat
        };
        if active > 0.0 {
            (100.0 * real(clipped.cast_signed()) / active).min(100.0)
        } else {
            0.0
        }
    }
}

fn step(dbov: f64) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "held between 0 and the last step"
    )]
    let step = ((dbov - FLOOR_DBOV) * 2.0).round().clamp(0.0, 192.0) as usize;
    step
}

#[expect(
    clippy::cast_precision_loss,
    reason = "below 2^53 for 200,000 years of full-scale sound"
)]
fn real(count: i64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::g711::Law;
    use crate::audio::{sounds, tone};

    fn levels(samples: &[i16]) -> Levels {
        let mut activity = Activity::default();
        activity.hear(samples);
        activity.levels().unwrap()
    }

    fn sine(hertz: f64, peak: f64, length: usize) -> Vec<i16> {
        sounds::sine(
            hertz,
            20.0 * (peak / 32_768.0 / 2_f64.sqrt()).log10(),
            length,
        )
    }

    fn tones(length: usize) -> Vec<i16> {
        (0..length).map(tone::sample).collect()
    }

    #[test]
    fn silence_of_every_kind() {
        for (name, samples, silent) in [
            ("A-law, 0xd5", vec![Law::A.decode(0xd5); 1600], 100.0),
            ("A-law, 0x55", vec![Law::A.decode(0x55); 1600], 100.0),
            ("µ-law, 0xff", vec![Law::Mu.decode(0xff); 1600], 100.0),
            ("µ-law, 0x7f", vec![Law::Mu.decode(0x7f); 1600], 100.0),
            (
                "dither",
                (0..1600).map(|n| [-24, 24][n % 2]).collect(),
                100.0,
            ),
            (
                "a quiet room",
                (0..1600).map(|n| [-60, 60][n % 2]).collect(),
                0.0,
            ),
            ("our tone", tones(1600), 0.0),
        ] {
            let levels = levels(&samples);
            assert_eq!(levels.silent_percent, silent, "{name}");
            assert_eq!(levels.active_dbov.is_none(), silent > 0.0, "{name}");
            assert_eq!(levels.first_active_ms.is_none(), silent > 0.0, "{name}");
        }
        assert_eq!(Activity::default().levels(), None);
    }

    /// A tone in two of four seconds: the level is that of the tone, the pause is not part of it.
    #[test]
    fn pauses_do_not_lower_the_speech_level() {
        let mut samples = vec![8; 8000];
        samples.extend(tones(16_000));
        samples.extend(vec![8; 8000]);
        let levels = levels(&samples);
        let dbov = levels.active_dbov.unwrap();
        assert!((dbov - tone::LEVEL_DBOV).abs() < 0.6, "{dbov}");
        // 2 s, and the hangover.
        assert!((levels.activity_percent - 56.9).abs() < 1.0, "{levels:?}");
        assert_eq!(levels.frames, 200);
        assert_eq!(levels.silent_percent, 50.0);
        assert_eq!(levels.longest_silence_ms, 1000);
        assert_eq!(levels.trailing_silence_ms, 1000);
        assert_eq!(levels.first_active_ms, Some(1000));
        assert!(
            (levels.noise_floor_dbov + 72.25).abs() <= 0.25,
            "{levels:?}"
        );
    }

    #[test]
    fn the_greeting_begins_after_noise_and_clicks() {
        let mut random = fastrand::Rng::with_seed(1);
        let mut samples: Vec<i16> = (0..12_000).map(|_| random.i16(-50..50)).collect();
        samples[4000..4200].fill(20_000);
        let noise = samples.clone();
        samples.extend(sine(500.0, 6000.0, 16_000));
        let heard = levels(&samples);
        assert_eq!(heard.first_active_ms, Some(1500));
        assert!((heard.noise_floor_dbov + 61.0).abs() <= 1.0, "{heard:?}");
        assert_eq!(levels(&noise[..3200]).first_active_ms, None);
    }

    #[test]
    fn clipping_is_full_scale_or_flat_at_the_peak() {
        let clipped = |gain: f64, limit: i16| -> Vec<i16> {
            sine(440.0, 10_000.0 * gain, 8000)
                .into_iter()
                .map(|sample| sample.clamp(-limit, limit))
                .collect()
        };
        let cases = [
            ("none", sine(440.0, 10_000.0, 8000), 0.0, 0.0),
            ("loud, not clipped", sine(440.0, 31_000.0, 8000), 0.0, 0.0),
            ("at full scale", sine(440.0, 100_000.0, 8000), 70.0, 90.0),
            (
                "clipped, then made quieter",
                clipped(2.0, 10_000),
                60.0,
                75.0,
            ),
            ("digital silence", vec![8; 8000], 0.0, 0.0),
            ("the tone", tones(8000), 0.0, 0.0),
        ];
        for (name, samples, least, most) in cases {
            for law in [Law::A, Law::Mu] {
                let percent = levels(&law.through(&samples)).clip_percent;
                assert!(
                    (least..=most).contains(&percent),
                    "{name}, {law:?}: {percent}"
                );
            }
        }
    }

    #[test]
    fn a_constant_voltage_is_told() {
        let shifted: Vec<i16> = tones(8000).iter().map(|sample| sample + 500).collect();
        assert_eq!(levels(&shifted).dc_offset, 500.0);
        assert_eq!(levels(&tones(8000)).dc_offset, 0.0);
    }

    #[test]
    fn the_size_of_packets_does_not_matter() {
        let mut random = fastrand::Rng::with_seed(2);
        let samples: Vec<i16> = (0..16_000).map(|_| random.i16(-9000..9000)).collect();
        let whole = levels(&samples);
        for size in [1, 7, 80, 160, 240, 480, 5000] {
            let mut activity = Activity::default();
            for packet in samples.chunks(size) {
                activity.hear(packet);
            }
            assert_eq!(activity.levels(), Some(whole), "{size}");
        }
    }
}
