//! A call that an engineer places from the terminal: whom, by which way, and what happens until it is over.
//! `vigie call` and `vigie prompt learn` share it.

use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::signal::unix::{SignalKind, signal};

use super::{account, address};
use crate::calls::JobId;
use crate::calls::observe::{Live, Observed, Outcome};
use crate::calls::script::{CallPlan, Keep, Task};
use crate::config;
use crate::engine::plant::Plant;
use crate::io::leave::Own;
use crate::io::shard::{self, Event, MediaPorts, ShardHandle};
use crate::io::{config_file, dns, route};
use crate::probe::task::Sip;
use crate::probe::{Blame, Failure, call};
use crate::sip::header::Uri;

/// Where the configuration lies when a target is named without it.
pub(super) const CONFIG: &str = "/etc/vigie/vigie.toml";

/// What is said of the sound at most: as long as a file may be that is played.
const HEARD_MAX: Duration = Duration::from_secs(600);

/// RTP both ways is 20 kB a second; signalling and a busier far end double it.
const BYTES_A_SECOND: usize = 40_000;

#[derive(Debug, clap::Args)]
pub(super) struct Dial {
    /// Whom to call: `sip:NUMBER@HOST`, or a number with --via. Emergency numbers are refused
    #[arg(value_name = "NUMBER|URI")]
    callee: String,
    /// Call as the first call probe of this target does: its host, account, proxy and transport
    #[arg(long, value_name = "TARGET")]
    via: Option<String>,
    /// Configuration that knows the target [default: /etc/vigie/vigie.toml]
    #[arg(long, value_name = "FILE", requires = "via")]
    config: Option<PathBuf>,
    /// Digest user, when the far end asks for one
    #[arg(long, requires = "secret", conflicts_with = "via")]
    user: Option<String>,
    /// Where the secret is: `env:NAME` or `file:/path`; never the secret itself
    #[arg(long, value_name = "REF", requires = "user")]
    secret: Option<String>,
    /// Send from this address; port 0 lets the kernel choose
    #[arg(long, value_name = "IP:PORT")]
    local: Option<SocketAddr>,
    /// Authorities to trust besides the system's, for TLS: a PEM file
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,
}

/// A call that is ready to be placed.
#[derive(Debug)]
pub(super) struct Dialled {
    pub(super) settings: call::Settings,
    local: SocketAddr,
    resolvers: Vec<SocketAddr>,
    shard: shard::Settings,
}

impl Dial {
    /// The configuration, if one is asked for.
    pub(super) fn config(&self) -> Option<PathBuf> {
        self.via.as_ref()?;
        let usual = || PathBuf::from(CONFIG);
        Some(self.config.clone().unwrap_or_else(usual))
    }

    pub(super) fn prepare(self, hold: Duration) -> anyhow::Result<Dialled> {
        let site = match self.config() {
            Some(path) => Some(load(&path)?),
            None => None,
        };
        let usual = match (&self.via, &site) {
            (Some(target), Some(site)) => called_by(&site.plant, target)?,
            (Some(_) | None, _) => self.by_uri()?,
        };
        let settings = call::Settings {
            to: callee(&self.callee, &usual.to)?,
            hold,
            hear: call::Hear::Anything,
            signatures: Vec::new(),
            send_dtmf: String::new(),
            prompt: None,
            ..usual
        };
        let own = site.map(|site| site.settings).unwrap_or_default();
        Ok(Dialled {
            local: self
                .local
                .unwrap_or_else(|| SocketAddr::new(own.vantage.local, 0)),
            resolvers: own.resolvers,
            shard: shard::Settings {
                name: "call".to_owned(),
                media_ports: MediaPorts {
                    range: own.vantage.media_ports,
                    ..MediaPorts::default()
                },
                trust: self
                    .tls_ca
                    .or(own.tls_ca)
                    .map_or(shard::Trust::System, shard::Trust::Besides),
                ..shard::Settings::default()
            },
            settings,
        })
    }

    /// The way that the URI itself says.
    fn by_uri(&self) -> anyhow::Result<call::Settings> {
        let account = match (&self.user, &self.secret) {
            (Some(user), Some(secret)) => Some(account(user.clone(), secret)?),
            (Some(_) | None, _) => None,
        };
        address::call(&self.callee, account, None).context("or add --via TARGET")
    }
}

/// What the file says, or its first mistake.
pub(super) fn load(path: &std::path::Path) -> anyhow::Result<config::Loaded> {
    config_file::load(path).map_err(|mistakes| match mistakes.as_slice() {
        [one] => anyhow::anyhow!("{one}"),
        [first, ..] => anyhow::anyhow!("{first} (and {} more: vigie check)", mistakes.len() - 1),
        [] => anyhow::anyhow!("{}: refused", path.display()),
    })
}

