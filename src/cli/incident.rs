//! `vigie incident N`: one incident with its timeline, and what people do about it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use sha2::{Digest as _, Sha256};

use super::incidents::{Running, Told, duration, state, worst};
use super::indicators::{excluded, line_minutes, verdict};
use super::journal::{Place, done, moment, subject, wall};
use super::say;
use crate::engine::history::History;
use crate::health::standing::Subject;
use crate::incident::IncidentId;
use crate::incident::act::{Act, Audience, Phase, What};
use crate::incident::book::{Entry, Happened};
use crate::incident::span::Span;
use crate::incident::step;
use crate::sla::clock::{Left, Measured};
use crate::sla::extent::Loss;
use crate::time::Utc;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Its number, as `vigie incidents` lists it
    #[arg(value_name = "N")]
    number: u64,
    #[command(flatten)]
    place: Place,
    /// Everything the journal tells of it
    #[arg(long)]
    json: bool,
    /// Who acts [default: the user who runs this]
    #[arg(long, value_name = "NAME", global = true)]
    by: Option<String>,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Say that you have it in hand: no more reminders
    Ack,
    /// Add a note to the timeline
    Comment { text: String },
    /// Say what caused it
    Cause { text: String },
    /// Add a document by its digest; the file itself stays where it is
    Attach { file: PathBuf },
    /// It is part of another incident
    Merge {
        #[arg(value_name = "INTO")]
        into: u64,
    },
    /// These have another cause: make them an incident of their own
    Split {
        #[arg(required = true, value_parser = subject, value_name = "TARGET|line:NAME")]
        subjects: Vec<Subject>,
    },
    /// Say what the page of the supervisor tells
    Publish {
        #[arg(value_parser = phase)]
        phase: Phase,
        #[arg(default_value = "")]
        text: String,
    },
    /// Say who sees it: engineers, supervisors or customer
    Show {
        #[arg(value_parser = audience)]
        audience: Audience,
    },
    /// The customer told of it at that time: the third start of the clock
    Declare {
        #[arg(value_parser = moment, value_name = "TIME")]
        at: Utc,
        text: String,
    },
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let incident = IncidentId(arguments.number);
    if let Some(verb) = arguments.verb {
        let what = verb.what(incident)?;
        done(arguments.place.act(arguments.by, what)?);
        return Ok(ExitCode::SUCCESS);
    }
    let history = arguments.place.history()?;
    let known = history
        .book()
        .incident(incident)
        .with_context(|| format!("there is no incident {incident}: vigie incidents lists them"))?;
    let told = Told::of(known, &history, &arguments.place.terms()?);
    if arguments.json {
        say(&serde_json::to_string_pretty(&told)?);
    } else {
        tell(&told, &history);
    }
    Ok(ExitCode::SUCCESS)
}

impl Verb {
    fn what(self, incident: IncidentId) -> anyhow::Result<What> {
        Ok(match self {
            Self::Ack => What::Acknowledge { incident },
            Self::Comment { text } => What::Comment { incident, text },
            Self::Cause { text } => What::Cause { incident, text },
            Self::Attach { file } => What::Attach {
                incident,
                name: name(&file),
                sha256: digest(&file)?,
            },
            Self::Merge { into } => What::Merge {
                incident,
                into: IncidentId(into),
            },
            Self::Split { subjects } => What::Split { incident, subjects },
            Self::Publish { phase, text } => What::Publish {
                incident,
                phase,
                text,
            },
            Self::Show { audience } => What::Show { incident, audience },
            Self::Declare { at, text } => What::Declare { incident, at, text },
        })
    }
}

