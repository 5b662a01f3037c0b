//! One side of a call, registration or request, as the outside sees it: its names, its flow, its ladder.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use super::Key;
use super::command::Hop;
use super::core::Core;
use super::event::{Direction, Happened, Output, Trace};
use super::lines::Lines;
use crate::sip::Transport;
use crate::sip::header::Scheme;
use crate::sip::transaction::key::{TOKEN_BYTES, Token};
use crate::sip::wire::index::text_of;
use crate::sip::wire::{HeaderName, Index, StartLine, index, mask};
use crate::time::Instant;

/// Different lines that a ladder counts repetitions of; a call has some twenty.
const LADDER_LINES_MAX: usize = 500;

/// Tells the transactions of one party apart; the last four digits of its branches.
pub(in crate::sip) type Suffix = u16;

#[derive(Debug)]
pub(in crate::sip) struct Party {
    pub(in crate::sip) key: Key,
    pub(in crate::sip) user: u64,
    /// Our tag; the Call-ID too where we made it.
    pub(in crate::sip) token: [u8; TOKEN_BYTES],
    pub(in crate::sip) hop: Hop,
    pub(in crate::sip) transport: Transport,
    ladder: Option<Box<Ladder>>,
    next_suffix: Suffix,
}

/// What went by already, to count repetitions.
#[derive(Debug, Default)]
struct Ladder {
    seen: Vec<(Direction, Box<str>, u32)>,
}

impl Party {
    pub(in crate::sip) fn new(core: &Core, key: Key, hop: Hop, user: u64, ladder: bool) -> Self {
        let token = Token {
            salt: core.salt,
            index: key.index,
            generation: key.generation,
        };
        Self {
            key,
            user,
            token: token.text(),
            hop,
            transport: core
                .flow(hop.flow)
                .map_or(Transport::Udp, |flow| flow.transport),
            ladder: ladder.then(Box::default),
            next_suffix: 0,
        }
    }

    pub(in crate::sip) fn adopt(&mut self, user: u64, ladder: bool) {
        self.user = user;
        if ladder && self.ladder.is_none() {
            self.ladder = Some(Box::default());
        }
    }

    pub(in crate::sip) const fn has_ladder(&self) -> bool {
        self.ladder.is_some()
    }

    pub(in crate::sip) fn token_text(&self) -> &str {
        std::str::from_utf8(&self.token).expect("a token is made of hex digits")
    }

    /// The next unused branch.
    pub(in crate::sip) fn branch(&mut self) -> Suffix {
        self.next_suffix = self.next_suffix.wrapping_add(1);
        self.next_suffix
    }

    /// The first lines of a request of ours: request line, Via, Max-Forwards.
    pub(in crate::sip) fn head<'b>(
        &self,
        core: &Core,
        out: &'b mut Vec<u8>,
        method: &str,
        uri: &str,
        suffix: Suffix,
    ) -> Lines<'b> {
        let via = core
            .flow(self.hop.flow)
            .map_or("Via: SIP/2.0/UDP invalid;branch=z9hG4bK", |flow| &flow.via);
        let mut lines = Lines::request(out, method, uri);
        lines
            .lines(via.as_bytes())
            .lines(&self.token)
            .lines(&suffix_text(suffix))
            .lines(b"\r\nMax-Forwards: 70\r\n");
        lines
    }

    /// The value of our Contact, towards a URI of `scheme`.
    pub(in crate::sip) fn contact(
        &self,
        core: &mut Core,
        scheme: Scheme,
        user: Option<&str>,
    ) -> Arc<str> {
        core.contact(self.hop.flow, scheme, user)
    }

    pub(in crate::sip) fn send(
        &mut self,
        core: &mut Core,
        now: Instant,
        to: SocketAddr,
        message: Vec<u8>,
    ) {
        if self.ladder.is_some()
            && let Ok(index) = index(&message)
        {
            let what = describe(&index);
            self.trace(core, (now, Direction::Sent, to), what, &message);
        }
        core.outputs.push_back(Output::Send {
            flow: self.hop.flow,
            to,
            message,
        });
    }

    /// Puts a received message on the ladder.
    pub(in crate::sip) fn heard(
        &mut self,
        core: &mut Core,
        stamp: Instant,
        from: SocketAddr,
        message: &Index<'_>,
    ) {
        if self.ladder.is_some() {
            let bytes = message.bytes();
            let what = describe(message);
            self.trace(core, (stamp, Direction::Received, from), what, bytes);
        }
    }

    /// Puts a remark of our own on the ladder.
    pub(in crate::sip) fn note(&mut self, core: &mut Core, now: Instant, words: &str) {
        if self.ladder.is_some() {
            let at = (now, Direction::Note, self.hop.peer);
            self.trace(core, at, words.to_owned(), &[]);
        }
    }

    pub(in crate::sip) fn tell(&self, core: &mut Core, happened: Happened) {
        core.tell(self.key, self.user, happened);
    }

    /// The far end broke the standard; what it sent was ignored.
    pub(in crate::sip) fn misbehaved(
        &mut self,
        core: &mut Core,
        now: Instant,
        words: &'static str,
    ) {
        self.note(core, now, words);
        self.tell(
            core,
            Happened::Misbehaved {
                words: Cow::Borrowed(words),
            },
        );
    }

    fn trace(
        &mut self,
        core: &mut Core,
        (at, direction, peer): (Instant, Direction, SocketAddr),
        what: String,
        message: &[u8],
    ) {
        let Some(ladder) = &mut self.ladder else {
            return;
        };
        let repeat = ladder.count(direction, &what);
        self.tell(
            core,
            Happened::Trace(Trace {
                at,
                direction,
                peer,
                what: what.into(),
                repeat,
                message: mask::masked(message).into(),
            }),
        );
    }
}

impl Ladder {
    /// How many times this line was there before.
    fn count(&mut self, direction: Direction, what: &str) -> u32 {
        for (seen_direction, seen, times) in &mut self.seen {
            if *seen_direction == direction && **seen == *what {
                *times += 1;
                return *times;
            }
        }
        if self.seen.len() < LADDER_LINES_MAX {
            self.seen.push((direction, what.into(), 0));
        }
        0
    }
}

/// First line and CSeq, which hold no credential.
fn describe(message: &Index<'_>) -> String {
    let mut text = String::new();
    let cseq = message.cseq();
    let number = cseq.map_or(0, |(number, _)| number);
    let written = match message.start() {
        StartLine::Request { method, uri } => {
            let uri = String::from_utf8_lossy(uri);
            write!(text, "{method} {uri} (CSeq {number})")
        }
        StartLine::Response { status, reason } => {
            let reason = text_of(reason);
            let method = cseq.map_or("?", |(_, method)| method.as_str());
            write!(text, "{status} {reason} (CSeq {number} {method})")
        }
    };
    written.expect("a String takes every character");
    text
}

pub(in crate::sip) fn suffix_text(suffix: Suffix) -> [u8; 4] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [12, 8, 4, 0].map(|shift| DIGITS[usize::from(suffix >> shift & 15)])
}

pub(in crate::sip) fn read_suffix(text: &[u8]) -> Option<Suffix> {
    let text = std::str::from_utf8(text)
        .ok()
        .filter(|text| text.len() == 4)?;
    Suffix::from_str_radix(text, 16).ok()
}

/// Server or User-Agent of the far end.
pub(in crate::sip) fn server_of(message: &Index<'_>) -> Option<Box<str>> {
    message
        .first(HeaderName::Server)
        .or_else(|| message.first(HeaderName::UserAgent))
        .map(|header| header.text().into())
}
