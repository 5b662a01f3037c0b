//! One direction of one leg, reported: packets, content, opinion and the one word.
//!
//! Joins what `rtp` counted, what [`super::hearing`] heard and what RTCP said. Asked for when a call ends or a picture
//! is drawn; nothing here runs for each packet.

use std::time::Duration;

use serde::{Serialize, Serializer};

use super::codec::{Band, Codec};
use super::hearing::Hearing;
use super::limits::Measured;
use super::media_state::{HeardBack, MediaState, STREAM_PACKETS_MIN};
use super::opinion::Opinion;
use super::scale::{Mos, Scale};
use crate::audio::activity::Levels;
use crate::rtp::loss::share;
use crate::rtp::playout::Buffer;
use crate::rtp::stream::{Figures, Stream};
use crate::time::Instant;

/// All that is known of a direction besides its packets.
#[derive(Clone, Debug, Default)]
pub struct Situation {
    /// When it was to carry sound: from the answer to the end of listening.
    pub from: Instant,
    pub to: Instant,
    /// What carries the voice; `None` when nobody said, or nobody knows it.
    pub codec: Option<Codec>,
    /// There and back, by RTCP or by an echo.
    pub round_trip: Option<Duration>,
    pub heard_back: HeardBack,
}

/// What one direction was.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    pub media_state: MediaState,
    /// The source with the most packets.
    pub stream: Option<Figures>,
    pub opinion: Option<Opinion>,
    /// A far end that changes its SSRC has several, in order of first sight; strays are among them.
    pub other_sources: Vec<Part>,
    pub levels: Option<Levels>,
    /// Digits by RFC 4733.
    pub dtmf: String,
    /// Digits heard as tones: beside the others, a leak.
    pub dtmf_tones: String,
    pub comfort_noise_packets: u64,
    pub wrong_payload_packets: u64,
    pub wrong_source_packets: u64,
    /// Of sound, from a source that another had replaced: two at once are crosstalk, or a call that forked.
    pub second_source_packets: u64,
    /// The longest time without a packet that the sender did not announce, when more than a second.
    #[serde(rename = "longest_hole_ms", serialize_with = "as_milliseconds")]
    pub longest_hole: Duration,
    /// From the answer to the first packet of any kind, and to the first that carries sound.
    pub first_packet_ms: Option<f64>,
    pub first_media_ms: Option<f64>,
    /// From the answer to the first speech or tone that stands out.
    pub greeting_delay_ms: Option<f64>,
}

/// One source of the far end.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Part {
    pub stream: Figures,
    pub opinion: Option<Opinion>,
}

