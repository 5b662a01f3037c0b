//! `vigie reload`: ask the running service to read its configuration again (SIGHUP).
//!
//! The file is checked here first, so that its mistakes are read by the one who made them; the service
//! checks again and keeps what it has when the file is bad.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{OWN_FAULT, complain, say};
use crate::io::config_file;
use crate::io::daemon::PID_FILE;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The file the service was started with; it is checked first, and names the data folder
    #[arg(
        long,
        short,
        value_name = "FILE",
        default_value = "/etc/vigie/vigie.toml"
    )]
    config: PathBuf,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let loaded = match config_file::load(&arguments.config) {
        Ok(loaded) => loaded,
        Err(mistakes) => {
            for mistake in &mistakes {
                complain(&mistake.to_string());
            }
            complain("not reloaded: the service goes on with what it has");
            return Ok(ExitCode::from(OWN_FAULT));
        }
    };
    let pid = running(&loaded.settings.data.join(PID_FILE))?;
    kill(pid, Signal::SIGHUP)
        .with_context(|| format!("cannot signal the service (process {pid})"))?;
    say(&format!(
        "asked the service (process {pid}) to watch {} targets",
        loaded.plant.targets.len()
    ));
    Ok(ExitCode::SUCCESS)
}

fn running(file: &Path) -> anyhow::Result<Pid> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("no service runs here: cannot read {}", file.display()))?;
    let number: i32 = text
        .trim()
        .parse()
        .with_context(|| format!("{} holds no process number", file.display()))?;
    // 0 and below would signal whole groups of processes.
    if number <= 1 {
        bail!("{} holds no process number", file.display());
    }
    // After a power cut the number may belong to another program by now, and SIGHUP would end that.
    let name = std::fs::read_to_string(format!("/proc/{number}/comm")).unwrap_or_default();
    if name.trim_end() != "vigie" {
        bail!(
            "no service runs here: process {number} of {} is gone",
            file.display()
        );
    }
    Ok(Pid::from_raw(number))
}
