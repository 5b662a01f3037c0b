//! Network captures as bytes: pcap and pcapng read into datagrams, datagrams written as pcap.
//!
//! It knows no SIP and no RTP. `analysis` reads with it; evidence of calls is written with it. The crates
//! that know the formats, pcap-parser and etherparse, stay in here.

mod frames;
mod network;
mod tcp;
pub mod write;

use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::Duration;

pub use write::Writer;

use crate::time::Utc;
use frames::Frames;
use network::Fragments;

/// A capture read into what UDP and TCP carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture<'a> {
    /// In the order of the capture.
    pub pieces: Vec<Piece<'a>>,
    pub counts: Counts,
    /// What a reader has to know to believe the rest, a sentence each.
    pub warnings: Vec<String>,
}

/// The payload of a datagram, or the next bytes of a TCP stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    pub at: Utc,
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub carrier: Carrier,
    pub payload: Cow<'a, [u8]>,
    /// The capture kept the beginning of the payload only.
    pub snapped: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    Udp,
    /// Streams are in order and without repetition; `after_hole` says that something before was not captured.
    Tcp {
        after_hole: bool,
    },
}

/// Frames of the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub frames: u64,
    /// Cut short by the capture.
    pub snapped: u64,
    /// Neither UDP nor TCP over IP, or a link that is not known.
    pub other: u64,
    /// Datagrams of which a fragment is missing.
    pub fragmented_lost: u64,
}

/// Why a file is no capture; the reader of the words has to bring another file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("the file is empty")]
    Empty,
    #[error("the file is compressed; unpack it with gunzip first")]
    Compressed,
    #[error("the file ends within its header")]
    Short,
    #[error("the file is neither pcap nor pcapng")]
    NoCapture,
}

/// Reads a capture. No bytes make it panic; a damaged tail keeps what came before.
///
/// # Errors
/// When the file is no capture at all.
pub fn read(bytes: &[u8]) -> Result<Capture<'_>, Unreadable> {
    let mut frames = Frames::of(bytes)?;
    let mut reading = Reading::default();
    for frame in &mut frames {
        reading.hear(&frame);
    }
    let counts = Counts {
        frames: frames.seen(),
        ..reading.counts
    };
    Ok(reading.finish(counts, frames.damage()))
}

/// Several processors write a capture a little out of order; more is a joint of two captures, or a set clock.
const DISORDER_MAX: Duration = Duration::from_millis(10);

/// A capture half read.
#[derive(Debug, Default)]
struct Reading<'a> {
    pieces: Vec<Piece<'a>>,
    counts: Counts,
    fragments: Fragments,
    streams: tcp::Directions<'a>,
    /// The latest moment so far.
    latest: Utc,
    unknown_link: Option<u16>,
    backwards: Option<u64>,
}

impl<'a> Reading<'a> {
    fn hear(&mut self, frame: &frames::Frame<'a>) {
        if self.latest.since(frame.at) > DISORDER_MAX {
            self.backwards.get_or_insert(frame.number);
        }
        self.latest = self.latest.max(frame.at);
        self.counts.snapped += u64::from(frame.snapped);
        if !network::is_known(frame.link) {
            self.unknown_link = Some(frame.link);
        }
        let Some(carried) = network::carried(frame, &mut self.fragments) else {
            self.counts.other += 1;
            return;
        };
        let (from, to) = (carried.from, carried.to);
        match carried.transport {
            network::Transport::Udp => self.pieces.push(Piece {
                at: frame.at,
                from,
                to,
                carrier: Carrier::Udp,
                snapped: carried.snapped,
                payload: carried.payload,
            }),
            network::Transport::Tcp {
                sequence_number,
                syn,
            } => {
                let pieces = self
                    .streams
                    .hear((from, to), sequence_number, syn, carried.payload);
                self.note(frame.at, (from, to), pieces);
            }
        }
    }

    fn note(&mut self, at: Utc, (from, to): (SocketAddr, SocketAddr), pieces: Vec<tcp::Piece<'a>>) {
        self.pieces.extend(pieces.into_iter().map(|piece| Piece {
            at,
            from,
            to,
            carrier: Carrier::Tcp {
                after_hole: piece.after_hole,
            },
            payload: piece.bytes,
            snapped: false,
        }));
    }

