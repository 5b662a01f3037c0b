//! What names a transaction: for our own the slab index that we wrote into it, for those of others §17.2.3.
//!
//! Branches, tags and Call-IDs of ours hold one [`Token`] each, so an answer finds its call by an array
//! index. The salt keeps two runs of the process apart: without it the answers to a dead run would fit.

use crate::sip::wire::{HeaderName, Index, Method};

/// Every branch of RFC 3261 begins like this (§8.1.1.7).
pub const MAGIC_COOKIE: &[u8] = b"z9hG4bK";

/// Salt, slab index and generation as 24 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    pub salt: u32,
    pub index: u32,
    pub generation: u32,
}

/// Length of a token in text.
pub const TOKEN_BYTES: usize = 24;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

impl Token {
    #[must_use]
    pub fn text(self) -> [u8; TOKEN_BYTES] {
        let mut text = [b'0'; TOKEN_BYTES];
        for (part, number) in text
            .chunks_exact_mut(8)
            .zip([self.salt, self.index, self.generation])
        {
            for (digit, byte) in part.iter_mut().rev().zip(0_u32..) {
                *digit = DIGITS[(number >> (4 * byte)) as usize & 15];
            }
        }
        text
    }

    /// Reads the token that `text` begins with, and what follows it.
    #[must_use]
    pub fn read(text: &[u8]) -> Option<(Self, &[u8])> {
        let (token, rest) = text.split_at_checked(TOKEN_BYTES)?;
        let token = Self {
            salt: hex(&token[..8])?,
            index: hex(&token[8..16])?,
            generation: hex(&token[16..])?,
        };
        Some((token, rest))
    }
}

/// Eight lower-case digits; others are not of our writing.
fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0_u32, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u32::from(value))
    })
}

/// Names a transaction of somebody else (§17.2.3): the branch, who sent it, and the method, where ACK counts
/// as INVITE. Without the magic cookie (RFC 2543) the parts of the request that make it itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerKey(Box<[u8]>);

impl ServerKey {
    /// The key of a request; `None` if it lacks what makes it one.
    #[must_use]
    pub fn of(request: &Index<'_>) -> Option<Self> {
        Self::for_method(request, request.method()?)
    }

    /// The key of the INVITE that a CANCEL means (§9.2).
    #[must_use]
    pub fn of_cancelled(cancel: &Index<'_>) -> Option<Self> {
        Self::for_method(cancel, Method::Invite)
    }

    fn for_method(request: &Index<'_>, method: Method<'_>) -> Option<Self> {
        let method = match method {
            Method::Ack => "INVITE",
            Method::Bye
            | Method::Cancel
            | Method::Info
            | Method::Invite
            | Method::Message
            | Method::Notify
            | Method::Options
            | Method::Prack
            | Method::Publish
            | Method::Refer
            | Method::Register
            | Method::Subscribe
            | Method::Update
            | Method::Other(_) => method.as_str(),
        };
        let via = request.first(HeaderName::Via)?.raw;
        let mut key = Vec::with_capacity(96);
        key.extend_from_slice(method.as_bytes());
        key.push(b' ');
        match request.top_branch() {
            Some(branch) if branch.starts_with(MAGIC_COOKIE) => {
                key.extend_from_slice(branch);
                key.push(b' ');
                key.extend(sent_by(via).iter().map(u8::to_ascii_lowercase));
            }
            Some(_) | None => {
                // §17.2.3: Request-URI, From tag, Call-ID, CSeq number and the top Via.
                let crate::sip::wire::StartLine::Request { uri, .. } = request.start() else {
                    return None;
                };
                key.extend_from_slice(uri);
                key.push(b' ');
                key.extend_from_slice(request.from_tag().unwrap_or_default());
                key.push(b' ');
                key.extend_from_slice(request.call_id()?);
                key.push(b' ');
                key.extend_from_slice(&request.cseq()?.0.to_be_bytes());
                key.extend_from_slice(via);
            }
        }
        Some(Self(key.into()))
    }
}

/// `host:port` of a Via line's first element: what stands between the transport and the parameters.
fn sent_by(via: &[u8]) -> &[u8] {
    let end = via
        .iter()
        .position(|byte| matches!(byte, b';' | b','))
        .unwrap_or(via.len());
    let element = via[..end].trim_ascii_end();
    let start = element
        .iter()
        .rposition(|byte| matches!(byte, b' ' | b'\t' | b'\n'))
        .map_or(0, |blank| blank + 1);
    &element[start..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::wire::index;

    #[test]
    fn a_token_reads_as_it_was_written() {
        for (salt, slot, generation) in [(0, 0, 0), (u32::MAX, 1, 0xdead_beef), (7, 960_000, 31)] {
            let token = Token {
                salt,
                index: slot,
                generation,
            };
            let mut text = token.text().to_vec();
            text.extend_from_slice(b".2");
            assert_eq!(Token::read(&text), Some((token, &b".2"[..])));
        }
        for text in [
            "",
            "0",
            "0000000000000000000000zz",
            "00000000000000000000000A",
        ] {
            assert_eq!(Token::read(text.as_bytes()), None, "{text}");
        }
    }

    fn key(method: &str, via: &str) -> ServerKey {
        let text = format!(
            "{method} sip:a@b SIP/2.0\r\nVia: {via}\r\nFrom: <sip:c@d>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: x\r\nCSeq: 1 {method}\r\n\r\n"
        );
        ServerKey::of(&index(text.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn the_transactions_of_others_are_told_apart() {
        let via = "SIP/2.0/UDP h:5060;branch=z9hG4bKa";
        for (name, one, other, same) in [
            (
                "a retransmission",
                key("INVITE", via),
                key("INVITE", via),
                true,
            ),
            ("its ACK", key("INVITE", via), key("ACK", via), true),
            ("its CANCEL", key("INVITE", via), key("CANCEL", via), false),
            (
                "received was added",
                key("BYE", via),
                key(
                    "BYE",
                    "SIP/2.0/UDP H:5060 ;received=1.2.3.4;branch=z9hG4bKa",
                ),
                true,
            ),
            (
                "another sender with the same branch",
                key("BYE", via),
                key("BYE", "SIP/2.0/UDP h:5061;branch=z9hG4bKa"),
                false,
            ),
            (
                "an RFC 2543 sender",
                key("BYE", "SIP/2.0/UDP h"),
                key("BYE", "SIP/2.0/UDP h"),
                true,
            ),
        ] {
            assert_eq!(one == other, same, "{name}");
        }
    }
}
