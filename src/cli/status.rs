//! `vigie status`: ask the running service and say in one word how the plant is.
//!
//! The word is that of the question *can calls be taken?*, and the exit code follows it, so that this is
//! a Nagios plug-in as well. An answer that is not fresh is blind, whatever it says.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::process::ExitCode;

use anyhow::{Context, bail};
use serde::Deserialize;

use super::say;
use crate::io::web::ask;
use crate::probe::Word;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Where the service listens
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8119")]
    at: String,
    /// The whole answer of `GET /api/v1/status`
    #[arg(long)]
    json: bool,
}

/// What of the answer is read here.
#[derive(Debug, Deserialize)]
struct Status {
    fresh: bool,
    age_ms: u64,
    plant: String,
    answer: String,
    because: String,
    targets: Vec<Target>,
    #[serde(default)]
    lines: Vec<Target>,
    #[serde(default)]
    suspect: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Target {
    id: String,
    verdict: Word,
    failure: Option<Failure>,
    #[serde(default)]
    seen_from: BTreeMap<String, Word>,
}

#[derive(Debug, Deserialize)]
struct Failure {
    words: String,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let runtime = super::runtime()?;
    let (code, text) = runtime.block_on(ask::get(&arguments.at, "/api/v1/status"))?;
    if code != 200 {
        bail!(
            "{} answered {code}: is that the page of vigie?",
            arguments.at
        );
    }
    let status: Status = serde_json::from_str(&text)
        .with_context(|| format!("{} does not speak like vigie", arguments.at))?;
    let word = status.word();
    if arguments.json {
        say(text.trim_end());
    } else {
        say(status.words(word).trim_end());
    }
    Ok(ExitCode::from(word.exit_code()))
}

impl Status {
    fn word(&self) -> Word {
        if !self.fresh {
            return Word::Blind;
        }
        match self.answer.as_str() {
            "yes" => Word::Good,
            "partly" => Word::Degraded,
            "no" => Word::Down,
            // "unknown", and whatever a newer service may say.
            _ => Word::Blind,
        }
    }

    fn words(&self, word: Word) -> String {
        let mut text = format!("{word}: {} ({})\n", self.because, self.plant);
        let infallible = "writing to a string cannot fail";
        if !self.fresh {
            let seconds = self.age_ms / 1000;
            writeln!(text, "this is {seconds} s old: the service hangs").expect(infallible);
        }
        for target in self
            .targets
            .iter()
            .filter(|target| target.verdict != Word::Good)
        {
            let words = target.failure.as_ref().map_or("", |failure| &failure.words);
            writeln!(
                text,
                "{:<9} {:<20} {words}",
                target.verdict.as_str(),
                target.id
            )
            .expect(infallible);
            if !target.seen_from.is_empty() {
                writeln!(text, "{:<30} seen from {}", "", target.seen_from()).expect(infallible);
            }
        }
        for line in self.lines.iter().filter(|line| {
            let mut words = line.seen_from.values();
            let first = words.next();
            words.any(|word| Some(word) != first)
        }) {
            writeln!(text, "line {}: seen from {}", line.id, line.seen_from()).expect(infallible);
        }
        if !self.suspect.is_empty() {
            writeln!(
                text,
                "suspect vantage point: {}; look at its way out first",
                self.suspect.join(", ")
            )
            .expect(infallible);
        }
        text
    }
}

impl Target {
    /// `4g down, salle good`.
    fn seen_from(&self) -> String {
        let places = self.seen_from.iter();
        let places: Vec<String> = places
            .map(|(place, word)| format!("{place} {}", word.as_str()))
            .collect();
        places.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = r#"{"fresh": true, "age_ms": 300, "plant": "119", "answer": "partly",
        "because": "Une ligne sur deux.", "newer": 1, "targets": [
        {"id": "xivo1", "verdict": "good", "failure": null},
        {"id": "xivo2", "verdict": "down", "failure": {"words": "no answer", "code": "x", "blame": "silent"}}]}"#;

    #[test]
    fn the_word_follows_the_answer_unless_it_is_old() {
        for (answer, fresh, word) in [
            ("yes", true, Word::Good),
            ("partly", true, Word::Degraded),
            ("no", true, Word::Down),
            ("unknown", true, Word::Blind),
            ("yes", false, Word::Blind),
        ] {
            let text = ANSWER
                .replace("partly", answer)
                .replace("\"fresh\": true", &format!("\"fresh\": {fresh}"));
            let status: Status = serde_json::from_str(&text).unwrap();
            assert_eq!(status.word(), word, "{answer} {fresh}");
        }
    }

    #[test]
    fn where_places_do_not_agree_it_says_who_sees_what() {
        let text = r#"{"fresh": true, "age_ms": 300, "plant": "119", "answer": "yes", "because": "Oui.",
            "suspect": ["4g"], "targets": [], "lines": [
            {"id": "119", "verdict": "degraded", "failure": null, "seen_from": {"4g": "down", "salle": "good"}},
            {"id": "agree", "verdict": "good", "failure": null, "seen_from": {"4g": "good", "salle": "good"}}]}"#;
        let status: Status = serde_json::from_str(text).unwrap();
        assert_eq!(
            status.words(status.word()),
            "good: Oui. (119)\nline 119: seen from 4g down, salle good\n\
             suspect vantage point: 4g; look at its way out first\n"
        );
    }

    #[test]
    fn what_is_not_good_is_listed() {
        let status: Status = serde_json::from_str(ANSWER).unwrap();
        let text = status.words(status.word());
        assert_eq!(
            text,
            "degraded: Une ligne sur deux. (119)\ndown      xivo2                no answer\n"
        );
    }
}
