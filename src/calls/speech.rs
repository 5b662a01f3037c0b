//! What we say on a call once it is answered: sample by sample, from the first one on.
//!
//! The tone is there to be heard back at all, the chirp to be found back to a fraction of a millisecond; they
//! take turns, with a pause between them, so that an echo of one never covers the other.

use super::script::MediaPlan;
use crate::audio::chirp;
use crate::audio::tone;

/// The first chirp begins 1.25 s after the answer: an echo is up by then, digits of the far end (1.05 s where it
/// was measured) are over, and a call of three seconds has time to hear it back.
const CHIRP_FIRST: usize = 10_000;

/// From one chirp to the next, 2 s: more of them leave too little of the tone when packets are lost.
const CHIRP_EVERY: usize = 16_000;

/// 50 ms of silence on both sides of a chirp.
const PAUSE: usize = 400;

/// The sample at this place of our speech.
pub(super) fn sample(plan: &MediaPlan, place: usize) -> i16 {
    match plan {
        MediaPlan::None | MediaPlan::Silence => 0,
        MediaPlan::Tone => measuring(place),
        MediaPlan::Play(sound) => sound.get(place).copied().unwrap_or(0),
    }
}

/// The place where the next chirp begins, from this one on.
pub(super) const fn next_chirp(place: usize) -> usize {
    CHIRP_FIRST + place.saturating_sub(CHIRP_FIRST).div_ceil(CHIRP_EVERY) * CHIRP_EVERY
}

fn measuring(place: usize) -> i16 {
    let Some(turn) = (place + PAUSE).checked_sub(CHIRP_FIRST) else {
        return tone::sample(place);
    };
    let (number, within) = (turn / CHIRP_EVERY, turn % CHIRP_EVERY);
    match within.checked_sub(PAUSE) {
        None => 0,
        Some(at) if at < chirp::LENGTH => {
            // Every other one runs backwards: an echo is told from that of the chirp before.
            let at = if runs_backwards(number) {
                chirp::LENGTH - 1 - at
            } else {
                at
            };
            chirp::signal()[at]
        }
        Some(at) if at < chirp::LENGTH + PAUSE => 0,
        Some(_) => tone::sample(place),
    }
}

pub(super) const fn runs_backwards(number: usize) -> bool {
    number % 2 == 1
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::audio::level;

    #[test]
    fn tone_and_chirp_take_turns() {
        let said: Vec<i16> = (0..32_000).map(|n| sample(&MediaPlan::Tone, n)).collect();
        assert_eq!(said[10_000..14_000], chirp::signal()[..]);
        let mut backwards = said[26_000..30_000].to_vec();
        backwards.reverse();
        assert_eq!(backwards, chirp::signal()[..]);
        for silent in [
            9_600..10_000,
            14_000..14_400,
            25_600..26_000,
            30_000..30_400,
        ] {
            let level = level::dbov(&said[silent.clone()]);
            assert_eq!(level, level::FLOOR_DBOV, "{silent:?}");
        }
        for tone in [0..9_600, 14_400..25_600, 30_400..32_000] {
            let heard = level::frequency_dbov(&said[tone.clone()], tone::FREQUENCY);
            assert!((heard - tone::LEVEL_DBOV).abs() < 0.1, "{tone:?}: {heard}");
        }
    }

    #[test]
    fn the_next_chirp_is_the_one_that_begins_here_or_later() {
        for (place, next) in [
            (0, 10_000),
            (10_000, 10_000),
            (10_001, 26_000),
            (26_000, 26_000),
            (26_001, 42_000),
        ] {
            assert_eq!(next_chirp(place), next, "{place}");
        }
    }

    #[test]
    fn a_sound_is_played_once_and_silence_follows() {
        let plan = MediaPlan::Play(Arc::from([1_i16, 2]));
        let said: Vec<i16> = (0..4).map(|n| sample(&plan, n)).collect();
        assert_eq!(said, [1, 2, 0, 0]);
    }
}
