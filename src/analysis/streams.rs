//! One row: everything about one source, in the order of an engineer's questions.

use std::net::SocketAddr;

use serde::{Serialize, Serializer};

use super::beginning::Beginning;
use super::media::content;
use super::privacy::Privacy;
use super::reports::{FarEnd, Reports};
use crate::audio::g711::Law;
use crate::quality::codec::{Codec, fits};
use crate::quality::hearing::Hearing;
use crate::quality::leg::{Report, Situation};
use crate::quality::limits::{Breach, Limits, breaches};
use crate::quality::media_state::{HeardBack, MediaState};
use crate::rtp::packet::Packet;
use crate::rtp::stream::{Content, Stream};
use crate::sdp::Format;
use crate::time::Instant;

/// One source, finished.
#[derive(Debug)]
pub struct Row {
    pub ssrc: u32,
    pub source: SocketAddr,
    pub destination: SocketAddr,
    /// In order of first sight, as SDP or custom name them.
    pub encodings: Vec<String>,
    /// From the beginning of the capture, milliseconds.
    pub start_ms: f64,
    pub end_ms: f64,
    /// Place of its call among the dialogs.
    pub dialog: Option<usize>,
    pub report: Report,
    pub breaches: Vec<Breach>,
    /// What its receiver said of it.
    pub far_end: Option<FarEnd>,
    /// By RTCP, from the point of capture to the receiver and back.
    pub round_trip_ms: Option<f64>,
}

impl Row {
    /// Nothing of it would wake anybody.
    #[must_use]
    pub fn is_fine(&self) -> bool {
        self.breaches.is_empty() && self.report.media_state == MediaState::Ok
    }
}

/// One source, being read.
pub(super) struct Source {
    ssrc: u32,
    from: SocketAddr,
    to: SocketAddr,
    pub(super) dialog: Option<usize>,
    stream: Stream,
    hearing: Hearing,
    /// By payload type, in order of first sight.
    encodings: Vec<(u8, String)>,
    codec: Option<Codec>,
    samples: Vec<i16>,
}

/// Of all narrowband codecs (RFC 3551 table 4); what else a description says.
const CLOCK_RATE: u32 = 8000;

impl Source {
    pub(super) fn new(
        (ssrc, from, to): (u32, SocketAddr, SocketAddr),
        dialog: Option<usize>,
    ) -> Self {
        Self {
            ssrc,
            from,
            to,
            dialog,
            stream: Stream::new(ssrc, CLOCK_RATE),
            hearing: Hearing::default(),
            encodings: Vec::new(),
            codec: None,
            samples: Vec::new(),
        }
    }

    /// `format`: of its payload type, if anybody said. What the capture cut short is counted and not heard.
    pub(super) fn hear(
        &mut self,
        at: Instant,
        packet: &Packet<'_>,
        format: Option<&Format>,
        snapped: bool,
    ) {
        let content = format.map_or(Content::Sound, content);
        if content == Content::Sound {
            let clock_rate = format.map_or(CLOCK_RATE, |format| format.clock_rate);
            self.stream.tick(clock_rate);
        }
        let arrival = self.stream.hear(at, packet, content);
        self.note(packet.payload_type, content, format);
        match content {
            Content::Event => {
                self.hearing.event(at, arrival, packet);
            }
            Content::ComfortNoise => self.hearing.comfort_noise(at, arrival, packet),
            Content::Sound
                if format.is_some_and(|it| !fits(&it.encoding, packet.payload.len())) =>
            {
                self.hearing.wrong_payload += 1;
            }
            Content::Sound => {
                self.samples.clear();
                if let Some(law) = format.and_then(law).filter(|_| !snapped) {
                    let octets = packet.payload.iter();
                    self.samples.extend(octets.map(|octet| law.decode(*octet)));
                }
                self.hearing.sound(at, arrival, packet, &self.samples);
            }
        }
    }

    /// Whether this one went on with the sound of the other: a new SSRC, the answer after early media, media
    /// that a re-INVITE moved. One end stays where it was.
    pub(super) fn follows(&self, other: &Self) -> bool {
        self.dialog == other.dialog
            && self.stream.started() > other.stream.started()
            && self.stream.ended() > other.stream.ended()
            && (self.from == other.from || self.to == other.to)
    }

    fn note(&mut self, payload_type: u8, content: Content, format: Option<&Format>) {
        if self
            .encodings
            .iter()
            .all(|(known, _)| *known != payload_type)
        {
            let name = format.map_or_else(
                || format!("type {payload_type}"),
                |format| format.encoding.clone(),
            );
            self.encodings.push((payload_type, name));
        }
        if self.codec.is_none() && content == Content::Sound {
            self.codec = format.and_then(|it| Codec::named(&it.encoding, it.clock_rate, None));
        }
    }

