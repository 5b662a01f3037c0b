//! The part of a call that says whether the right announcement played.
//!
//! The announcement is a name here; the recording it stands for is kept by `io::prompts`, and compared by
//! `calls::examine`. Only `call` asks this file.

use std::time::Duration;

use super::{Blame, Failure};
use crate::calls::observe::{Observed, Outcome, PromptHeard};

/// The announcement that a call must hear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// As `vigie prompt learn` named it.
    pub name: String,
    /// From the answer to its beginning; a later one is degraded.
    pub within: Duration,
}

/// Three seconds of silence: callers ask whether anybody is there.
pub const WITHIN: Duration = Duration::from_secs(3);

/// Twice or half as loud to the ear: somebody changed a gain, or another recording.
const LEVEL_DB_MAX: f64 = 10.0;

/// A call that we ended so soon after the end of the announcement may have cut it off ourselves.
const CUT_BY_US: Duration = Duration::from_millis(200);

/// Longer is no name that anybody types.
const NAME_MAX: usize = 64;

/// A name becomes a name of files: nothing that leads out of their folder.
///
/// # Errors
/// What may stand in a name.
pub fn name(text: &str) -> Result<String, String> {
    let fine = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
    if (1..=NAME_MAX).contains(&text.len()) && text.bytes().all(fine) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "{text:?} is no name of an announcement; write small letters, digits, - and _, such as \"accueil-nuit\""
        ))
    }
}

impl Prompt {
    /// What is wrong with it; a caller gets through all the same, so this is never down.
    pub(super) fn judge(&self, observed: &Observed) -> Option<Failure> {
        let name = &self.name;
        let heard = observed.prompt?;
        let failure =
            |code: &'static str, words: String| Some(Failure::new(Blame::Misbehaved, code, words));
        match heard {
            PromptHeard::Wrong => failure(
                "wrong_prompt",
                format!(
                    "what is heard is not the announcement {name:?}: callers hear something else; look at the \
                     opening hours and the recordings of the IVR"
                ),
            ),
            PromptHeard::Nothing => failure(
                "no_prompt",
                format!("only silence was heard instead of the announcement {name:?}"),
            ),
            PromptHeard::Right {
                after,
                from,
                to,
                length,
                whole,
                louder_db,
            } => {
                if let Some(missing) = missing(observed, after, (from, to, length), whole) {
                    return failure(
                        "prompt_truncated",
                        format!("of the announcement {name:?} {missing}"),
                    );
                }
                if after > self.within {
                    return failure(
                        "prompt_late",
                        format!(
                            "the announcement {name:?} began {:.1} s after the answer, limit {:.1} s: callers hear \
                             silence, or something else before it",
                            after.as_secs_f64(),
                            self.within.as_secs_f64()
                        ),
                    );
                }
                if louder_db.abs() > LEVEL_DB_MAX {
                    let how = if louder_db > 0.0 { "louder" } else { "quieter" };
                    return failure(
                        "prompt_level",
                        format!(
                            "the announcement {name:?} is {:.0} dB {how} than it was learned, limit {LEVEL_DB_MAX:.0} dB",
                            louder_db.abs()
                        ),
                    );
                }
                None
            }
        }
    }
}

/// Which part of it was not heard, unless it is we who did not wait for it.
fn missing(
    observed: &Observed,
    after: Duration,
    (from, to, length): (Duration, Duration, Duration),
    whole: bool,
) -> Option<String> {
    if whole {
        return None;
    }
    if !from.is_zero() {
        return Some(format!("the first {:.1} s are missing", from.as_secs_f64()));
    }
    let we_left = matches!(observed.outcome, Outcome::Completed { .. });
    let stayed = observed.held.unwrap_or_default();
    if we_left && stayed < after + length + CUT_BY_US {
        return None;
    }
    Some(format!(
        "only {:.1} s of {:.1} s were heard",
        to.as_secs_f64(),
        length.as_secs_f64()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::sip::tests::a_good_call;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    const RIGHT: PromptHeard = PromptHeard::Right {
        after: ms(500),
        from: ms(0),
        to: ms(2000),
        length: ms(2000),
        whole: true,
        louder_db: 0.5,
    };

    fn heard(after: u64, from: u64, to: u64, louder_db: f64) -> PromptHeard {
        PromptHeard::Right {
            after: ms(after),
            from: ms(from),
            to: ms(to),
            length: ms(2000),
            whole: from == 0 && to == 2000,
            louder_db,
        }
    }

    #[test]
    fn each_fault_of_an_announcement_has_its_name() {
        let we_left = Outcome::Completed { status: 200 };
        let they_left = Outcome::HungUpByFarEnd {
            after: ms(1200),
            cause: None,
        };
        for (name, prompt, outcome, expected) in [
            ("not examined", None, &we_left, None),
            ("right", Some(RIGHT), &we_left, None),
            (
                "another",
                Some(PromptHeard::Wrong),
                &we_left,
                Some("wrong_prompt"),
            ),
            (
                "silence",
                Some(PromptHeard::Nothing),
                &we_left,
                Some("no_prompt"),
            ),
            (
                "cut",
                Some(heard(500, 0, 900, 0.0)),
                &we_left,
                Some("prompt_truncated"),
            ),
            (
                "we hung up too soon to tell",
                Some(heard(900, 0, 1900, 0.0)),
                &we_left,
                None,
            ),
            (
                "they hung up in it",
                Some(heard(900, 0, 300, 0.0)),
                &they_left,
                Some("prompt_truncated"),
            ),
            (
                "its beginning is missing",
                Some(heard(900, 400, 2000, 0.0)),
                &we_left,
                Some("prompt_truncated"),
            ),
            (
                "late",
                Some(heard(3100, 0, 2000, 0.0)),
                &we_left,
                Some("prompt_late"),
            ),
            (
                "loud",
                Some(heard(500, 0, 2000, 11.0)),
                &we_left,
                Some("prompt_level"),
            ),
            (
                "quiet",
                Some(heard(500, 0, 2000, -11.0)),
                &we_left,
                Some("prompt_level"),
            ),
        ] {
            let observed = Observed {
                prompt,
                outcome: outcome.clone(),
                held: Some(ms(3000)),
                ..a_good_call()
            };
            let prompt = Prompt {
                name: "accueil".to_owned(),
                within: WITHIN,
            };
            let found = prompt
                .judge(&observed)
                .map(|failure| failure.code.into_owned());
            assert_eq!(found.as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn a_name_leads_nowhere_else() {
        for (text, fine) in [
            ("accueil-nuit_2", true),
            ("", false),
            ("../x", false),
            ("Accueil", false),
            ("a b", false),
            (".hidden", false),
        ] {
            assert_eq!(name(text).is_ok(), fine, "{text:?}");
        }
    }
}
