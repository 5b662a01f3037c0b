//! RTCP (RFC 3550 §6): our reports written, theirs read, by rtcp-types.
//!
//! A compound here is SR or RR, then SDES with CNAME, then perhaps BYE. What else may stand in a
//! compound (APP, XR, feedback) is skipped when read.

use std::time::Duration;

use rtcp_types::{
    Bye, Compound, Packet, ReceiverReport, ReportBlock, RtcpPacketWriterExt, Sdes, SdesChunk,
    SdesItem, SenderReport,
};

use super::Malformed;
use crate::time::{Instant, Utc};

/// What a sender says of itself (§6.4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SenderInfo {
    /// Wall clock, 32.32 fixed point seconds since 1900.
    pub ntp: u64,
    pub rtp_timestamp: u32,
    pub packets: u32,
    /// Of payload.
    pub octets: u32,
}

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

/// One compound packet, as far as calls need it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub ssrc: u32,
    /// Present in an SR.
    pub sender: Option<SenderInfo>,
    pub blocks: Vec<Block>,
    pub bye: bool,
}

/// Our canonical name: who we are, not where (§6.5.1 wants it free of addresses that change).
const CNAME: &str = "vigie";

/// Reads a compound packet. No bytes make it panic.
///
/// # Errors
/// When lengths, versions or contents contradict each other: then the whole compound is of no use.
pub fn parse(bytes: &[u8]) -> Result<Report, Malformed> {
    let malformed = |error: rtcp_types::RtcpParseError| Malformed {
        words: error.to_string(),
    };
    let mut report = Report::default();
    for packet in Compound::parse(bytes).map_err(malformed)? {
        match packet.map_err(malformed)? {
            Packet::Sr(sr) => {
                report.ssrc = sr.ssrc();
                report.sender = Some(SenderInfo {
                    ntp: sr.ntp_timestamp(),
                    rtp_timestamp: sr.rtp_timestamp(),
                    packets: sr.packet_count(),
                    octets: sr.octet_count(),
                });
                report
                    .blocks
                    .extend(sr.report_blocks().map(|b| read_block(&b)));
            }
            Packet::Rr(rr) => {
                report.ssrc = rr.ssrc();
                report
                    .blocks
                    .extend(rr.report_blocks().map(|b| read_block(&b)));
            }
            Packet::Bye(_) => report.bye = true,
            Packet::App(_)
            | Packet::Sdes(_)
            | Packet::TransportFeedback(_)
            | Packet::PayloadFeedback(_)
            | Packet::Xr(_)
            | Packet::Unknown(_) => {}
        }
    }
    Ok(report)
}

