//! The `heartbeat` probe: somebody else (a backup job, a cron, another vigie) says that he lives; silence is the alarm.
//!
//! Nothing is asked: `io::beats` keeps the last beat that came, and each run judges how old it is. What was not
//! listened to is nobody's silence: after a start, and after a time in which this machine slept, it is blind for as
//! long as a beat may take.

use std::time::Duration;

use super::{Blame, Failure, Verdict};
use crate::secret::SecretRef;
use crate::time::Instant;

/// Enough to say what went wrong; a whole log belongs elsewhere.
const TEXT_CHARACTERS_MAX: usize = 200;

/// Who must say that he lives, how often, and by which token he is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// A beat may be this old.
    pub within: Duration,
    /// The bearer token.
    pub secret: SecretRef,
}

/// One sign of life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    pub at: Instant,
    pub status: Status,
    /// What the sender said of it; may be empty.
    pub text: String,
}

/// What the sender thinks of himself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    #[default]
    Ok,
    Degraded,
    Failed,
}

/// What was heard of one sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Nobody listened before.
    pub listening_since: Instant,
    pub last: Option<Beat>,
}

impl Status {
    const WORDS: [(&'static str, Self); 3] = [
        ("ok", Self::Ok),
        ("degraded", Self::Degraded),
        ("failed", Self::Failed),
    ];

    /// # Errors
    /// What may be written instead.
    pub fn parse(word: &str) -> Result<Self, String> {
        Self::WORDS
            .iter()
            .find(|(known, _)| *known == word)
            .map(|(_, status)| *status)
            .ok_or_else(|| "status is none of ok, degraded, failed".to_owned())
    }
}

/// What a sender wrote, on one line and not longer than anybody reads.
#[must_use]
pub fn tidy(text: &str) -> String {
    let line = text
        .trim()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c });
    line.take(TEXT_CHARACTERS_MAX).collect()
}

/// Is the sender alive?
#[must_use]
pub fn judge(settings: &Settings, heard: &Heard, now: Instant) -> Verdict {
    let within = settings.within;
    if let Some(beat) = &heard.last {
        let age = now.since(beat.at);
        if age <= within {
            return living(beat).measuring("beat_age_s", age.as_secs_f64());
        }
    }
    let listened = now.since(heard.listening_since);
    if listened <= within {
        return Verdict::blind(
            "no_beat_yet",
            format!(
                "vigie listens since {} and heard no beat: one is due every {}",
                spoken(listened),
                spoken(within)
            ),
        );
    }
    let words = heard.last.as_ref().map_or_else(
        || {
            format!(
                "no sign of life since vigie listens, for {}: look whether the sender runs, its url and its token",
                spoken(listened)
            )
        },
        |beat| {
            format!(
                "no sign of life for {}, {} allowed: look whether the sender runs and reaches vigie",
                spoken(now.since(beat.at)),
                spoken(within)
            )
        },
    );
    Verdict::down(Failure::new(Blame::Silent, "no_sign_of_life", words))
}

fn living(beat: &Beat) -> Verdict {
    let failure = |code: &'static str, what: &str| {
        let said = if beat.text.is_empty() {
            String::new()
        } else {
            format!(": {}", beat.text)
        };
        Failure::new(
            Blame::Misbehaved,
            code,
            format!("the sender says that it {what}{said}"),
        )
    };
    match beat.status {
        // No question was asked: there is no time to an answer.
        Status::Ok => Verdict {
            took: None,
            ..Verdict::good(Duration::ZERO)
        },
        Status::Degraded => Verdict::degraded(failure("beat_degraded", "is degraded")),
        Status::Failed => Verdict::down(failure("beat_failed", "failed")),
    }
}

/// `6 min 12 s`, `2 h 5 min`, `3 d 2 h`.
fn spoken(time: Duration) -> String {
    let seconds = time.as_secs();
    let two = |large: u64, one: &str, small: u64, other: &str| match small {
        0 => format!("{large} {one}"),
        _ => format!("{large} {one} {small} {other}"),
    };
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => two(seconds / 60, "min", seconds % 60, "s"),
        3600..86_400 => two(seconds / 3600, "h", seconds % 3600 / 60, "min"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3600, "h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::Word;

    fn second(second: u64) -> Instant {
        Instant::default() + Duration::from_secs(second)
    }

    fn beat(at: u64, status: Status, text: &str) -> Option<Beat> {
        Some(Beat {
            at: second(at),
            status,
            text: text.into(),
        })
    }

    #[test]
    fn silence_counts_only_while_somebody_listened() {
        use Status::{Degraded, Failed, Ok};
        for (name, listening, last, now, word, words) in [
            (
                "just started",
                0,
                None,
                300,
                Word::Blind,
                "vigie listens since 5 min",
            ),
            (
                "never a beat",
                0,
                None,
                301,
                Word::Down,
                "since vigie listens, for 5 min 1 s",
            ),
            ("alive", 0, beat(100, Ok, ""), 400, Word::Good, ""),
            (
                "silent",
                0,
                beat(100, Ok, ""),
                472,
                Word::Down,
                "no sign of life for 6 min 12 s, 5 min allowed",
            ),
            (
                "slept, and not heard since",
                900,
                beat(100, Ok, ""),
                1000,
                Word::Blind,
                "vigie listens since 1 min 40 s",
            ),
            (
                "slept long ago",
                900,
                beat(100, Ok, ""),
                1201,
                Word::Down,
                "for 18 min 21 s",
            ),
            (
                "slept, and heard since",
                900,
                beat(901, Ok, ""),
                1000,
                Word::Good,
                "",
            ),
            (
                "limps",
                0,
                beat(100, Degraded, "3 of 4 disks"),
                200,
                Word::Degraded,
                "is degraded: 3 of 4 disks",
            ),
            (
                "failed",
                0,
                beat(100, Failed, ""),
                200,
                Word::Down,
                "the sender says that it failed",
            ),
            (
                "failed, and silent",
                0,
                beat(100, Failed, "full"),
                500,
                Word::Down,
                "no sign of life",
            ),
        ] {
            let settings = Settings {
                within: Duration::from_secs(300),
                secret: SecretRef::Env("TOKEN".into()),
            };
            let heard = Heard {
                listening_since: second(listening),
                last,
            };
            let verdict = judge(&settings, &heard, second(now));
            assert_eq!(verdict.word, word, "{name}");
            let said = verdict.failure.map(|failure| failure.words);
            let said = said.unwrap_or_default();
            assert!(said.contains(words), "{name}: {said}");
        }
    }

    #[test]
    fn what_a_sender_writes_is_one_short_line() {
        assert_eq!(tidy(" disk\r\nfull\u{1b}[2J "), "disk  full [2J");
        assert_eq!(tidy(&"é".repeat(900)).chars().count(), 200);
    }

    #[test]
    fn a_time_is_spoken_in_two_units() {
        for (seconds, words) in [
            (59, "59 s"),
            (372, "6 min 12 s"),
            (7200, "2 h"),
            (93_600, "1 d 2 h"),
        ] {
            assert_eq!(spoken(Duration::from_secs(seconds)), words);
        }
    }
}
