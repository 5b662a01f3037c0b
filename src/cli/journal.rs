//! What the verbs that read the past share: where the journal lies, how a person names things and times.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::dial::{CONFIG, load};
use super::say;
use crate::engine::history::History;
use crate::health::standing::Subject;
use crate::incident::act::{Act, What};
use crate::io::control::{self, Answer};
use crate::io::store::Journal;
use crate::sla::contract::Terms;
use crate::time::{Utc, paris};

/// Where the facts lie.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Place {
    /// Data folder of the service [default: that of the configuration]
    #[arg(long, value_name = "FOLDER", global = true)]
    data: Option<PathBuf>,
    /// Configuration that knows the data folder [default: /etc/vigie/vigie.toml]
    #[arg(long, short, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
}

impl Place {
    /// The file that was named.
    fn config(&self) -> Option<&Path> {
        self.config.as_deref()
    }

    pub(super) fn folder(&self) -> anyhow::Result<PathBuf> {
        if let Some(folder) = &self.data {
            return Ok(folder.clone());
        }
        let path = self.config.clone().unwrap_or_else(|| PathBuf::from(CONFIG));
        Ok(load(&path)
            .context("or name the data folder with --data")?
            .settings
            .data)
    }

    /// Reads the whole journal, verifying its chain; the service may go on writing it.
    pub(super) fn history(&self) -> anyhow::Result<History> {
        let folder = self.folder()?;
        let mut history = History::default();
        super::runtime()?.block_on(Journal::read(&folder, |fact| history.take(fact)))?;
        Ok(history)
    }

    /// What was signed, as the configuration tells; without one, what was proposed.
    pub(super) fn terms(&self) -> anyhow::Result<Terms> {
        match self.config() {
            Some(path) => Ok(load(path)?.plant.terms),
            None if Path::new(CONFIG).exists() => Ok(load(Path::new(CONFIG))?.plant.terms),
            None => Ok(Terms::default()),
        }
    }

    /// Has the running service do it.
    pub(super) fn act(&self, by: Option<String>, what: What) -> anyhow::Result<u64> {
        let folder = self.folder()?;
        let act = Act {
            author: author(by)?,
            what,
        };
        let answer = super::runtime()?
            .block_on(control::act(&folder, &act))
            .map_err(|error| unanswered(&folder, error))?;
        match answer {
            Answer::Fact(fact) => Ok(fact),
            Answer::Refused(words) => bail!("refused: {words}"),
        }
    }
}

/// What is known of an act that got no answer.
fn unanswered(folder: &Path, error: std::io::Error) -> anyhow::Error {
    let words = if error.kind() == std::io::ErrorKind::TimedOut {
        "it was sent and nothing came back in time: look with `vigie incident N` or `vigie ledger waiting` whether it was \
         recorded before you do it again"
            .to_owned()
    } else {
        format!(
            "no service answers in {}: start it, name its folder with --data, and act as its user or as root",
            folder.display()
        )
    };
    anyhow::Error::new(error).context(words)
}

/// Who does it: as told, else the user of this terminal.
pub(super) fn author(by: Option<String>) -> anyhow::Result<String> {
    let user = || {
        let names = ["SUDO_USER", "USER"];
        names.iter().find_map(|name| std::env::var(name).ok())
    };
    by.or_else(user).context("say who does it: --by NAME")
}

/// Says which fact an act became.
pub(super) fn done(fact: u64) {
    say(&format!("recorded as fact {fact}"));
}

/// `line:119`, `target:xivo1` or `xivo1`.
pub(super) fn subject(text: &str) -> Result<Subject, String> {
    match text.split_once(':') {
        _ if text.is_empty() => Err("name a target, or line:NAME".to_owned()),
        Some(("line", id)) => Ok(Subject::Line(id.into())),
        Some(("target", id)) => Ok(Subject::Target(id.into())),
        Some((kind, _)) => Err(format!(
            "{kind:?} is neither \"line\" nor \"target\"; write line:119 or xivo1"
        )),
        None => Ok(Subject::Target(text.into())),
    }
}

/// `2026-11-24T08:02:43Z`, or `2026-11-24 09:02` by the clock on the wall of the plant.
pub(super) fn moment(text: &str) -> Result<Utc, String> {
    if let Ok(stamp) = text.parse::<jiff::Timestamp>() {
        return nanoseconds(stamp);
    }
    let wrong = |error: jiff::Error| {
        format!("{text:?} is no time: {error}; write \"2026-11-24 09:02\" or 2026-11-24T08:02:43Z")
    };
    let civil: jiff::civil::DateTime = text.parse().map_err(wrong)?;
    let found = paris().to_ambiguous_zoned_datetime(civil);
    if found.is_ambiguous() {
        return Err(format!(
            "{text:?} comes twice or never, for the clocks change that night; write it in UTC: 2026-10-25T00:30:00Z"
        ));
    }
    nanoseconds(found.compatible().map_err(wrong)?.timestamp())
}

fn nanoseconds(stamp: jiff::Timestamp) -> Result<Utc, String> {
    i64::try_from(stamp.as_nanosecond())
        .map(Utc)
        .map_err(|_| format!("{stamp} lies too far away"))
}

/// The moment by the clock on the wall, to the second.
pub(super) fn wall(at: Utc) -> String {
    format!(
        "{:.0}",
        at.civil()
            .round(jiff::Unit::Second)
            .unwrap_or_else(|_| at.civil())
    )
    .replace('T', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, utc) in [
            ("2026-11-24T08:02:43Z", Some("2026-11-24T08:02:43.000Z")),
            (
                "2026-11-24T09:02:43+01:00",
                Some("2026-11-24T08:02:43.000Z"),
            ),
            ("2026-11-24 09:02", Some("2026-11-24T08:02:00.000Z")),
            ("2026-07-14 09:02", Some("2026-07-14T07:02:00.000Z")),
            ("2026-10-25 02:30", None),
            ("2026-03-29 02:30", None),
            ("hier", None),
        ] {
            let read = moment(text).map(Utc::rfc3339);
            assert_eq!(read.as_deref().ok(), utc, "{text}: {read:?}");
        }
        assert_eq!(
            wall(moment("2026-07-14 09:02").unwrap()),
            "2026-07-14 09:02:00"
        );
    }

    #[test]
    fn subjects_are_read_as_they_are_written() {
        for text in ["xivo1", "line:119"] {
            assert_eq!(
                subject(text).map(|read| read.to_string()),
                Ok(text.to_owned())
            );
        }
        assert!(subject("desk:4").is_err());
        assert!(subject("").is_err());
    }
}