fn read_block(block: &ReportBlock<'_>) -> Block {
    Block {
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

/// Writes a compound packet: SR or RR, SDES, and BYE if it is the last.
#[must_use]
pub fn write(report: &Report) -> Vec<u8> {
    let mut compound = Compound::builder();
    compound = if let Some(info) = report.sender {
        let mut sr = SenderReport::builder(report.ssrc)
            .ntp_timestamp(info.ntp)
            .rtp_timestamp(info.rtp_timestamp)
            .packet_count(info.packets)
            .octet_count(info.octets);
        for block in report.blocks.iter().take(BLOCKS_MAX) {
            sr = sr.add_report_block(write_block(*block));
        }
        compound.add_packet(sr)
    } else {
        let mut rr = ReceiverReport::builder(report.ssrc);
        for block in report.blocks.iter().take(BLOCKS_MAX) {
            rr = rr.add_report_block(write_block(*block));
        }
        compound.add_packet(rr)
    };
    let cname = SdesItem::builder(SdesItem::CNAME, CNAME);
    compound = compound
        .add_packet(Sdes::builder().add_chunk(SdesChunk::builder(report.ssrc).add_item(cname)));
    if report.bye {
        compound = compound.add_packet(Bye::builder().add_source(report.ssrc));
    }
    let mut bytes = vec![0; SIZE_MAX];
    let length = compound
        .write_into(&mut bytes)
        .expect("all fields are within their bits and 1 KiB holds 31 blocks");
    bytes.truncate(length);
    bytes
}

/// As many as five bits can count (§6.4.1).
const BLOCKS_MAX: usize = 31;
/// 31 blocks of 24 octets, and the fixed parts.
const SIZE_MAX: usize = 1024;

fn write_block(block: Block) -> rtcp_types::ReportBlockBuilder {
    let lost = block.lost.clamp(-0x80_0000, 0x7f_ffff).cast_unsigned() & 0xff_ffff;
    ReportBlock::builder(block.ssrc)
        .fraction_lost(block.fraction_lost)
        .cumulative_lost(lost)
        .extended_sequence_number(block.extended_max)
        .interarrival_jitter(block.jitter)
        .last_sender_report_timestamp(block.last_sr)
        .delay_since_last_sender_report_timestamp(block.delay_since_last_sr)
}

/// Seconds between 1900 and 1970.
const NTP_EPOCH: u64 = 2_208_988_800;

/// Wall clock as NTP writes it (§4): 32.32 fixed point seconds since 1900.
#[must_use]
pub fn ntp(utc: Utc) -> u64 {
    let nanos = u64::try_from(utc.0).unwrap_or(0);
    let (seconds, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    ((seconds + NTP_EPOCH) << 32) | ((rest << 32) / 1_000_000_000)
}

/// The middle 32 bits of an NTP time (§6.4.1, LSR).
#[must_use]
pub const fn middle(ntp: u64) -> u32 {
    ((ntp >> 16) & 0xffff_ffff) as u32
}

/// Time since the SR came, in 1/65536 s (§6.4.1, DLSR).
#[must_use]
pub fn delay(since: Instant, now: Instant) -> u32 {
    let units = now.since(since).as_nanos() * 65_536 / 1_000_000_000;
    u32::try_from(units).unwrap_or(u32::MAX)
}

/// Round trip from a block about us that arrived at `arrival` (§6.4.1, figure 2): A − LSR − DLSR.
/// `None` if they heard no SR of ours yet, or their clock makes it nonsense.
#[must_use]
pub fn round_trip(arrival: u32, block: &Block) -> Option<Duration> {
    if block.last_sr == 0 {
        return None;
    }
    let units = arrival
        .wrapping_sub(block.last_sr)
        .wrapping_sub(block.delay_since_last_sr);
    // Rounding in their delay can make a short round trip negative by a unit or two.
    let units = if units > u32::MAX - 16 { 0 } else { units };
    let nanos = u64::from(units) * 1_000_000_000 / 65_536;
    (units < 60 * 65_536).then(|| Duration::from_nanos(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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

    #[test]
    fn wall_clock_and_delay_in_the_units_of_the_standard() {
        assert_eq!(ntp(Utc(500_000_000)), (NTP_EPOCH << 32) | 0x8000_0000);
        assert_eq!(delay(Instant(0), Instant(5_250_000_000)), 0x0005_4000);
    }

    #[test]
    fn a_report_has_the_octets_of_the_standard() {
        let report = Report {
            ssrc: 0x0102_0304,
            bye: true,
            ..Report::default()
        };
        let expected = [
            [0x80, 201, 0, 1, 1, 2, 3, 4].as_slice(),
            // SDES: one chunk, CNAME (1), five letters, then zeros up to the word (§6.5).
            &[
                0x81, 202, 0, 3, 1, 2, 3, 4, 1, 5, b'v', b'i', b'g', b'i', b'e', 0,
            ],
            &[0x81, 203, 0, 1, 1, 2, 3, 4],
        ]
        .concat();
        assert_eq!(write(&report), expected);
    }

    #[test]
    fn one_broken_part_makes_the_whole_of_no_use() {
        let mut bytes = write(&Report::default());
        bytes.truncate(bytes.len() - 1);
        assert!(parse(&bytes).is_err());
        assert!(parse(&[]).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn no_broken_report_makes_it_panic(at in 0_usize..60, value: u8) {
            let mut bytes = write(&Report {
                sender: Some(SenderInfo::default()),
                blocks: vec![Block::default()],
                bye: true,
                ..Report::default()
            });
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
            let _ = parse(&bytes);
        }

        #[test]
        fn a_report_survives_the_way_there_and_back(
            ssrc: u32, ntp: u64, rtp_timestamp: u32, packets: u32, octets: u32, about: u32,
            fraction_lost: u8, lost in -0x80_0000..0x80_0000, jitter: u32, last_sr: u32, sends: bool, bye: bool,
        ) {
            let report = Report {
                ssrc,
                sender: sends.then_some(SenderInfo { ntp, rtp_timestamp, packets, octets }),
                blocks: vec![Block {
                    ssrc: about, fraction_lost, lost, extended_max: packets, jitter, last_sr,
                    delay_since_last_sr: octets,
                }],
                bye,
            };
            prop_assert_eq!(parse(&write(&report)), Ok(report));
        }
    }
}
