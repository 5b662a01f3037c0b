//! `vigie analyse`: what a capture says of the calls in it, for an engineer beside tshark, or as JSON for a script.
//!
//! Exit codes: 0 every stream is fine, 1 one breaks a limit or is not heard, 3 no capture, or nothing in it.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use serde::Serialize;

use super::{OWN_FAULT, say};
use crate::analysis::dialogs::Dialog;
use crate::analysis::streams::Row;
use crate::analysis::{Analysis, Options, analyse};
use crate::capture::{self, Capture};
use crate::probe::{Blame, Failure};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A capture: pcap or pcapng; Ethernet, Linux cooked or raw IP
    file: PathBuf,
    /// One JSON object: dialogs and streams with every figure (docs/voice-quality.md)
    #[arg(long)]
    json: bool,
    /// A UDP port that carries RTP although no SIP in the capture says so; may be repeated
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    rtp_port: Vec<u16>,
    /// Print telephone numbers and typed digits in full: they are personal data, and are covered otherwise
    #[arg(long)]
    show_numbers: bool,
}

#[derive(Serialize)]
struct Json<'a> {
    file: String,
    frames: u64,
    warnings: &'a [String],
    dialogs: &'a [Dialog],
    streams: &'a [Row],
}

#[derive(Serialize)]
struct Unread {
    failure: Failure,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let json = arguments.json;
    match explain(arguments) {
        Ok(code) => Ok(code),
        // A script that asked for JSON reads JSON, whatever it asked about.
        Err(error) if json => {
            let failure = Failure::new(Blame::Ours, "bad_input", format!("{error:#}"));
            say(&serde_json::to_string(&Unread { failure }).expect("texts always print"));
            Ok(ExitCode::from(OWN_FAULT))
        }
        Err(error) => Err(error),
    }
}

fn explain(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let name = arguments.file.display().to_string();
    let metadata =
        std::fs::metadata(&arguments.file).with_context(|| format!("cannot read {name}"))?;
    if !metadata.is_file() {
        bail!("{name} is no file: capture into one first, with dumpcap -w FILE");
    }
    let bytes = std::fs::read(&arguments.file).with_context(|| format!("cannot read {name}"))?;
    let capture = capture::read(&bytes).with_context(|| name.clone())?;
    let options = Options {
        rtp_ports: arguments.rtp_port,
        show_numbers: arguments.show_numbers,
    };
    let analysis = analyse(&capture, &options);
    if arguments.json {
        let json = Json {
            file: name,
            frames: capture.counts.frames,
            warnings: &capture.warnings,
            dialogs: &analysis.dialogs,
            streams: &analysis.streams,
        };
        say(&serde_json::to_string(&json).expect("numbers and texts always print"));
    } else {
        say(words(&capture, &analysis).trim_end());
    }
    let nothing = analysis.dialogs.is_empty() && analysis.streams.is_empty();
    let silent = analysis.dialogs.iter().any(|it| !it.silent.is_empty());
    Ok(ExitCode::from(if nothing {
        OWN_FAULT
    } else {
        u8::from(silent || !analysis.streams.iter().all(Row::is_fine))
    }))
}

/// Writing to a string cannot fail.
const INFALLIBLE: &str = "writing to a string cannot fail";

fn words(capture: &Capture<'_>, analysis: &Analysis) -> String {
    let mut text = String::new();
    for warning in &capture.warnings {
        writeln!(text, "note: {warning}").expect(INFALLIBLE);
    }
    for dialog in &analysis.dialogs {
        ladder(&mut text, dialog);
    }
    if analysis.streams.is_empty() {
        text.push_str(
            "no RTP was found; if there is some, name its port with --rtp-port, or capture the SIP that sets it up\n",
        );
        return text;
    }
    table(&mut text, &analysis.streams);
    for row in &analysis.streams {
        details(&mut text, row);
    }
    text
}

fn ladder(text: &mut String, dialog: &Dialog) {
    writeln!(
        text,
        "{} → {}  ({})",
        dialog.from, dialog.to, dialog.call_id
    )
    .expect(INFALLIBLE);
    for rung in &dialog.ladder {
        let again = match rung.repeat {
            0 => String::new(),
            times => format!("  (repeated, {times})"),
        };
        writeln!(
            text,
            "{:>12.3} s  {:<21} → {:<21}  {} ({}){again}",
            rung.at_ms / 1000.0,
            rung.from.to_string(),
            rung.to.to_string(),
            rung.what,
            rung.cseq
        )
        .expect(INFALLIBLE);
    }
    for address in &dialog.silent {
        writeln!(text, "  NO_MEDIA: no RTP came to {address}").expect(INFALLIBLE);
    }
    text.push('\n');
}

