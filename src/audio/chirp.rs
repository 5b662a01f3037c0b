//! A sound of our own that is easy to find again: how long it takes to an echo and back, and how much of it
//! comes back on a call where nothing should.
//!
//! Half a second that sweeps through the telephone band. Unlike noise it survives low-rate codecs, and
//! unlike a tone it has one place. The caller keeps the time: samples sent and heard must be laid out by RTP
//! timestamp, gaps filled with silence, or the place is not a delay. `echo` is the simpler question whether
//! anything comes back at all.

use std::f64::consts::PI;
use std::sync::LazyLock;

use super::correlate::Haystack;
use super::{SAMPLE_RATE, level};

/// Samples of the signal: 0.5 s.
pub const LENGTH: usize = 4000;
const LENGTH_SAMPLES: u32 = 4000;

/// Hertz, the telephone band.
const FROM: f64 = 300.0;
const TO: f64 = 3400.0;
/// −12 dBFS: loud enough to stand out of speech, and 12 dB from clipping anywhere.
const PEAK: f64 = 8231.0;
/// 50 ms at both ends, so that the edges are no clicks.
const EDGE: u32 = 400;

/// The signal: a linear sweep from 300 to 3400 Hz with Hann edges.
#[must_use]
pub fn signal() -> &'static [i16; LENGTH] {
    static SIGNAL: LazyLock<[i16; LENGTH]> = LazyLock::new(|| {
        let mut n = 0;
        [(); LENGTH].map(|()| {
            let sample = sample(n);
            n += 1;
            sample
        })
    });
    &SIGNAL
}

fn sample(n: u32) -> i16 {
    let at = f64::from(n) / f64::from(SAMPLE_RATE);
    let seconds = f64::from(LENGTH_SAMPLES) / f64::from(SAMPLE_RATE);
    let turns = FROM * at + (TO - FROM) * at * at / (2.0 * seconds);
    let from_edge = n.min(LENGTH_SAMPLES - 1 - n).min(EDGE);
    let edge = 0.5 - 0.5 * (PI * f64::from(from_edge) / f64::from(EDGE)).cos();
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the peak is a quarter of the range"
    )]
    let sample = (PEAK * edge * (2.0 * PI * turns).sin()).round() as i16;
    sample
}

/// Our signal in what was heard.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found {
    /// Its first sample in the sound heard, with a fraction: 8 samples are a millisecond.
    pub at_samples: f64,
    /// Correlation coefficient, 0 to 1.
    pub ncc: f64,
    /// How far that stands above the best other place.
    pub peak_ratio: f64,
    /// What came back of it against what was sent, decibels; positive is a loss. On a call to a person this
    /// is the echo return loss, and with the loudness of the sets the TELR of the E-model. Packets lost inside
    /// the signal add to it: 2 dB at 10 %.
    pub return_loss_db: f64,
}

/// Below this it may be chance: 30 % of packets lost leave 0.83, noise as loud as the signal 0.7.
const NCC_MIN: f64 = 0.3;
/// Steady tones and music fit nearly as well at many places.
const RATIO_MIN: f64 = 5.0;