    pub(super) fn row(
        self,
        answered: Option<Instant>,
        ended: Option<Instant>,
        reports: &Reports,
        privacy: Privacy,
    ) -> Row {
        let far_end = reports.about(self.ssrc).cloned();
        let round_trip = reports.round_trip(self.ssrc);
        let heard_back = match &far_end {
            Some(far) if far.fraction_lost_percent > 99.0 => HeardBack::No,
            Some(far) if far.reports > 0 => HeardBack::Yes,
            Some(_) | None => HeardBack::Unknown,
        };
        let situation = Situation {
            from: answered.unwrap_or_else(|| self.stream.started()),
            // A hang-up that was captured; else nobody knows whether more was to come.
            to: ended.unwrap_or_else(|| self.stream.ended()),
            codec: self.codec,
            round_trip,
            heard_back,
        };
        let mut report = Report::of([&self.stream], &self.hearing, &situation);
        report.dtmf = privacy.typed(&report.dtmf);
        report.dtmf_tones = privacy.typed(&report.dtmf_tones);
        Row {
            ssrc: self.ssrc,
            source: self.from,
            destination: self.to,
            encodings: self.encodings.into_iter().map(|(_, name)| name).collect(),
            start_ms: Beginning::ms(self.stream.started()),
            end_ms: Beginning::ms(self.stream.ended()),
            dialog: self.dialog,
            breaches: breaches(&Limits::default(), &report.measured()),
            report,
            far_end,
            round_trip_ms: round_trip.map(|span| span.as_secs_f64() * 1000.0),
        }
    }
}

fn law(format: &Format) -> Option<Law> {
    Law::named(&format.encoding).filter(|_| format.clock_rate == CLOCK_RATE)
}

// The JSON of a row: what scripts rely on stands first and by the names that the documents promise.

#[derive(Serialize)]
struct Json<'a> {
    ssrc: String,
    source: SocketAddr,
    destination: SocketAddr,
    payload_types: &'a [u8],
    encodings: &'a [String],
    start_ms: f64,
    end_ms: f64,
    packets: u64,
    expected: u64,
    lost: i64,
    loss_percent: f64,
    duplicates: u64,
    reordered: u64,
    delta_ms: Spread,
    jitter_ms: Spread,
    pdv_ms: Option<Percentiles>,
    loss_runs: &'a crate::rtp::loss::LossRuns,
    burst: &'a crate::rtp::loss::BurstGap,
    mos: Option<Mos>,
    media_state: MediaState,
    limits_broken: Vec<String>,
    dialog: Option<usize>,
    far_end: Option<&'a FarEnd>,
    round_trip_ms: Option<f64>,
    /// Everything, as `vigie probe call --json` has it under `quality`.
    report: &'a Report,
}

#[derive(Serialize)]
struct Spread {
    min: f64,
    mean: f64,
    max: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<f64>,
}

#[derive(Serialize)]
struct Percentiles {
    p50: f64,
    p95: f64,
    p99: f64,
    max: f64,
}

/// All on the scale that is named.
#[derive(Serialize)]
struct Mos {
    scale: &'static str,
    model: &'static str,
    grounded: bool,
    r: f64,
    cq: f64,
    lq: f64,
    cq_bare: f64,
    fixed_50_ms: f64,
    fixed_200_ms: f64,
    adaptive_500_ms: f64,
    vm: f64,
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(stream) = &self.report.stream else {
            return Err(serde::ser::Error::custom("a source without packets"));
        };
        let spread = |range: &crate::rtp::spacing::Range, last| Spread {
            min: range.min_ms,
            mean: range.mean_ms,
            max: range.max_ms,
            last,
        };
        Json {
            ssrc: format!("0x{:08x}", self.ssrc),
            source: self.source,
            destination: self.destination,
            payload_types: &stream.payload_types,
            encodings: &self.encodings,
            start_ms: self.start_ms,
            end_ms: self.end_ms,
            packets: stream.counts.packets,
            expected: stream.counts.expected,
            lost: stream.counts.lost,
            loss_percent: stream.loss_percent,
            duplicates: stream.counts.duplicates,
            reordered: stream.counts.reordered,
            delta_ms: spread(&stream.delta, None),
            jitter_ms: spread(&stream.jitter, Some(stream.jitter_last_ms)),
            pdv_ms: stream.pdv.map(|pdv| Percentiles {
                p50: pdv.p50_ms,
                p95: pdv.p95_ms,
                p99: pdv.p99_ms,
                max: pdv.max_ms,
            }),
            loss_runs: &stream.loss_runs,
            burst: &stream.burst,
            mos: self.report.opinion.as_ref().map(|opinion| {
                let [fixed_50, fixed_200, adaptive] = opinion.buffers;
                Mos {
                    scale: opinion.scale,
                    model: opinion.model,
                    grounded: opinion.codec.grounded,
                    r: opinion.r(),
                    cq: opinion.mos_cq,
                    lq: opinion.mos_lq,
                    cq_bare: opinion.mos_cq_bare,
                    fixed_50_ms: fixed_50.mos_cq,
                    fixed_200_ms: fixed_200.mos_cq,
                    adaptive_500_ms: adaptive.mos_cq,
                    vm: opinion.mos_vm,
                }
            }),
            media_state: self.report.media_state,
            limits_broken: self.breaches.iter().map(ToString::to_string).collect(),
            dialog: self.dialog,
            far_end: self.far_end.as_ref(),
            round_trip_ms: self.round_trip_ms,
            report: &self.report,
        }
        .serialize(serializer)
    }
}
