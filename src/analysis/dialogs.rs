//! The calls of a capture: messages of one Call-ID as a ladder, with the moments that matter.
//!
//! Telephone numbers are personal data: all but the last two digits are covered unless the engineer asks for them.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::Serialize;

use super::media::MediaMap;
use super::messages::Message;
use super::streams::Row;
use crate::sdp;
use crate::sip::header::Uri;
use crate::sip::header::from_to::Address;
use crate::sip::wire::{HeaderName, Index, Method, StartLine};
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
    began: Utc,
    show_numbers: bool,
    by_call_id: BTreeMap<Vec<u8>, usize>,
    dialogs: Vec<Dialog>,
    spans: Vec<Span>,
    silent: Vec<Vec<SocketAddr>>,
    /// Messages seen, by who sent them and what makes them the same.
    seen: BTreeMap<(usize, SocketAddr, String, Vec<u8>), u32>,
}

impl Dialogs {
    pub(super) const fn new(began: Utc, show_numbers: bool) -> Self {
        Self {
            began,
            show_numbers,
            by_call_id: BTreeMap::new(),
            dialogs: Vec::new(),
            spans: Vec::new(),
            silent: Vec::new(),
            seen: BTreeMap::new(),
        }
    }

    pub(super) fn read(&mut self, message: &Message<'_>, media: &mut MediaMap) {
        let Some(index) = message.index() else { return };
        let Some(call_id) = index.call_id() else {
            return;
        };
        let place = match self.by_call_id.get(call_id) {
            Some(place) => *place,
            None => self.open(call_id, message.at, &index),
        };
        let what = self.what(&index);
        let branch = index.top_branch().unwrap_or_default().to_vec();
        let repeat = self
            .seen
            .entry((place, message.from, what.clone(), branch))
            .and_modify(|times| *times += 1)
            .or_insert(0);
        let at_ms = milliseconds(self.began, message.at);
        let cseq = index.cseq();
        self.dialogs[place].ladder.push(Rung {
            at_ms,
            from: message.from,
            to: message.to,
            what,
            cseq: cseq.map_or_else(String::new, |(number, method)| {
                format!("{number} {}", method.as_str())
            }),
            repeat: *repeat,
        });
        self.note_moment(place, message.at, &index);
        if let Ok(description) = sdp::parse(index.body()) {
            media.learn(message.at, place, &description);
            let named: Vec<SocketAddr> = media.of_dialog(place).collect();
            self.silent[place] = named;
        }
    }

    fn open(&mut self, call_id: &[u8], at: Utc, index: &Index<'_>) -> usize {
        let place = self.dialogs.len();
        self.by_call_id.insert(call_id.to_vec(), place);
        self.dialogs.push(Dialog {
            call_id: String::from_utf8_lossy(call_id).into_owned(),
            from: self.party(index, HeaderName::From),
            to: self.party(index, HeaderName::To),
            began_ms: milliseconds(self.began, at),
            answered_ms: None,
            ended_ms: None,
            ladder: Vec::new(),
            silent: Vec::new(),
        });
        self.spans.push(Span::default());
        self.silent.push(Vec::new());
        place
    }

    fn note_moment(&mut self, place: usize, at: Utc, index: &Index<'_>) {
        let span = &mut self.spans[place];
        match index.start() {
            StartLine::Request { method, .. } => {
                if matches!(method, Method::Bye | Method::Cancel) {
                    span.ended.get_or_insert(at);
                }
            }
            StartLine::Response { status, .. } => {
                let to_invite = index
                    .cseq()
                    .is_some_and(|(_, method)| method == Method::Invite);
                // A challenge is no refusal.
                let code = status.code();
                if to_invite && (200..300).contains(&code) {
                    span.answered.get_or_insert(at);
                } else if to_invite && code >= 300 && !matches!(code, 401 | 407) {
                    span.ended.get_or_insert(at);
                }
            }
        }
    }

    fn what(&self, index: &Index<'_>) -> String {
        match index.start() {
            StartLine::Request { method, uri } => format!(
                "{} {}",
                method.as_str(),
                self.covered(&String::from_utf8_lossy(uri))
            ),
            StartLine::Response { status, reason } => {
                format!("{} {}", status.code(), String::from_utf8_lossy(reason))
            }
        }
    }

    fn party(&self, index: &Index<'_>, name: HeaderName) -> String {
        let header = index.first(name);
        let text = header.map(|header| header.text().into_owned());
        // The display name is not repeated: it is a person's.
        text.and_then(|text| Address::read(&text).ok()).map_or_else(
            || "?".to_owned(),
            |address| self.covered(address.uri.as_str()),
        )
    }

    /// The URI without its parameters, all but two digits of its user covered.
    fn covered(&self, uri: &str) -> String {
        let plain = uri.split([';', '?']).next().unwrap_or(uri);
        let Ok(parsed) = Uri::read(plain) else {
            return "?".to_owned();
        };
        let (Some(user), false) = (parsed.number().or_else(|| parsed.user()), self.show_numbers)
        else {
            return plain.to_owned();
        };
        plain.replacen(user, &cover(user), 1)
    }

    pub(super) fn span(&self, place: usize) -> Span {
        self.spans[place]
    }

    pub(super) fn finish(self, streams: &[Row]) -> Vec<Dialog> {
        let began = self.began;
        let (spans, silent) = (self.spans, self.silent);
        self.dialogs
            .into_iter()
            .zip(spans.into_iter().zip(silent))
            .map(|(dialog, (span, named))| Dialog {
                answered_ms: span.answered.map(|at| milliseconds(began, at)),
                ended_ms: span.ended.map(|at| milliseconds(began, at)),
                silent: if span.answered.is_some() {
                    named
                        .into_iter()
                        .filter(|address| streams.iter().all(|row| row.destination != *address))
                        .collect()
                } else {
                    Vec::new()
                },
                ..dialog
            })
            .collect()
    }
}

/// `0199001199` becomes `…99`; names of machines and services of three letters and more keep nothing either.
fn cover(user: &str) -> String {
    let tail: String = user
        .chars()
        .rev()
        .take(if user.chars().count() > 4 { 2 } else { 0 })
        .collect();
    format!("…{}", tail.chars().rev().collect::<String>())
}

/// From one moment of the capture to another, with its microseconds.
#[expect(
    clippy::cast_precision_loss,
    reason = "nanoseconds of a capture are far below 2^52"
)]
pub(super) fn milliseconds(from: Utc, to: Utc) -> f64 {
    (to.0 - from.0) as f64 / 1e6
}
