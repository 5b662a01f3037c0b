//! `vigie status`: ask the running service and say in one word how the plant is.

use std::process::ExitCode;

use anyhow::bail;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Where the service listens
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8119")]
    at: String,
    /// The whole answer of `GET /api/v1/status`
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    bail!("not built yet: {arguments:?}")
}