impl Report {
    #[must_use]
    pub fn of<'a>(
        streams: impl IntoIterator<Item = &'a Stream>,
        hearing: &Hearing,
        situation: &Situation,
    ) -> Self {
        let one_way = situation.round_trip.map(|both| both / 2);
        let mut parts: Vec<Part> = streams
            .into_iter()
            .map(|stream| Part::of(stream.figures(), situation.codec, one_way))
            .collect();
        // Of equals the first.
        let main = (0..parts.len())
            .rev()
            .max_by_key(|place| parts[*place].stream.counts.packets)
            .map(|place| parts.remove(place));
        let (stream, opinion) = main.map_or((None, None), |part| (Some(part.stream), part.opinion));
        let after = |moment: Option<Instant>| Some(milliseconds(moment?.since(situation.from)));
        let signs = hearing.signs(situation.from, situation.to, situation.heard_back);
        Self {
            media_state: MediaState::of(&signs),
            stream,
            opinion,
            other_sources: parts,
            levels: signs.levels,
            dtmf: hearing.digits().to_owned(),
            dtmf_tones: hearing.tones().to_owned(),
            comfort_noise_packets: signs.comfort_noise,
            wrong_payload_packets: signs.wrong_payload,
            wrong_source_packets: signs.wrong_source,
            second_source_packets: hearing.second_source(),
            longest_hole: signs.longest_hole,
            first_packet_ms: after(hearing.moments().first_packet),
            first_media_ms: after(hearing.moments().first_sound),
            greeting_delay_ms: after(hearing.first_speech()),
        }
    }

    /// How long something was heard that one could follow: frames of 20 ms, by their share of speech.
    #[must_use]
    pub fn active(&self) -> Duration {
        self.levels.map_or(Duration::ZERO, |levels| {
            Duration::from_millis(u64::from(levels.frames) * 20)
                .mul_f64(levels.activity_percent / 100.0)
        })
    }

    /// The figures that limits and the leg's own week know. What an echo or an announcement adds is its caller's to add.
    ///
    /// A call that moved is judged by all its sources: losses together, of other figures the worst.
    #[must_use]
    pub fn measured(&self) -> Measured {
        let mut measured = Measured {
            greeting_delay_ms: self.greeting_delay_ms,
            active_dbov: self.levels.and_then(|levels| levels.active_dbov),
            clip_percent: self.levels.map(|levels| levels.clip_percent),
            ..Measured::default()
        };
        let sums =
            |count: fn(&Figures) -> u64| self.judged().map(|(stream, _)| count(stream)).sum();
        let expected = sums(|stream| stream.counts.expected);
        measured.packets = Some(expected);
        if expected > 0 {
            let missing = sums(|stream| stream.counts.missing);
            let discarded = sums(|stream| stream.playout_of(Buffer::Fixed200).discarded);
            measured.loss_percent = Some(100.0 * share(missing, expected));
            measured.discard_percent = Some(100.0 * share(discarded, expected));
        }
        for (stream, opinion) in self.judged() {
            let run = u32::try_from(stream.loss_runs.longest).ok();
            measured.loss_run = measured.loss_run.max(run);
            let pdv = stream.pdv.map(|pdv| pdv.p99_ms);
            measured.pdv_p99_ms = worse(measured.pdv_p99_ms, pdv, f64::max);
            let jitter = Some(stream.jitter.mean_ms);
            measured.jitter_ms = worse(measured.jitter_ms, jitter, f64::max);
            let Some(opinion) = opinion else { continue };
            let mos = opinion
                .course
                .map_or(opinion.mos_cq, |course| course.mos_min);
            match opinion.codec.band {
                Band::Narrowband => measured.mos_cq = lower(measured.mos_cq, mos),
                Band::Wideband => measured.mos_cq_wideband = lower(measured.mos_cq_wideband, mos),
                Band::Fullband => measured.mos_cq_fullband = lower(measured.mos_cq_fullband, mos),
            }
        }
        measured
    }

    /// The sources that tell of the line: a few packets of another are strays.
    fn judged(&self) -> impl Iterator<Item = (&Figures, Option<&Opinion>)> {
        let main = self
            .stream
            .iter()
            .map(|stream| (stream, self.opinion.as_ref()));
        let others = self.other_sources.iter();
        main.chain(
            others
                .filter(|part| part.stream.counts.packets >= STREAM_PACKETS_MIN)
                .map(|part| (&part.stream, part.opinion.as_ref())),
        )
    }
}

impl Part {
    fn of(stream: Figures, codec: Option<Codec>, one_way: Option<Duration>) -> Self {
        Self {
            opinion: codec.map(|codec| Opinion::of(&stream, codec, one_way)),
            stream,
        }
    }
}

fn worse(known: Option<f64>, more: Option<f64>, worst: fn(f64, f64) -> f64) -> Option<f64> {
    match (known, more) {
        (Some(known), Some(more)) => Some(worst(known, more)),
        (one, other) => one.or(other),
    }
}

fn lower<S: Scale>(known: Option<Mos<S>>, mos: f64) -> Option<Mos<S>> {
    worse(known.map(Mos::value), Some(mos), f64::min).map(Mos::new)
}

fn milliseconds(span: Duration) -> f64 {
    span.as_secs_f64() * 1000.0
}