    fn finish(mut self, counts: Counts, damage: Option<&str>) -> Capture<'a> {
        for (direction, pieces) in std::mem::take(&mut self.streams).finish() {
            self.note(self.latest, direction, pieces);
        }
        let counts = Counts {
            fragmented_lost: self.fragments.lost(),
            ..counts
        };
        let mut warnings: Vec<String> = damage.map(str::to_owned).into_iter().collect();
        if counts.snapped > 0 {
            warnings.push(format!(
                "packets cut short by the capture: {}; sound in them is not heard",
                counts.snapped
            ));
        }
        if counts.fragmented_lost > 0 {
            warnings.push(format!(
                "fragmented datagrams that are not whole: {}; left out",
                counts.fragmented_lost
            ));
        }
        if let Some(link) = self.unknown_link {
            warnings.push(format!("frames of link type {link} cannot be read"));
        }
        if let Some(number) = self.backwards {
            warnings.push(format!(
                "time runs backwards at packet {number}: put the file in order with reordercap"
            ));
        }
        Capture {
            pieces: self.pieces,
            counts,
            warnings,
        }
    }
}

#[cfg(test)]
mod tests {
    use etherparse::{
        EtherType, Ethernet2Header, IpFragOffset, Ipv4Header, PacketBuilder, SingleVlanHeader,
        VlanId,
    };
    use proptest::prelude::*;

    use super::*;

