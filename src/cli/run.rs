//! `vigie run`: the service, until SIGTERM or Ctrl-C.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Configuration: the plant and the settings of the service
    #[arg(
        long,
        short,
        value_name = "FILE",
        default_value = "/etc/vigie/vigie.toml"
    )]
    config: PathBuf,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    bail!("not built yet: would watch {}", arguments.config.display())
}
