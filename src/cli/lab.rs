//! `vigie lab`: break and mend the simulated plant that `vigie demo` watches.

use std::process::ExitCode;

use anyhow::{Context, bail};

use super::say;
use crate::io::web::ask;
use crate::lab::fault::{Fault, Server};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Arguments {
    /// Inject a fault into one simulated server
    Fault(Wish),
}

#[derive(Debug, clap::Args)]
pub(super) struct Wish {
    /// Which server: xivo1, xivo2, xivo3, patton
    server: Server,
    /// What happens to it: kill, hang, drop-rtp, reject, slow, restore
    fault: Fault,
    /// Where the demo's page is
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8119")]
    at: String,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let Arguments::Fault(Wish { server, fault, at }) = arguments;
    let runtime = super::runtime()?;
    let form = format!("server={server}&fault={fault}");
    let (status, words) = runtime
        .block_on(ask::post(&at, "/demo/fault", form))
        .context("no demonstration to break (`vigie demo` starts one)")?;
    match status {
        200..300 => {
            say(&format!("{server}: {fault}; watch http://{at}/"));
            Ok(ExitCode::SUCCESS)
        }
        404 => bail!("{at} is not a demo: a real plant is not broken from here"),
        422 | 503 => bail!("{at}: {words}"),
        // Somebody else's page may say anything, at any length.
        _ => bail!("{at} answered {status}: is that the page of `vigie demo`?"),
    }
}
