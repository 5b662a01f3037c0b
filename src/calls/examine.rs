//! What a finished recording says that no packet says alone: how long sound takes there and back, and
//! whether the right announcement played.
//!
//! It costs tens of milliseconds, so the thread that paces media leaves it to whoever judges the call.

use std::time::Duration;

use super::observe::{Echoed, Observed, PromptHeard};
use super::recording::{Heard, Recording};
use super::speech::runs_backwards;
use crate::audio::chirp;
use crate::audio::prompt::{Reference, Word};
use crate::time::Instant;

/// An echo later than this is found no more, and is none that anybody could talk over.
const ECHO_WITHIN: Duration = Duration::from_secs(2);
/// 250 ms: a buffer on the way that has shrunk leaves the echo so much before its place.
const EARLIER: usize = 2000;

impl Observed {
    /// Adds what the recording of the call says; `prompt`: the announcement that should have played.
    pub fn examine(&mut self, prompt: Option<&Reference>) {
        let Some(recording) = &self.recording else {
            return;
        };
        self.echoed = echoed(recording);
        self.prompt = prompt.and_then(|prompt| heard_prompt(recording, prompt));
    }
}

/// The echo of the chirp that was found best.
fn echoed(recording: &Recording) -> Option<Echoed> {
    recording
        .chirps
        .iter()
        .enumerate()
        .filter_map(|(number, sent)| find(&recording.heard, *sent, runs_backwards(number)))
        .max_by(|a, b| a.likeness.total_cmp(&b.likeness))
}

fn find(heard: &Heard, sent: Instant, backwards: bool) -> Option<Echoed> {
    let begin = heard.sample_at(sent).saturating_sub(EARLIER);
    let end = heard.sample_at(sent + ECHO_WITHIN).min(heard.samples.len());
    let mut window = heard.samples.get(begin..end)?.to_vec();
    let length = window.len();
    if backwards {
        window.reverse();
    }
    let found = chirp::find(&window)?;
    let at = if backwards {
        to_f64(length) - found.at_samples - to_f64(chirp::LENGTH)
    } else {
        found.at_samples
    };
    // Timed by the packets that carried it: those before it may have met a shorter buffer.
    let first = (begin..end).nth(whole(at))?;
    let heard_at = heard.first_of(&(first..first + chirp::LENGTH))?;
    let fraction = at.max(0.0).fract() / f64::from(crate::audio::SAMPLE_RATE);
    Some(Echoed {
        round_trip: heard_at.since(sent) + Duration::from_secs_f64(fraction),
        likeness: found.ncc,
        return_loss_db: found.return_loss_db,
    })
}

fn heard_prompt(recording: &Recording, prompt: &Reference) -> Option<PromptHeard> {
    let heard = &recording.heard;
    let answered = recording.answered?;
    let compared = prompt.compare(&heard.samples);
    Some(match (compared.word, compared.found) {
        (Word::Right, Some(place)) => {
            let offset = Duration::try_from_secs_f64(place.offset_ms.max(0.0) / 1000.0);
            PromptHeard::Right {
                after: (heard.begins + offset.unwrap_or_default()).since(answered),
                from: millis(place.from_ms),
                to: millis(place.to_ms),
                length: millis(prompt.length_ms()),
                whole: place.whole,
                louder_db: place.louder_db,
            }
        }
        (Word::Right | Word::Wrong, _) => PromptHeard::Wrong,
        (Word::Nothing, _) => PromptHeard::Nothing,
    })
}

fn millis(ms: u32) -> Duration {
    Duration::from_millis(ms.into())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a place in a window of seconds, never below zero"
)]
const fn whole(samples: f64) -> usize {
    samples.max(0.0) as usize
}

fn to_f64(samples: usize) -> f64 {
    f64::from(u32::try_from(samples).unwrap_or(u32::MAX))
}
