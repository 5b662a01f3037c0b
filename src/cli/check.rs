//! `vigie check FILE`: all mistakes of a configuration file at once, or what it would watch.

use std::path::PathBuf;
use std::process::ExitCode;

use super::{OWN_FAULT, complain, say};
use crate::io::config_file;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Configuration to check
    #[arg(value_name = "FILE", default_value = "/etc/vigie/vigie.toml")]
    file: PathBuf,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    match config_file::load(&arguments.file) {
        Ok(loaded) => {
            say(&format!("{} targets", loaded.plant.targets.len()));
            Ok(ExitCode::SUCCESS)
        }
        Err(mistakes) => {
            for mistake in mistakes {
                complain(&mistake.to_string());
            }
            Ok(ExitCode::from(OWN_FAULT))
        }
    }
}
