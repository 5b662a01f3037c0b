//! `vigie sim`: random days of a call centre, from a seed, and what must hold on every one of them.
//!
//! 0: every property held. 1: one did not; the shortest story that still breaks it is printed.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::ValueEnum;

use super::{complain, say};
use crate::io::clock;
use crate::sim::plant::Pace;
use crate::sim::property::Broken;
use crate::sim::run::{Outcome, Settings, run as live};
use crate::sim::sabotage::Sabotage;
use crate::sim::shrink::shrink;
use crate::sim::story::Story;
use crate::sim::summary::Summary;

/// Each try lives through a story again; the first ones take the most away.
const TRIES_MAX: usize = 400;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The first seed: the same seed, the same days
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds, one after the other
    #[arg(long, value_name = "K", default_value_t = 1, conflicts_with = "story")]
    seeds: u64,
    /// How many days each
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=3660))]
    days: u32,
    /// Only noise: loss, stalls, slow DNS, clock steps, a full disk; nothing of the call centre fails
    #[arg(long)]
    noise: bool,
    /// How often the plant is asked
    #[arg(long, value_enum, default_value = "usual")]
    pace: PaceName,
    /// Live through the story of this file (JSON, as --json prints it) instead
    #[arg(long, value_name = "FILE")]
    story: Option<PathBuf>,
    /// Print figures, or the story that fails, as JSON
    #[arg(long)]
    json: bool,
    /// Break the watchdog on purpose, to see that it is found
    #[arg(long, value_name = "HOW", value_parser = sabotage)]
    sabotage: Option<Sabotage>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PaceName {
    /// Calls every minute, OPTIONS every 30 s
    Usual,
    /// Calls every minute, OPTIONS every 5 s, as the service
    Fast,
    /// Calls every five minutes
    Coarse,
}

fn sabotage(name: &str) -> Result<Sabotage, String> {
    let known = Sabotage::ALL.iter().find(|(known, _)| *known == name);
    known.map(|(_, sabotage)| *sabotage).ok_or_else(|| {
        let names: Vec<&str> = Sabotage::ALL.iter().map(|(name, _)| *name).collect();
        format!("one of {}", names.join(", "))
    })
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let settings = Settings {
        pace: match arguments.pace {
            PaceName::Usual => Pace::USUAL,
            PaceName::Fast => Pace::FAST,
            PaceName::Coarse => Pace::COARSE,
        },
        sabotage: arguments.sabotage.unwrap_or_default(),
    };
    let told = arguments
        .story
        .as_ref()
        .map(|path| -> anyhow::Result<Story> {
            let text = std::fs::read_to_string(path).context(path.display().to_string())?;
            serde_json::from_str(&text).context(path.display().to_string())
        });
    let told = told.transpose()?;
    let mut summary = Summary::default();
    let started = clock::instant();
    for seed in arguments.seed..arguments.seed.saturating_add(arguments.seeds) {
        let story = match &told {
            Some(story) => story.clone(),
            None if arguments.noise => Story::noise(seed, arguments.days),
            None => Story::of(seed, arguments.days),
        };
        let Outcome {
            summary: one,
            broken,
        } = live(&story, settings);
        if let Some(broken) = broken {
            return explain(&story, &broken, settings, arguments.json);
        }
        summary.add(one);
    }
    let seconds = clock::instant().since(started).as_secs_f64();
    if arguments.json {
        say(&serde_json::to_string(&summary)?);
    } else {
        say(&summary.to_string());
        say(&format!(
            "{:.1} simulated days per second: a year in {:.0} s",
            f64::from(summary.days) / seconds,
            seconds * 365.0 / f64::from(summary.days)
        ));
    }
    Ok(ExitCode::SUCCESS)
}

fn explain(
    story: &Story,
    broken: &Broken,
    settings: Settings,
    json: bool,
) -> anyhow::Result<ExitCode> {
    complain(&format!("seed {}: {broken}", story.seed));
    complain("looking for the shortest story that still fails…");
    let (short, broken) = shrink(story, broken, TRIES_MAX, |story| {
        live(story, settings).broken
    });
    if json {
        say(&serde_json::to_string(&short)?);
    } else {
        say(&format!("{broken}\n"));
        say(&format!(
            "{} of {} happenings are enough:\n{short}",
            short.happenings.len(),
            story.happenings.len()
        ));
        say(&format!(
            "again: vigie sim --seed {} --days {}; this short story alone: vigie sim --story FILE, FILE being\n{}",
            story.seed,
            story.days,
            serde_json::to_string(&short)?
        ));
    }
    Ok(ExitCode::from(1))
}
