//! `vigie incidents`: what happened, newest last.

use std::process::ExitCode;
use std::time::Duration;

use super::journal::{Place, wall};
use super::say;
use crate::engine::history::History;
use crate::incident::book::{Incident, State};
use crate::probe::Word;

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
    let wanted: Vec<&Incident> = history
        .book()
        .incidents()
        .filter(|incident| !arguments.open || incident.state != State::Closed)
        .collect();
    if arguments.json {
        say(&serde_json::to_string_pretty(&wanted)?);
    } else if wanted.is_empty() {
        say("no incident");
    }
    if !arguments.json {
        for incident in wanted {
            say(&row(incident, &history));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn row(incident: &Incident, history: &History) -> String {
    let started = incident.started();
    let began = started.map_or_else(|| wall(incident.detected), |start| wall(start.at));
    let lasted = match (started, incident.ended()) {
        (Some(start), Some(end)) => format!("lasted {}", duration(end.at.since(start.at))),
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
            format!("{} {name}{more}; {lasted}", worst(incident).as_str())
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
