//! Datagrams written as a capture that tshark and Wireshark open: pcap with nanoseconds, IP packets without a link.
//!
//! Evidence of calls is written with it, and the captures of tests. What went over TCP or TLS is written as
//! datagrams too: the messages are what matters, and a secret line cannot be written down any other way.

use std::net::{IpAddr, SocketAddr};

use etherparse::PacketBuilder;

use crate::time::Utc;

/// A capture that grows in memory; its user bounds what it hands in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writer {
    bytes: Vec<u8>,
}

/// pcap with nanoseconds, in the byte order of this file.
const MAGIC_NANOSECONDS: u32 = 0xa1b2_3c4d;
/// IPv4 or IPv6, told by the first four bits.
const LINKTYPE_RAW: u32 = 101;
/// tshark takes no longer packet.
const SNAPLEN: u32 = 262_144;
const TTL: u8 = 64;
/// What fits into one packet behind the headers of IP and UDP.
const PAYLOAD_MAX_IPV4: usize = 65_535 - 20 - 8;
const PAYLOAD_MAX_IPV6: usize = 65_535 - 8;

impl Default for Writer {
    fn default() -> Self {
        Self::new()
    }
}

impl Writer {
    #[must_use]
    pub fn new() -> Self {
        let mut bytes = Vec::with_capacity(24);
        bytes.extend_from_slice(&MAGIC_NANOSECONDS.to_le_bytes());
        for version in [2_u16, 4] {
            bytes.extend_from_slice(&version.to_le_bytes());
        }
        // Time zone and accuracy: zero in every capture.
        for word in [0, 0, SNAPLEN, LINKTYPE_RAW] {
            bytes.extend_from_slice(&u32::to_le_bytes(word));
        }
        Self { bytes }
    }

    /// One UDP datagram, checksums and all. A payload longer than any datagram is cut; of two addresses of
    /// different families the IPv4 one is written as IPv6 (`::ffff:192.0.2.1`).
    pub fn datagram(&mut self, at: Utc, from: SocketAddr, to: SocketAddr, payload: &[u8]) {
        let (packet, room) = match (from.ip().to_canonical(), to.ip().to_canonical()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => (
                PacketBuilder::ipv4(source.octets(), destination.octets(), TTL),
                PAYLOAD_MAX_IPV4,
            ),
            (source, destination) => (
                PacketBuilder::ipv6(octets(source), octets(destination), TTL),
                PAYLOAD_MAX_IPV6,
            ),
        };
        let packet = packet.udp(from.port(), to.port());
        let payload = &payload[..payload.len().min(room)];
        let length = u32::try_from(packet.size(payload.len())).expect("cut to one packet above");
        let since_1970 = u64::try_from(at.0).unwrap_or(0);
        let seconds = u32::try_from(since_1970 / 1_000_000_000).unwrap_or(u32::MAX);
        let nanoseconds = u32::try_from(since_1970 % 1_000_000_000).expect("below a second");
        for word in [seconds, nanoseconds, length, length] {
            self.bytes.extend_from_slice(&word.to_le_bytes());
        }
        packet
            .write_to_vec(&mut self.bytes, payload)
            .expect("the payload fits, and UDP takes any port");
    }

    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_byte_by_byte() {
        let mut writer = Writer::new();
        assert_eq!(writer.bytes.len(), 24);
        writer.datagram(
            Utc(1_782_000_000_123_456_789),
            "192.0.2.1:5060".parse().unwrap(),
            "192.0.2.2:5062".parse().unwrap(),
            b"ping",
        );
        let bytes = writer.into_bytes();
        let (head, record) = bytes.split_at(24);
        assert_eq!(
            head,
            [
                &[0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0][..],
                &[0; 8],
                &[0, 0, 4, 0, 101, 0, 0, 0]
            ]
            .concat()
        );
        assert_eq!(record[..4], 1_782_000_000_u32.to_le_bytes());
        assert_eq!(record[4..8], 123_456_789_u32.to_le_bytes());
        assert_eq!(record[8..16], [32, 0, 0, 0, 32, 0, 0, 0]);
        let packet = &record[16..];
        assert_eq!(sum(&packet[..20]), 0xffff, "checksum of the IP header");
        // RFC 768: source, destination, zero, protocol and length come before the datagram.
        let pseudo = [&packet[12..20], &[0, 17, 0, 12], &packet[20..]].concat();
        assert_eq!(sum(&pseudo), 0xffff, "checksum of the datagram");
        assert_eq!(packet[20..24], [0x13, 0xc4, 0x13, 0xc6]);
        assert_eq!(&packet[28..], b"ping");
    }

    #[test]
    fn nothing_is_too_long_too_old_or_too_mixed() {
        let four = SocketAddr::from(([192, 0, 2, 1], 1));
        let six: SocketAddr = "[2001:db8::1]:2".parse().unwrap();
        let long = vec![0; 70_000];
        for (from, to, expected) in [
            (four, four, 65_535),
            (six, six, 65_535 + 40),
            (four, six, 65_535 + 40),
        ] {
            let mut writer = Writer::new();
            writer.datagram(Utc(-5), from, to, &long);
            assert_eq!(writer.bytes.len() - 24 - 16, expected, "{from} to {to}");
        }
    }

    /// The ones' complement sum of RFC 1071; 0xffff over anything that holds its own checksum.
    fn sum(bytes: &[u8]) -> u32 {
        let sum: u32 = bytes
            .chunks(2)
            .map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)))
            .sum();
        (sum & 0xffff) + (sum >> 16)
    }
}
