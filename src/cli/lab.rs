//! `vigie lab`: break and mend the simulated plant that `vigie demo` watches.

use std::process::ExitCode;

use anyhow::bail;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Arguments {
    /// Inject a fault into one simulated machine
    Fault(Fault),
}

#[derive(Debug, clap::Args)]
pub(super) struct Fault {
    /// Which machine: xivo1, xivo2, xivo3, patton
    node: String,
    /// What happens to it
    #[arg(value_parser = ["kill", "hang", "drop-rtp", "reject", "slow", "restore"])]
    fault: String,
    /// Where the demo's page is
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8119")]
    at: String,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    bail!("not built yet: {arguments:?}")
}
