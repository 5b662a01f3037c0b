//! `vigie demo`: the embedded lab, the watchdog on a temporary folder, and the page.
//!
//! The watchdog of the demonstration is the real one: it reads a configuration (`demo.toml`, written with
//! the addresses of the lab), and knows nothing of the lab but what it sees over its sockets.

use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use tokio::sync::mpsc;

use super::{say, serve};
use crate::config::{self, Loaded};
use crate::engine::plant::Plant;
use crate::id::Seed;
use crate::io::daemon::Service;
use crate::io::lab::{LabHandle, free_layout};
use crate::io::shard;
use crate::io::web::LabControl;
use crate::lab::{Layout, fault::Fault, fault::Server, secret_of};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Where the page listens
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8119")]
    listen: SocketAddr,
    /// Keep the journal here instead of in a temporary folder
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// RTP of the simulated machines; the watchdog has a range of its own in `demo.toml`.
const LAB_MEDIA_PORTS: std::ops::RangeInclusive<u16> = 29_000..=29_499;
const WATCH_MEDIA_PORTS: &str = "28000-28499";

/// The account by which the watchdog registers.
const WATCH_ACCOUNT: &str = "vigie";

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let temporary = tempfile::Builder::new().prefix("vigie-demo-").tempdir()?;
    let data = match arguments.data {
        Some(folder) => {
            std::path::absolute(&folder).with_context(|| format!("--data {}", folder.display()))?
        }
        None => temporary.path().to_owned(),
    };
    let layout = free_layout().context("the lab finds no port on loopback")?;
    let loaded = configure(&data, temporary.path(), arguments.listen, &layout)?;
    serve::log(&loaded.settings.log)?;
    let plant = loaded.plant.clone();
    let service = Service {
        settings: loaded.settings,
        plant: loaded.plant,
        config_file: None,
        lab: Some(start_lab(&layout)?),
    };
    let code = serve::serve(service, |page| introduce(page, &plant))?;
    say("The demonstration has ended.");
    Ok(code)
}

/// Switches the simulated plant on; it lives as long as the pages hold its control.
fn start_lab(layout: &Layout) -> anyhow::Result<LabControl> {
    let settings = shard::Settings {
        name: "lab".into(),
        media_ports: shard::MediaPorts {
            range: LAB_MEDIA_PORTS,
            ..shard::MediaPorts::default()
        },
        realtime: false,
        ..shard::Settings::default()
    };
    let lab = LabHandle::spawn(layout, Seed(119), &settings).context("the lab cannot start")?;
    let (control, mut wishes) = mpsc::channel::<(Server, Fault)>(1);
    std::thread::Builder::new()
        .name("lab-faults".into())
        .spawn(move || {
            while let Some((server, fault)) = wishes.blocking_recv() {
                lab.inflict(server, fault);
            }
        })?;
    Ok(LabControl(control))
}

/// The configuration of the demonstration, read by the same reader as every other.
fn configure(
    data: &Path,
    private: &Path,
    listen: SocketAddr,
    layout: &Layout,
) -> anyhow::Result<Loaded> {
    let secret = private.join("secret");
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&secret)
        .and_then(|mut file| {
            std::io::Write::write_all(&mut file, secret_of(WATCH_ACCOUNT).as_bytes())
        })
        .with_context(|| format!("cannot write {}", secret.display()))?;
    let mut text = include_str!("demo.toml")
        .replace("{listen}", &listen.to_string())
        .replace("{data}", &quoted(data)?)
        .replace("{secret}", &secret.display().to_string())
        .replace("{media_ports}", WATCH_MEDIA_PORTS);
    for (name, address) in [
        ("xivo1", layout.xivo1),
        ("xivo2", layout.xivo2),
        ("xivo3", layout.xivo3),
        ("patton", layout.patton),
    ] {
        text = text
            .replace(&format!("{{{name}}}"), &address.to_string())
            .replace(&format!("{{{name}_ip}}"), &address.ip().to_string());
    }
    config::read("demo.toml", &text).map_err(|errors| {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        anyhow!("{}", errors.join("\n"))
    })
}

/// A path as TOML writes a string, whatever is in it.
fn quoted(path: &Path) -> anyhow::Result<String> {
    let text = path
        .to_str()
        .ok_or_else(|| anyhow!("--data {}: not UTF-8; name another folder", path.display()))?;
    Ok(toml::Value::from(text).to_string())
}

/// What runs, what it watches, and how to break it.
fn introduce(page: SocketAddr, plant: &Plant) {
    say(&format!(
        "vigie watches a simulated plant: {}.\n\n  the page          http://{page}/\n  break something   http://{page}/demo\n",
        plant.name
    ));
    for target in &plant.targets {
        let probes: Vec<String> = target
            .probes
            .iter()
            .map(|probe| format!("{} every {:?}", probe.check.kind(), probe.every))
            .collect();
        say(&format!("  {:<18}{}", target.name, probes.join(", ")));
    }
    let faults: Vec<&str> = Fault::ALL.map(Fault::name).to_vec();
    let at = if page.port() == 8119 && page.ip().is_loopback() {
        String::new()
    } else {
        format!(" --at {page}")
    };
    say(&format!(
        "\nFrom another terminal:\n\n  vigie lab fault xivo1 {}{at}\n  (also xivo2, xivo3, patton)\n\nCtrl-C ends it.",
        faults.join("|")
    ));
}
