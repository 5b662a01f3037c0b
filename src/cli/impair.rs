//! `vigie impair`: a bad network between two ends, from a seed, with the truth written down.

use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow, bail};
use serde::Deserialize;
use tokio::signal::unix::{SignalKind, signal};

use super::{complain, say};
use crate::calls::Component;
use crate::id::Seed;
use crate::impair::{self, Tally};
use crate::io::impair::{Relay, Report, Rtcp, Settings, Way};

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Where the sender sends to, instead of to the far end; port 0: any
    #[arg(long, value_name = "IP:PORT")]
    listen: SocketAddr,
    /// The far end; what it answers goes back to whoever sent last
    #[arg(long, value_name = "IP:PORT")]
    to: SocketAddr,
    /// Relay the next port too: as a good network, or as bad as RTP
    #[arg(long, value_name = "HOW", value_parser = ["plain", "impaired"], num_args = 0..=1, default_missing_value = "plain")]
    rtcp: Option<String>,
    /// The same seed, the same losses
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What is done on the way to the far end: keys of TOML, separated by commas
    #[arg(long, value_name = "KEYS", default_value = "")]
    there: String,
    /// What is done on the way back
    #[arg(long, value_name = "KEYS", default_value = "")]
    back: String,
    /// What is done, from a file with the tables `there` and `back`
    #[arg(long, value_name = "FILE", conflicts_with_all = ["there", "back"])]
    weather: Option<PathBuf>,
    /// Write the fate of each packet here, one JSON object a line
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
}

const EXAMPLES: &str = r#"Keys (all may be left out; docs/impair.md explains them):
  loss = { p = 0.02, r = 0.4 }                    bursts (Gilbert-Elliott); also bad = 1, good = 0
  outages = [{ from = 0, until = 50 }]            packets by number; [{}] is one way
  rate = { kbit_per_s = 64 }                      also burst_bytes = 1500, queue_ms = 200
  delay_ms = 60
  jitter = { shape = "uniform", ms = 20 }         or "normal", "pareto"; overtake = true lets them pass
  skew_ppm = 200
  stall = { every_ms = 5000, for_ms = 300 }
  reorder = { chance = 0.01, by = 3 }
  duplicate = { chance = 0.01 }                   also after_ms = 0
  header.ssrc = { value = 7, during = { from = 100 } }, header.payload_type = { value = 0 },
  header.timestamp = { from = 100, by = 80000 }, header.sequence = { from = 100, by = 1000 },
  header.strip_markers = true
  sound.gain = { db = 20 }, sound.noise = { snr_db = 10 }, sound.silence = { from = 250 },
  sound.comfort_noise = { dbov = -60 }            sound is G.711; each takes during = { from, until }

Example, 4.8 % loss in bursts and up to 20 ms of jitter towards a PBX:
  vigie impair --listen 127.0.0.1:7000 --to 127.0.0.1:4000 --seed 42 --truth truth.jsonl \
    --there 'loss = { p = 0.02, r = 0.4 }, delay_ms = 60, jitter = { shape = "uniform", ms = 20 }'"#;

/// A file of weather.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Weather {
    there: impair::Settings,
    back: impair::Settings,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let weather = weather(&arguments)?;
    let settings = Settings {
        listen: arguments.listen,
        to: arguments.to,
        rtcp: arguments.rtcp.map(|how| match how.as_str() {
            "impaired" => Rtcp::Impaired,
            _ => Rtcp::Plain,
        }),
        seed: Seed(arguments.seed),
        there: weather.there,
        back: weather.back,
    };
    if settings.to.port() == 0 {
        bail!("--to {}: nobody listens on port 0", settings.to);
    }
    if settings.rtcp.is_some() && settings.to.port() == u16::MAX {
        bail!(
            "--to {}: after this port there is none for RTCP",
            settings.to
        );
    }
    let truth = match &arguments.truth {
        Some(path) => Some(open(path)?),
        None => None,
    };
    let runtime = super::runtime()?;
    let report = runtime.block_on(relay(&settings, truth))?;
    for line in lines(&report) {
        say(&line);
    }
    if report.dropped_here > 0 {
        complain(&format!(
            "vigie: {} datagrams were too long, or dropped here for want of room: no line of the truth has them",
            report.dropped_here
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// From the start to a signal.
async fn relay(
    settings: &Settings,
    truth: Option<Box<dyn Write + Send>>,
) -> anyhow::Result<Report> {
    // Before anything is opened: a signal during the start must not leave half a log.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut relay = Relay::start(settings, truth)?;
    say(&format!(
        "relaying {} to {}, seed {}; Ctrl-C ends it",
        relay.local(),
        settings.to,
        settings.seed.0
    ));
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = relay.ended() => {}
    }
    relay
        .stop()
        .context("the relay failed, and its truth is not whole")
}

fn weather(arguments: &Arguments) -> anyhow::Result<Weather> {
    let weather = match &arguments.weather {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("--weather {}", path.display()))?;
            toml::from_str(&text)
                .map_err(|error| no_weather(&format!("--weather {}", path.display()), &error))?
        }
        None => Weather {
            there: inline("--there", &arguments.there)?,
            back: inline("--back", &arguments.back)?,
        },
    };
    weather.there.check().context("on the way there")?;
    weather.back.check().context("on the way back")?;
    Ok(weather)
}

