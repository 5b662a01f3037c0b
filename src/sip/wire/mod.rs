//! SIP messages as bytes: find fields in them, cut streams into them, write them.
//!
//! `index` reads a message in one pass without allocating and keeps only positions; `framing` cuts TCP
//! and TLS streams into messages; `writer` writes; `message` is the one door to the rsip
//! crate. Nothing here knows transactions or dialogs, and nothing here trusts what it reads: malformed
//! bytes are a [`WireError`], never a panic. `sip::header` reads the values that the index points at.

pub mod framing;
pub mod index;
pub mod mask;
pub mod message;
pub mod method;
pub mod name;
pub mod status;
pub mod writer;

pub use index::{Header, Index, StartLine, WireError, index};
pub use method::Method;
pub use name::HeaderName;
pub use status::StatusCode;

/// The `token` characters of RFC 3261 §25.1. A table: every header name goes through it byte by byte.
pub(crate) const fn is_token_byte(byte: u8) -> bool {
    TOKEN[byte as usize]
}

static TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~'
            );
        byte += 1;
    }
    table
};

/// At least one `token` character and nothing else.
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().copied().all(is_token_byte)
}

/// Linear white space, line ends of folded values included (`LWS`, RFC 3261 §25.1).
pub(crate) const fn is_lws(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// `bytes` without the white space around it.
pub(crate) fn trim_lws(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes
        && is_lws(*first)
    {
        bytes = rest;
    }
    while let [rest @ .., last] = bytes
        && is_lws(*last)
    {
        bytes = rest;
    }
    bytes
}
