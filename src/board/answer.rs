//! *Peut-on prendre des appels ?* by the lines, and the sentence behind it, in French, for a supervisor
//! under stress: short, no abbreviations, the names that the customer uses. Times are not in it: the page shows them beside, always fresh.

use super::view::Answer;
use crate::health::{SEEN_FROM_SOME_PLACES, SERVED_BY_BACKUP};
use crate::probe::{Failure, Word};

/// What the sentence needs to know of one line.
#[derive(Clone, Debug, PartialEq)]
pub struct LineStory<'a> {
    pub name: &'a str,
    pub word: Word,
    pub answered_by: Option<&'a str>,
    pub failure: Option<&'a Failure>,
    /// Name of the equipment whose failure explains this one.
    pub because_of: Option<&'a str>,
}

impl LineStory<'_> {
    /// Every call is taken, by the backup.
    fn is_on_backup(&self) -> bool {
        self.is_degraded_by(SERVED_BY_BACKUP)
    }

    /// It is answered; one place of ours is cut off from it.
    fn is_disputed(&self) -> bool {
        self.is_degraded_by(SEEN_FROM_SOME_PLACES)
    }

    fn is_degraded_by(&self, code: &str) -> bool {
        self.word == Word::Degraded && self.failure.is_some_and(|failure| failure.code == code)
    }

    /// Calls pass as they should, whatever is to be looked at.
    fn takes_calls(&self) -> bool {
        self.word == Word::Good || self.is_on_backup() || self.is_disputed()
    }
}