    const ADDRESSES: [SocketAddr; 2] = [
        SocketAddr::new(
            std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)),
            4000,
        ),
        SocketAddr::new(
            std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2)),
            5060,
        ),
    ];

    /// A file of frames of this link type; the bits of the byte order and of nanoseconds are the test's.
    fn pcap(link: u32, big_endian: bool, nanoseconds: bool, frames: &[Vec<u8>]) -> Vec<u8> {
        let word = |value: u32| {
            if big_endian {
                value.to_be_bytes()
            } else {
                value.to_le_bytes()
            }
        };
        let magic = if nanoseconds {
            0xa1b2_3c4d
        } else {
            0xa1b2_c3d4
        };
        let version = if big_endian {
            [0, 2, 0, 4]
        } else {
            [2, 0, 4, 0]
        };
        let mut bytes = [word(magic), version].concat();
        for value in [0, 0, 262_144, link] {
            bytes.extend(word(value));
        }
        for (second, frame) in (1..).zip(frames) {
            let length = u32::try_from(frame.len()).unwrap();
            for value in [second, 7, length, length] {
                bytes.extend(word(value));
            }
            bytes.extend(frame);
        }
        bytes
    }

    /// pcapng of one interface with these options; times in its units.
    fn pcapng(link: u16, options: &[u8], packets: &[(u64, Vec<u8>)]) -> Vec<u8> {
        let block = |kind: u32, body: &[u8]| {
            let length = u32::try_from(body.len() + 12).unwrap();
            [
                &kind.to_le_bytes(),
                &length.to_le_bytes(),
                body,
                &length.to_le_bytes(),
            ]
            .concat()
        };
        let section = [&[0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0][..], &[0xff; 8]].concat();
        let interface = [&link.to_le_bytes()[..], &[0; 6], options].concat();
        let mut bytes = [block(0x0a0d_0d0a, &section), block(1, &interface)].concat();
        for (time, frame) in packets {
            let [low, high] =
                [*time & 0xffff_ffff, *time >> 32].map(|half| u32::try_from(half).unwrap());
            let length = u32::try_from(frame.len()).unwrap();
            let mut body = Vec::new();
            for word in [0, high, low, length, length] {
                body.extend(word.to_le_bytes());
            }
            body.extend(frame);
            body.resize(body.len().next_multiple_of(4), 0);
            bytes.extend(block(6, &body));
        }
        bytes
    }

    fn ip_packet(payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        PacketBuilder::ipv4([192, 0, 2, 1], [192, 0, 2, 2], 64)
            .udp(4000, 5060)
            .write_to_vec(&mut bytes, payload)
            .unwrap();
        bytes
    }

    fn behind(link: &[u8]) -> Vec<u8> {
        [link, &ip_packet(b"hello")].concat()
    }

    #[test]
    fn every_link_gives_the_same_datagram() {
        let vlan = SingleVlanHeader {
            vlan_id: VlanId::try_new(7).unwrap(),
            ether_type: EtherType::IPV4,
            ..SingleVlanHeader::default()
        };
        let tagged = Ethernet2Header {
            ether_type: EtherType::VLAN_TAGGED_FRAME,
            ..Ethernet2Header::default()
        };
        let plain = Ethernet2Header {
            ether_type: EtherType::IPV4,
            ..Ethernet2Header::default()
        };
        // Ethernet fills short frames up to 60 octets; the filling is no payload.
        let padded = [&behind(&plain.to_bytes()), &[0xaa; 20][..]].concat();
        let sll = [&[0; 14][..], &[8, 0]].concat();
        let sll2 = [&[8, 0][..], &[0; 18]].concat();
        let pppoe = [&[0; 12][..], &[0x88, 0x64, 0x11, 0, 0, 1, 0, 0, 0, 0x21]].concat();
        for (name, link, frame) in [
            ("Ethernet", 1, behind(&plain.to_bytes())),
            ("Ethernet, padded", 1, padded),
            (
                "VLAN",
                1,
                behind(&[&tagged.to_bytes()[..], &vlan.to_bytes()].concat()),
            ),
            ("PPPoE", 1, behind(&pppoe)),
            ("Linux cooked", 113, behind(&sll)),
            ("Linux cooked 2", 276, behind(&sll2)),
            ("null, little endian", 0, behind(&[2, 0, 0, 0])),
            ("loop", 108, behind(&[0, 0, 0, 2])),
            ("raw", 101, behind(&[])),
            ("IPv4", 228, behind(&[])),
            (
                "with a word on checksums",
                0x1400_0001,
                behind(&plain.to_bytes()),
            ),
        ] {
            let file = pcap(link, false, false, &[frame]);
            let capture = read(&file).unwrap();
            let [piece] = &capture.pieces[..] else {
                panic!("{name}: {capture:?}")
            };
            assert_eq!([piece.from, piece.to], ADDRESSES, "{name}");
            assert_eq!(
                (&piece.payload[..], piece.snapped),
                (&b"hello"[..], false),
                "{name}"
            );
            assert!(
                capture.warnings.is_empty(),
                "{name}: {:?}",
                capture.warnings
            );
        }
    }

    #[test]
    fn times_of_all_formats_are_nanoseconds() {
        let frame = ip_packet(b"x");
        // if_tsresol (9): 10⁻⁹, then 2⁻¹⁰; if_tsoffset (14): 100 s.
        let nanoseconds = [
            9, 0, 1, 0, 9, 0, 0, 0, 14, 0, 8, 0, 100, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        ];
        let binary = [9, 0, 1, 0, 0x8a, 0, 0, 0, 0, 0, 0, 0];
        for (name, file, expected) in [
            (
                "µs",
                pcap(101, false, false, std::slice::from_ref(&frame)),
                1_000_007_000,
            ),
            (
                "ns",
                pcap(101, false, true, std::slice::from_ref(&frame)),
                1_000_000_007,
            ),
            (
                "µs, big endian",
                pcap(101, true, false, std::slice::from_ref(&frame)),
                1_000_007_000,
            ),
            (
                "ns, big endian",
                pcap(101, true, true, std::slice::from_ref(&frame)),
                1_000_000_007,
            ),
            (
                "pcapng",
                pcapng(101, &[], &[(5_000_001, frame.clone())]),
                5_000_001_000,
            ),
            (
                "pcapng, ns, offset",
                pcapng(101, &nanoseconds, &[(5_000_000_001, frame.clone())]),
                105_000_000_001,
            ),
            (
                "pcapng, 1/1024 s",
                pcapng(101, &binary, &[(1536, frame.clone())]),
                1_500_000_000,
            ),
        ] {
            let capture = read(&file).unwrap();
            assert_eq!(capture.pieces[0].at, Utc(expected), "{name}");
        }
    }

    #[test]
    fn fragments_become_one_datagram() {
        let whole = ip_packet(&[b'a'; 40]);
        let (header, payload) = Ipv4Header::from_slice(&whole).unwrap();
        let fragment = |from: usize, to: usize| {
            let fragment = Ipv4Header {
                total_len: u16::try_from(20 + to - from).unwrap(),
                identification: 77,
                dont_fragment: false,
                more_fragments: to < payload.len(),
                fragment_offset: IpFragOffset::try_new(u16::try_from(from / 8).unwrap()).unwrap(),
                ..header.clone()
            };
            [&fragment.to_bytes()[..], &payload[from..to]].concat()
        };
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let parts = [fragment(0, 16), fragment(16, 32), fragment(32, 48)];
            let frames = order.map(|part: usize| parts[part].clone());
            let file = pcap(101, false, false, &frames);
            let capture = read(&file).unwrap();
            assert_eq!(capture.pieces.len(), 1, "{order:?}");
            assert_eq!(&capture.pieces[0].payload[..], &[b'a'; 40], "{order:?}");
            // It is whole with the third frame, which came in the third second.
            assert_eq!(capture.pieces[0].at.0 / 1_000_000_000, 3, "{order:?}");
        }
        let file = pcap(101, false, false, &[fragment(0, 16), fragment(32, 48)]);
        let capture = read(&file).unwrap();
        assert!(capture.pieces.is_empty());
        assert_eq!(
            capture.warnings,
            ["fragmented datagrams that are not whole: 1; left out"]
        );
    }

    #[test]
    fn a_cut_packet_keeps_its_beginning() {
        let mut frame = ip_packet(&[7; 160]);
        frame.truncate(20 + 8 + 12);
        let mut file = pcap(101, false, false, &[frame]);
        // On the wire it had 188 octets.
        file[24 + 12..24 + 16].copy_from_slice(&188_u32.to_le_bytes());
        let capture = read(&file).unwrap();
        assert_eq!(capture.pieces[0].payload.len(), 12);
        assert!(capture.pieces[0].snapped);
        assert_eq!(capture.counts.snapped, 1);
    }

    #[test]
    fn a_damaged_tail_keeps_what_came_before() {
        let frames = [ip_packet(b"one"), ip_packet(b"two")];
        for (name, whole) in [
            ("pcap", pcap(101, false, false, &frames)),
            (
                "pcapng",
                pcapng(101, &[], &[(1, frames[0].clone()), (2, frames[1].clone())]),
            ),
        ] {
            let file = &whole[..whole.len() - 5];
            let capture = read(file).unwrap();
            assert_eq!(capture.pieces.len(), 1, "{name}");
            assert_eq!(
                capture.warnings,
                ["the file is damaged after packet 1: it ends within a packet"],
                "{name}"
            );
            assert!(read(&whole).unwrap().warnings.is_empty(), "{name}");
        }
    }

    #[test]
    fn what_is_no_capture_is_told_so() {
        for (bytes, expected) in [
            (&b""[..], Unreadable::Empty),
            (&[0x1f, 0x8b, 8, 0], Unreadable::Compressed),
            (b"[plant]\nname = 1\nxxxxxxxxxxxxx", Unreadable::NoCapture),
            (&[0xd4, 0xc3, 0xb2, 0xa1, 2], Unreadable::Short),
            (
                &[0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 1, 2, 3, 4, 5],
                Unreadable::NoCapture,
            ),
        ] {
            assert_eq!(read(bytes), Err(expected), "{bytes:?}");
        }
    }

    #[test]
    fn what_the_writer_wrote_is_read_again() {
        let six = |port| SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, port));
        let mut writer = Writer::new();
        writer.datagram(Utc(5), ADDRESSES[0], ADDRESSES[1], b"four");
        writer.datagram(Utc(1_700_000_000_123_456_789), six(1), six(2), b"six");
        let bytes = writer.into_bytes();
        let capture = read(&bytes).unwrap();
        let seen: Vec<_> = capture
            .pieces
            .iter()
            .map(|piece| (piece.at, piece.from, piece.to, &piece.payload[..]))
            .collect();
        assert_eq!(
            seen,
            [
                (Utc(5), ADDRESSES[0], ADDRESSES[1], &b"four"[..]),
                (Utc(1_700_000_000_123_456_789), six(1), six(2), &b"six"[..]),
            ]
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(head in 0_usize..6, bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let heads: [Vec<u8>; 6] = [
                Vec::new(),
                pcap(101, false, false, &[]),
                pcap(1, true, true, &[]),
                pcap(113, false, false, &[ip_packet(b"x")]),
                pcapng(276, &[], &[]),
                pcapng(1, &[], &[(1, ip_packet(b"x"))]),
            ];
            let _ = read(&[&heads[head][..], &bytes].concat());
        }

        #[test]
        fn no_broken_frame_makes_it_panic(link in 0_u32..300, at in 0_usize..60, value: u8, cut in 0_usize..60) {
            let mut frame = behind(&[0; 14]);
            if let Some(byte) = frame.get_mut(at) {
                *byte = value;
            }
            frame.truncate(frame.len().saturating_sub(cut));
            let _ = read(&pcap(link, false, false, &[frame]));
        }
    }
}
