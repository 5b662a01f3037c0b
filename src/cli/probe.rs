//! `vigie probe`: one measurement now, with its ladder and a verdict an engineer can act on.

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::bail;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Arguments {
    /// Place a call, listen, hang up
    Call(Call),
    /// Register, then remove the binding again
    Register(Register),
    /// Ask for a sign of life: any SIP answer is one
    Options(Options),
}

/// What all three kinds take.
#[derive(Debug, clap::Args)]
pub(super) struct Common {
    /// Send from this address; port 0 lets the kernel choose
    #[arg(long, value_name = "IP:PORT")]
    local: Option<SocketAddr>,
    /// udp, tcp or tls; the URI's own `;transport=` counts otherwise
    #[arg(long, value_name = "TRANSPORT", value_parser = ["udp", "tcp", "tls"])]
    transport: Option<String>,
    /// One JSON object with stable keys instead of words
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Call {
    /// Whom to call: `sip:0199001199@192.0.2.10`. Emergency numbers are refused
    uri: String,
    /// Digest user, when the far end asks for one
    #[arg(long)]
    user: Option<String>,
    /// Where the secret is: `env:NAME` or `file:/path`; never the secret itself
    #[arg(long, value_name = "REF")]
    secret: Option<String>,
    /// How long to stay after the answer, such as 3s or 800ms
    #[arg(long, default_value = "3s")]
    hold: String,
    /// Digits that must be heard: `*1#`
    #[arg(long, value_name = "DIGITS")]
    expect_dtmf: Option<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
pub(super) struct Register {
    /// Address of record: `sip:4001@192.0.2.11`
    aor: String,
    /// Where the secret is: `env:NAME` or `file:/path`; never the secret itself
    #[arg(long, value_name = "REF")]
    secret: Option<String>,
    /// Digest user, when it is not the user of the address
    #[arg(long)]
    user: Option<String>,
    /// Seconds to ask for
    #[arg(long, default_value_t = 60)]
    expires: u32,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Whom to ask: `sip:192.0.2.11`
    uri: String,
    #[command(flatten)]
    common: Common,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    bail!("not built yet: {arguments:?}")
}