fn as_milliseconds<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(milliseconds(*span))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::g711::Law;
    use crate::audio::tone;
    use crate::rtp::Packet;
    use crate::rtp::stream::Content;

    #[test]
    fn a_direction_is_reported_whole() {
        let (mut stream, mut hearing) = (Stream::new(7, 8000), Hearing::default());
        let mut stray = Stream::new(8, 8000);
        for n in 0..150_u16 {
            // 600 ms of silence first, then a tone.
            let sound: Vec<u8> = (0..160)
                .map(|at| if n < 30 { 0 } else { tone::sample(at) })
                .map(|sample| Law::A.encode(sample))
                .collect();
            let packet = Packet {
                marker: n == 0,
                payload_type: 8,
                sequence_number: n,
                timestamp: u32::from(n) * 160,
                ssrc: 7,
                payload: &sound,
            };
            let at = Instant(1_000_000_000 + u64::from(n) * 20_000_000);
            let arrival = stream.hear(at, &packet, Content::Sound);
            let samples: Vec<i16> = sound.iter().map(|octet| Law::A.decode(*octet)).collect();
            hearing.sound(at, arrival, &packet, &samples);
            if n == 0 {
                stray.hear(at, &packet, Content::Sound);
            }
        }
        let situation = Situation {
            from: Instant(900_000_000),
            to: Instant(4_000_000_000),
            codec: Codec::named("PCMA", 8000, None),
            round_trip: Some(Duration::from_millis(40)),
            heard_back: HeardBack::Yes,
        };
        let report = Report::of([&stray, &stream], &hearing, &situation);
        assert_eq!(report.media_state, MediaState::Ok);
        let measured = report.measured();
        assert_eq!(
            (measured.loss_percent, measured.loss_run),
            (Some(0.0), Some(0))
        );
        assert!(measured.mos_cq.is_some() && measured.mos_cq_wideband.is_none());
        assert_eq!(
            (
                report.other_sources[0].stream.ssrc,
                report.stream.map(|figures| figures.ssrc)
            ),
            (8, Some(7))
        );
        assert_eq!(report.first_media_ms, Some(100.0));
        assert_eq!(report.greeting_delay_ms, Some(700.0));
        let opinion = report.opinion.unwrap();
        assert!((opinion.delay.network_ms - 20.0).abs() < 1e-9);
        let level = report.levels.and_then(|levels| levels.active_dbov).unwrap();
        assert!((level - tone::LEVEL_DBOV).abs() < 1.0, "{level}");
    }

    /// The call moved after a while: what was bad before is not forgotten, whichever part is longer.
    #[test]
    fn a_call_is_judged_by_all_its_sources() {
        let part = |ssrc, packets: u16, is_lost: fn(u16) -> bool| {
            let mut stream = Stream::new(ssrc, 8000);
            for n in (0..packets).filter(|n| !is_lost(*n)) {
                let packet = Packet {
                    marker: false,
                    payload_type: 8,
                    sequence_number: n,
                    timestamp: u32::from(n) * 160,
                    ssrc,
                    payload: &[0xd5; 160],
                };
                let at = Instant(u64::from(n) * 20_000_000);
                stream.hear(at, &packet, Content::Sound);
            }
            stream
        };
        let bad = |n: u16| (100..106).contains(&n) || n % 20 == 10;
        let situation = Situation {
            codec: Codec::named("PCMA", 8000, None),
            ..Situation::default()
        };
        let judged = |streams: &[Stream]| {
            let report = Report::of(streams, &Hearing::default(), &situation);
            report.measured()
        };
        let alone = judged(&[part(1, 500, bad)]);
        assert_eq!(alone.loss_run, Some(6));
        let stray = part(3, 20, |n| (1..19).contains(&n));
        let moved = judged(&[part(1, 500, bad), part(2, 1000, |_| false), stray]);
        assert_eq!(moved.loss_run, Some(6));
        assert_eq!(moved.mos_cq, alone.mos_cq);
        let third = alone.loss_percent.unwrap() / 3.0;
        assert!((moved.loss_percent.unwrap() - third).abs() < 1e-9);
    }

    #[test]
    fn nothing_heard_is_reported_as_nothing() {
        let situation = Situation {
            to: Instant(3_000_000_000),
            ..Situation::default()
        };
        let report = Report::of([], &Hearing::default(), &situation);
        assert_eq!(report.media_state, MediaState::NoMedia);
        assert_eq!(
            (report.stream, report.opinion, report.first_media_ms),
            (None, None, None)
        );
    }
}
