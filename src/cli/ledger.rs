//! `vigie ledger`: planned work, exclusions and corrections; what touches a figure needs two people.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use serde::Serialize;

use super::incident::digest;
use super::journal::{Place, done, moment, subject, wall};
use super::say;
use crate::health::standing::Subject;
use crate::incident::act::{Excluded, What};
use crate::probe::Word;
use crate::sla::ledger;
use crate::time::{Day, Utc};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Who acts [default: the user who runs this]
    #[arg(long, value_name = "NAME", global = true)]
    by: Option<String>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Args)]
struct Window {
    #[arg(long, value_parser = moment, value_name = "TIME")]
    from: Utc,
    #[arg(long, value_parser = moment, value_name = "TIME")]
    until: Utc,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Announce planned work: alerts wait, and the time is counted apart
    Maintain {
        #[arg(required = true, value_parser = subject, value_name = "TARGET|line:NAME")]
        subjects: Vec<Subject>,
        #[command(flatten)]
        window: Window,
        #[arg(long, value_name = "WHY")]
        why: String,
    },
    /// Propose time that the contract does not count
    Exclude {
        #[arg(value_parser = subject, value_name = "TARGET|line:NAME")]
        subject: Subject,
        #[command(flatten)]
        window: Window,
        /// `maintenance`, `operator`, `access_refused` or `force_majeure`
        #[arg(long, value_parser = reason)]
        reason: Excluded,
        #[arg(long, value_name = "WHY")]
        why: String,
        /// What proves it: the operator's ticket, the refusal
        #[arg(long, value_name = "FILE")]
        document: PathBuf,
    },
    /// Propose what it really was, whatever was seen; the raw figure stays
    Correct {
        #[arg(value_parser = subject, value_name = "TARGET|line:NAME")]
        subject: Subject,
        #[command(flatten)]
        window: Window,
        /// good, degraded, down or blind
        #[arg(long, value_parser = state)]
        word: Word,
        #[arg(long, value_name = "WHY")]
        why: String,
    },
    /// Agree with the exclusion or correction of that fact; its author cannot
    Approve { fact: u64 },
    /// Disagree with it
    Reject {
        fact: u64,
        #[arg(long, value_name = "WHY")]
        why: String,
    },
    /// What waits for a second person
    Waiting,
    /// Every second of a day: up, degraded, down, maintenance, excluded, blind, each by its fact
    Show {
        /// 2026-11-24
        day: Day,
        /// One target or line [default: all, without their facts]
        #[arg(value_parser = subject, value_name = "TARGET|line:NAME")]
        subject: Option<Subject>,
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let what = match arguments.verb {
        Verb::Maintain {
            subjects,
            window,
            why,
        } => What::Maintain {
            subjects,
            from: window.from,
            until: window.until,
            text: why,
        },
        Verb::Exclude {
            subject,
            window,
            reason,
            why,
            document,
        } => What::Exclude {
            subject,
            from: window.from,
            until: window.until,
            reason,
            text: why,
            sha256: digest(&document)?,
        },
        Verb::Correct {
            subject,
            window,
            word,
            why,
        } => What::Correct {
            subject,
            from: window.from,
            until: window.until,
            word,
            text: why,
        },
        Verb::Approve { fact } => What::Approve { fact },
        Verb::Reject { fact, why } => What::Reject { fact, text: why },
        Verb::Waiting => return waiting(&arguments.place),
        Verb::Show { day, subject, json } => {
            return show(&arguments.place, day, subject.as_ref(), json);
        }
    };
    let two = matches!(what, What::Exclude { .. } | What::Correct { .. });
    let fact = arguments.place.act(arguments.by, what)?;
    done(fact);
    if two {
        say(&format!(
            "in force once somebody else says: vigie ledger approve {fact}"
        ));
    }
    Ok(ExitCode::SUCCESS)
}

fn waiting(place: &Place) -> anyhow::Result<ExitCode> {
    let history = place.history()?;
    for (fact, proposal) in history.book().waiting() {
        let text = serde_json::to_string(&proposal.act)?;
        say(&format!("{fact:>7}  {text}"));
    }
    Ok(ExitCode::SUCCESS)
}

/// One row of the ledger: as it was seen, and without what two people excluded or corrected.
#[derive(Serialize)]
struct Row<'h> {
    subject: &'h Subject,
    name: &'h str,
    raw: ledger::Day,
    net: ledger::Day,
}

fn show(place: &Place, day: Day, only: Option<&Subject>, json: bool) -> anyhow::Result<ExitCode> {
    let history = place.history()?;
    let mut rows = Vec::new();
    for (subject, story) in history.subjects() {
        if only.is_some_and(|only| only != subject) {
            continue;
        }
        let covers = history.covers(subject);
        let counted = [covers.clone(), history.excluded(subject)].concat();
        let raw = ledger::Day::of(day, &history.changes(subject), &covers);
        let net = ledger::Day::of(day, &history.corrected(subject), &counted);
        let Some((raw, net)) = raw.zip(net) else {
            bail!("{day} lies outside all calendars");
        };
        rows.push(Row {
            subject,
            name: &story.watched.name,
            raw,
            net,
        });
    }
    if let (true, Some(only)) = (rows.is_empty(), only) {
        bail!("{only} is not in this journal");
    }
    if json {
        say(&serde_json::to_string_pretty(&rows)?);
        return Ok(ExitCode::SUCCESS);
    }
    say("      up  degraded      down  maintained  excluded     blind  served, of the day");
    for row in &rows {
        say(&format!("{}  raw  {}", seconds(row.raw.seconds), row.name));
        say(&format!("{}  net", seconds(row.net.seconds)));
        if only.is_some() {
            for entry in &row.net.entries {
                let fact = entry
                    .fact
                    .map_or_else(String::new, |fact| format!("fact {fact}"));
                let (from, until) = (wall(entry.time.from), wall(entry.time.until));
                say(&format!("  {from} to {until}  {:?}  {fact}", entry.column));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn seconds(seconds: ledger::Seconds) -> String {
    let served = seconds.served().map_or_else(
        || "sans objet".to_owned(),
        |(served, of)| format!("{:.3} %", ratio(served, of) * 100.0),
    );
    format!(
        "{:>8}  {:>8}  {:>8}  {:>10}  {:>8}  {:>8}  {served:>10}",
        seconds.up,
        seconds.degraded,
        seconds.down,
        seconds.maintenance,
        seconds.excluded,
        seconds.blind
    )
}

/// A day has less than 2^53 seconds: nothing is lost.
#[expect(clippy::cast_precision_loss, reason = "seconds of a day are small")]
fn ratio(part: u64, of: u64) -> f64 {
    part as f64 / of as f64
}

fn reason(text: &str) -> Result<Excluded, String> {
    match text {
        "maintenance" => Ok(Excluded::Maintenance),
        "operator" => Ok(Excluded::Operator),
        "access_refused" => Ok(Excluded::AccessRefused),
        "force_majeure" => Ok(Excluded::ForceMajeure),
        _ => Err("write maintenance, operator, access_refused or force_majeure".to_owned()),
    }
}

fn state(text: &str) -> Result<Word, String> {
    Word::ALL
        .into_iter()
        .find(|word| word.as_str() == text)
        .ok_or_else(|| "write good, degraded, down or blind".to_owned())
}
