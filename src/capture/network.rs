//! From a frame to what UDP and TCP carry: link headers, VLANs, IP of both versions, fragments put together.
//!
//! Lengths are believed where the bytes allow it: a packet that the capture cut short still gives its
//! headers and the beginning of its payload.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use etherparse::defrag::IpDefragBuf;
use etherparse::{
    EtherType, IpFragOffset, IpNumber, Ipv6ExtensionSlice, LaxIpPayloadSlice, LaxNetSlice,
    LaxSlicedPacket, TcpSlice, UdpSlice,
};

use super::frames::Frame;

/// What one IP packet carries for us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Carried<'a> {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) payload: Cow<'a, [u8]>,
    /// More of it was on the wire than is here.
    pub(super) snapped: bool,
    pub(super) transport: Transport,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    Udp,
    Tcp { sequence_number: u32, syn: bool },
}

/// Datagrams whose fragments are on the way.
#[derive(Clone, Debug, Default)]
pub(super) struct Fragments {
    waiting: BTreeMap<FragmentId, Waiting>,
    /// Given up, for want of room or because they contradict each other.
    lost: u64,
}

#[derive(Clone, Debug)]
struct Waiting {
    fragments: IpDefragBuf,
    /// The frame that brought the last piece.
    last: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct FragmentId {
    from: IpAddr,
    to: IpAddr,
    identification: u32,
    protocol: u8,
}

/// SIP over UDP is fragmented now and then, one datagram at a time; each takes 64 KiB at most.
const WAITING_MAX: usize = 64;

impl Fragments {
    /// Fragments that never became a datagram.
    pub(super) fn lost(&self) -> u64 {
        self.lost + u64::try_from(self.waiting.len()).unwrap_or(u64::MAX)
    }

    /// The payload of the datagram that this fragment completes.
    fn add(
        &mut self,
        id: FragmentId,
        offset: IpFragOffset,
        more: bool,
        bytes: &[u8],
        frame: u64,
    ) -> Option<Vec<u8>> {
        if !self.waiting.contains_key(&id) && self.waiting.len() >= WAITING_MAX {
            let oldest = self.waiting.iter().min_by_key(|(_, waiting)| waiting.last);
            let oldest = *oldest?.0;
            self.waiting.remove(&oldest);
            self.lost += 1;
        }
        let waiting = self.waiting.entry(id).or_insert_with(|| Waiting {
            fragments: IpDefragBuf::new(IpNumber(id.protocol), Vec::new(), Vec::new()),
            last: frame,
        });
        waiting.last = frame;
        let added = waiting.fragments.add(offset, more, bytes);
        if added.is_err() {
            self.waiting.remove(&id);
            self.lost += 1;
            return None;
        }
        if !waiting.fragments.is_complete() {
            return None;
        }
        let waiting = self.waiting.remove(&id)?;
        Some(waiting.fragments.take_bufs().0)
    }
}

/// What the frame carries; `None` for what is neither UDP nor TCP, or not whole yet.
pub(super) fn carried<'a>(frame: &Frame<'a>, fragments: &mut Fragments) -> Option<Carried<'a>> {
    let packet = sliced(frame)?;
    let (from, to, payload) = match packet.net.as_ref()? {
        LaxNetSlice::Ipv4(ip) => {
            let header = ip.header();
            (
                IpAddr::V4(header.source_addr()),
                IpAddr::V4(header.destination_addr()),
                ip.payload().clone(),
            )
        }
        LaxNetSlice::Ipv6(ip) => {
            let header = ip.header();
            (
                IpAddr::V6(header.source_addr()),
                IpAddr::V6(header.destination_addr()),
                ip.payload().clone(),
            )
        }
        LaxNetSlice::Arp(_) => return None,
    };
    let protocol = payload.ip_number;
    if !payload.fragmented {
        return transport(
            from,
            to,
            protocol,
            &Cow::Borrowed(payload.payload),
            payload.incomplete || frame.snapped,
        );
    }
    let whole = assembled(&packet, frame, (from, to), &payload, fragments)?;
    transport(from, to, protocol, &Cow::Owned(whole), false)
}

fn sliced<'a>(frame: &Frame<'a>) -> Option<LaxSlicedPacket<'a>> {
    let ether = |protocol: &[u8], payload| {
        let protocol = EtherType(u16::from_be_bytes([*protocol.first()?, *protocol.get(1)?]));
        let LinkPayload { protocol, payload } = LinkPayload { protocol, payload }.within_pppoe()?;
        Some(LaxSlicedPacket::from_ether_type(protocol, payload))
    };
    let bytes = frame.bytes;
    match frame.link {
        LINKTYPE_ETHERNET => ether(bytes.get(12..14)?, bytes.get(14..)?),
        LINKTYPE_LINUX_SLL => ether(bytes.get(14..16)?, bytes.get(16..)?),
        LINKTYPE_LINUX_SLL2 => ether(bytes.get(0..2)?, bytes.get(20..)?),
        // Four octets say the family, in a byte order that depends on the machine; the version says it too.
        LINKTYPE_NULL | LINKTYPE_LOOP => LaxSlicedPacket::from_ip(bytes.get(4..)?).ok(),
        LINKTYPE_RAW | LINKTYPE_IPV4 | LINKTYPE_IPV6 | DLT_RAW | DLT_RAW_OPENBSD => {
            LaxSlicedPacket::from_ip(bytes).ok()
        }
        _ => None,
    }
}

