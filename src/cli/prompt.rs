//! `vigie prompt`: the announcements that calls are held against: learn one, approve it, list, test.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;

use super::dial::{CONFIG, Dial, load};
use super::journal::author;
use super::say;
use crate::audio::prompt::{Match, Word};
use crate::config::parse_duration;
use crate::io::clock;
use crate::io::prompts::{Entry, Shelf, State, read_wav};
use crate::probe::learning::Ending;
use crate::probe::prompt;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Arguments {
    /// Call a number and keep what is heard, until it falls silent; nobody has approved it then
    Learn(Learn),
    /// Say that this recording is what callers should hear, after listening to it
    Approve(Approve),
    /// List the recordings, and who approved them
    List(Kept),
    /// Compare a recording of yours with an announcement, as a probe would
    Test(Test),
}

/// Where the announcements lie.
#[derive(Debug, clap::Args)]
pub(super) struct Place {
    /// Folder of the announcements [default: that of the configuration]
    #[arg(long, value_name = "FOLDER")]
    directory: Option<PathBuf>,
}

/// Where those lie that were learned.
#[derive(Debug, clap::Args)]
pub(super) struct Kept {
    #[command(flatten)]
    place: Place,
    /// Configuration that knows the folder [default: /etc/vigie/vigie.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Learn {
    /// Its name, as `prompt = "NAME"` of a probe will say it
    #[arg(value_parser = prompt::name)]
    name: String,
    #[command(flatten)]
    dial: Dial,
    /// Listen so long, for what repeats without end [default: to its end, 60s at most]
    #[arg(long)]
    hold: Option<String>,
    /// Record anew what is there already
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, clap::Args)]
pub(super) struct Approve {
    /// Its name, as it was learned
    #[arg(value_parser = prompt::name)]
    name: String,
    /// Who listened to it [default: the user who runs this]
    #[arg(long, value_name = "WHO")]
    by: Option<String>,
    #[command(flatten)]
    kept: Kept,
}

#[derive(Debug, clap::Args)]
pub(super) struct Test {
    /// Its name, as it was learned
    #[arg(value_parser = prompt::name)]
    name: String,
    /// WAV, 8000 Hz, mono, 16 bits
    #[arg(value_name = "FILE.wav")]
    file: PathBuf,
    #[command(flatten)]
    kept: Kept,
}

/// Longer is no announcement but a line that never falls silent.
const HOLD: Duration = Duration::from_secs(60);

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    match arguments {
        Arguments::Learn(learn) => learn.run(),
        Arguments::Approve(approve) => approve.run(),
        Arguments::List(kept) => list(kept),
        Arguments::Test(test) => test.run(),
    }
}

impl Place {
    /// The folder named, or that of the configuration.
    fn shelf(self, config: Option<PathBuf>) -> anyhow::Result<Shelf> {
        let folder = match self.directory {
            Some(folder) => folder,
            None => {
                let path = config.unwrap_or_else(|| PathBuf::from(CONFIG));
                let loaded = load(&path).context("or name the folder with --directory")?;
                loaded.settings.prompt_directory()
            }
        };
        Ok(Shelf::new(folder))
    }
}

impl Kept {
    fn shelf(self) -> anyhow::Result<Shelf> {
        self.place.shelf(self.config)
    }
}

