//! Report block (RFC 3550 §6.4.1), alike in sender and receiver reports: how one source is heard.

use std::time::Duration;

use rtcp_types::{ReportBlock, ReportBlockBuilder};

/// What a receiver says of one source (§6.4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// The source it speaks of.
    pub ssrc: u32,
    /// Since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Since the beginning; 24 bits with sign.
    pub lost: i32,
    pub extended_max: u32,
    /// Timestamp units.
    pub jitter: u32,
    /// Middle 32 bits of the NTP time of the last SR from that source; 0: none came.
    pub last_sr: u32,
    /// Since that SR, in 1/65536 s.
    pub delay_since_last_sr: u32,
}

impl Block {
    pub(super) fn read(block: &ReportBlock<'_>) -> Self {
        Self {
            ssrc: block.ssrc(),
            fraction_lost: block.fraction_lost(),
            // Shifting up and down again carries the sign bit of the 24.
            lost: (block.cumulative_lost() << 8).cast_signed() >> 8,
            extended_max: block.extended_sequence_number(),
            jitter: block.interarrival_jitter(),
            last_sr: block.last_sender_report_timestamp(),
            delay_since_last_sr: block.delay_since_last_sender_report_timestamp(),
        }
    }

    pub(super) fn write(self) -> ReportBlockBuilder {
        let lost = self.lost.clamp(-0x80_0000, 0x7f_ffff).cast_unsigned() & 0xff_ffff;
        ReportBlock::builder(self.ssrc)
            .fraction_lost(self.fraction_lost)
            .cumulative_lost(lost)
            .extended_sequence_number(self.extended_max)
            .interarrival_jitter(self.jitter)
            .last_sender_report_timestamp(self.last_sr)
            .delay_since_last_sender_report_timestamp(self.delay_since_last_sr)
    }
}

/// Round trip from a block about us that arrived at `arrival` (§6.4.1, figure 2).
/// `None` if they heard no SR of ours yet, or their clock makes it nonsense.
#[must_use]
pub fn round_trip(arrival: u32, block: &Block) -> Option<Duration> {
    there_and_back(arrival, block.last_sr, block.delay_since_last_sr)
}

/// Arrival minus what they last heard of us minus how long they kept it, in 1/65536 s.
pub(super) fn there_and_back(arrival: u32, last: u32, delay: u32) -> Option<Duration> {
    if last == 0 {
        return None;
    }
    let units = arrival.wrapping_sub(last).wrapping_sub(delay);
    // Rounding in their delay can make a short round trip negative by a unit or two.
    let units = if units > u32::MAX - 16 { 0 } else { units };
    let nanos = u64::from(units) * 1_000_000_000 / 65_536;
    (units < 60 * 65_536).then(|| Duration::from_nanos(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::rtcp::middle;

    #[test]
    fn the_round_trip_of_figure_2() {
        let sent = 0xb44d_b705_2000_0000;
        assert_eq!(middle(sent), 0xb705_2000);
        let block = Block {
            last_sr: middle(sent),
            delay_since_last_sr: 0x0005_4000,
            ..Block::default()
        };
        assert_eq!(
            round_trip(0xb710_8000, &block),
            Some(Duration::from_millis(6125))
        );
        assert_eq!(round_trip(0xb710_8000, &Block::default()), None);
    }
}
