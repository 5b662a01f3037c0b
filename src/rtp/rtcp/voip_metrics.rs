//! Metrics of a voice (RFC 3611 §4.7, block type 7): what a receiver makes of a voice it hears.
//!
//! Parts of a whole are in 1/256, cut off, 255 at most. What a device does not know it says with 127, or,
//! of times, with 0.

use serde::Serialize;

/// RFC 3611 §4.7.
pub(super) const BLOCK_TYPE: u8 = 7;
/// Without the first.
pub(super) const WORDS: u8 = 8;
const OCTETS: usize = WORDS as usize * 4;
const UNAVAILABLE: u8 = 127;

/// The block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct VoipMetrics {
    /// The source it speaks of.
    pub ssrc: u32,
    pub losses: Losses,
    pub round_trip_ms: u16,
    /// From the line through the jitter buffer to the ear, and back.
    pub end_system_delay_ms: u16,
    pub levels: Levels,
    pub scores: Scores,
    pub buffer: JitterBuffer,
}

/// §4.7.1 and §4.7.2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Losses {
    /// Never came, in 1/256 of those expected.
    pub lost_256: u8,
    /// Came too late or too early for the buffer.
    pub discarded_256: u8,
    pub burst_density_256: u8,
    pub gap_density_256: u8,
    /// Mean lengths.
    pub burst_ms: u16,
    pub gap_ms: u16,
    /// Good packets that end a burst.
    pub gmin: u8,
}

/// §4.7.4.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Levels {
    pub signal_dbm0: Option<i8>,
    pub noise_dbm0: Option<i8>,
    /// Residual echo return loss.
    pub rerl_db: Option<u8>,
}

/// §4.7.5.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Scores {
    /// 0 to 100.
    pub r: Option<u8>,
    /// Of the part of the call beyond this one.
    pub r_external: Option<u8>,
    /// Listening, 10 to 50.
    pub mos_lq_x10: Option<u8>,
    /// Conversation.
    pub mos_cq_x10: Option<u8>,
}

/// §4.7.6 and §4.7.7.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct JitterBuffer {
    /// Loss concealment (2 bits), adaptive (2), rate (4).
    pub config: u8,
    pub nominal_ms: u16,
    pub max_ms: u16,
    pub absolute_max_ms: u16,
}

impl VoipMetrics {
    pub(super) fn read(octets: &[u8; OCTETS]) -> Self {
        let short = |at: usize| u16::from_be_bytes([octets[at], octets[at + 1]]);
        let known = |at: usize| Some(octets[at]).filter(|value| *value != UNAVAILABLE);
        let [a, b, c, d, ..] = *octets;
        Self {
            ssrc: u32::from_be_bytes([a, b, c, d]),
            losses: Losses {
                lost_256: octets[4],
                discarded_256: octets[5],
                burst_density_256: octets[6],
                gap_density_256: octets[7],
                burst_ms: short(8),
                gap_ms: short(10),
                gmin: octets[19],
            },
            round_trip_ms: short(12),
            end_system_delay_ms: short(14),
            levels: Levels {
                signal_dbm0: known(16).map(u8::cast_signed),
                noise_dbm0: known(17).map(u8::cast_signed),
                rerl_db: known(18),
            },
            scores: Scores {
                r: known(20),
                r_external: known(21),
                mos_lq_x10: known(22),
                mos_cq_x10: known(23),
            },
            buffer: JitterBuffer {
                config: octets[24],
                nominal_ms: short(26),
                max_ms: short(28),
                absolute_max_ms: short(30),
            },
        }
    }

    pub(super) fn write(&self) -> [u8; OCTETS] {
        let Self {
            losses,
            levels,
            scores,
            buffer,
            ..
        } = self;
        let signed = |level: Option<i8>| level.map_or(UNAVAILABLE, i8::cast_unsigned);
        let known = |value: Option<u8>| value.unwrap_or(UNAVAILABLE);
        let mut octets = [0; OCTETS];
        octets[..4].copy_from_slice(&self.ssrc.to_be_bytes());
        octets[4..8].copy_from_slice(&[
            losses.lost_256,
            losses.discarded_256,
            losses.burst_density_256,
            losses.gap_density_256,
        ]);
        octets[16..26].copy_from_slice(&[
            signed(levels.signal_dbm0),
            signed(levels.noise_dbm0),
            known(levels.rerl_db),
            losses.gmin,
            known(scores.r),
            known(scores.r_external),
            known(scores.mos_lq_x10),
            known(scores.mos_cq_x10),
            buffer.config,
            0, // reserved
        ]);
        for (at, value) in [
            (8, losses.burst_ms),
            (10, losses.gap_ms),
            (12, self.round_trip_ms),
            (14, self.end_system_delay_ms),
            (26, buffer.nominal_ms),
            (28, buffer.max_ms),
            (30, buffer.absolute_max_ms),
        ] {
            octets[at..at + 2].copy_from_slice(&value.to_be_bytes());
        }
        octets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OCTETS_OF_ALL: [u8; OCTETS] = [
        1, 2, 3, 4, // source
        5, 6, 7, 8, // lost, discarded, densities
        0, 9, 0, 10, // burst and gap, ms
        0, 11, 1, 12, // round trip, end system, ms
        0xf1, 0xba, 13, 16, // signal, noise, echo, Gmin
        93, 127, 44, 43, // R, of the part beyond, MOS listening and conversing
        0xb5, 0, 0, 20, // configuration, reserved, nominal
        0, 40, 1, 244, // most now, most ever
    ];

    #[test]
    fn every_field_is_where_the_clause_puts_it() {
        let metrics = VoipMetrics {
            ssrc: 0x0102_0304,
            losses: Losses {
                lost_256: 5,
                discarded_256: 6,
                burst_density_256: 7,
                gap_density_256: 8,
                burst_ms: 9,
                gap_ms: 10,
                gmin: 16,
            },
            round_trip_ms: 11,
            end_system_delay_ms: 268,
            levels: Levels {
                signal_dbm0: Some(-15),
                noise_dbm0: Some(-70),
                rerl_db: Some(13),
            },
            scores: Scores {
                r: Some(93),
                r_external: None,
                mos_lq_x10: Some(44),
                mos_cq_x10: Some(43),
            },
            buffer: JitterBuffer {
                config: 0xb5,
                nominal_ms: 20,
                max_ms: 40,
                absolute_max_ms: 500,
            },
        };
        assert_eq!(metrics.write(), OCTETS_OF_ALL);
        assert_eq!(VoipMetrics::read(&OCTETS_OF_ALL), metrics);
    }

    #[test]
    fn what_is_not_known_is_127() {
        let octets = VoipMetrics::default().write();
        assert_eq!(octets[16..24], [127, 127, 127, 0, 127, 127, 127, 127]);
        assert_eq!(VoipMetrics::read(&octets), VoipMetrics::default());
    }
}