impl Learn {
    fn run(self) -> anyhow::Result<ExitCode> {
        let chosen = match &self.hold {
            Some(text) => {
                Some(parse_duration(text).map_err(|why| anyhow::anyhow!("--hold: {why}"))?)
            }
            None => None,
        };
        let shelf = self.place.shelf(self.dial.config())?;
        shelf
            .place(&self.name, self.replace)
            .map_err(anyhow::Error::msg)?;
        let dialled = self.dial.prepare(chosen.unwrap_or(HOLD))?;
        let mut ending = Ending::default();
        let observed = dialled
            .place(|plan| plan.live = true, |live| ending.hear(live))
            .map_err(|failure| anyhow::anyhow!("{} [{}]", failure.words, failure.code))?;
        if let Some(why) = ending.spoils(&observed, chosen) {
            anyhow::bail!("nothing learned: {why}");
        }
        let heard = observed
            .recording
            .as_ref()
            .map_or(&[][..], |recording| &recording.heard.samples);
        let learned = shelf.learn(&self.name, heard, self.replace);
        let path = learned.map_err(|words| {
            let verdict = dialled.settings.judge(&observed);
            match verdict.failure {
                Some(failure) => anyhow::anyhow!("nothing learned: {}", failure.words),
                None => anyhow::anyhow!("nothing learned: {words}"),
            }
        })?;
        say(&format!(
            "learned {}; listen to it, then: vigie prompt approve {}",
            path.display(),
            self.name
        ));
        Ok(ExitCode::SUCCESS)
    }
}

impl Approve {
    fn run(self) -> anyhow::Result<ExitCode> {
        let by = author(self.by)?;
        let approval = self
            .kept
            .shelf()?
            .approve(&self.name, &by, clock::now().utc)
            .map_err(anyhow::Error::msg)?;
        say(&format!(
            "{} approved by {} (SHA-256 {}); probes use it after vigie reload",
            self.name, approval.by, approval.sha256
        ));
        Ok(ExitCode::SUCCESS)
    }
}

fn list(kept: Kept) -> anyhow::Result<ExitCode> {
    let entries = kept.shelf()?.list()?;
    if entries.is_empty() {
        say("no announcement yet: vigie prompt learn NAME NUMBER");
    }
    for entry in &entries {
        say(&words(entry));
    }
    Ok(ExitCode::SUCCESS)
}

fn words(entry: &Entry) -> String {
    let seconds = entry
        .seconds
        .map_or_else(String::new, |seconds| format!("{seconds:.1} s"));
    let state = match &entry.state {
        State::Approved(approval) => format!("approved by {} on {}", approval.by, approval.at),
        State::Unapproved => "not approved".to_owned(),
        State::Changed(approval) => format!(
            "changed since {} approved it on {}: no longer approved",
            approval.by, approval.at
        ),
        State::Unusable(words) => words.clone(),
    };
    format!("{:<24} {seconds:>7}  {state}", entry.name)
}

impl Test {
    /// 0 when it is the announcement, whole; 1 when it is not.
    fn run(self) -> anyhow::Result<ExitCode> {
        let shelf = self.kept.shelf()?;
        let reference = shelf.recording(&self.name).map_err(anyhow::Error::msg)?;
        let heard = read_wav(&self.file).map_err(anyhow::Error::msg)?;
        let found = reference.compare(&heard);
        let whole = found.found.is_some_and(|place| place.whole);
        say(&verdict(&found, reference.length_ms()));
        Ok(ExitCode::from(u8::from(!whole)))
    }
}

fn verdict(found: &Match, length_ms: u32) -> String {
    let likeness: Vec<String> = found
        .windows
        .iter()
        .map(|window| format!("{:.2}/{:.2}", window.ncc, window.bit_error_rate))
        .collect();
    let likeness = format!("likeness/bit errors {}", likeness.join(" "));
    match (found.word, found.found) {
        (Word::Nothing, _) => "nothing: no sound".to_owned(),
        (Word::Wrong, _) | (Word::Right, None) => format!("wrong: another sound; {likeness}"),
        (Word::Right, Some(place)) => format!(
            "{}: begins at {:.2} s, {:.1} to {:.1} of {:.1} s, {:+.1} dB; {likeness}",
            if place.whole {
                "right"
            } else {
                "right, but cut"
            },
            place.offset_ms / 1000.0,
            f64::from(place.from_ms) / 1000.0,
            f64::from(place.to_ms) / 1000.0,
            f64::from(length_ms) / 1000.0,
            place.louder_db,
        ),
    }
}
