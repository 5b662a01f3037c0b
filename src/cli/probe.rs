//! `vigie probe`: one measurement now, with its ladder and a verdict an engineer can act on.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};

use super::{account, address, say};
use crate::calls::observe::Observed;
use crate::config::parse_duration;
use crate::io::leave::Own;
use crate::io::shard::{self, run_one};
use crate::io::{dns, route};
use crate::probe::report::Report;
use crate::probe::task::Sip;
use crate::probe::{Check, Failure, Verdict, call, options, register};

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
    /// Authorities to trust besides the system's, for TLS: a PEM file
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,
    /// One JSON object with stable keys instead of words
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Call {
    /// Whom to call: `sip:0199001199@192.0.2.10`. Emergency numbers are refused
    uri: String,
    /// Digest user, when the far end asks for one
    #[arg(long, requires = "secret")]
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
    secret: String,
    /// Digest user, when it is not the user of the address
    #[arg(long)]
    user: Option<String>,
    /// Seconds to ask for
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=86_400))]
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

/// An engineer waits in front of it: long enough for a distant server, no longer than patience.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let json = match &arguments {
        Arguments::Call(call) => call.common.json,
        Arguments::Register(register) => register.common.json,
        Arguments::Options(options) => options.common.json,
    };
    let checked = match arguments {
        Arguments::Call(call) => call.check(),
        Arguments::Register(register) => register.check(),
        Arguments::Options(options) => options.check(),
    };
    let (check, common) = match checked {
        Ok(checked) => checked,
        // A script that asked for JSON reads JSON, whatever it asked about.
        Err(error) if json => {
            let report = Report::unseen(Verdict::blind("bad_input", format!("{error:#}")));
            say(&report.json());
            return Ok(ExitCode::from(report.verdict.word.exit_code()));
        }
        Err(error) => return Err(error),
    };
    let sip = Sip::of(&check).expect("all three kinds are SIP");
    let report = match place(sip, &common) {
        Ok(mut observed) => {
            observed.examine(None);
            let (verdict, quality) = sip.judge(&observed);
            Report::seen(verdict, quality, observed)
        }
        Err(failure) => Report::unseen(Verdict::down(failure)),
    };
    say(&if common.json {
        report.json()
    } else {
        report.words()
    });
    Ok(ExitCode::from(report.verdict.word.exit_code()))
}

fn place(sip: Sip<'_>, common: &Common) -> Result<Observed, Failure> {
    let local = common
        .local
        .unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)));
    let runtime = super::runtime().map_err(|error| {
        let words = format!("cannot start: {error}");
        Failure::new(crate::probe::Blame::Ours, "no_runtime", words)
    })?;
    let task = runtime.block_on(async {
        let resolver = dns::Resolver::new(&[])?;
        route::prepare(&resolver, sip, Own::Preferred(local), true, true).await
    })?;
    let settings = shard::Settings {
        trust: common
            .tls_ca
            .clone()
            .map_or(shard::Trust::System, shard::Trust::Besides),
        ..shard::Settings::default()
    };
    Ok(run_one(task, &settings))
}

impl Call {
    fn check(self) -> anyhow::Result<(Check, Common)> {
        let account = match (self.user, self.secret) {
            (Some(user), Some(secret)) => Some(account(user, &secret)?),
            (None, Some(_)) => bail!("--secret needs --user: whose secret is it?"),
            (Some(_), None) | (None, None) => None,
        };
        let hold = parse_duration(&self.hold).map_err(|why| anyhow::anyhow!("--hold: {why}"))?;
        let settings = call::Settings {
            hold,
            signatures: self.expect_dtmf.into_iter().collect(),
            hear: call::Hear::AnythingWithOurTone,
            ..address::call(&self.uri, account, self.common.transport.as_deref())?
        };
        Ok((Check::Call(settings), self.common))
    }
}

impl Register {
    fn check(self) -> anyhow::Result<(Check, Common)> {
        let uri = address::read(&self.aor)?;
        let user = self.user.or_else(|| uri.user().map(str::to_owned));
        let user = user.context("the address names no user; write sip:USER@HOST or give --user")?;
        let settings = register::Settings {
            transport: address::transport(&uri, self.common.transport.as_deref())?,
            account: account(user, &self.secret)?,
            aor: self.aor,
            proxy: None,
            expires: Duration::from_secs(self.expires.into()),
            answer_within: ANSWER_WITHIN,
        };
        Ok((Check::Register(settings), self.common))
    }
}

impl Options {
    fn check(self) -> anyhow::Result<(Check, Common)> {
        let uri = address::read(&self.uri)?;
        let host = address::host(&uri)?;
        let settings = options::Settings {
            transport: address::transport(&uri, self.common.transport.as_deref())?,
            from: format!("sip:vigie@{host}"),
            to: self.uri,
            proxy: None,
            answer_within: ANSWER_WITHIN,
        };
        Ok((Check::Options(settings), self.common))
    }
}
