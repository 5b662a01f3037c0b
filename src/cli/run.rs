//! `vigie run`: the service, until SIGTERM or Ctrl-C. SIGHUP reads the configuration again.

use std::path::PathBuf;
use std::process::ExitCode;

use super::{OWN_FAULT, complain, serve};
use crate::io::config_file;
use crate::io::daemon::Service;

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
    let loaded = match config_file::load(&arguments.config) {
        Ok(loaded) => loaded,
        Err(mistakes) => {
            for mistake in &mistakes {
                complain(&mistake.to_string());
            }
            complain(
                "not started: mend the file first (`vigie check` looks at it without starting)",
            );
            return Ok(ExitCode::from(OWN_FAULT));
        }
    };
    serve::log(&loaded.settings.log)?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let targets = loaded.plant.targets.len();
    let probes: usize = loaded
        .plant
        .targets
        .iter()
        .map(|target| target.probes.len())
        .sum();
    let service = Service {
        settings: loaded.settings,
        plant: loaded.plant,
        config_file: Some(arguments.config),
        lab: None,
    };
    serve::serve(service, |page| {
        tracing::info!(%page, targets, probes, "watching; the page is at http://{page}/");
    })
}