fn name(file: &Path) -> String {
    file.file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// SHA-256 of a document, as `sha256sum` prints it.
pub(super) fn digest(file: &Path) -> anyhow::Result<String> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn tell(told: &Told<'_>, history: &History) {
    let incident = told.incident;
    say(&format!(
        "incident {}: {} {}, {}",
        incident.id,
        worst(incident).as_str(),
        history.name(&incident.cause),
        state(incident.state)
    ));
    if let Some(failure) = &incident.failure {
        say(&format!(
            "  because     {} [{}]",
            failure.words, failure.code
        ));
    }
    if let Some(start) = incident.started() {
        say(&format!("  began       {} (T0)", wall(start.at)));
    }
    say(&format!("  detected    {} (T1)", wall(incident.detected)));
    if let Some(declared) = incident.declared {
        say(&format!("  declared    {}", wall(declared)));
    }
    if let Some(end) = incident.ended() {
        say(&format!("  restored    {} (T5)", wall(end.at)));
    }
    if let Some(confirmed) = incident.confirmed {
        say(&format!("  confirmed   {} (T6)", wall(confirmed)));
    }
    if let Some(ack) = &incident.acknowledged {
        say(&format!("  in hand     {} since {}", ack.by, wall(ack.at)));
    }
    if let Some(cause) = &incident.cause_text {
        say(&format!("  cause       {cause}"));
    }
    for (subject, spans) in &incident.members {
        for span in spans {
            say(&format!("  {}", line(history.name(subject), span)));
        }
    }
    if let Some(loss) = &told.lines {
        tell_lines(loss);
    }
    for clock in &told.clocks {
        tell_clock(clock);
    }
    say("timeline, each with the number of its fact:");
    for entry in &incident.timeline {
        say(&format!("  {}", happened(entry, history)));
    }
}

fn tell_lines(loss: &Loss) {
    say(&format!(
        "  lines       {}, lost {} (raw)",
        loss.extent.as_str(),
        line_minutes(loss.line_time)
    ));
    for part in &loss.parts {
        let until = part.until.map_or_else(
            || "and still is".to_owned(),
            |until| format!("to {}", wall(until)),
        );
        say(&format!(
            "    {}: {} of {} down from {} {until}",
            part.extent.as_str(),
            part.down,
            part.of,
            wall(part.from)
        ));
    }
}

/// Net and raw side by side, and who agreed to the difference.
fn tell_clock(clock: &Running) {
    let reading = &clock.reading;
    let figures = reading.counted.map_or_else(String::new, |counted| {
        let of = |measured: Measured| {
            format!(
                "{} (at best {}, at worst {})",
                duration(measured.value),
                duration(measured.best),
                duration(measured.worst)
            )
        };
        format!(" net {}, raw {}", of(counted.net), of(counted.raw))
    });
    let left = match clock.left {
        Some(Left::Time(left)) => format!("; {} left", duration(left)),
        Some(Left::Over(over)) => format!("; {} over", duration(over)),
        None => String::new(),
    };
    say(&format!(
        "  {}         {};{figures} of {}{left}; profile {}",
        clock.indicator,
        verdict(reading.verdict),
        duration(reading.limit),
        reading.profile
    ));
    for exclusion in &clock.exclusions {
        say(&format!("    {}", excluded(exclusion)));
    }
}

fn line(name: &str, span: &Span) -> String {
    let lasted = match (span.lasted(), span.at_best(), span.at_worst()) {
        (Some(lasted), Some(best), Some(worst)) => format!(
            "to {}: {} (at best {}, at worst {})",
            span.end.map_or_else(String::new, |end| wall(end.at)),
            duration(lasted),
            duration(best),
            duration(worst)
        ),
        _ => "and still is".to_owned(),
    };
    let facts: Vec<String> = span.facts.iter().map(ToString::to_string).collect();
    format!(
        "{name}: {} from {} {lasted}; facts {}",
        span.word.as_str(),
        wall(span.start.at),
        facts.join(", ")
    )
}

fn happened(entry: &Entry, history: &History) -> String {
    let words = match &entry.what {
        Happened::Step(step) => {
            let name = history.name(&step.subject);
            match &step.what {
                step::What::Opened(failed) => format!("opened: {name}{}", seen_from(failed)),
                step::What::Joined { failed, is_cause } => {
                    let role = if *is_cause { ", the cause" } else { "" };
                    format!("joined by {name}{role}{}", seen_from(failed))
                }
                step::What::Relapsed(failed) => {
                    format!("{name} failed again{}", seen_from(failed))
                }
                step::What::Changed(failed) => {
                    let word = failed.word.as_str();
                    format!("{name} is {word}{}", seen_from(failed))
                }
                step::What::Restored { .. } => format!("{name} works again"),
                step::What::Dropped { .. } => format!("{name} is watched no more"),
                step::What::Closed => "closed".to_owned(),
            }
        }
        Happened::Act(act) => format!("{}: {}", act.author, acted(act)),
    };
    format!("{}  {:>7}  {words}", wall(entry.at), entry.fact)
}

/// ` (seen from 4g down, salle down)`, where it is watched from several places.
fn seen_from(failed: &step::Failed) -> String {
    if failed.seen_from.is_empty() {
        return String::new();
    }
    let places = failed.seen_from.iter();
    let places: Vec<String> = places
        .map(|(place, word)| format!("{place} {}", word.as_str()))
        .collect();
    format!(" (seen from {})", places.join(", "))
}

fn acted(act: &Act) -> String {
    match &act.what {
        What::Acknowledge { .. } => "has it in hand".to_owned(),
        What::Comment { text, .. } => text.clone(),
        What::Cause { text, .. } => format!("the cause is: {text}"),
        What::Attach { name, sha256, .. } => format!("document {name}, SHA-256 {sha256}"),
        What::Merge { incident, into } => format!("incident {incident} is part of {into}"),
        What::Split { subjects, .. } => {
            let names: Vec<String> = subjects.iter().map(ToString::to_string).collect();
            format!("another cause: {}", names.join(", "))
        }
        What::Publish { phase, text, .. } => format!("the page says {phase:?} {text}"),
        What::Show { audience, .. } => format!("seen by {audience:?}"),
        What::Declare { at, text, .. } => format!("declared {}: {text}", wall(*at)),
        What::Maintain { text, .. }
        | What::Exclude { text, .. }
        | What::Correct { text, .. }
        | What::Reject { text, .. } => text.clone(),
        What::Approve { fact } => format!("agrees with fact {fact}"),
    }
}

/// One of the words that stand in the facts.
fn word<T: serde::de::DeserializeOwned>(text: &str, all: &str) -> Result<T, String> {
    serde_json::from_value(serde_json::Value::String(text.to_owned()))
        .map_err(|_| format!("write one of: {all}"))
}

fn phase(text: &str) -> Result<Phase, String> {
    word(text, "investigating, identified, monitoring, resolved")
}

fn audience(text: &str) -> Result<Audience, String> {
    word(text, "engineers, supervisors, customer")
}
