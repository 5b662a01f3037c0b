//! `vigie alert test NAME`: one message now, through one channel, and what became of it. Nothing is recorded.
//!
//! 0: the far end took it. 3: it did not, or there is no such channel.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;

use super::{OWN_FAULT, complain, say};
use crate::alert::outbox::Outgoing;
use crate::config::Settings;
use crate::io::notify::Senders;
use crate::io::notify::heartbeat::Beat;
use crate::io::{clock, config_file, dns};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Arguments {
    /// Send one message now through one channel, and say what became of it
    Test(Test),
}

#[derive(Debug, clap::Args)]
pub(super) struct Test {
    /// NAME of `[alert.NAME]`, or `heartbeat`
    name: String,
    /// Configuration that has the channel
    #[arg(
        long,
        short,
        value_name = "FILE",
        default_value = "/etc/vigie/vigie.toml"
    )]
    config: PathBuf,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let Arguments::Test(Test { name, config }) = arguments;
    let loaded = match config_file::load(&config) {
        Ok(loaded) => loaded,
        Err(mistakes) => {
            for mistake in &mistakes {
                complain(&mistake.to_string());
            }
            return Ok(ExitCode::from(OWN_FAULT));
        }
    };
    let settings = loaded.settings;
    let runtime = super::runtime()?;
    let outcome = runtime.block_on(async {
        let resolver = dns::Resolver::new(&settings.resolvers)
            .map_err(|failure| anyhow::anyhow!(failure.words))?;
        let senders = Senders::new(resolver, settings.tls_ca.clone());
        send(&senders, &settings, &name).await
    })?;
    match outcome {
        Ok(words) => {
            say(&words);
            Ok(ExitCode::SUCCESS)
        }
        Err(failure) => {
            let advice = if failure.refused {
                "it will be refused again until that is mended"
            } else {
                "the service would try again"
            };
            complain(&format!("{name}: not delivered: {failure} ({advice})"));
            Ok(ExitCode::from(OWN_FAULT))
        }
    }
}

async fn send(
    senders: &Senders,
    settings: &Settings,
    name: &str,
) -> anyhow::Result<Result<String, crate::alert::record::Failure>> {
    let started = clock::now();
    if let (Some(heartbeat), "heartbeat") = (&settings.heartbeat, name) {
        let beat = Beat {
            at: started.utc,
            ..Beat::default()
        };
        let outcome = senders.beat(heartbeat, beat).await;
        return Ok(outcome.map(|()| "heartbeat: heard".to_owned()));
    }
    let Some(channel) = settings.alerts.iter().find(|channel| channel.name == name) else {
        let names: Vec<&str> = settings
            .alerts
            .iter()
            .map(|channel| channel.name.as_str())
            .collect();
        if names.is_empty() {
            bail!("the file has no channel; add [alert.{name}]");
        }
        bail!(
            "no channel is called {name:?}; known are {}",
            names.join(", ")
        );
    };
    let outgoing = Outgoing::test(channel.clone(), started.utc);
    let outcome = senders.send(&outgoing).await;
    let took = clock::instant().since(started.instant);
    Ok(outcome.map(|()| {
        format!(
            "{name}: delivered by {} in {} ms, as {}",
            channel.kind.as_str(),
            took.as_millis(),
            outgoing.key()
        )
    }))
}
