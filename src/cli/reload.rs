//! `vigie reload`: ask the running service to read its configuration again (SIGHUP).

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;

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
    bail!("not built yet: would reload {}", arguments.config.display())
}
