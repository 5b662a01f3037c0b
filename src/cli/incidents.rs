//! `vigie incidents`: what happened, newest last.

use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;

use super::indicators::line_minutes;
use super::journal::{Place, wall};
use super::say;
use crate::engine::history::History;
use crate::incident::book::{Incident, State};
use crate::probe::Word;
use crate::sla::clock::{Clock, Left, Outage, Reading};
use crate::sla::contract::{Indicator, Terms};
use crate::sla::exclusion::Exclusion;
use crate::sla::extent::Loss;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Only what is not closed
    #[arg(long)]
    open: bool,
    /// Everything the journal tells of them
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let history = arguments.place.history()?;
    let terms = arguments.place.terms()?;
    let wanted: Vec<&Incident> = history
        .book()
        .incidents()
        .filter(|incident| !arguments.open || incident.state != State::Closed)
        .collect();
    if arguments.json {
        let told: Vec<Told<'_>> = wanted
            .iter()
            .map(|incident| Told::of(incident, &history, &terms))
            .collect();
        say(&serde_json::to_string_pretty(&told)?);
    } else if wanted.is_empty() {
        say("no incident");
    }
    if !arguments.json {
        for incident in wanted {
            let told = Told::of(incident, &history, &terms);
            say(&row(&told, &history));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// An incident, with what the contract makes of it.
#[derive(Serialize)]
pub(super) struct Told<'h> {
    #[serde(flatten)]
    pub(super) incident: &'h Incident,
    /// What it took of the lines; nothing if none of them was down.
    pub(super) lines: Option<Loss>,
    pub(super) clocks: Vec<Running>,
}

/// The clock of one indicator.
#[derive(Serialize)]
pub(super) struct Running {
    pub(super) indicator: Indicator,
    #[serde(flatten)]
    pub(super) reading: Reading,
    /// While it runs: what is left of its time.
    pub(super) left: Option<Left>,
    pub(super) exclusions: Vec<Exclusion>,
}

impl<'h> Told<'h> {
    /// Under the profile in force at its restoration.
    pub(super) fn of(incident: &'h Incident, history: &History, terms: &Terms) -> Self {
        let now = history.last().map_or(incident.detected, |last| last.at);
        let profile = terms.contract.in_force(history.judged_at(incident));
        let lines = history.lines(incident.started().map(|start| start.at));
        let clock_of = |outage: Outage| {
            let clock = Clock::new(&outage, profile, &terms.calendars)?;
            outage.fact()?;
            Some(Running {
                indicator: outage.indicator,
                reading: clock.reading(now),
                left: clock.left(now).filter(|_| outage.end().is_none()),
                exclusions: outage.exclusions.clone(),
            })
        };
        Self {
            incident,
            lines: lines.loss(incident, profile.lines_up_percent_min, now),
            clocks: history
                .outages_of(incident, &lines, terms)
                .into_iter()
                .filter_map(clock_of)
                .collect(),
        }
    }

    /// What is out of the lines, and what that cost; empty if no line was down.
    fn lost(&self) -> String {
        self.lines.as_ref().map_or_else(String::new, |loss| {
            let lost = line_minutes(loss.line_time);
            format!("; {}, lost {lost}", loss.extent.as_str())
        })
    }
}

fn row(told: &Told<'_>, history: &History) -> String {
    let incident = told.incident;
    let started = incident.started();
    let began = started.map_or_else(|| wall(incident.detected), |start| wall(start.at));
    let lasted = match (started, incident.ended()) {
        (Some(start), Some(end)) => {
            format!("lasted {}{}", duration(end.at.since(start.at)), net(told))
        }
        _ => "still going on".to_owned(),
    };
    let what = match incident.merged_into {
        Some(into) => format!("part of {into}"),
        None => {
            let others = incident.members.len().saturating_sub(1);
            let name = history.name(&incident.cause);
            let more = if others > 0 {
                format!(" and {others} more")
            } else {
                String::new()
            };
            let lost = told.lost();
            format!("{} {name}{more}; {lasted}{lost}", worst(incident).as_str())
        }
    };
    let hand = incident
        .acknowledged
        .as_ref()
        .map_or_else(String::new, |ack| format!("; in hand: {}", ack.by));
    format!(
        "{:>4}  {began}  {:<8}  {what}{hand}  [{}]",
        incident.id,
        state(incident.state),
        incident.cause
    )
}

/// Beside the raw time, what is counted where two people agreed that some of it is not.
fn net(told: &Told<'_>) -> String {
    let agreed = told
        .clocks
        .iter()
        .filter(|clock| !clock.exclusions.is_empty());
    let figures = agreed.filter_map(|clock| {
        let net = clock.reading.counted?.net.value;
        Some(format!(", {} net {}", clock.indicator, duration(net)))
    });
    figures.collect()
}

/// The worst that it ever was.
pub(super) fn worst(incident: &Incident) -> Word {
    let mut spans = incident.members.values().flatten();
    if spans.any(|span| span.word == Word::Down) {
        Word::Down
    } else {
        Word::Degraded
    }
}

pub(super) const fn state(state: State) -> &'static str {
    match state {
        State::Open => "open",
        State::Restored => "restored",
        State::Closed => "closed",
    }
}

/// `40 min 19 s`, as contracts are read.
pub(super) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds} s"),
        (0, _) => format!("{minutes} min {seconds:02} s"),
        _ => format!("{hours} h {minutes:02} min {seconds:02} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_reads_as_in_the_contract() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (40 * 60 + 19, "40 min 19 s"),
            (3600, "1 h 00 min 00 s"),
            (34 * 3600 + 30 * 60, "34 h 30 min 00 s"),
        ] {
            assert_eq!(duration(Duration::from_secs(seconds)), text);
        }
    }
}
