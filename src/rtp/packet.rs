//! One RTP packet (RFC 3550 §5.1), read and written by rtp-rs.
//!
//! Only the fields that calls use: header extensions and contributing sources are skipped when read.

use rtp_rs::{RtpPacketBuilder, RtpReader};

/// Header fields and payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    pub marker: bool,
    pub payload_type: u8,
    pub sequence_number: u16,
    /// Timestamp units of the payload's clock (8000 per second for G.711).
    pub timestamp: u32,
    pub ssrc: u32,
    pub payload: &'a [u8],
}

/// The bytes are no RTP packet; the words say which field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no RTP packet: {words}")]
pub struct Malformed {
    pub words: String,
}

/// Reads a packet. No bytes make it panic.
///
/// # Errors
/// When it is too short, of another version, or its lengths contradict each other.
pub fn parse(bytes: &[u8]) -> Result<Packet<'_>, Malformed> {
    let reader = RtpReader::new(bytes).map_err(|error| Malformed {
        words: format!("{error:?}"),
    })?;
    Ok(Packet {
        marker: reader.mark(),
        payload_type: reader.payload_type(),
        sequence_number: u16::from(reader.sequence_number()),
        timestamp: reader.timestamp(),
        ssrc: reader.ssrc(),
        payload: reader.payload(),
    })
}

/// Writes a packet with the plain 12-byte header.
#[must_use]
pub fn write(packet: Packet<'_>) -> Vec<u8> {
    let builder = RtpPacketBuilder::new()
        .marked(packet.marker)
        .payload_type(packet.payload_type & 0x7f)
        .sequence(packet.sequence_number.into())
        .timestamp(packet.timestamp)
        .ssrc(packet.ssrc)
        .payload(packet.payload);
    builder
        .build()
        .expect("the payload type has seven bits and there is no extension to be wrong")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_header_is_where_the_standard_puts_it() {
        let bytes = write(Packet {
            marker: true,
            payload_type: 8,
            sequence_number: 0x1234,
            timestamp: 0x5678_9abc,
            ssrc: 0xdef0_1234,
            payload: &[0xd5, 0xd5],
        });
        assert_eq!(
            bytes,
            [
                0x80, 0x88, 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 0x12, 0x34, 0xd5, 0xd5
            ]
        );
    }

    #[test]
    fn sources_extension_and_padding_are_skipped() {
        let mut bytes = vec![0xb1, 0x08, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        bytes.extend([0, 0, 0, 9]); // one contributing source
        bytes.extend([0xbe, 0xde, 0, 1, 1, 2, 3, 4]); // an extension of one word
        bytes.extend([0xaa, 0xbb, 0, 0, 0, 4]); // two bytes of payload, four of padding
        assert_eq!(parse(&bytes).unwrap().payload, [0xaa, 0xbb]);
    }

    #[test]
    fn contradicting_lengths_are_refused() {
        for bytes in [
            &[0x80; 11][..],
            &[0x40; 12],                                          // version 1
            &[0x8f, 8, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3],             // 15 sources, none there
            &[0x90, 8, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 9], // extension longer than all
            &[0xa0, 8, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 99],         // padding longer than all
        ] {
            assert!(parse(bytes).is_err(), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn a_packet_survives_the_way_there_and_back(
            marker: bool, payload_type in 0_u8..128, sequence_number: u16, timestamp: u32, ssrc: u32,
            payload in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let packet = Packet { marker, payload_type, sequence_number, timestamp, ssrc, payload: &payload };
            let bytes = write(packet);
            prop_assert_eq!(parse(&bytes), Ok(packet));
        }
    }
}
