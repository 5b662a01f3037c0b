//! What we tell the far end of its voice: the `VoIP` metrics block of RFC 3611 §4.7, filled from a leg's report.

use std::time::Duration;

use super::codec::Band;
use super::leg::Report;
use super::opinion::Opinion;
use crate::rtp::playout::Buffer;
use crate::rtp::rtcp::{Levels, Scores, VoipMetrics};

/// The level of 0 dBm0 against full scale, decibels: the loudest sine of G.711 is +3.14 dBm0 and −3.01 dBov.
const DBM0_DBOV: f64 = -6.15;

/// `None` before a packet of a known codec was heard.
#[must_use]
pub fn voip_metrics(report: &Report, round_trip: Option<Duration>) -> Option<VoipMetrics> {
    let stream = report.stream.as_ref()?;
    let opinion = report.opinion.as_ref()?;
    let level = |dbov: f64| i8::try_from(rounded(dbov - DBM0_DBOV)).ok();
    Some(VoipMetrics {
        round_trip_ms: round_trip.map_or(0, |both| whole(both.as_secs_f64() * 1000.0)),
        end_system_delay_ms: whole(opinion.delay_ms - opinion.delay.network_ms),
        levels: Levels {
            signal_dbm0: report.levels.and_then(|it| it.active_dbov).and_then(level),
            noise_dbm0: report.levels.map(|it| it.noise_floor_dbov).and_then(level),
            rerl_db: None,
        },
        scores: Scores {
            r: narrowband_r(opinion),
            r_external: None,
            mos_lq_x10: u8::try_from(rounded(opinion.mos_lq * 10.0)).ok(),
            mos_cq_x10: u8::try_from(rounded(opinion.mos_cq * 10.0)).ok(),
        },
        ..stream.voip_metrics(Buffer::Adaptive500)
    })
}

/// The R factor of the block is that of G.107, 0 to 100; those of wider bands reach 129 and 148 and mean another thing.
fn narrowband_r(opinion: &Opinion) -> Option<u8> {
    match opinion.codec.band {
        Band::Narrowband => u8::try_from(rounded(opinion.r().clamp(0.0, 100.0))).ok(),
        Band::Wideband | Band::Fullband => None,
    }
}

/// Milliseconds, 65535 at most.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "held between 0 and 65535"
)]
fn whole(ms: f64) -> u16 {
    ms.round().clamp(0.0, f64::from(u16::MAX)) as u16
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "levels and scores lie within ±200"
)]
fn rounded(value: f64) -> i32 {
    value.round().clamp(-200.0, 200.0) as i32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quality::codec::Codec;
    use crate::quality::hearing::Hearing;
    use crate::quality::leg::Situation;
    use crate::rtp::Packet;
    use crate::rtp::stream::{Content, Stream};
    use crate::time::Instant;

    #[test]
    fn the_block_says_what_the_report_says() {
        let (mut stream, mut hearing) = (Stream::new(9, 8000), Hearing::default());
        for n in (0..500_u16).filter(|n| n % 50 != 25) {
            let packet = Packet {
                marker: false,
                payload_type: 8,
                sequence_number: n,
                timestamp: u32::from(n) * 160,
                ssrc: 9,
                payload: &[],
            };
            let at = Instant(u64::from(n) * 20_000_000);
            let arrival = stream.hear(at, &packet, Content::Sound);
            // A square of 1036 of 32768 is −30 dBov.
            let sound = [1036, 1036, -1036, -1036].repeat(40);
            hearing.sound(at, arrival, &packet, &sound);
        }
        let situation = Situation {
            codec: Codec::named("PCMA", 8000, None),
            to: Instant(10_000_000_000),
            ..Situation::default()
        };
        let report = Report::of([&stream], &hearing, &situation);
        let block = voip_metrics(&report, Some(Duration::from_millis(42))).unwrap();
        assert_eq!((block.ssrc, block.round_trip_ms), (9, 42));
        // Ten single losses in 500: 2 %, none of them a burst (Gmin 16).
        assert_eq!(
            (
                block.losses.lost_256,
                block.losses.discarded_256,
                block.losses.burst_density_256,
                block.losses.gap_density_256
            ),
            (5, 0, 0, 5)
        );
        assert_eq!(
            (block.levels.signal_dbm0, block.levels.noise_dbm0),
            (Some(-24), Some(-24))
        );
        // Ie-eff of 2 % with concealment is 7.0 (G.107): 93.2 − 7.0 without delay.
        assert_eq!(block.scores.mos_lq_x10, Some(42));
        assert!(
            block.scores.r.is_some_and(|r| (84..=87).contains(&r)),
            "{block:?}"
        );
        for (encoding, clock_rate, is_told) in [
            ("PCMU", 8000, true),
            ("G722", 8000, false),
            ("opus", 48_000, false),
        ] {
            let situation = Situation {
                codec: Codec::named(encoding, clock_rate, None),
                ..situation
            };
            let report = Report::of([&stream], &hearing, &situation);
            let scores = voip_metrics(&report, None).unwrap().scores;
            assert_eq!(scores.r.is_some(), is_told, "{encoding}");
            assert!(scores.mos_cq_x10.is_some(), "{encoding}");
        }
        assert_eq!(
            voip_metrics(&Report::of([], &Hearing::default(), &situation), None),
            None
        );
    }
}