/// Whether frames of this link type can be read at all.
pub(super) const fn is_known(link: u16) -> bool {
    matches!(
        link,
        LINKTYPE_ETHERNET
            | LINKTYPE_LINUX_SLL
            | LINKTYPE_LINUX_SLL2
            | LINKTYPE_NULL
            | LINKTYPE_LOOP
            | LINKTYPE_RAW
            | LINKTYPE_IPV4
            | LINKTYPE_IPV6
            | DLT_RAW
            | DLT_RAW_OPENBSD
    )
}

// https://www.tcpdump.org/linktypes.html
const LINKTYPE_NULL: u16 = 0;
const LINKTYPE_ETHERNET: u16 = 1;
const LINKTYPE_RAW: u16 = 101;
const LINKTYPE_LOOP: u16 = 108;
const LINKTYPE_LINUX_SLL: u16 = 113;
const LINKTYPE_IPV4: u16 = 228;
const LINKTYPE_IPV6: u16 = 229;
const LINKTYPE_LINUX_SLL2: u16 = 276;
/// What old programs wrote for a raw link.
const DLT_RAW: u16 = 12;
const DLT_RAW_OPENBSD: u16 = 14;

struct LinkPayload<'a> {
    protocol: EtherType,
    payload: &'a [u8],
}

impl LinkPayload<'_> {
    /// The line of a small office is often captured before its router takes `PPPoE` off (RFC 2516 §4).
    fn within_pppoe(self) -> Option<Self> {
        const PPPOE_SESSION: u16 = 0x8864;
        if self.protocol.0 != PPPOE_SESSION {
            return Some(self);
        }
        let protocol = match self.payload.get(6..8)? {
            [0x00, 0x21] => EtherType::IPV4,
            [0x00, 0x57] => EtherType::IPV6,
            _ => return None,
        };
        Some(Self {
            protocol,
            payload: self.payload.get(8..)?,
        })
    }
}

/// The whole payload, once its last fragment is here.
fn assembled(
    packet: &LaxSlicedPacket<'_>,
    frame: &Frame<'_>,
    (from, to): (IpAddr, IpAddr),
    payload: &LaxIpPayloadSlice<'_>,
    fragments: &mut Fragments,
) -> Option<Vec<u8>> {
    let (identification, offset, more) = match packet.net.as_ref()? {
        LaxNetSlice::Ipv4(ip) => {
            let header = ip.header();
            (
                u32::from(header.identification()),
                header.fragments_offset(),
                header.more_fragments(),
            )
        }
        LaxNetSlice::Ipv6(ip) => {
            let header = ip.extensions().clone().into_iter().find_map(|extension| {
                if let Ipv6ExtensionSlice::Fragment(fragment) = extension {
                    Some(fragment.to_header())
                } else {
                    None
                }
            })?;
            (
                header.identification,
                header.fragment_offset,
                header.more_fragments,
            )
        }
        LaxNetSlice::Arp(_) => return None,
    };
    if frame.snapped || payload.incomplete {
        fragments.lost += 1;
        return None;
    }
    let id = FragmentId {
        from,
        to,
        identification,
        protocol: payload.ip_number.0,
    };
    fragments.add(id, offset, more, payload.payload, frame.number)
}

fn transport<'a>(
    from: IpAddr,
    to: IpAddr,
    protocol: IpNumber,
    bytes: &Cow<'a, [u8]>,
    incomplete: bool,
) -> Option<Carried<'a>> {
    /// The part of `bytes` behind the header, borrowed for as long as they are.
    fn behind<'a>(bytes: &Cow<'a, [u8]>, header: usize, length: usize) -> Cow<'a, [u8]> {
        match bytes {
            Cow::Borrowed(bytes) => Cow::Borrowed(&bytes[header..header + length]),
            Cow::Owned(bytes) => Cow::Owned(bytes[header..header + length].to_vec()),
        }
    }
    match protocol {
        IpNumber::UDP => {
            let udp = UdpSlice::from_slice_lax(bytes).ok()?;
            let payload = udp.payload().len();
            let on_the_wire = usize::from(udp.length()).saturating_sub(UDP_HEADER_BYTES);
            Some(Carried {
                from: SocketAddr::new(from, udp.source_port()),
                to: SocketAddr::new(to, udp.destination_port()),
                payload: behind(bytes, UDP_HEADER_BYTES, payload),
                snapped: on_the_wire > payload,
                transport: Transport::Udp,
            })
        }
        IpNumber::TCP => {
            let tcp = TcpSlice::from_slice(bytes).ok()?;
            let payload = tcp.payload().len();
            Some(Carried {
                from: SocketAddr::new(from, tcp.source_port()),
                to: SocketAddr::new(to, tcp.destination_port()),
                payload: behind(bytes, tcp.header_slice().len(), payload),
                // The next segment shows the hole.
                snapped: incomplete,
                transport: Transport::Tcp {
                    sequence_number: tcp.sequence_number(),
                    syn: tcp.syn(),
                },
            })
        }
        _ => None,
    }
}

const UDP_HEADER_BYTES: usize = 8;
