//! `vigie indicators`: IC1 to IC7 of a month or a half-year, each figure with the facts it was made of.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};

use super::dial::{CONFIG, load};
use super::incidents::duration;
use super::journal::Place;
use super::{complain, say};
use crate::io::clock;
use crate::sla::clock::{Measured, Verdict};
use crate::sla::contract::Terms;
use crate::sla::indicator::{Figure, Item, Material, Of};
use crate::sla::period::Period;
use crate::sla::ticket::{self, Ticket};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The month, 2026-10, or the half-year, 2026-S2
    #[arg(long, value_name = "PERIOD")]
    month: Period,
    #[command(flatten)]
    place: Place,
    /// Tickets exported from the desk (CSV), for IC1 to IC4
    #[arg(long, value_name = "FILE.csv")]
    tickets: Option<PathBuf>,
    /// Every item with every fact
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let period = arguments.month;
    let Some(time) = period.time() else {
        bail!("{period} is no period that a calendar has");
    };
    let tickets = match &arguments.tickets {
        Some(path) => read_tickets(path)?,
        None => Vec::new(),
    };
    let terms = arguments.terms()?;
    let history = arguments.place.history()?;
    let now = history
        .last()
        .map_or_else(|| clock::now().utc, |last| last.at);
    let outages = history.outages(&terms);
    let profile = terms.contract.in_force(time.until);
    let coverage = history.coverage(time, profile);
    let figures = Material {
        outages: &outages,
        tickets: &tickets,
        coverage: &coverage,
        contract: &terms.contract,
        calendars: &terms.calendars,
        now,
    }
    .figures(period);
    if arguments.json {
        say(&serde_json::to_string_pretty(&figures)?);
    } else {
        say(&format!("{period}, contract profile {}", profile.version));
        for figure in &figures {
            tell(figure);
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl Arguments {
    /// What was signed, as the configuration tells; without one, what was proposed.
    fn terms(&self) -> anyhow::Result<Terms> {
        match self.place.config() {
            Some(path) => Ok(load(path)?.plant.terms),
            None if std::path::Path::new(CONFIG).exists() => {
                Ok(load(std::path::Path::new(CONFIG))?.plant.terms)
            }
            None => Ok(Terms::default()),
        }
    }
}

fn read_tickets(path: &PathBuf) -> anyhow::Result<Vec<Ticket>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the tickets {}", path.display()))?;
    let import = ticket::read(&text);
    for mistake in &import.mistakes {
        complain(&format!("{}: {mistake}", path.display()));
    }
    if !import.mistakes.is_empty() {
        bail!(
            "{} lines of {} cannot be read; a figure without them would be wrong",
            import.mistakes.len(),
            path.display()
        );
    }
    Ok(import.tickets)
}

fn tell(figure: &Figure) {
    let share = figure.percent.map_or_else(
        || "sans objet".to_owned(),
        |percent| format!("{percent:.1} % ({}/{})", figure.kept, figure.of),
    );
    let seen = figure.coverage_percent.map_or_else(String::new, |percent| {
        let mark = if figure.marked { ", too little" } else { "" };
        format!("; seen {percent:.3} % of the time{mark}")
    });
    say(&format!(
        "{}  {}  {share}, objective {} %{seen}",
        figure.indicator,
        verdict(figure.verdict),
        figure.objective_percent
    ));
    for item in &figure.items {
        say(&format!("     {}", line(item)));
    }
    for item in &figure.carried {
        say(&format!("     {} (carried over)", line(item)));
    }
}

fn line(item: &Item) -> String {
    let of = match &item.of {
        Of::Incident(id) => format!("incident {id}"),
        Of::Ticket(id) => format!("ticket {id}"),
    };
    let measured = |name: &str, measured: &Option<Measured>| {
        measured.map_or_else(String::new, |measured| {
            format!(
                " {name} {} (at best {}, at worst {})",
                duration(measured.value),
                duration(measured.best),
                duration(measured.worst)
            )
        })
    };
    let limit = item
        .limit
        .map_or_else(String::new, |limit| format!(" of {}", duration(limit)));
    let facts: Vec<String> = item.facts.iter().map(ToString::to_string).collect();
    format!(
        "{of}, {}: {};{}{}{limit}; facts {}",
        item.subject,
        verdict(item.verdict),
        measured("net", &item.net),
        measured(", raw", &item.raw),
        facts.join(", ")
    )
}

/// As it stands in the report of the committee.
const fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Compliant => "conforme",
        Verdict::Breach => "non conforme",
        Verdict::ToQualify => "à qualifier",
        Verdict::Running => "en cours",
        Verdict::NotApplicable => "sans objet",
    }
}
