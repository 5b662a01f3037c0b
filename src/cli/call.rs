//! `vigie call`: one call from the terminal, watched while it lasts; with its sound and packets if wanted.
//!
//! It is a probe for an engineer: the verdict and the exit code are those of `vigie probe call`. Ctrl-C hangs up
//! and prints the figures.

use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use super::dial::Dial;
use super::say;
use crate::audio::wav;
use crate::calls::observe::{Live, Observed};
use crate::calls::script::MediaPlan;
use crate::config::parse_duration;
use crate::io::{clock, evidence, file, prompts};
use crate::probe::report::Report;
use crate::probe::{Verdict, call};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    dial: Dial,
    /// How long to stay after the answer; Ctrl-C hangs up sooner
    #[arg(long, default_value = "10s")]
    hold: String,
    /// Play this file once the call is answered: WAV, 8000 Hz, mono, 16 bits
    #[arg(long, value_name = "FILE")]
    play: Option<PathBuf>,
    /// Our tone and chirp must come back: for numbers that echo
    #[arg(long, conflicts_with = "play")]
    echo: bool,
    /// Write what is heard as a WAV file
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Write every packet, SIP and RTP, as a capture; answers to challenges are masked
    #[arg(long, value_name = "FILE")]
    pcap: Option<PathBuf>,
    /// Show how the call goes while it goes
    #[arg(long, conflicts_with = "json")]
    watch: bool,
    /// One JSON object with stable keys instead of words
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let json = arguments.json;
    let report = match place(arguments) {
        Ok(report) => report,
        // A script that asked for JSON reads JSON, whatever it asked about.
        Err(error) if json => Report::unseen(Verdict::blind("bad_input", format!("{error:#}"))),
        Err(error) => return Err(error),
    };
    say(&if json { report.json() } else { report.words() });
    Ok(ExitCode::from(report.verdict.word.exit_code()))
}

fn place(arguments: Arguments) -> anyhow::Result<Report> {
    let hold = parse_duration(&arguments.hold).map_err(|why| anyhow::anyhow!("--hold: {why}"))?;
    let sound = match &arguments.play {
        Some(path) => Some(read(path)?),
        None => None,
    };
    let mut dialled = arguments.dial.prepare(hold)?;
    for path in [&arguments.record, &arguments.pcap].into_iter().flatten() {
        // Found out now, not after the call.
        told(path, file::try_place(path))?;
    }
    dialled.settings.hear = if arguments.echo {
        call::Hear::Echo
    } else {
        call::Hear::AnythingWithOurTone
    };
    let mut picture = Picture::new(arguments.watch);
    let placed = dialled.place(
        |plan| {
            if let Some(sound) = sound {
                plan.media = MediaPlan::Play(sound);
            }
            plan.live = arguments.watch;
        },
        |live| {
            picture.show(live);
            ControlFlow::Continue(())
        },
    );
    picture.end();
    let observed = match placed {
        Ok(observed) => observed,
        Err(failure) => return Ok(Report::unseen(Verdict::down(failure))),
    };
    keep(
        &observed,
        arguments.record.as_deref(),
        arguments.pcap.as_deref(),
    )?;
    let (verdict, quality) = dialled.settings.judge_and_report(&observed);
    Ok(Report::seen(verdict, quality, observed))
}

fn keep(observed: &Observed, record: Option<&Path>, pcap: Option<&Path>) -> anyhow::Result<()> {
    let Some(recording) = &observed.recording else {
        return Ok(());
    };
    if let Some(path) = record {
        let sound = wav::write(&recording.heard.samples);
        told(path, file::replace(path, &sound))?;
    }
    if let Some(path) = pcap {
        let packets = evidence::pcap(clock::now(), recording);
        told(path, file::replace(path, &packets))?;
    }
    Ok(())
}

fn read(path: &Path) -> anyhow::Result<Arc<[i16]>> {
    let samples = prompts::read_wav(path).map_err(anyhow::Error::msg)?;
    Ok(Arc::from(samples))
}

