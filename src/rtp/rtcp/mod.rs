//! RTCP (RFC 3550 §6): our reports written, theirs read, by rtcp-types. One packet or block per file.
//!
//! A compound here is SR or RR, then SDES with CNAME, perhaps XR, perhaps BYE. What else may stand in a
//! compound (APP, feedback) is skipped when read.

mod clock;
mod report_block;
mod sender_report;
mod voip_metrics;
mod xr;

use rtcp_types::{
    Bye, Compound, Packet, ReceiverReport, RtcpPacketWriterExt, Sdes, SdesChunk, SdesItem, Unknown,
};

pub use clock::{delay, middle, ntp};
pub use report_block::{Block, round_trip};
pub use sender_report::SenderInfo;
pub use voip_metrics::{JitterBuffer, Levels, Losses, Scores, VoipMetrics};
pub use xr::{Delay, Extended};

use super::Malformed;

/// One compound packet, as far as calls need it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub ssrc: u32,
    /// Present in an SR.
    pub sender: Option<SenderInfo>,
    pub blocks: Vec<Block>,
    pub extended: Extended,
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
                report.sender = Some(SenderInfo::read(&sr));
                report
                    .blocks
                    .extend(sr.report_blocks().map(|b| Block::read(&b)));
            }
            Packet::Rr(rr) => {
                report.ssrc = rr.ssrc();
                report
                    .blocks
                    .extend(rr.report_blocks().map(|b| Block::read(&b)));
            }
            Packet::Xr(xr) => report.extended.read(&xr),
            Packet::Bye(_) => report.bye = true,
            Packet::App(_)
            | Packet::Sdes(_)
            | Packet::TransportFeedback(_)
            | Packet::PayloadFeedback(_)
            | Packet::Unknown(_) => {}
        }
    }
    Ok(report)
}

/// Writes a compound packet: SR or RR, SDES, XR if it says something, and BYE if it is the last.
#[must_use]
pub fn write(report: &Report) -> Vec<u8> {
    let extended = report.extended.write(report.ssrc);
    let mut compound = Compound::builder();
    compound = if let Some(info) = report.sender {
        let mut sr = info.write(report.ssrc);
        for block in report.blocks.iter().take(BLOCKS_MAX) {
            sr = sr.add_report_block(block.write());
        }
        compound.add_packet(sr)
    } else {
        let mut rr = ReceiverReport::builder(report.ssrc);
        for block in report.blocks.iter().take(BLOCKS_MAX) {
            rr = rr.add_report_block(block.write());
        }
        compound.add_packet(rr)
    };
    let cname = SdesItem::builder(SdesItem::CNAME, CNAME);
    compound = compound
        .add_packet(Sdes::builder().add_chunk(SdesChunk::builder(report.ssrc).add_item(cname)));
    if !extended.is_empty() {
        compound = compound.add_packet(Unknown::builder(xr::PACKET_TYPE, &extended));
    }
    if report.bye {
        compound = compound.add_packet(Bye::builder().add_source(report.ssrc));
    }
    let mut bytes = vec![0; SIZE_MAX + extended.len()];
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
                extended: Extended::default(),
                bye,
            };
            prop_assert_eq!(parse(&write(&report)), Ok(report));
        }
    }
}
