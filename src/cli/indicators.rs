//! `vigie indicators`: IC1 to IC7 of a month or a half-year, each figure with the facts it was made of.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};

use super::incidents::duration;
use super::journal::{Place, wall};
use super::{complain, say};
use crate::engine::history::History;
use crate::io::clock;
use crate::sla::clock::{Measured, Verdict};
use crate::sla::contract::{Profile, Terms};
use crate::sla::exclusion::Exclusion;
use crate::sla::extent::Extent;
use crate::sla::indicator::{Figure, Item, Material, Of};
use crate::sla::period::Period;
use crate::sla::ticket::{self, Ticket};
use crate::time::{Day, Utc};

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
    let terms = arguments.place.terms()?;
    let history = arguments.place.history()?;
    let (figures, profile) = figures(&history, &terms, period, arguments.tickets.as_deref())?;
    if arguments.json {
        say(&serde_json::to_string_pretty(&figures)?);
    } else {
        say(&format!("{period}, {}", named(profile)));
        for figure in &figures {
            tell(figure);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// All seven from the facts, and the profile that judges the period.
pub(super) fn figures<'t>(
    history: &History,
    terms: &'t Terms,
    period: Period,
    tickets: Option<&Path>,
) -> anyhow::Result<(Vec<Figure>, &'t Profile)> {
    let Some(time) = period.time() else {
        bail!("{period} is no period that a calendar has");
    };
    let tickets = match tickets {
        Some(path) => read_tickets(path)?,
        None => Vec::new(),
    };
    let now = history
        .last()
        .map_or_else(|| clock::now().utc, |last| last.at);
    let outages = history.outages(terms);
    // Of its last instant: a profile that comes into force as the period ends judges the next one.
    let profile = terms.contract.in_force(Utc(time.until.0 - 1));
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
    Ok((figures, profile))
}

fn read_tickets(path: &Path) -> anyhow::Result<Vec<Ticket>> {
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
        "{}  {}  {share}, objective {} %{seen}{}",
        figure.indicator,
        verdict(figure.verdict),
        figure.objective_percent,
        figure.line_time.map_or_else(String::new, |lost| format!(
            "; lost {} of all lines, raw",
            line_minutes(lost)
        ))
    ));
    let carried = figure.carried.iter().map(|item| (item, " (carried over)"));
    for (item, note) in figure.items.iter().map(|item| (item, "")).chain(carried) {
        say(&format!("     {}{note}", line(item)));
        for exclusion in &item.exclusions {
            say(&format!("       {}", excluded(exclusion)));
        }
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
    let lost = item.line_time.map_or_else(String::new, |lost| {
        let extent = item.extent.map_or("", Extent::as_str);
        format!("; {extent}, lost {} raw", line_minutes(lost))
    });
    format!(
        "{of}, {}: {};{}{}{limit}{lost}; profile {}; facts {}",
        item.subject,
        verdict(item.verdict),
        measured("net", &item.net),
        measured(", raw", &item.raw),
        item.profile,
        facts.join(", ")
    )
}

/// Which version of what was signed.
fn named(profile: &Profile) -> String {
    if profile.valid_from == Day::MIN {
        format!("contract profile {}", profile.version)
    } else {
        format!(
            "contract profile {}, in force from {}",
            profile.version, profile.valid_from
        )
    }
}

/// `82.5 line-minutes`: a minute in which one line was down is one.
pub(super) fn line_minutes(lost: Duration) -> String {
    format!("{:.1} line-minutes", lost.as_secs_f64() / 60.0)
}

/// What the net figure leaves out, and who agreed to that.
pub(super) fn excluded(exclusion: &Exclusion) -> String {
    let document = if exclusion.sha256.is_empty() {
        String::new()
    } else {
        format!("; document SHA-256 {}", exclusion.sha256)
    };
    format!(
        "not counted {} to {}: {}, asked by {} (fact {}), approved by {} (fact {}): {}{document}",
        wall(exclusion.time.from),
        wall(exclusion.time.until),
        exclusion.ground.as_str(),
        exclusion.author,
        exclusion.fact,
        exclusion.approver,
        exclusion.approval,
        exclusion.reason
    )
}

/// As it stands in the report of the committee.
pub(super) const fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Compliant => "conforme",
        Verdict::Breach => "non conforme",
        Verdict::ToQualify => "à qualifier",
        Verdict::Running => "en cours",
        Verdict::NotApplicable => "sans objet",
    }
}
