//! Level of speech without its pauses (ITU-T P.56, method B).
//!
//! The envelope of the sound is compared with fifteen thresholds 6 dB apart; for each it is counted how
//! long the envelope was above, pauses up to 200 ms included. The active level is the one that lies
//! 15.9 dB above its own threshold. Speech only: silence has a level here too. `activity` uses it.

use super::SAMPLE_RATE;

/// Speech of the sound so far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Active {
    /// Level while there is speech, dBov.
    pub(super) dbov: f64,
    /// Share of the time with speech, 0 to 1.
    pub(super) share: f64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct SpeechLevel {
    /// The two stages of the envelope, in sample units.
    smooth: f64,
    envelope: f64,
    samples: u64,
    /// Sum of the squares of all samples.
    energy: u64,
    /// Envelope values heard.
    ticks: u64,
    /// Ticks at which the envelope was at or above each threshold, hangover included.
    active: [u64; THRESHOLDS],
    /// The tick until which the hangover of each threshold lasts.
    until: [u64; THRESHOLDS],
}

/// 1 to 16384 of 32768, each twice the one before.
const THRESHOLDS: usize = 15;
/// 15.9 dB between the active level and its threshold (P.56 §8.2).
pub(super) const MARGIN_DB: f64 = 15.9;
/// The envelope is read every millisecond; P.56 asks for 694 readings a second.
const TICK: u64 = 8;
/// 200 ms.
const HANGOVER: u64 = 200;
/// Time constant of both stages, seconds.
const SMOOTHING: f64 = 0.03;

impl SpeechLevel {
    pub(super) fn hear(&mut self, samples: &[i16]) {
        let keep = (-1.0 / (f64::from(SAMPLE_RATE) * SMOOTHING)).exp();
        for sample in samples {
            let magnitude = sample.unsigned_abs();
            self.energy += u64::from(magnitude) * u64::from(magnitude);
            let magnitude = f64::from(magnitude);
            self.smooth = magnitude + keep * (self.smooth - magnitude);
            self.envelope = self.smooth + keep * (self.envelope - self.smooth);
            self.samples += 1;
            if self.samples.is_multiple_of(TICK) {
                self.tick();
            }
        }
    }

    fn tick(&mut self) {
        self.ticks += 1;
        let mut threshold = 1.0;
        for (active, until) in self.active.iter_mut().zip(&mut self.until) {
            if self.envelope >= threshold {
                *until = self.ticks + HANGOVER;
                *active += 1;
            } else if self.ticks <= *until {
                *active += 1;
            }
            threshold *= 2.0;
        }
    }

    /// `None` when nothing ever reached the level where speech could be.
    pub(super) fn active(&self) -> Option<Active> {
        let mut last: Option<(f64, f64)> = None;
        for (active, threshold) in self.active.iter().zip(0_u32..) {
            if *active == 0 {
                break;
            }
            let dbov = 10.0 * (real(self.energy) / real(active * TICK) / 2_f64.powi(30)).log10();
            let above = dbov - 20.0 * f64::from(threshold).exp2().log10() + FULL_SCALE_DB;
            if above <= MARGIN_DB {
                let dbov = match last {
                    Some((dbov_below, above_below)) => {
                        let part = (above_below - MARGIN_DB) / (above_below - above);
                        part.mul_add(dbov - dbov_below, dbov_below)
                    }
                    None => dbov,
                };
                return Some(self.at(dbov));
            }
            last = Some((dbov, above));
        }
        // Louder than every threshold by the margin: nothing but speech, or a tone.
        last.map(|(dbov, _)| self.at(dbov))
    }

    fn at(&self, dbov: f64) -> Active {
        let mean = 10.0 * (real(self.energy) / real(self.samples) / 2_f64.powi(30)).log10();
        Active {
            dbov,
            share: 10_f64.powf((mean - dbov) / 10.0).min(1.0),
        }
    }
}

/// 20·lg 32768.
const FULL_SCALE_DB: f64 = 90.308_998_699;

#[expect(
    clippy::cast_precision_loss,
    reason = "a ratio in decibels needs no more than 53 bits"
)]
fn real(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise that is on for a part of every two seconds has the level of its on time.
    #[test]
    fn the_level_does_not_depend_on_the_pauses() {
        let mut random = fastrand::Rng::with_seed(4);
        for (percent, seconds_on) in [(100, 2.0_f64), (50, 1.0), (25, 0.5)] {
            let mut speech = SpeechLevel::default();
            for n in 0..160_000 {
                let on = n % 16_000 < 160 * percent;
                speech.hear(&[if on {
                    random.i16(-6000..=6000)
                } else {
                    random.i16(-3..=3)
                }]);
            }
            let active = speech.active().unwrap();
            // Even noise has a third of the power of its peak. After each part the envelope takes about
            // 75 ms longer to fall than to rise, then come 200 ms of hangover.
            let hangover: f64 = if percent == 100 { 0.0 } else { 0.275 };
            let on: f64 = -19.52 - 10.0 * ((seconds_on + hangover) / seconds_on).log10();
            assert!(
                (active.dbov - on).abs() < 0.6,
                "{percent} %: {active:?}, {on}"
            );
            let share = (seconds_on + hangover) / 2.0;
            assert!(
                (active.share - share).abs() < 0.04,
                "{percent} %: {active:?}"
            );
        }
        assert_eq!(SpeechLevel::default().active(), None);
    }
}
