//! What descriptions said of addresses: which RTP goes where, and what its payload types mean.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use crate::rtp::Content;
use crate::sdp::offer_answer::TELEPHONE_EVENT;
use crate::sdp::{Description, Format};
use crate::time::Utc;

/// Every address that a description named for RTP, and those for RTCP.
#[derive(Debug, Default)]
pub(super) struct MediaMap {
    rtp: BTreeMap<SocketAddr, Vec<Named>>,
    rtcp: BTreeSet<SocketAddr>,
}

/// One description that named the address.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) since: Utc,
    /// Place of its dialog.
    pub(super) dialog: usize,
    formats: Vec<Format>,
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
            self.rtcp.extend(rtcp);
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
        self.rtcp.contains(&address) && !self.rtp.contains_key(&address)
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
    /// What one payload type means.
    pub(super) fn format(&self, payload_type: u8) -> Option<&Format> {
        self.formats
            .iter()
            .find(|format| format.payload_type == payload_type)
    }
}

/// What payload types mean where no description says more: the static ones, and 101 as everybody uses it.
pub(super) fn customary() -> BTreeMap<u8, Format> {
    let events = Format {
        payload_type: TELEPHONE_EVENT,
        encoding: "telephone-event".to_owned(),
        clock_rate: 8000,
    };
    (0..96)
        .filter_map(Format::of_static_type)
        .chain([events])
        .map(|format| (format.payload_type, format))
        .collect()
}

/// What the encoding says a packet carries.
pub(super) fn content(format: &Format) -> Content {
    if format.encoding.eq_ignore_ascii_case("telephone-event") {
        Content::Event
    } else if format.encoding.eq_ignore_ascii_case("CN") {
        Content::ComfortNoise
    } else {
        Content::Sound
    }
}
