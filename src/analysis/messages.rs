//! The SIP messages of a capture: of any port, by their look; TCP streams cut into messages.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::capture::{Capture, Carrier, Piece};
use crate::sip::wire::framing::{Frame, Framer};
use crate::sip::wire::{index, message};
use crate::time::Utc;

/// One SIP message, and when and between whom it went by.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) at: Utc,
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) sip: message::Message,
}

/// In the order of the capture.
pub(super) fn of(capture: &Capture<'_>) -> Vec<Message> {
    let mut streams: BTreeMap<(SocketAddr, SocketAddr), Framer> = BTreeMap::new();
    let mut messages = Vec::new();
    for piece in &capture.pieces {
        match piece.carrier {
            Carrier::Udp if looks_like_sip(&piece.payload) => {
                messages.extend(read(piece, &piece.payload));
            }
            Carrier::Udp => {}
            Carrier::Tcp { after_hole } => {
                let key = (piece.from, piece.to);
                // After a hole nothing says where the next message begins, but a piece that begins one.
                if looks_like_sip(&piece.payload) && (after_hole || !streams.contains_key(&key)) {
                    streams.insert(key, Framer::new());
                }
                if let Some(framer) = streams.get_mut(&key) {
                    framer.push(&piece.payload);
                    if !pull(framer, piece, &mut messages) {
                        streams.remove(&key);
                    }
                }
            }
        }
    }
    messages
}

/// False when the stream cannot be cut any further.
fn pull(framer: &mut Framer, piece: &Piece<'_>, messages: &mut Vec<Message>) -> bool {
    loop {
        match framer.pull() {
            Ok(Some(Frame::Message(bytes))) => {
                messages.extend(read(piece, bytes));
            }
            Ok(Some(Frame::Ping | Frame::Pong)) => {}
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

/// `None` for what only looks like SIP.
fn read(piece: &Piece<'_>, bytes: &[u8]) -> Option<Message> {
    Some(Message {
        at: piece.at,
        from: piece.from,
        to: piece.to,
        sip: message::read(&index(bytes).ok()?).ok()?,
    })
}

/// A start line within the first line: `METHOD … SIP/2.0` or `SIP/2.0 NNN`.
fn looks_like_sip(bytes: &[u8]) -> bool {
    let line = bytes
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    line.starts_with(b"SIP/2.0 ")
        || (line.ends_with(b" SIP/2.0") && line.first().is_some_and(u8::is_ascii_uppercase))
}