fn told(path: &Path, written: io::Result<()>) -> anyhow::Result<()> {
    written.with_context(|| format!("{} cannot be written", path.display()))
}

/// How a call goes: one line that moves on a terminal, a line a second elsewhere.
struct Picture {
    way: Way,
    levels: VecDeque<Option<f64>>,
    looks: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Hidden,
    Moving,
    Lines,
}

/// Four seconds of levels, five a second; the whole line fits 80 columns.
const LEVELS: usize = 20;

/// Looks in a second.
const LOOKS: u32 = 5;

impl Picture {
    fn new(wanted: bool) -> Self {
        let way = match (wanted, io::stdout().is_terminal()) {
            (false, _) => Way::Hidden,
            (true, true) => Way::Moving,
            (true, false) => Way::Lines,
        };
        Self {
            way,
            levels: VecDeque::new(),
            looks: 0,
        }
    }

    fn show(&mut self, live: &Live) {
        self.looks += 1;
        if self.levels.len() == LEVELS {
            self.levels.pop_front();
        }
        self.levels.push_back(live.level_dbov);
        let line = line(live, &self.levels);
        match self.way {
            Way::Hidden => {}
            // Back to the start of the line, and away with what stood there.
            Way::Moving => print_now(&format!("\r\x1b[2K{line}")),
            Way::Lines if self.looks.is_multiple_of(LOOKS) => say(&line),
            Way::Lines => {}
        }
    }

    fn end(&self) {
        if self.way == Way::Moving && self.looks > 0 {
            print_now("\n");
        }
    }
}

fn print_now(text: &str) {
    let mut out = io::stdout().lock();
    // A terminal that is gone hears nothing; the call goes on.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn line(live: &Live, levels: &VecDeque<Option<f64>>) -> String {
    let bars: String = levels.iter().map(|level| bar(*level)).collect();
    let level = live.level_dbov.map_or_else(
        || "no sound".to_owned(),
        |level| format!("{level:>3.0} dBov"),
    );
    let mos = live
        .mos
        .map_or_else(|| "-".to_owned(), |mos| format!("{mos:.2}"));
    format!(
        "{} {bars:<LEVELS$} {level}  lost {:.1} %  jitter {:.1} ms  MOS {mos}",
        elapsed(live.at),
        live.loss_percent,
        live.jitter_ms
    )
}

/// A level as a column: silence at −60 dBov and less, full at −10.
fn bar(level: Option<f64>) -> char {
    const COLUMNS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let Some(level) = level else { return ' ' };
    let full = (1_u8..)
        .zip(COLUMNS)
        .take_while(|(n, _)| level >= -60.0 + 50.0 / 8.0 * f64::from(*n));
    full.last().map_or(COLUMNS[0], |(_, column)| column)
}

fn elapsed(at: Duration) -> String {
    format!("{:02}:{:02}", at.as_secs() / 60, at.as_secs() % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_is_one_line_of_a_terminal() {
        let live = Live {
            at: Duration::from_secs(63),
            level_dbov: Some(-23.4),
            loss_percent: 1.6,
            jitter_ms: 0.31,
            mos: Some(4.283),
        };
        let levels = VecDeque::from([None, Some(-96.0), Some(-60.0), Some(-35.0), Some(-3.0)]);
        let line = line(&live, &levels);
        assert_eq!(
            line,
            "01:03  ▁▁▄█                -23 dBov  lost 1.6 %  jitter 0.3 ms  MOS 4.28"
        );
        assert!(line.chars().count() < 80);
        let early = Live {
            at: Duration::ZERO,
            level_dbov: None,
            loss_percent: 0.0,
            jitter_ms: 0.0,
            mos: None,
        };
        assert_eq!(
            super::line(&early, &VecDeque::new()),
            "00:00                      no sound  lost 0.0 %  jitter 0.0 ms  MOS -"
        );
    }
}
