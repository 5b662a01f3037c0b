//! How much of a played sound came back intact, by comparing it with what was sent (ITU-T P.862, P.862.1).
//!
//! Only with the feature `pesq`, for patents on P.862 may still be claimed somewhere. It hears no delay,
//! so it stands beside the E-model and never replaces it.

/// Stands beside each score.
pub const LABEL: &str = "PESQ (P.862) narrowband, informative";

/// Why there is no score: one of the two is too short, or silent.
#[derive(Debug, thiserror::Error)]
#[error("no PESQ score: {0}")]
pub struct NoScore(#[from] pesq::PesqError);

/// MOS-LQO of the degraded sound, 1.0 to 4.55. Both at 8 kHz, at least a quarter of a second, levels and
/// start are aligned. Costs about 5 ms of processor per second of sound.
///
/// # Errors
/// Too little sound to judge.
pub fn score(reference: &[i16], degraded: &[i16]) -> Result<f64, NoScore> {
    let raw = pesq::pesq_8k(reference, degraded)?;
    Ok(f64::from(pesq::score::mos_lqo(f64::from(raw))))
}

#[cfg(test)]
mod tests {
    use std::f64::consts::PI;

    use super::*;
    use crate::audio::g711::Law;

    /// Syllables: a gliding voice with harmonics, four a second, with pauses between the sentences.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the sum of the harmonics stays below 12 000"
    )]
    fn speech(seconds: u32) -> Vec<i16> {
        let mut phase = 0.0;
        (0..seconds * 8000)
            .map(|n| {
                let t = f64::from(n) / 8000.0;
                let pitch = 120.0 + 40.0 * (2.0 * PI * 0.7 * t).sin();
                phase += 2.0 * PI * pitch / 8000.0;
                let syllable = (PI * 4.0 * t).sin().powi(2);
                let talking = if t % 2.0 < 1.4 { 1.0 } else { 0.0 };
                let formant = 700.0 + 500.0 * (2.0 * PI * 1.3 * t).sin();
                let voice: f64 = (1..24)
                    .map(|harmonic| {
                        let frequency = pitch * f64::from(harmonic);
                        let near = (-((frequency - formant) / 400.0).powi(2)).exp() + 0.05;
                        near * (phase * f64::from(harmonic)).sin()
                    })
                    .sum();
                (voice * syllable * talking * 2500.0) as i16
            })
            .collect()
    }

    /// Each `every`th frame of 20 ms replaced by silence.
    fn with_holes(sound: &[i16], every: usize) -> Vec<i16> {
        sound
            .chunks(160)
            .enumerate()
            .flat_map(|(n, frame)| {
                let lost = n % every == every - 1;
                frame
                    .iter()
                    .map(move |sample| if lost { 0 } else { *sample })
            })
            .collect()
    }

    #[test]
    fn the_same_is_best_and_holes_are_heard() {
        let sent = speech(8);
        let coded: Vec<i16> = sent
            .iter()
            .map(|sample| Law::A.decode(Law::A.encode(*sample)))
            .collect();
        let scores = [
            score(&sent, &sent).unwrap(),
            score(&sent, &coded).unwrap(),
            score(&sent, &with_holes(&sent, 20)).unwrap(),
            score(&sent, &with_holes(&sent, 5)).unwrap(),
        ];
        assert!((scores[0] - 4.549).abs() < 0.01, "{scores:?}");
        assert!(scores.is_sorted_by(|one, next| one > next), "{scores:?}");
        assert!(scores[3] < 2.5, "{scores:?}");
    }

    #[test]
    fn too_little_sound_has_no_score() {
        assert!(score(&[], &[]).is_err());
        assert!(score(&speech(1)[..100], &speech(1)).is_err());
    }
}