/// The columns of `tshark -q -z rtp,streams`, in its order, for comparison line by line.
fn table(text: &mut String, streams: &[Row]) {
    writeln!(
        text,
        "{:>10} {:>10} {:>15} {:>5} {:>15} {:>5}  {:<10} {:<16} {:>6} {:>13} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "Start", "End", "Src IP", "Port", "Dest IP", "Port", "SSRC", "Payload", "Pkts", "Lost", "Min d ms", "Mean d", "Max d", "Min j ms",
        "Mean j", "Max j"
    )
    .expect(INFALLIBLE);
    for row in streams {
        let Some(stream) = &row.report.stream else {
            continue;
        };
        let lost = format!(
            "{} ({:.1}%)",
            stream.counts.lost,
            100.0 * share(stream.counts.lost, stream.counts.expected)
        );
        writeln!(
            text,
            "{:>10.6} {:>10.6} {:>15} {:>5} {:>15} {:>5}  0x{:08X} {:<16} {:>6} {:>13} {:>9.3} {:>9.3} {:>9.3} {:>9.3} {:>9.3} {:>9.3}",
            row.start_ms / 1000.0,
            row.end_ms / 1000.0,
            row.source.ip().to_string(),
            row.source.port(),
            row.destination.ip().to_string(),
            row.destination.port(),
            row.ssrc,
            row.encodings.join(","),
            stream.counts.packets,
            lost,
            stream.delta.min_ms,
            stream.delta.mean_ms,
            stream.delta.max_ms,
            stream.jitter.min_ms,
            stream.jitter.mean_ms,
            stream.jitter.max_ms
        )
        .expect(INFALLIBLE);
    }
    text.push('\n');
}

fn details(text: &mut String, row: &Row) {
    let Some(stream) = &row.report.stream else {
        return;
    };
    let report = &row.report;
    writeln!(text, "0x{:08X}  {}", row.ssrc, report.media_state).expect(INFALLIBLE);
    let mut line = |label: &str, words: String| {
        writeln!(text, "  {label:<12} {words}").expect(INFALLIBLE);
    };
    if let Some(opinion) = &report.opinion {
        let [fixed_50, fixed_200, adaptive] = opinion.buffers;
        line(
            "MOS",
            format!(
                "{:.2} conversational, {:.2} listening ({}, {}{}); {:.2} without concealment; behind 50 ms {:.2}, 200 ms {:.2}, \
                 adaptive {:.2}; R {:.1}; mos_vm {:.2}",
                opinion.mos_cq,
                opinion.mos_lq,
                opinion.codec.name,
                opinion.scale,
                if opinion.codec.grounded {
                    ""
                } else {
                    ", not grounded"
                },
                opinion.mos_cq_bare,
                fixed_50.mos_cq,
                fixed_200.mos_cq,
                adaptive.mos_cq,
                opinion.r(),
                opinion.mos_vm
            ),
        );
    }
    let counts = &stream.counts;
    line(
        "packets",
        format!(
            "{} missing, {} twice, {} overtaken, {} restarts; {} runs of loss, {} in a row at most",
            counts.missing,
            counts.duplicates,
            counts.reordered,
            counts.restarts,
            stream.loss_runs.runs,
            stream.loss_runs.longest
        ),
    );
    line(
        "bursts",
        format!(
            "{} of {:.0} ms, {:.1} % lost in them, {:.2} % between; BurstR {:.2}",
            stream.burst.bursts,
            stream.burst.burst_ms,
            stream.burst.burst_density_percent,
            stream.burst.gap_density_percent,
            stream.burst_r
        ),
    );
    if let Some(pdv) = stream.pdv {
        let skew = stream
            .skew_ppm
            .map_or_else(String::new, |ppm| format!("; clock {ppm:+.0} ppm"));
        line(
            "delay",
            format!(
                "variation p50 {:.3}, p95 {:.3}, p99 {:.3}, max {:.3} ms; jitter last {:.3} ms{skew}",
                pdv.p50_ms, pdv.p95_ms, pdv.p99_ms, pdv.max_ms, stream.jitter_last_ms
            ),
        );
    }
    if let Some(levels) = report.levels {
        line(
            "sound",
            format!(
                "{} active, {:.0} % of the time, noise floor {:.0} dBov, clipped {:.2} %",
                levels
                    .active_dbov
                    .map_or_else(|| "nothing".to_owned(), |dbov| format!("{dbov:.0} dBov")),
                levels.activity_percent,
                levels.noise_floor_dbov,
                levels.clip_percent
            ),
        );
    }
    let digits = [("dtmf", &report.dtmf), ("dtmf tones", &report.dtmf_tones)];
    for (label, heard) in digits {
        if !heard.is_empty() {
            line(label, heard.clone());
        }
    }
    let jumps = &stream.jumps;
    if jumps.timestamp + jumps.sequence + jumps.payload_type > 0 {
        line(
            "jumps",
            format!(
                "{} of timestamp, {} of sequence, {} of payload type",
                jumps.timestamp, jumps.sequence, jumps.payload_type
            ),
        );
    }
    if let Some(far) = &row.far_end {
        let way = row
            .round_trip_ms
            .map_or_else(String::new, |ms| format!("; {ms:.3} ms there and back"));
        line(
            "receiver",
            format!(
                "says {} lost, {:.1} % of the last{way}",
                far.lost_packets, far.fraction_lost_percent
            ),
        );
    }
    for breach in &row.breaches {
        line("limit", breach.to_string());
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of packets stay far below 2^52"
)]
fn share(part: i64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}
