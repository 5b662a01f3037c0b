//! The two file formats, pcap and pcapng, as a row of frames with their time and link type.
//!
//! A file that ends in the middle of a frame (a full disk, a killed tcpdump) keeps what came before; the
//! damage is told with the number of the frame. What is in a frame is [`super::network`]'s.

use pcap_parser::nom;
use pcap_parser::pcapng::parse_sectionheaderblock;
use pcap_parser::{
    Block, InterfaceDescriptionBlock, LegacyPcapBlock, PcapError, PcapHeader, parse_block_be,
    parse_block_le, parse_pcap_frame, parse_pcap_frame_be, parse_pcap_frame_modified,
    parse_pcap_header,
};

use super::Unreadable;
use crate::time::Utc;

/// One captured frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    /// From 1, as Wireshark numbers them.
    pub(super) number: u64,
    pub(super) at: Utc,
    /// `LINKTYPE_…` of tcpdump.org.
    pub(super) link: u16,
    pub(super) bytes: &'a [u8],
    /// It was longer on the wire: the capture kept its beginning.
    pub(super) snapped: bool,
}

/// Walks through the frames; ask [`Frames::damage`] when there are no more.
#[derive(Clone, Debug)]
pub(super) struct Frames<'a> {
    rest: &'a [u8],
    kind: Kind,
    number: u64,
    damage: Option<String>,
}

#[derive(Clone, Debug)]
enum Kind {
    Pcap(PcapHeader),
    PcapNg { section: Section },
}

/// What a section of pcapng says of the blocks that follow.
#[derive(Clone, Debug, Default)]
struct Section {
    big_endian: bool,
    interfaces: Vec<Interface>,
}

#[derive(Clone, Copy, Debug)]
struct Interface {
    link: u16,
    snaplen: u32,
    /// `if_tsresol`: a power of ten, or of two with the highest bit set.
    resolution: u8,
    offset_seconds: i64,
}

/// tshark and tcpdump take no longer frame either: the length itself is damaged.
const FRAME_BYTES_MAX: u32 = 262_144;
/// A file with more interfaces is forged.
const INTERFACES_MAX: usize = 4096;
const NANOSECONDS: i128 = 1_000_000_000;

impl<'a> Frames<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        let (rest, kind) = match bytes {
            [] => return Err(Unreadable::Empty),
            [0x1f, 0x8b, ..] => return Err(Unreadable::Compressed),
            [0x0a, 0x0d, 0x0d, 0x0a, ..] => (
                bytes,
                Kind::PcapNg {
                    section: Section::default(),
                },
            ),
            _ => {
                let (rest, header) = parse_pcap_header(bytes).map_err(|error| match error {
                    nom::Err::Incomplete(_) => Unreadable::Short,
                    nom::Err::Error(_) | nom::Err::Failure(_) => Unreadable::NoCapture,
                })?;
                (rest, Kind::Pcap(header))
            }
        };
        if matches!(kind, Kind::PcapNg { .. }) {
            parse_sectionheaderblock(rest).map_err(|error| match error {
                nom::Err::Incomplete(_) => Unreadable::Short,
                nom::Err::Error(_) | nom::Err::Failure(_) => Unreadable::NoCapture,
            })?;
        }
        Ok(Self {
            rest,
            kind,
            number: 0,
            damage: None,
        })
    }

    /// Frames so far.
    pub(super) const fn seen(&self) -> u64 {
        self.number
    }

    /// Why there are no more, when it is not the end of a whole file.
    pub(super) fn damage(&self) -> Option<&str> {
        self.damage.as_deref()
    }

    fn broken(&mut self, what: &str) {
        self.rest = &[];
        self.damage = Some(format!(
            "the file is damaged after packet {}: {what}",
            self.number
        ));
    }

    fn next_pcap(&mut self, header: &PcapHeader) -> Option<Frame<'a>> {
        let parse = if header.is_modified_format() {
            parse_pcap_frame_modified
        } else if header.is_bigendian() {
            parse_pcap_frame_be
        } else {
            parse_pcap_frame
        };
        let block: LegacyPcapBlock<'a> = match parse(self.rest) {
            Ok((rest, block)) if block.caplen <= FRAME_BYTES_MAX => {
                self.rest = rest;
                block
            }
            Ok(_) => {
                self.broken("a packet longer than any");
                return None;
            }
            Err(error) => {
                self.broken(words_of(&error));
                return None;
            }
        };
        self.number += 1;
        let fraction = i128::from(block.ts_usec)
            * if header.is_nanosecond_precision() {
                1
            } else {
                1000
            };
        // The upper bits tell of checksums behind each frame.
        let link = header.network.0.cast_unsigned().to_le_bytes();
        Some(Frame {
            number: self.number,
            at: utc(i128::from(block.ts_sec) * NANOSECONDS + fraction),
            link: u16::from_le_bytes([link[0], link[1]]),
            bytes: block.data,
            snapped: block.origlen > block.caplen,
        })
    }

    fn next_pcapng(&mut self) -> Option<Frame<'a>> {
        loop {
            if self.rest.is_empty() {
                return None;
            }
            let Kind::PcapNg { section } = &mut self.kind else {
                return None;
            };
            let parse = if section.big_endian {
                parse_block_be
            } else {
                parse_block_le
            };
            let block = match parse(self.rest) {
                Ok((rest, block)) if rest.len() < self.rest.len() => {
                    self.rest = rest;
                    block
                }
                Ok(_) => {
                    self.broken("a block without length");
                    return None;
                }
                Err(error) => {
                    let words = words_of(&error);
                    self.broken(words);
                    return None;
                }
            };
            match section.frame(block) {
                Ok(None) => {}
                Ok(Some(frame)) => {
                    self.number += 1;
                    return Some(Frame {
                        number: self.number,
                        ..frame
                    });
                }
                Err(words) => {
                    self.broken(words);
                    return None;
                }
            }
        }
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Frame<'a>;

    fn next(&mut self) -> Option<Frame<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        match &self.kind {
            Kind::Pcap(header) => {
                let header = header.clone();
                self.next_pcap(&header)
            }
            Kind::PcapNg { .. } => self.next_pcapng(),
        }
    }
}

