//! The figures of a stream in the words of an RTCP extended report (RFC 3611 §4.7).

use super::loss::{GMIN, share};
use super::playout::Buffer;
use super::rtcp::{JitterBuffer, Losses, VoipMetrics};
use super::stream::Figures;

impl Figures {
    /// What the far end is told of its stream, had it been played through that buffer. Levels, scores and
    /// delays are the caller's to add.
    #[must_use]
    pub fn voip_metrics(&self, buffer: Buffer) -> VoipMetrics {
        let playout = self.playout_of(buffer);
        let whole = playout.burst.burst_packets + playout.burst.gap_packets;
        let part = |packets: u64| octet(256.0 * share(packets, whole));
        let max_ms = match buffer {
            Buffer::Fixed50 => 50,
            Buffer::Fixed200 => 200,
            Buffer::Adaptive500 => 500,
        };
        VoipMetrics {
            ssrc: self.ssrc,
            losses: Losses {
                lost_256: part(playout.lost),
                discarded_256: part(playout.discarded),
                burst_density_256: octet(playout.burst.burst_density_percent * 2.56),
                gap_density_256: octet(playout.burst.gap_density_percent * 2.56),
                burst_ms: short(playout.burst.burst_ms),
                gap_ms: short(playout.burst.gap_ms),
                gmin: GMIN,
            },
            buffer: JitterBuffer {
                config: match buffer {
                    Buffer::Fixed50 | Buffer::Fixed200 => NON_ADAPTIVE,
                    Buffer::Adaptive500 => ADAPTIVE,
                },
                nominal_ms: short(playout.nominal_ms),
                max_ms,
                absolute_max_ms: max_ms,
            },
            ..VoipMetrics::default()
        }
    }
}

/// §4.7.6, the two bits of the buffer's kind.
const NON_ADAPTIVE: u8 = 0b0010_0000;
const ADAPTIVE: u8 = 0b0011_0000;

/// Cut off as the clause wants it.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast of a float saturates"
)]
const fn octet(value: f64) -> u8 {
    value as u8
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast of a float saturates"
)]
const fn short(value: f64) -> u16 {
    value as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_cut_off_and_never_overflow() {
        let cases = [(0.99, 0), (2.56, 2), (255.9, 255), (256.0, 255)];
        for (value, expected) in cases {
            assert_eq!(octet(value), expected);
        }
    }
}