/// The same keys as in a file, as one line.
fn inline(flag: &str, keys: &str) -> anyhow::Result<impair::Settings> {
    #[derive(Deserialize)]
    struct One {
        keys: impair::Settings,
    }
    let one: One = toml::from_str(&format!("keys = {{ {keys} }}"))
        .map_err(|error| no_weather(flag, &error))?;
    Ok(one.keys)
}

fn no_weather(what: &str, error: &toml::de::Error) -> anyhow::Error {
    let error = error.to_string();
    anyhow!("{what} is not as --help shows it: {}", error.trim_end())
}

fn open(path: &Path) -> anyhow::Result<Box<dyn Write + Send>> {
    let file = File::create(path).with_context(|| format!("--truth {}", path.display()))?;
    Ok(Box::new(file))
}

fn lines(report: &Report) -> Vec<String> {
    let counted = |(component, way, tally): &(Component, Way, Tally)| {
        let component = match component {
            Component::Rtp => "rtp ",
            Component::Rtcp => "rtcp",
        };
        let way = match way {
            Way::There => "there",
            Way::Back => "back ",
        };
        let [outage, loss, queue, unsent, ended] = tally.lost_by;
        format!(
            "{component} {way} {} came, {} delivered ({} twice), {} lost ({outage} outage, {loss} loss, \
             {queue} queue, {unsent} unsent, {ended} ended), {} changed",
            tally.came, tally.delivered, tally.duplicated, tally.lost, tally.changed
        )
    };
    let mut lines: Vec<String> = report.tallies.iter().map(counted).collect();
    lines.push(format!(
        "left late by {} µs (p99), {} µs at most{}",
        report.late_p99.as_micros(),
        report.late_max.as_micros(),
        if report.realtime {
            ""
        } else {
            ", without real time: it needs CAP_SYS_NICE"
        }
    ));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The weather that the document explains.
    fn documented() -> Weather {
        let document = include_str!("../../docs/impair.md");
        let (_, rest) = document.split_once("```toml\n").unwrap();
        let (text, _) = rest.split_once("```").unwrap();
        toml::from_str(text).unwrap()
    }

    #[test]
    fn the_document_explains_every_key_and_its_weather_is_good() {
        let weather = documented();
        weather.there.check().unwrap();
        weather.back.check().unwrap();
        let there = toml::Value::try_from(&weather.there).unwrap();
        let back = toml::Value::try_from(&weather.back).unwrap();
        // What is not set is not written: the keys that are left out there must be in the other table.
        for (table, count) in [(&there, 11), (&back["header"], 5), (&back["sound"], 4)] {
            assert_eq!(table.as_table().unwrap().len(), count, "{table}");
        }
    }

    #[test]
    fn every_key_of_the_help_is_read() {
        let (keys, _) = EXAMPLES.split_once("\n\nExample").unwrap();
        let mut read = 0;
        for line in keys.lines().skip(1) {
            // The explanation stands after a wide gap; two keys of the header stand on one line.
            let keys = line.trim().split("   ").next().unwrap();
            let keys = keys.trim_end_matches(',');
            let settings = inline("--there", keys).unwrap();
            settings.check().unwrap();
            assert_ne!(settings, impair::Settings::default(), "{keys}");
            read += 1;
        }
        assert_eq!(read, 14);
    }

    #[test]
    fn a_mistake_is_told_with_its_place() {
        for (keys, words) in [
            ("los = 1", "unknown field `los`, expected one of"),
            ("delay_ms = \"60ms\"", "invalid type: string \"60ms\""),
            ("delay_ms 5", "expected `=`"),
        ] {
            let error = inline("--back", keys).unwrap_err().to_string();
            assert!(error.starts_with("--back is not as --help shows it: "));
            assert!(error.contains(words) && !error.ends_with('\n'), "{error}");
        }
    }
}
