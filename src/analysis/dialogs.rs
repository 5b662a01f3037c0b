//! The calls of a capture: messages of one Call-ID as a ladder, with the moments that matter.
//!
//! What may be printed of them is `privacy`'s to say.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use serde::Serialize;

use super::beginning::Beginning;
use super::media::MediaMap;
use super::messages;
use super::privacy::Privacy;
use super::streams::Row;
use crate::sdp;
use crate::sip::header::cseq::CSeq;
use crate::sip::header::from_to::Address;
use crate::sip::wire::message::Message;
use crate::sip::wire::{HeaderName, Method};
use crate::time::Utc;

/// One Call-ID.
#[derive(Debug, Serialize)]
pub struct Dialog {
    pub call_id: String,
    /// Who calls whom, as the first request says; numbers covered.
    pub from: String,
    pub to: String,
    /// From the beginning of the capture, milliseconds.
    pub began_ms: f64,
    /// The 200 OK to the INVITE.
    pub answered_ms: Option<f64>,
    /// The first BYE, CANCEL or final refusal.
    pub ended_ms: Option<f64>,
    pub ladder: Vec<Rung>,
    /// Addresses that were to receive RTP and to which none came: `NO_MEDIA`.
    pub silent: Vec<SocketAddr>,
}

/// One message.
#[derive(Debug, Serialize)]
pub struct Rung {
    pub at_ms: f64,
    pub from: SocketAddr,
    pub to: SocketAddr,
    /// `INVITE sip:…99@192.0.2.10`, `180 Ringing`.
    pub what: String,
    /// `1 INVITE`.
    pub cseq: String,
    /// The same message came before so many times.
    pub repeat: u32,
}

/// The moments of a dialog, for what its streams are measured from.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span {
    pub(super) answered: Option<Utc>,
    pub(super) ended: Option<Utc>,
}

/// Dialogs in the order of their first message.
#[derive(Debug)]
pub(super) struct Dialogs {
    beginning: Beginning,
    privacy: Privacy,
    by_call_id: BTreeMap<String, usize>,
    dialogs: Vec<(Dialog, Span)>,
    /// Messages seen, by who sent them and what makes them the same.
    seen: BTreeMap<(usize, SocketAddr, String, String), u32>,
}

impl Dialogs {
    pub(super) const fn new(beginning: Beginning, privacy: Privacy) -> Self {
        Self {
            beginning,
            privacy,
            by_call_id: BTreeMap::new(),
            dialogs: Vec::new(),
            seen: BTreeMap::new(),
        }
    }

    pub(super) fn read(&mut self, message: &messages::Message, media: &mut MediaMap) {
        let sip = &message.sip;
        let Some(call_id) = sip.value(HeaderName::CallId) else {
            return;
        };
        let place = match self.by_call_id.get(call_id) {
            Some(place) => *place,
            None => self.open(call_id, message.at, sip),
        };
        let what = self.what(sip);
        // With the branch in it, this tells a repetition from another transaction.
        let via = sip.value(HeaderName::Via).unwrap_or_default().to_owned();
        let repeat = self
            .seen
            .entry((place, message.from, what.clone(), via))
            .and_modify(|times| *times += 1)
            .or_insert(0);
        let at_ms = self.beginning.ms_of(message.at);
        self.dialogs[place].0.ladder.push(Rung {
            at_ms,
            from: message.from,
            to: message.to,
            what,
            cseq: self
                .privacy
                .text(sip.value(HeaderName::CSeq).unwrap_or_default()),
            repeat: *repeat,
        });
        self.note_moment(place, message.at, sip);
        if let Ok(description) = sdp::parse(sip.body()) {
            media.learn(message.at, place, &description);
        }
    }

    fn open(&mut self, call_id: &str, at: Utc, sip: &Message) -> usize {
        let place = self.dialogs.len();
        self.by_call_id.insert(call_id.to_owned(), place);
        let dialog = Dialog {
            call_id: self.privacy.text(call_id),
            from: self.party(sip, HeaderName::From),
            to: self.party(sip, HeaderName::To),
            began_ms: self.beginning.ms_of(at),
            answered_ms: None,
            ended_ms: None,
            ladder: Vec::new(),
            silent: Vec::new(),
        };
        self.dialogs.push((dialog, Span::default()));
        place
    }

    fn note_moment(&mut self, place: usize, at: Utc, sip: &Message) {
        let span = &mut self.dialogs[place].1;
        if matches!(sip.method(), Some(Method::Bye | Method::Cancel)) {
            span.ended.get_or_insert(at);
        }
        let to_invite = sip
            .value(HeaderName::CSeq)
            .and_then(|text| CSeq::read(text).ok())
            .is_some_and(|cseq| cseq.method == Method::Invite);
        if let Some((status, _)) = sip.status().filter(|_| to_invite) {
            match status.code() {
                200..300 => {
                    span.answered.get_or_insert(at);
                }
                // A challenge is no refusal.
                401 | 407 | ..200 => {}
                _ => {
                    span.ended.get_or_insert(at);
                }
            }
        }
    }

    fn what(&self, sip: &Message) -> String {
        match (sip.method(), sip.uri(), sip.status()) {
            (Some(method), Some(uri), _) => {
                format!("{} {}", method.as_str(), self.privacy.uri(uri))
            }
            (_, _, Some((status, reason))) => {
                format!("{} {}", status.code(), self.privacy.text(reason))
            }
            (_, _, None) => String::new(),
        }
    }

    fn party(&self, sip: &Message, name: HeaderName) -> String {
        // The display name is not repeated: it is a person's.
        sip.value(name)
            .and_then(|text| Address::read(text).ok())
            .map_or_else(
                || "?".to_owned(),
                |address| self.privacy.uri(address.uri.as_str()),
            )
    }

    pub(super) fn span(&self, place: usize) -> Span {
        self.dialogs[place].1
    }

    /// `media`: what all messages said of addresses; `streams`: what came to them.
    pub(super) fn finish(self, media: &MediaMap, streams: &[Row]) -> Vec<Dialog> {
        let beginning = self.beginning;
        let heard: BTreeSet<SocketAddr> = streams.iter().map(|row| row.destination).collect();
        self.dialogs
            .into_iter()
            .enumerate()
            .map(|(place, (dialog, span))| Dialog {
                answered_ms: span.answered.map(|at| beginning.ms_of(at)),
                ended_ms: span.ended.map(|at| beginning.ms_of(at)),
                silent: media
                    .of_dialog(place)
                    .filter(|address| span.answered.is_some() && !heard.contains(address))
                    .collect(),
                ..dialog
            })
            .collect()
    }
}