/// Can calls be taken? A line on its backup takes them all, as does one that a single place of ours cannot reach; a
/// line that we cannot see forbids a yes.
#[must_use]
pub fn answer(lines: &[LineStory<'_>]) -> Answer {
    let count = |word: Word| lines.iter().filter(|line| line.word == word).count();
    let (down, blind) = (count(Word::Down), count(Word::Blind));
    if lines.len() == blind {
        Answer::Unknown
    } else if down > 0 && down + blind == lines.len() {
        Answer::No
    } else if down > 0 {
        Answer::Partly
    } else if blind > 0 {
        Answer::Unknown
    } else if lines
        .iter()
        .any(|line| line.word == Word::Degraded && !line.takes_calls())
    {
        Answer::Partly
    } else {
        Answer::Yes
    }
}

/// Why `answer` says what it says.
#[must_use]
pub fn because(lines: &[LineStory<'_>], own_faults: &[Failure]) -> String {
    let of = |word: Word| -> Vec<&LineStory<'_>> {
        lines.iter().filter(|line| line.word == word).collect()
    };
    let (down, blind, degraded) = (of(Word::Down), of(Word::Blind), of(Word::Degraded));
    match answer(lines) {
        Answer::Unknown => unknown(lines.len(), &blind, own_faults),
        Answer::No => {
            let what = if lines.len() == 1 {
                format!("La ligne {} {}", down[0].name, how(down[0]))
            } else if down.iter().all(|line| how(line) == UNANSWERED) {
                "Aucune ligne ne répond".to_owned()
            } else {
                "Aucune ligne ne laisse passer d’appel".to_owned()
            };
            format!("{what}{}.", cause(&down))
        }
        Answer::Partly if !down.is_empty() => {
            let verb = if down.len() == 1 {
                how(down[0])
            } else if down.iter().all(|line| how(line) == UNANSWERED) {
                "ne répondent pas"
            } else {
                "ne laissent pas passer d’appel"
            };
            format!(
                "{} sur {} {verb} : {}{}.",
                plural(down.len(), "ligne", "lignes"),
                lines.len(),
                names(&down),
                cause(&down)
            )
        }
        Answer::Partly => format!(
            "Les appels passent mal : {}.",
            names(
                &degraded
                    .into_iter()
                    .filter(|line| !line.takes_calls())
                    .collect::<Vec<_>>()
            )
        ),
        Answer::Yes => match lines
            .iter()
            .find(|line| line.is_on_backup())
            .and_then(|line| line.answered_by)
        {
            Some(backup) => {
                format!("Les appels sont pris par le secours, {backup}.")
            }
            None => {
                let but = if lines.iter().any(LineStory::is_disputed) {
                    ", sauf d’un de nos points de vue"
                } else {
                    ""
                };
                match lines {
                    [line] => format!("La ligne {} répond à nos appels d’essai{but}.", line.name),
                    _ => format!("Toutes les lignes répondent à nos appels d’essai{but}."),
                }
            }
        },
    }
}

const UNANSWERED: &str = "ne répond pas";

/// What a caller meets on a line that is down. Who hears a line pick up and then nothing must not be
/// told that it does not answer.
fn how(line: &LineStory<'_>) -> &'static str {
    match line.failure.map(|failure| failure.code.as_ref()) {
        Some("no_media" | "late_media") => "décroche, mais on n’entend rien",
        Some("media_stopped") => "décroche, puis le son s’arrête",
        Some("mos_cq" | "mos_cq_wideband" | "mos_cq_fullband") => {
            "décroche, mais la voix est trop mauvaise pour se comprendre"
        }
        Some("one_way_audio") => "décroche, mais le son ne passe que dans un sens",
        Some(_) | None => UNANSWERED,
    }
}

fn unknown(all: usize, blind: &[&LineStory<'_>], own_faults: &[Failure]) -> String {
    if all == 0 {
        return "Aucune ligne n’est surveillée.".to_owned();
    }
    let why = if own_faults.is_empty() {
        ""
    } else {
        " (panne de la surveillance elle-même)"
    };
    if blind.len() == all {
        format!("Aucun appel d’essai récent ne permet de le dire{why}.")
    } else {
        format!("Pas d’appel d’essai récent sur {}{why}.", names(blind))
    }
}

fn cause(down: &[&LineStory<'_>]) -> String {
    let first = down.first().and_then(|line| line.because_of);
    match first {
        Some(name) if down.iter().all(|line| line.because_of == first) => {
            format!(" : {name} est en panne")
        }
        Some(_) | None => String::new(),
    }
}

fn names(lines: &[&LineStory<'_>]) -> String {
    let names: Vec<&str> = lines.iter().map(|line| line.name).collect();
    names.join(" ; ")
}

fn plural(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::Blame;

    fn line(name: &'static str, word: Word) -> LineStory<'static> {
        LineStory {
            name,
            word,
            answered_by: None,
            failure: None,
            because_of: None,
        }
    }

    #[test]
    fn each_answer_has_its_sentence() {
        let backup = Failure::new(Blame::Misbehaved, SERVED_BY_BACKUP, "");
        let on_backup = LineStory {
            answered_by: Some("XIVO 2"),
            failure: Some(&backup),
            ..line("119", Word::Degraded)
        };
        let alone = Failure::new(Blame::Ours, SEEN_FROM_SOME_PLACES, "");
        let disputed = LineStory {
            failure: Some(&alone),
            ..line("119", Word::Degraded)
        };
        let behind_patton = LineStory {
            because_of: Some("Patton"),
            ..line("119", Word::Down)
        };
        let mute = Failure::new(Blame::Silent, "no_media", "");
        let silent = LineStory {
            failure: Some(&mute),
            ..line("119", Word::Down)
        };
        let garbled = Failure::new(Blame::Misbehaved, "mos_cq", "").severe();
        let unintelligible = LineStory {
            failure: Some(&garbled),
            ..line("119", Word::Down)
        };
        let good = line("119", Word::Good);
        let cases: &[(&[LineStory<'_>], Answer, &str)] = &[
            (&[], Answer::Unknown, "Aucune ligne n’est surveillée."),
            (
                std::slice::from_ref(&good),
                Answer::Yes,
                "La ligne 119 répond à nos appels d’essai.",
            ),
            (
                &[good.clone(), line("file", Word::Good)],
                Answer::Yes,
                "Toutes les lignes répondent à nos appels d’essai.",
            ),
            (
                std::slice::from_ref(&on_backup),
                Answer::Yes,
                "Les appels sont pris par le secours, XIVO 2.",
            ),
            (
                std::slice::from_ref(&behind_patton),
                Answer::No,
                "La ligne 119 ne répond pas : Patton est en panne.",
            ),
            (
                std::slice::from_ref(&silent),
                Answer::No,
                "La ligne 119 décroche, mais on n’entend rien.",
            ),
            (
                std::slice::from_ref(&unintelligible),
                Answer::No,
                "La ligne 119 décroche, mais la voix est trop mauvaise pour se comprendre.",
            ),
            (
                &[silent.clone(), line("file", Word::Down)],
                Answer::No,
                "Aucune ligne ne laisse passer d’appel.",
            ),
            (
                &[good.clone(), line("file", Word::Down)],
                Answer::Partly,
                "1 ligne sur 2 ne répond pas : file.",
            ),
            (
                &[good.clone(), line("file", Word::Degraded)],
                Answer::Partly,
                "Les appels passent mal : file.",
            ),
            (
                std::slice::from_ref(&disputed),
                Answer::Yes,
                "La ligne 119 répond à nos appels d’essai, sauf d’un de nos points de vue.",
            ),
            (
                &[good.clone(), disputed.clone()],
                Answer::Yes,
                "Toutes les lignes répondent à nos appels d’essai, sauf d’un de nos points de vue.",
            ),
            (
                &[good.clone(), line("file", Word::Blind)],
                Answer::Unknown,
                "Pas d’appel d’essai récent sur file.",
            ),
            (
                &[line("119", Word::Down), line("file", Word::Blind)],
                Answer::No,
                "Aucune ligne ne répond.",
            ),
            (
                &[line("119", Word::Blind)],
                Answer::Unknown,
                "Aucun appel d’essai récent ne permet de le dire.",
            ),
        ];
        for (lines, expected, sentence) in cases {
            assert_eq!(answer(lines), *expected, "{sentence}");
            assert_eq!(because(lines, &[]), *sentence);
        }
    }
}
