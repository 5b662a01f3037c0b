//! The RTP of a capture, sorted into sources: one for each SSRC from one address to another.
//!
//! A datagram is RTP because SIP named its address, because the engineer named its port, or because a run of such
//! datagrams counts as only RTP does.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use super::dialogs::Dialogs;
use super::media::{Meaning, MediaMap};
use super::privacy::Privacy;
use super::reports::Reports;
use super::streams::{Row, Source};
use crate::capture::{Carrier, Piece};
use crate::rtp::packet;
use crate::time::{Instant, Utc};

/// An SSRC from one address to another, as tshark tells sources apart.
type Key = (u32, SocketAddr, SocketAddr);

pub(super) struct Sources<'m> {
    began: Utc,
    media: &'m MediaMap,
    ports: BTreeSet<u16>,
    known: BTreeMap<Key, Source>,
    /// Not known to be RTP yet.
    suspects: BTreeMap<Key, Suspect>,
    reports: Reports,
}

/// Packets that look like RTP, kept until enough of them count like RTP.
#[derive(Default)]
struct Suspect {
    packets: Vec<(Instant, Vec<u8>)>,
    last: Option<(Instant, u16)>,
}

/// Five packets that follow each other are not by chance: one in 2^64.
const IN_A_ROW_MIN: usize = 5;

/// Packets of a source that follow each other come sooner than this.
const IN_A_ROW_WITHIN: Duration = Duration::from_secs(2);

/// Sources that are watched for a run at once, and those told of; a flood of forged ones fills no memory.
const SOURCES_MAX: usize = 4096;

/// Payload types that RTCP's packet types look like (RFC 5761 §4).
const LIKE_RTCP: std::ops::RangeInclusive<u8> = 64..=95;

impl<'m> Sources<'m> {
    pub(super) fn new(began: Utc, media: &'m MediaMap, ports: &[u16]) -> Self {
        Self {
            began,
            media,
            ports: ports.iter().copied().collect(),
            known: BTreeMap::new(),
            suspects: BTreeMap::new(),
            reports: Reports::default(),
        }
    }

    pub(super) fn read(&mut self, piece: &Piece<'_>) {
        if piece.carrier != Carrier::Udp {
            return;
        }
        if self.is_rtcp(piece) && self.reports.read(piece.at, &piece.payload) {
            return;
        }
        let Ok(packet) = packet::parse(&piece.payload) else {
            return;
        };
        let key = (packet.ssrc, piece.from, piece.to);
        let at = instant(self.began, piece.at);
        let named = self
            .media
            .named(piece.to, piece.at)
            .or_else(|| self.media.named(piece.from, piece.at));
        let told = named.is_some()
            || self.ports.contains(&piece.to.port())
            || self.ports.contains(&piece.from.port());
        let meaning = named
            .and_then(|named| named.meaning(packet.payload_type))
            .or_else(|| Meaning::by_custom(packet.payload_type));
        if told || self.known.contains_key(&key) {
            let dialog = named.map(|named| named.dialog);
            self.hear(key, dialog, at, &packet, meaning.as_ref(), piece.snapped);
        } else if !LIKE_RTCP.contains(&packet.payload_type) {
            self.suspect(key, at, &packet, piece);
        }
    }

    fn hear(
        &mut self,
        key: Key,
        dialog: Option<usize>,
        at: Instant,
        packet: &packet::Packet<'_>,
        meaning: Option<&Meaning>,
        snapped: bool,
    ) {
        if self.known.len() < SOURCES_MAX || self.known.contains_key(&key) {
            self.known
                .entry(key)
                .or_insert_with(|| Source::new(key, dialog))
                .hear(at, packet, meaning, snapped);
        }
    }

    fn suspect(&mut self, key: Key, at: Instant, packet: &packet::Packet<'_>, piece: &Piece<'_>) {
        if self.suspects.len() >= SOURCES_MAX {
            self.suspects
                .retain(|_, suspect| suspect.last.is_some_and(|(last, _)| is_soon(last, at)));
            if self.suspects.len() >= SOURCES_MAX {
                return;
            }
        }
        let suspect = self.suspects.entry(key).or_default();
        let follows = suspect.last.is_some_and(|(last, number)| {
            packet.sequence_number == number.wrapping_add(1) && is_soon(last, at)
        });
        if !follows {
            suspect.packets.clear();
        }
        suspect.last = Some((at, packet.sequence_number));
        suspect.packets.push((at, piece.payload.to_vec()));
        if suspect.packets.len() < IN_A_ROW_MIN {
            return;
        }
        let packets = std::mem::take(&mut suspect.packets);
        self.suspects.remove(&key);
        for (at, bytes) in packets {
            if let Ok(packet) = packet::parse(&bytes) {
                let meaning = Meaning::by_custom(packet.payload_type);
                self.hear(key, None, at, &packet, meaning.as_ref(), piece.snapped);
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
        let began = self.began;
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
                    moments.answered.map(|at| instant(began, at)),
                    ended.map(|at| instant(began, at)),
                    &self.reports,
                    privacy,
                )
            })
            .collect();
        rows.sort_by(|one, other| one.start_ms.total_cmp(&other.start_ms));
        rows
    }
}

fn is_soon(last: Instant, at: Instant) -> bool {
    at.since(last) <= IN_A_ROW_WITHIN
}

/// The capture begins at one second, so that nothing of it is the zero moment that means "never".
const FIRST_MOMENT: u64 = 1_000_000_000;

/// Captures may be out of order at their joints: what lies before the beginning is the beginning.
fn instant(began: Utc, at: Utc) -> Instant {
    Instant(FIRST_MOMENT + u64::try_from(at.0.saturating_sub(began.0)).unwrap_or(0))
}
