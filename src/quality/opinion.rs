//! What listeners would say of one direction of a call: MOS with the figures that it comes from.
//!
//! The codec gives Ie and Bpl, the record of packets loss and its bursts behind each emulated jitter buffer, the
//! reports the delay; G.107 and its kin do the rest. A codec that nobody published figures for has `grounded: false`,
//! one that we do not know has no opinion at all.

use std::time::Duration;

use serde::Serialize;

use super::average::Summary;
use super::codec::{Band, Codec, Concealment, Rated};
use super::emodel::{Loss, MODEL, Transmission};
use super::mouth_to_ear::MouthToEar;
use super::scale::{RFactor, Scale};
use super::voipmonitor::MosVm;
use crate::rtp::patch::Patch;
use crate::rtp::playout::{Buffer, Playout};
use crate::rtp::stream::Figures;

/// MOS and all that explains it. Scores of different scales are never compared.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Opinion {
    pub codec: Codec,
    /// `narrowband`, `wideband` or `fullband`; of every MOS here.
    pub scale: &'static str,
    pub model: &'static str,
    /// Conversational, with delay and echo, behind the adaptive buffer and with concealment: the headline.
    pub mos_cq: f64,
    /// Listening, without delay and echo.
    pub mos_lq: f64,
    /// The headline for a receiver that plays silence for a lost packet: the other end of the range.
    pub mos_cq_bare: f64,
    /// The components of the headline.
    pub rating: Rated,
    pub delay: MouthToEar,
    /// From mouth to ear, the sum of `delay` and a sound card.
    pub delay_ms: f64,
    /// Whether the network's part of it was measured; else it is zero.
    pub delay_measured: bool,
    /// Fixed 50 ms, fixed 200 ms, adaptive 500 ms.
    pub buffers: [Buffered; 3],
    /// R over windows of 10 s, and MOS read from it.
    pub course: Option<Course10s>,
    /// As voipmonitor scores the adaptive buffer: for those who compare with an older system, delay and codec left out.
    pub mos_vm: f64,
}

/// One emulated jitter buffer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Buffered {
    pub buffer: Buffer,
    pub mos_cq: f64,
    pub discarded_packets: u64,
    /// Lost or discarded, of all.
    pub loss_percent: f64,
}

/// The call in windows of 10 s.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Course10s {
    pub windows: usize,
    pub r_mean: f64,
    pub r_min: f64,
    pub mos_mean: f64,
    pub mos_min: f64,
}

impl Opinion {
    /// `one_way` is the network's part of the delay, if anything measured it.
    #[must_use]
    pub fn of(figures: &Figures, codec: Codec, one_way: Option<Duration>) -> Self {
        let [.., adaptive] = &figures.playout;
        let delay = |playout: &Playout| MouthToEar {
            ptime_ms: figures.ptime_ms.unwrap_or(PTIME_MS),
            lookahead_ms: codec.lookahead_ms,
            network_ms: one_way.unwrap_or_default().as_secs_f64() * 1000.0,
            jitter_buffer_ms: playout.nominal_ms,
        };
        let line = |playout: &Playout| Transmission::default().delayed_by(delay(playout).ms());
        let rate = |playout: &Playout, concealment| {
            codec.rate(concealment, loss_of(playout), &line(playout))
        };
        let rating = rate(adaptive, Concealment::Concealed);
        let (mos_cq, scale) = rating.printed();
        let listening = codec.rate(
            Concealment::Concealed,
            loss_of(adaptive),
            &Transmission::default(),
        );
        Self {
            scale,
            model: match codec.band {
                Band::Narrowband => MODEL,
                Band::Wideband => "G.107.1",
                Band::Fullband => "G.107.2",
            },
            mos_cq,
            mos_lq: listening.printed().0,
            mos_cq_bare: rate(adaptive, Concealment::Bare).printed().0,
            rating,
            delay: delay(adaptive),
            delay_ms: delay(adaptive).ms(),
            delay_measured: one_way.is_some(),
            buffers: figures.playout.map(|playout| Buffered {
                buffer: playout.buffer,
                mos_cq: rate(&playout, Concealment::Concealed).printed().0,
                discarded_packets: playout.discarded,
                loss_percent: playout.loss_percent,
            }),
            course: course(&figures.patches, codec, &line(adaptive)),
            mos_vm: MosVm::over(&figures.patches).value(),
            codec,
        }
    }

    /// R of the headline, on its scale.
    #[must_use]
    pub const fn r(&self) -> f64 {
        self.rating.r()
    }
}

/// Of G.711 unless the stream shows another (RFC 3551 table 1).
const PTIME_MS: f64 = 20.0;

const fn loss_of(playout: &Playout) -> Loss {
    Loss {
        percent: playout.loss_percent,
        burst_r: playout.burst_r,
    }
}

fn course(patches: &[Patch], codec: Codec, line: &Transmission) -> Option<Course10s> {
    let rated = patches.iter().map(|patch| {
        let loss = Loss {
            percent: patch.loss_percent,
            burst_r: patch.burst_r,
        };
        (patch, codec.rate(Concealment::Concealed, loss, line).r())
    });
    match codec.band {
        Band::Narrowband => summed::<super::scale::Narrowband>(rated),
        Band::Wideband => summed::<super::scale::Wideband>(rated),
        Band::Fullband => summed::<super::scale::Fullband>(rated),
    }
}

