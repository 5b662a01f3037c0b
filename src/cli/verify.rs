//! `vigie verify`: is the journal whole, does it say what its own facts lead to, and are the figures that were handed
//! out those of the facts?

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::Value;

use super::journal::Place;
use super::{OWN_FAULT, complain, say};
use crate::engine::history::History;
use crate::sla::period::Period;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Hold a sealed day against the root that was kept elsewhere: 2026-11-24=HASH
    #[arg(long, value_name = "DAY=HASH", value_parser = root)]
    root: Vec<(String, String)>,
    /// Hold figures that were handed out (`vigie indicators --json`) against those of the facts
    #[arg(long, value_name = "FILE.json")]
    figures: Option<PathBuf>,
    /// The tickets that these figures were made with (CSV)
    #[arg(long, value_name = "FILE.csv", requires = "figures")]
    tickets: Option<PathBuf>,
}

/// 0 when all holds, 1 when something differs; a broken chain is bad input as any other.
pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let history = match arguments.place.history() {
        Ok(history) => history,
        Err(error) => {
            complain(&format!("vigie: {error:#}"));
            return Ok(ExitCode::from(OWN_FAULT));
        }
    };
    let mut wrong = 0_u32;
    let mut differs = |words: String| {
        say(&format!("DIFFERS  {words}"));
        wrong += 1;
    };
    for difference in history.differences() {
        differs(format!("fact {}: {}", difference.fact, difference.words));
    }
    for (day, hash) in &arguments.root {
        match history.roots().iter().rfind(|root| root.day == *day) {
            None => differs(format!("{day} is not sealed in this journal")),
            Some(root) if !root.hash.eq_ignore_ascii_case(hash) => differs(format!(
                "{day} is sealed with {}, and not with the root that you kept",
                root.hash
            )),
            Some(_) => {}
        }
    }
    if let Some(path) = &arguments.figures {
        for difference in differences(&history, &arguments, path)? {
            differs(difference);
        }
    }
    if let Some(last) = history.last() {
        let incidents = history.book().incidents().count();
        say(&format!(
            "{} facts in one chain to {}; {incidents} incidents decided anew from them",
            last.fact,
            last.at.rfc3339()
        ));
    }
    if let Some(root) = history.roots().last() {
        say(&format!("last sealed day {}: {}", root.day, root.hash));
    }
    say(
        "not decided anew: states of probes, targets and lines, for good runs are only counted; warnings of clocks and \
         alerts, for the journal holds neither the contract nor the channels",
    );
    Ok(ExitCode::from(u8::from(wrong > 0)))
}

/// Where the figures of this file are not those of the facts.
fn differences(
    history: &History,
    arguments: &Arguments,
    path: &Path,
) -> anyhow::Result<Vec<String>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the figures {}", path.display()))?;
    let not_figures = || {
        format!(
            "{} holds no figures of `vigie indicators --json`",
            path.display()
        )
    };
    let told: Value = serde_json::from_str(&text).with_context(not_figures)?;
    let period = told.get(0).and_then(|figure| figure.get("period"));
    let period = period.and_then(Value::as_str).with_context(not_figures)?;
    let period: Period = period.parse().with_context(not_figures)?;
    let terms = arguments.place.terms()?;
    let (figures, _) =
        super::indicators::figures(history, &terms, period, arguments.tickets.as_deref())?;
    let facts = serde_json::to_value(&figures)?;
    let mut found = Vec::new();
    compare(&period.to_string(), &told, &facts, &mut found);
    Ok(found)
}

/// Every place in which two figures differ, by its path.
fn compare(path: &str, told: &Value, facts: &Value, found: &mut Vec<String>) {
    match (told, facts) {
        (Value::Object(told), Value::Object(facts)) => {
            let keys: BTreeSet<&String> = told.keys().chain(facts.keys()).collect();
            for key in keys {
                let of = |map: &serde_json::Map<String, Value>| {
                    map.get(key).cloned().unwrap_or_default()
                };
                compare(&format!("{path}, {key}"), &of(told), &of(facts), found);
            }
        }
        (Value::Array(told), Value::Array(facts)) => {
            for at in 0..told.len().max(facts.len()) {
                let of = |list: &[Value]| list.get(at).cloned().unwrap_or_default();
                let (told, facts) = (of(told), of(facts));
                let named = told.get("indicator").or_else(|| facts.get("indicator"));
                let name = named
                    .and_then(Value::as_str)
                    .map_or_else(|| (at + 1).to_string(), str::to_owned);
                compare(&format!("{path} {name}"), &told, &facts, found);
            }
        }
        _ if told != facts => found.push(format!("{path}: told {told}, the facts say {facts}")),
        _ => {}
    }
}

fn root(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .filter(|(day, hash)| !day.is_empty() && hash.len() == 64)
        .map(|(day, hash)| (day.to_owned(), hash.to_owned()))
        .ok_or_else(|| "write the day and its root: 2026-11-24=64 hexadecimal digits".to_owned())
}
