//! The values of header fields, one field per file. They read the text that `wire::Header::text` gives
//! (unfolded, always valid UTF-8) and own what they found, so a dialog can keep it.
//!
//! What is read prints as it came. Readers are liberal where RFC 4475 allows it and the field keeps one
//! meaning; where it does not, they return a [`HeaderError`].

pub mod auth;
pub mod contact;
pub mod cseq;
pub mod from_to;
pub mod params;
pub mod reason;
pub mod route;
pub mod rseq;
pub mod session_expires;
pub mod uri;
pub mod via;

pub use auth::{Challenge, Credentials};
pub use contact::{Contact, Contacts};
pub use cseq::CSeq;
pub use from_to::Address;
pub use params::Params;
pub use reason::Reason;
pub use route::Route;
pub use rseq::{RAck, RSeq};
pub use session_expires::{MinSe, Refresher, SessionExpires};
pub use uri::{Scheme, Uri};
pub use via::Via;

/// Why a value cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    #[error("nothing there")]
    Empty,
    #[error("a quoted string or an angle bracket that does not close")]
    Unclosed,
    #[error("no URI where one belongs")]
    Uri,
    #[error("a host that is neither a name nor an address")]
    Host,
    #[error("a port that is not between 0 and 65535")]
    Port,
    #[error("a token with a character that it cannot have")]
    Token,
    #[error("a number that cannot be read")]
    Number,
    #[error("a parameter that is none")]
    Parameter,
    /// Never sent by us: a line end or another control character.
    #[error("a control character")]
    Control,
    #[error("the parameter {0} is missing")]
    Missing(&'static str),
}

/// The elements of a list joined by commas; those in quotes and angle brackets do not separate. Empty
/// elements are left out (RFC 3261 §7.3.1 joins lines, and devices leave a comma at the end).
pub(crate) fn elements(text: &str) -> impl Iterator<Item = &str> {
    separated(text, b',')
        .map(trim)
        .filter(|element| !element.is_empty())
}

/// `text` cut at `separator` outside quotes and angle brackets.
pub(crate) fn separated(text: &str, separator: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let current = rest?;
        let end = end_of_element(current.as_bytes(), separator);
        let element = &current[..end];
        rest = current.get(end + 1..);
        Some(element)
    })
}

fn end_of_element(bytes: &[u8], separator: u8) -> usize {
    let (mut at, mut bracketed) = (0, false);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' if !bracketed => at = end_of_quoted(bytes, at),
            b'<' => bracketed = true,
            b'>' => bracketed = false,
            byte if *byte == separator && !bracketed => return at,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

/// Where the quoted string that opens at `open` closes; the last byte if it does not.
fn end_of_quoted(bytes: &[u8], open: usize) -> usize {
    closing_quote(bytes, open).unwrap_or(bytes.len() - 1)
}

/// Where the quoted string that opens at `open` closes (§25.1: a backslash quotes the byte after it).
pub(crate) fn closing_quote(bytes: &[u8], open: usize) -> Option<usize> {
    let mut at = open + 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// Without the white space around it.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\r', '\n'])
}

/// What stands between quotes, with quoted pairs resolved; `text` itself if there are no quotes around it.
pub(crate) fn unquoted(text: &str) -> std::borrow::Cow<'_, str> {
    let Some(inside) = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
    else {
        return text.into();
    };
    if !inside.contains('\\') {
        return inside.into();
    }
    let mut plain = String::with_capacity(inside.len());
    let mut characters = inside.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => plain.extend(characters.next()),
            other => plain.push(other),
        }
    }
    plain.into()
}

/// `text` as a quoted string.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push('"');
    quoted
}

/// Digits alone, as a number that fits its type.
pub(crate) fn number<T: std::str::FromStr>(digits: &str) -> Result<T, HeaderError> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(HeaderError::Number);
    }
    digits.parse().map_err(|_| HeaderError::Number)
}

/// Text that can stand in a header line we write.
pub(crate) fn without_controls(text: &str) -> Result<(), HeaderError> {
    if text
        .bytes()
        .any(|byte| byte.is_ascii_control() && byte != b'\t')
    {
        return Err(HeaderError::Control);
    }
    Ok(())
}