/// How a target is called by its own probe.
fn called_by(plant: &Plant, id: &str) -> anyhow::Result<call::Settings> {
    let target = plant
        .targets
        .iter()
        .find(|target| target.id.as_str() == id)
        .with_context(|| format!("the configuration has no target {id:?}"))?;
    let calls = target
        .probes
        .iter()
        .find_map(|probe| probe.check.as_call().cloned());
    calls.with_context(|| {
        format!("target {id:?} has no call probe that says how to call; give a whole URI")
    })
}

/// A whole URI as it is; a number at the host that `usual` names.
fn callee(text: &str, usual: &str) -> anyhow::Result<String> {
    if text.contains(':') {
        return Ok(text.to_owned());
    }
    let fine = |b: u8| b.is_ascii_digit() || matches!(b, b'+' | b'*' | b'#');
    if text.is_empty() || !text.bytes().all(fine) {
        bail!("'{text}' is neither a number nor a URI; write sip:USER@HOST");
    }
    let uri = Uri::read(usual).with_context(|| format!("'{usual}' is no URI"))?;
    let host = uri
        .host()
        .with_context(|| format!("'{usual}' names no host"))?;
    let port = uri
        .port()
        .map_or_else(String::new, |port| format!(":{port}"));
    Ok(format!("sip:{}@{host}{port}", text.replace('#', "%23")))
}

impl Dialled {
    /// Places the call and stays until it is over, Ctrl-C, or `watch` breaks; either way with a goodbye.
    /// `change` may ask for more than a probe would.
    ///
    /// # Errors
    /// What kept it from being placed: a fault of our own, or an emergency number.
    pub(super) fn place(
        &self,
        change: impl FnOnce(&mut CallPlan),
        watch: impl FnMut(&Live) -> ControlFlow<()>,
    ) -> Result<Observed, Failure> {
        let runtime = super::runtime()
            .map_err(|error| ours("no_runtime", format!("cannot start: {error}")))?;
        let mut observed = runtime.block_on(self.hold(change, watch))?;
        // We left before the time of the plan, and that is all: no fault of anybody.
        if observed.outcome == Outcome::Aborted && observed.answer_after.is_some() {
            observed.outcome = Outcome::Completed { status: 200 };
        }
        observed.examine(None);
        Ok(observed)
    }

    async fn hold(
        &self,
        change: impl FnOnce(&mut CallPlan),
        mut watch: impl FnMut(&Live) -> ControlFlow<()>,
    ) -> Result<Observed, Failure> {
        let mut interrupt = signal(SignalKind::interrupt())
            .map_err(|error| ours("no_signals", format!("cannot listen for Ctrl-C: {error}")))?;
        let resolver = dns::Resolver::new(&self.resolvers)?;
        let sip = Sip::Call(&self.settings);
        let mut task =
            route::prepare(&resolver, sip, Own::Preferred(self.local), true, true).await?;
        if let Task::Call(plan) = &mut task {
            let heard = self.settings.hold.min(HEARD_MAX) + Duration::from_secs(1);
            let seconds = usize::try_from(heard.as_secs()).unwrap_or(usize::MAX);
            plan.keep = Some(Keep {
                packet_bytes: seconds.saturating_add(10) * BYTES_A_SECOND,
                heard,
            });
            change(plan);
        }
        let (shard, mut events) = ShardHandle::spawn(self.shard.clone())
            .map_err(|error| ours("no_sockets", format!("cannot open sockets: {error}")))?;
        let job = JobId(1);
        let refused = |refused: shard::Refused| ours("no_shard", refused.to_string());
        shard.start(job, task).map_err(refused)?;
        let observed = loop {
            tokio::select! {
                event = events.recv() => match event {
                    Some(Event::Done { observed, .. }) => break Ok(*observed),
                    Some(Event::Live { live, .. }) => {
                        if watch(&live).is_break() {
                            shard.abort(job).map_err(refused)?;
                        }
                    }
                    // Told by the figures of the call, or not of this call at all.
                    Some(Event::Started { .. } | Event::OwnFault(_) | Event::OwnFaultOver { .. }) => {}
                    None => break Err(ours("shard_ended", "the thread of the call has ended".to_owned())),
                },
                _ = interrupt.recv() => shard.abort(job).map_err(refused)?,
            }
        };
        shard.stop();
        observed
    }
}

fn ours(code: &'static str, words: String) -> Failure {
    Failure::new(Blame::Ours, code, words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_called_at_the_host_of_the_probe() {
        let usual = "sip:0199001199@192.0.2.10:5070";
        for (text, expected) in [
            ("0199001142", Some("sip:0199001142@192.0.2.10:5070")),
            ("*43#", Some("sip:*43%23@192.0.2.10:5070")),
            ("sip:1@198.51.100.1", Some("sip:1@198.51.100.1")),
            ("accueil", None),
            ("", None),
        ] {
            assert_eq!(callee(text, usual).ok().as_deref(), expected, "{text:?}");
        }
    }
}
