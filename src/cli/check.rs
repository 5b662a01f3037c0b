//! `vigie check FILE`: all mistakes of a configuration file at once, or what it would watch.
//!
//! 0: good. 1: the file is good, but something it refers to is not there, and those probes would be
//! blind. 3: the file is refused.

use std::path::PathBuf;
use std::process::ExitCode;

use super::{OWN_FAULT, complain, say};
use crate::io::config_file;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Configuration to check
    #[arg(value_name = "FILE", default_value = "/etc/vigie/vigie.toml")]
    file: PathBuf,
    /// Do not look whether secrets, certificates and plug-ins are there: this is another machine
    #[arg(long)]
    skip_references: bool,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let loaded = match config_file::load(&arguments.file) {
        Ok(loaded) => loaded,
        Err(mistakes) => {
            for mistake in &mistakes {
                complain(&mistake.to_string());
            }
            complain(&format!("refused: {}", mistakes_in_words(mistakes.len())));
            return Ok(ExitCode::from(OWN_FAULT));
        }
    };
    for warning in &loaded.warnings {
        complain(&format!("warning: {warning}"));
    }
    let mut blind = 0;
    if !arguments.skip_references {
        for finding in config_file::follow(&arguments.file, &loaded) {
            blind += usize::from(finding.blind);
            let weight = if finding.blind { "missing" } else { "warning" };
            complain(&format!("{weight}: {}", finding.error));
        }
    }
    say(loaded.summary().trim_end());
    if blind > 0 {
        complain("the file is good; the probes above stay blind until what they need is there");
        return Ok(ExitCode::from(1));
    }
    Ok(ExitCode::SUCCESS)
}

fn mistakes_in_words(count: usize) -> String {
    if count == 1 {
        "1 mistake".to_owned()
    } else {
        format!("{count} mistakes")
    }
}
