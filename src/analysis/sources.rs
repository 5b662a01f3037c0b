//! The RTP of a capture, sorted into sources: one for each SSRC from one address to another.
//!
//! A datagram is RTP because SIP named its address, because the engineer named its port, or because a run of such
//! datagrams counts as only RTP does.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use super::beginning::Beginning;
use super::dialogs::Dialogs;
use super::media::{MediaMap, Named, customary};
use super::privacy::Privacy;
use super::reports::Reports;
use super::streams::{Row, Source};
use crate::capture::{Carrier, Piece};
use crate::rtp::packet;
use crate::sdp::Format;

/// An SSRC from one address to another, as tshark tells sources apart.
type Key = (u32, SocketAddr, SocketAddr);

pub(super) struct Sources<'c> {
    beginning: Beginning,
    media: &'c MediaMap,
    ports: &'c [u16],
    /// What payload types mean where no description says more.
    customary: BTreeMap<u8, Format>,
    known: BTreeMap<Key, Source>,
    /// Not known to be RTP yet.
    suspects: BTreeMap<Key, Suspect<'c>>,
    reports: Reports,
}

/// Packets that look like RTP and follow each other, kept until there are enough of them; the last one's number.
#[derive(Default)]
struct Suspect<'c> {
    pieces: Vec<&'c Piece<'c>>,
    last: u16,
}

/// Five packets that follow each other are not by chance: one in 2^64.
const IN_A_ROW_MIN: usize = 5;

/// Packets of a source that follow each other come sooner than this.
const IN_A_ROW_WITHIN: Duration = Duration::from_secs(2);

/// Sources that are watched for a run at once, and those told of; a flood of forged ones fills no memory.
const SOURCES_MAX: usize = 4096;

/// Payload types that RTCP's packet types look like (RFC 5761 §4).
const LIKE_RTCP: std::ops::RangeInclusive<u8> = 64..=95;

impl<'c> Sources<'c> {
    pub(super) fn new(beginning: Beginning, media: &'c MediaMap, ports: &'c [u16]) -> Self {
        Self {
            beginning,
            media,
            ports,
            customary: customary(),
            known: BTreeMap::new(),
            suspects: BTreeMap::new(),
            reports: Reports::default(),
        }
    }

    pub(super) fn read(&mut self, piece: &'c Piece<'c>) {
        if piece.carrier != Carrier::Udp {
            return;
        }
        let at = self.beginning.instant(piece.at);
        if self.is_rtcp(piece) && self.reports.read(at, &piece.payload) {
            return;
        }
        let Ok(packet) = packet::parse(&piece.payload) else {
            return;
        };
        let key = (packet.ssrc, piece.from, piece.to);
        let is_told = self.named(piece).is_some()
            || self.ports.contains(&piece.to.port())
            || self.ports.contains(&piece.from.port());
        if is_told || self.known.contains_key(&key) {
            self.hear(key, &packet, piece);
        } else if !LIKE_RTCP.contains(&packet.payload_type) {
            self.suspect(key, &packet, piece);
        }
    }

    /// What a description said of it.
    fn named(&self, piece: &Piece<'_>) -> Option<&'c Named> {
        self.media
            .named(piece.to, piece.at)
            .or_else(|| self.media.named(piece.from, piece.at))
    }

    fn hear(&mut self, key: Key, packet: &packet::Packet<'_>, piece: &Piece<'_>) {
        if self.known.len() >= SOURCES_MAX && !self.known.contains_key(&key) {
            return;
        }
        let named = self.named(piece);
        let format = named
            .and_then(|named| named.format(packet.payload_type))
            .or_else(|| self.customary.get(&packet.payload_type));
        self.known
            .entry(key)
            .or_insert_with(|| Source::new(key, named.map(|named| named.dialog)))
            .hear(
                self.beginning.instant(piece.at),
                packet,
                format,
                piece.snapped,
            );
    }

    fn suspect(&mut self, key: Key, packet: &packet::Packet<'_>, piece: &'c Piece<'c>) {
        let is_soon = |last: &Piece<'_>| piece.at.since(last.at) <= IN_A_ROW_WITHIN;
        if self.suspects.len() >= SOURCES_MAX {
            self.suspects
                .retain(|_, suspect| suspect.pieces.last().is_some_and(|last| is_soon(last)));
            if self.suspects.len() >= SOURCES_MAX {
                return;
            }
        }
        let suspect = self.suspects.entry(key).or_default();
        let follows = packet.sequence_number == suspect.last.wrapping_add(1)
            && suspect.pieces.last().is_some_and(|last| is_soon(last));
        if !follows {
            suspect.pieces.clear();
        }
        suspect.last = packet.sequence_number;
        suspect.pieces.push(piece);
        if suspect.pieces.len() < IN_A_ROW_MIN {
            return;
        }
        for piece in self.suspects.remove(&key).unwrap_or_default().pieces {
            if let Ok(packet) = packet::parse(&piece.payload) {
                self.hear(key, &packet, piece);
            }
        }
    }

    /// On the port that SIP named, or beside RTP (RFC 5761), or on the port after one that the engineer named.
    fn is_rtcp(&self, piece: &Piece<'_>) -> bool {
        let [first, packet_type, ..] = *piece.payload else {
            return false;
        };
        let looks = first >> 6 == 2 && (200..=207).contains(&packet_type);
        looks
            && (self.media.is_rtcp(piece.to)
                || self.media.is_rtcp(piece.from)
                || self.media.named(piece.to, piece.at).is_some()
                || self.ports.is_empty()
                || self.is_beside_a_port(piece))
    }

    fn is_beside_a_port(&self, piece: &Piece<'_>) -> bool {
        [piece.to.port(), piece.from.port()]
            .iter()
            .any(|port| self.ports.contains(port) || self.ports.contains(&port.wrapping_sub(1)))
    }

    /// In the order of their first packet.
    pub(super) fn rows(self, dialogs: &Dialogs, privacy: Privacy) -> Vec<Row> {
        let beginning = self.beginning;
        let followed: BTreeSet<Key> = self
            .known
            .iter()
            .filter(|(_, source)| source.dialog.is_some())
            .filter(|(_, source)| self.known.values().any(|other| other.follows(source)))
            .map(|(key, _)| *key)
            .collect();
        let mut rows: Vec<Row> = self
            .known
            .into_iter()
            .map(|(key, source)| {
                let span = source.dialog.map(|dialog| dialogs.span(dialog));
                let moments = span.unwrap_or_default();
                // A source that another one took over from did not fall silent.
                let ended = moments.ended.filter(|_| !followed.contains(&key));
                source.row(
                    moments.answered.map(|at| beginning.instant(at)),
                    ended.map(|at| beginning.instant(at)),
                    &self.reports,
                    privacy,
                )
            })
            .collect();
        rows.sort_by(|one, other| one.start_ms.total_cmp(&other.start_ms));
        rows
    }
}