impl Section {
    /// A frame without its number, if the block holds one.
    fn frame<'a>(&mut self, block: Block<'a>) -> Result<Option<Frame<'a>>, &'static str> {
        match block {
            Block::SectionHeader(header) => {
                *self = Self {
                    big_endian: header.big_endian(),
                    interfaces: Vec::new(),
                };
                Ok(None)
            }
            Block::InterfaceDescription(description) => {
                if self.interfaces.len() >= INTERFACES_MAX {
                    return Err("more interfaces than any machine has");
                }
                let interface = Interface::of(&description, self.big_endian);
                self.interfaces.push(interface);
                Ok(None)
            }
            Block::EnhancedPacket(packet) => {
                let interface = usize::try_from(packet.if_id)
                    .ok()
                    .and_then(|place| self.interfaces.get(place))
                    .ok_or("a packet of an interface that was not described")?;
                let units = u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low);
                Ok(Some(Frame {
                    number: 0,
                    at: interface.time(units),
                    link: interface.link,
                    bytes: cut(packet.data, packet.caplen),
                    snapped: packet.origlen > packet.caplen,
                }))
            }
            Block::SimplePacket(packet) => {
                // It has no time: such captures tell what was said, not when.
                let interface = self
                    .interfaces
                    .first()
                    .ok_or("a packet of an interface that was not described")?;
                let kept = match interface.snaplen {
                    0 => packet.origlen,
                    snaplen => packet.origlen.min(snaplen),
                };
                Ok(Some(Frame {
                    number: 0,
                    at: Utc::default(),
                    link: interface.link,
                    bytes: cut(packet.data, kept),
                    snapped: packet.origlen > kept,
                }))
            }
            Block::NameResolution(_)
            | Block::InterfaceStatistics(_)
            | Block::SystemdJournalExport(_)
            | Block::DecryptionSecrets(_)
            | Block::ProcessInformation(_)
            | Block::Custom(_)
            | Block::Unknown(_) => Ok(None),
        }
    }
}

impl Interface {
    fn of(description: &InterfaceDescriptionBlock<'_>, big_endian: bool) -> Self {
        let link = description.linktype.0.cast_unsigned().to_le_bytes();
        Self {
            link: u16::from_le_bytes([link[0], link[1]]),
            snaplen: description.snaplen,
            resolution: description.if_tsresol,
            // The crate reads it in one byte order only.
            offset_seconds: if big_endian {
                description.if_tsoffset.swap_bytes()
            } else {
                description.if_tsoffset
            },
        }
    }

    fn time(self, units: u64) -> Utc {
        let exponent = u32::from(self.resolution & 0x7f);
        let (units, offset) = (i128::from(units), i128::from(self.offset_seconds));
        // Finer units than these make a capture of less than a nanosecond.
        let nanoseconds = if self.resolution & 0x80 == 0 {
            units * NANOSECONDS / 10_i128.pow(exponent.min(19))
        } else {
            (units * NANOSECONDS) >> exponent.min(64)
        };
        utc(nanoseconds + offset * NANOSECONDS)
    }
}

fn utc(nanoseconds: i128) -> Utc {
    Utc(i64::try_from(nanoseconds).unwrap_or(i64::MAX))
}

fn cut(bytes: &[u8], length: u32) -> &[u8] {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    &bytes[..bytes.len().min(length)]
}

const fn words_of(error: &nom::Err<PcapError<&[u8]>>) -> &'static str {
    match error {
        nom::Err::Incomplete(_) => "it ends within a packet",
        nom::Err::Error(_) | nom::Err::Failure(_) => "what follows cannot be read",
    }
}
