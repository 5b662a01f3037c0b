//! `vigie demo`: the embedded lab, the watchdog on a temporary folder, and the page.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Where the page listens
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8119")]
    listen: SocketAddr,
    /// Keep the journal here instead of in a temporary folder
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    bail!("not built yet: {arguments:?}")
}
