//! What descriptions said of addresses: which RTP goes where, and what its payload types mean.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::rtp::Content;
use crate::sdp::{Description, Format};
use crate::time::Utc;

/// Every address that a description named for RTP, and those for RTCP.
#[derive(Debug, Default)]
pub(super) struct MediaMap {
    rtp: BTreeMap<SocketAddr, Vec<Named>>,
    rtcp: BTreeMap<SocketAddr, SocketAddr>,
}

/// One description that named the address.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) since: Utc,
    /// Place of its dialog.
    pub(super) dialog: usize,
    formats: Vec<Format>,
}

/// What one payload type means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Meaning {
    pub(super) encoding: String,
    pub(super) clock_rate: u32,
}

impl MediaMap {
    pub(super) fn learn(&mut self, since: Utc, dialog: usize, description: &Description) {
        for stream in &description.streams {
            let Some(ip) = stream.address.filter(|ip| !ip.is_unspecified()) else {
                continue;
            };
            if stream.port == 0 || !stream.protocol.contains("RTP") {
                continue;
            }
            let address = SocketAddr::new(ip, stream.port);
            let rtcp = stream
                .rtcp
                .or_else(|| Some(SocketAddr::new(ip, stream.port.checked_add(1)?)));
            if let Some(rtcp) = rtcp {
                self.rtcp.insert(rtcp, address);
            }
            self.rtp.entry(address).or_default().push(Named {
                since,
                dialog,
                formats: stream.formats.clone(),
            });
        }
    }

    /// The description of this address in force then; one that overtook its SDP takes the first.
    pub(super) fn named(&self, address: SocketAddr, at: Utc) -> Option<&Named> {
        let all = self.rtp.get(&address)?;
        all.iter()
            .rev()
            .find(|named| named.since <= at)
            .or_else(|| all.first())
    }

    pub(super) fn is_rtcp(&self, address: SocketAddr) -> bool {
        self.rtcp.contains_key(&address) && !self.rtp.contains_key(&address)
    }

    /// Addresses that a dialog named, in their order.
    pub(super) fn of_dialog(&self, dialog: usize) -> impl Iterator<Item = SocketAddr> + '_ {
        self.rtp
            .iter()
            .filter(move |(_, all)| all.iter().any(|named| named.dialog == dialog))
            .map(|(address, _)| *address)
    }
}

impl Named {
    pub(super) fn meaning(&self, payload_type: u8) -> Option<Meaning> {
        let format = self
            .formats
            .iter()
            .find(|format| format.payload_type == payload_type)?;
        Some(Meaning {
            encoding: format.encoding.clone(),
            clock_rate: format.clock_rate,
        })
    }
}

impl Meaning {
    /// Static payload types (RFC 3551 §6), and 101 as everybody uses it, where no description says more.
    pub(super) fn by_custom(payload_type: u8) -> Option<Self> {
        let (encoding, clock_rate) = match payload_type {
            0 => ("PCMU", 8000),
            3 => ("GSM", 8000),
            4 => ("G723", 8000),
            8 => ("PCMA", 8000),
            9 => ("G722", 8000),
            13 => ("CN", 8000),
            15 => ("G728", 8000),
            18 => ("G729", 8000),
            101 => ("telephone-event", 8000),
            _ => return None,
        };
        Some(Self {
            encoding: encoding.to_owned(),
            clock_rate,
        })
    }

    pub(super) fn content(&self) -> Content {
        if self.encoding.eq_ignore_ascii_case("telephone-event") {
            Content::Event
        } else if self.encoding.eq_ignore_ascii_case("CN") {
            Content::ComfortNoise
        } else {
            Content::Sound
        }
    }
}