/// Finds the signal, sent once, in the sound heard; `None` if it did not come back.
///
/// Of several copies none is found: two that look alike are no proof of a delay. Look in the time between
/// one signal and the next.
#[must_use]
pub fn find(heard: &[i16]) -> Option<Found> {
    let peak = Haystack::new(heard).profile(signal())?.peak()?;
    let peak_ratio = peak.ncc / peak.second.max(f64::EPSILON);
    if peak.ncc <= NCC_MIN || peak_ratio <= RATIO_MIN {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place among the samples heard"
    )]
    let place = peak.at.round().max(0.0) as usize;
    let window = heard.get(place..)?;
    let window = &window[..window.len().min(LENGTH)];
    // The coefficient is the share of our signal in the amplitude of the window.
    let returned = level::dbov(window) + 20.0 * peak.ncc.log10();
    Some(Found {
        at_samples: peak.at,
        ncc: peak.ncc,
        peak_ratio,
        return_loss_db: level::dbov(signal()) - returned,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::g711::Law;
    use crate::audio::{sounds, tone};

    /// Four seconds with the signal at a place.
    fn echo(place: usize) -> Vec<i16> {
        let mut heard = vec![0; place];
        heard.extend(signal());
        heard.resize(32_000, 0);
        heard
    }

    /// Late by a part of a sample, as a gateway with its own clock makes it.
    fn between_samples(place: u32, fraction: f64) -> Vec<i16> {
        let mut heard = vec![0; 32_000];
        for n in 1..LENGTH_SAMPLES {
            let at = (f64::from(n) - fraction) / 8000.0;
            let turns = FROM * at + (TO - FROM) * at * at;
            heard[usize::try_from(place + n).unwrap()] =
                sounds::sample(PEAK * (2.0 * PI * turns).sin());
        }
        heard
    }

    fn check(name: &str, heard: &[i16], expected_ms: f64, error_ms: f64) -> Found {
        let found = find(heard).unwrap_or_else(|| panic!("{name}: not found"));
        let error = found.at_samples / 8.0 - expected_ms;
        assert!(error.abs() <= error_ms, "{name}: {error} ms, {found:?}");
        found
    }

    #[test]
    fn the_delay_is_found_to_a_fraction_of_a_millisecond() {
        check("direct", &echo(0), 0.0, 0.01);
        check("137 ms", &echo(1096), 137.0, 0.01);
        for fraction in [0.25, 0.4, 0.5, 0.75] {
            let heard = between_samples(1096, fraction);
            let found = check("a fraction", &heard, 137.0 + fraction / 8.0, 0.003);
            assert!(found.return_loss_db.abs() < 0.3, "{found:?}");
        }
        for law in [Law::A, Law::Mu] {
            let name = format!("{law:?}");
            check(&name, &law.through(&echo(1096)), 137.0, 0.01);
            check(&name, &law.through(&law.through(&echo(1096))), 137.0, 0.01);
        }
    }

    #[test]
    fn noise_loss_and_slips_do_not_hide_it() {
        for seed in 0..20 {
            let name = format!("seed {seed}");
            let noisy = sounds::mixed(&echo(1096), &sounds::noise(seed, 32_000, -15.7));
            check(&format!("noise as loud, {name}"), &noisy, 137.0, 0.4);
            for percent in [10, 30] {
                let lossy = sounds::lossy(seed, &echo(1096), percent);
                check(&format!("{percent} % lost, {name}"), &lossy, 137.0, 0.4);
            }
        }
        let mut slipped = echo(1096);
        slipped.drain(1096 + 3000..1096 + 3160);
        check("20 ms dropped", &slipped, 137.0, 0.4);
        let mut slipped = echo(1096);
        slipped.splice(1096 + 2800..1096 + 2800, [0; 160]);
        check("20 ms inserted", &slipped, 137.0, 0.4);
        let mut early = vec![0; 160];
        early.extend(echo(1096));
        check("20 ms inserted before it", &early, 157.0, 0.01);
    }

    #[test]
    fn the_level_of_its_own_echo_is_told_under_speech() {
        for loss_db in [0.0, 6.0, 20.0, 26.0] {
            let quiet = sounds::louder(&echo(400), -loss_db);
            let found = check("echo", &quiet, 50.0, 0.05);
            assert!((found.return_loss_db - loss_db).abs() < 0.1, "{found:?}");
        }
        let speech = sounds::speech(9, 32_000);
        for loss_db in [0.0, 6.0] {
            let heard = sounds::mixed(&sounds::louder(&echo(400), -loss_db), &speech);
            let found = check("under speech", &heard, 50.0, 0.4);
            assert!((found.return_loss_db - loss_db).abs() < 1.5, "{found:?}");
        }
    }

    #[test]
    fn nothing_else_is_our_signal() {
        let mut twice = echo(0);
        twice[8000..12_000].copy_from_slice(signal());
        for (name, heard) in [
            ("silence", vec![8; 32_000]),
            ("nothing", vec![]),
            ("too short", echo(0)[..2000].to_vec()),
            ("noise", sounds::noise(1, 32_000, -16.0)),
            ("speech", sounds::speech(2, 32_000)),
            ("tone", (0..32_000).map(tone::sample).collect()),
            ("a slower sweep", sounds::sweep(300.0, 3400.0, 32_000)),
            ("two of them", twice),
        ] {
            assert_eq!(find(&heard), None, "{name}");
        }
    }

    #[test]
    fn the_signal_is_what_it_says() {
        let peak = signal().iter().map(|sample| sample.unsigned_abs()).max();
        assert!((8200..=8231).contains(&peak.unwrap()), "{peak:?}");
        assert_eq!((signal()[0], signal()[LENGTH - 1]), (0, 0));
        assert!(
            (level::dbov(signal()) + 15.6).abs() < 0.1,
            "{}",
            level::dbov(signal())
        );
    }
}
