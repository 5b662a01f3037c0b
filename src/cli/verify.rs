//! `vigie verify`: is the journal whole, and does it say what its own facts lead to?

use std::process::ExitCode;

use super::journal::Place;
use super::{OWN_FAULT, complain, say};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Hold a sealed day against the root that was kept elsewhere: 2026-11-24=HASH
    #[arg(long, value_name = "DAY=HASH", value_parser = root)]
    root: Vec<(String, String)>,
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
    Ok(ExitCode::from(u8::from(wrong > 0)))
}

fn root(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .filter(|(day, hash)| !day.is_empty() && hash.len() == 64)
        .map(|(day, hash)| (day.to_owned(), hash.to_owned()))
        .ok_or_else(|| "write the day and its root: 2026-11-24=64 hexadecimal digits".to_owned())
}