fn summed<'a, S: Scale>(rated: impl Iterator<Item = (&'a Patch, f64)>) -> Option<Course10s> {
    let windows = rated.map(|(patch, r)| (RFactor::<S>::new(r), patch.packets));
    let Summary {
        windows,
        r_mean,
        r_min,
        mos_mean,
        mos_min,
    } = Summary::of(windows)?;
    Some(Course10s {
        windows,
        r_mean: r_mean.value(),
        r_min: r_min.value(),
        mos_mean: mos_mean.value(),
        mos_min: mos_min.value(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::Packet;
    use crate::rtp::stream::{Content, Stream};
    use crate::time::Instant;

    /// 1500 packets of G.711, 20 ms each; those named never come, the others come so many milliseconds late.
    fn figures(lost: impl Fn(u16) -> bool, late_ms: impl Fn(u16) -> u64) -> Figures {
        let mut stream = Stream::new(1, 8000);
        for n in (0..1500_u16).filter(|n| !lost(*n)) {
            let packet = Packet {
                marker: false,
                payload_type: 8,
                sequence_number: n,
                timestamp: u32::from(n) * 160,
                ssrc: 1,
                payload: &[0xd5; 160],
            };
            let at = u64::from(n) * 20 + late_ms(n);
            stream.hear(Instant(at * 1_000_000), &packet, Content::Sound);
        }
        stream.figures()
    }

    fn g711() -> Codec {
        Codec::named("PCMA", 8000, None).unwrap()
    }

    #[test]
    fn listening_scores_of_the_recommendation() {
        for (name, lost, expected) in [
            ("flawless", (|_| false) as fn(u16) -> bool, 4.409),
            ("every 20th lost", |n| n % 20 == 10, 3.923),
            (
                "ten in a row, every six seconds",
                |n| (100..110).contains(&(n % 300)),
                4.052,
            ),
        ] {
            let opinion = Opinion::of(&figures(lost, |_| 0), g711(), None);
            assert!(
                (opinion.mos_lq - expected).abs() < 0.001,
                "{name}: {}",
                opinion.mos_lq
            );
            assert!(
                opinion.mos_cq <= opinion.mos_lq && opinion.mos_cq_bare <= opinion.mos_cq,
                "{name}"
            );
        }
    }

    #[test]
    fn a_slow_first_packet_is_no_bad_call() {
        for late_ms in [0, 60, 100, 120, 300, 500] {
            let late = figures(|_| false, |n| if n == 0 { late_ms } else { 0 });
            let opinion = Opinion::of(&late, g711(), None);
            assert!(opinion.r().is_finite(), "{late_ms} ms");
            assert!(opinion.mos_cq > 3.9, "{late_ms} ms: {}", opinion.mos_cq);
            assert!(opinion.delay.jitter_buffer_ms >= 40.0, "{late_ms} ms");
        }
    }

    #[test]
    fn each_buffer_pays_for_what_comes_too_late_for_it() {
        // One packet in ten is 120 ms late.
        let opinion = Opinion::of(
            &figures(|_| false, |n| if n % 10 == 5 { 120 } else { 0 }),
            g711(),
            None,
        );
        let [fixed_50, fixed_200, _] = opinion.buffers;
        assert_eq!(
            (fixed_50.discarded_packets, fixed_200.discarded_packets),
            (150, 0)
        );
        assert!(fixed_50.mos_cq < fixed_200.mos_cq);
    }

    #[test]
    fn delay_is_heard_once_it_is_measured() {
        let clean = figures(|_| false, |_| 0);
        let near = Opinion::of(&clean, g711(), None);
        let far = Opinion::of(&clean, g711(), Some(Duration::from_millis(300)));
        assert!(!near.delay_measured && far.delay_measured);
        assert!((far.delay_ms - near.delay_ms - 300.0).abs() < 1e-9);
        assert!(far.mos_cq < near.mos_cq - 0.5);
        assert_eq!(far.mos_lq.to_bits(), near.mos_lq.to_bits());
    }

    #[test]
    fn two_packets_lost_at_the_end_are_no_bad_patch() {
        let mut packets = 0..1003;
        let last = packets.next_back().unwrap();
        let short = figures(|n| n > last || (1000..1002).contains(&n), |_| 0);
        let opinion = Opinion::of(&short, g711(), None);
        let course = opinion.course.unwrap();
        assert!(opinion.r() - course.r_min < 2.0, "{course:?}");
        assert_eq!(opinion.mos_vm.to_bits(), 4.5_f64.to_bits());
    }

    #[test]
    fn an_outage_is_worthless_and_no_worse() {
        let opinion = Opinion::of(&figures(|n| (250..1250).contains(&n), |_| 0), g711(), None);
        let course = opinion.course.unwrap();
        assert!((0.0..20.0).contains(&course.r_min), "{course:?}");
        assert_eq!(course.windows, 3);
    }

    #[test]
    fn the_worst_ten_seconds_are_told_beside_the_mean() {
        let opinion = Opinion::of(&figures(|n| (600..650).contains(&n), |_| 0), g711(), None);
        let course = opinion.course.unwrap();
        assert_eq!(course.windows, 3);
        assert!(course.mos_min < course.mos_mean - 0.2);
        let flawless = Opinion::of(&figures(|_| false, |_| 0), g711(), None).r();
        assert!(((3.0 * course.r_mean - course.r_min) / 2.0 - flawless).abs() < 0.5);
    }
}
