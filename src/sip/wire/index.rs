//! The one-pass index of a SIP message: where its start line, header fields and body are.
//!
//! It allocates nothing and understands only what every message needs: lines (CRLF or bare LF), folding,
//! long and compact names, Content-Length. Values stay bytes; `sip::header` reads them. [`Index::check`]
//! adds what RFC 3261 §8.1.1 demands of every message. `sip::endpoint` and the shards call it for each
//! datagram, `framing` for each message cut out of a stream.

use std::borrow::Cow;
use std::fmt;

use arrayvec::ArrayVec;
use memchr::{memchr, memchr_iter};

use super::{HeaderName, Method, StatusCode, is_lws, is_token, trim_lws};

/// Header lines in one message. The longest of RFC 4475 has 50; a larger number only costs stack.
pub const HEADERS_MAX: usize = 64;
/// Positions are 16 bits wide, as large as a UDP datagram can be.
pub const MESSAGE_BYTES_MAX: usize = 65_535;

/// Why bytes are not a SIP message we can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Nothing but line ends: a keep-alive (RFC 5626 §3.5.1), to be ignored without complaint.
    #[error("only line ends: a keep-alive, no message")]
    KeepAlive,
    #[error("{bytes} bytes are more than the {MESSAGE_BYTES_MAX} of a datagram")]
    TooLong { bytes: usize },
    #[error("more than {HEADERS_MAX} header lines")]
    TooManyHeaders,
    #[error("the first line is neither a request line nor a status line")]
    StartLine,
    /// §7.1 knows `SIP/2.0` alone; a server answers 505.
    #[error("the version is not SIP/2.0")]
    Version,
    /// §7.2: three digits, of which the first is 1 to 6.
    #[error("the status code is not between 100 and 699")]
    Status,
    #[error("the request-URI is not a URI")]
    RequestUri,
    #[error("the header line at byte {at} has no name or no colon")]
    HeaderLine { at: usize },
    /// §7: an empty line ends the header fields.
    #[error("no empty line ends the header fields")]
    HeadUnended,
    /// Unreadable, or two that differ (§20.14).
    #[error("the content length cannot be read")]
    ContentLength,
    /// §18.3: a request is answered 400, a response discarded.
    #[error("the content length says {declared} bytes but {present} are there")]
    BodyCut { declared: usize, present: usize },
    #[error("{0} is missing")]
    Missing(HeaderName),
    #[error("{0} stands there more than once")]
    Repeated(HeaderName),
    #[error("{0} cannot be read")]
    Unreadable(HeaderName),
    /// §8.1.1.5: the method of CSeq is that of the request.
    #[error("the method of CSeq is not that of the request")]
    MethodMismatch,
}

impl WireError {
    /// What a server answers a request with this fault (RFC 3261 §8.2, §18.3).
    #[must_use]
    pub const fn answer(self) -> StatusCode {
        match self {
            Self::Version => StatusCode::VERSION_NOT_SUPPORTED,
            Self::TooLong { .. } | Self::TooManyHeaders => StatusCode::MESSAGE_TOO_LARGE,
            Self::KeepAlive
            | Self::StartLine
            | Self::Status
            | Self::RequestUri
            | Self::HeaderLine { .. }
            | Self::HeadUnended
            | Self::ContentLength
            | Self::BodyCut { .. }
            | Self::Missing(_)
            | Self::Repeated(_)
            | Self::Unreadable(_)
            | Self::MethodMismatch => StatusCode::BAD_REQUEST,
        }
    }
}

/// The first line.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum StartLine<'a> {
    Request {
        method: Method<'a>,
        /// As it came; `header::Uri` reads it.
        uri: &'a [u8],
    },
    Response {
        status: StatusCode,
        /// As it came, often empty, in any encoding.
        reason: &'a [u8],
    },
}

/// Where one header line is.
#[derive(Clone, Copy)]
struct Place {
    name: HeaderName,
    folded: bool,
    name_start: u16,
    name_end: u16,
    value_start: u16,
    value_end: u16,
}

/// One header line of a message.
#[derive(Clone, Copy)]
pub struct Header<'a> {
    pub name: HeaderName,
    /// The name as it was written, without the blanks before the colon.
    pub written_name: &'a [u8],
    /// The value without the white space around it; line ends inside if it came folded.
    pub raw: &'a [u8],
    pub folded: bool,
}

/// A message whose parts have been found.
#[derive(Clone)]
pub struct Index<'a> {
    bytes: &'a [u8],
    start: StartLine<'a>,
    places: ArrayVec<Place, HEADERS_MAX>,
    body: &'a [u8],
    trailing: usize,
}

/// Finds the parts of the one message in a datagram. Bytes beyond its Content-Length are left out (§18.3).
///
/// # Errors
/// When the bytes cannot be taken apart; whether required fields are there is for [`Index::check`].
pub fn index(bytes: &[u8]) -> Result<Index<'_>, WireError> {
    let mut message = Index::of(bytes);
    let body_start = message.read_head()?;
    let rest = bytes.get(body_start..).unwrap_or_default();
    message.body = match message.content_length()? {
        None => rest,
        Some(declared) => rest.get(..declared).ok_or(WireError::BodyCut {
            declared,
            present: rest.len(),
        })?,
    };
    message.trailing = rest.len() - message.body.len();
    Ok(message)
}

/// Finds start line and header fields only, and says where the body begins. For stream framing, which does
/// not have the body yet, and to answer a request whose body is cut.
///
/// # Errors
/// As [`index`], but for what Content-Length says.
pub fn index_head(bytes: &[u8]) -> Result<(Index<'_>, usize), WireError> {
    let mut message = Index::of(bytes);
    let body_start = message.read_head()?;
    Ok((message, body_start))
}

impl<'a> Index<'a> {
    /// Nothing found yet. The value is filled in place: it is large, and moving it costs as much as a
    /// few header lines.
    const fn of(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            start: StartLine::Request {
                method: Method::Options,
                uri: &[],
            },
            places: ArrayVec::new_const(),
            body: &[],
            trailing: 0,
        }
    }

    /// Finds start line and header lines; returns where the body begins.
    fn read_head(&mut self) -> Result<usize, WireError> {
        let bytes = self.bytes;
        let mut at = leading_line_ends(bytes);
        if at == bytes.len() {
            return Err(WireError::KeepAlive);
        }
        if bytes.len() > MESSAGE_BYTES_MAX {
            return Err(WireError::TooLong { bytes: bytes.len() });
        }
        let mut ends = memchr_iter(b'\n', bytes);
        let first = next_line(bytes, at, &mut ends).ok_or(WireError::HeadUnended)?;
        self.start = start_line(first.content)?;
        at = first.next;
        loop {
            let line = next_line(bytes, at, &mut ends).ok_or(WireError::HeadUnended)?;
            match line.content.first() {
                None => return Ok(line.next),
                Some(b' ' | b'\t') => {
                    let folded = self.places.last_mut();
                    let folded = folded.ok_or(WireError::HeaderLine { at })?;
                    folded.value_end = position(at + line.content.len());
                    folded.folded = true;
                }
                Some(_) => {
                    let place = header_line(line.content, at)?;
                    let pushed = self.places.try_push(place);
                    pushed.map_err(|_| WireError::TooManyHeaders)?;
                }
            }
            at = line.next;
        }
    }
}

struct Line<'a> {
    content: &'a [u8],
    next: usize,
}

/// The line that starts at `at`, up to the next of the line ends that lies there or behind.
#[inline]
fn next_line<'a>(
    bytes: &'a [u8],
    at: usize,
    ends: &mut impl Iterator<Item = usize>,
) -> Option<Line<'a>> {
    let end = ends.find(|end| *end >= at)?;
    let line = &bytes[at..end];
    Some(Line {
        content: line.strip_suffix(b"\r").unwrap_or(line),
        next: end + 1,
    })
}

/// Line ends before a start line are to be ignored (§7.5).
fn leading_line_ends(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .position(|byte| !matches!(byte, b'\r' | b'\n'))
        .unwrap_or(bytes.len())
}

/// The length has been checked against `MESSAGE_BYTES_MAX`, so every position fits.
fn position(at: usize) -> u16 {
    u16::try_from(at).unwrap_or(u16::MAX)
}

fn start_line(line: &[u8]) -> Result<StartLine<'_>, WireError> {
    if line.len() >= 4 && line[..4].eq_ignore_ascii_case(b"SIP/") {
        return status_line(line);
    }
    let line = line.trim_ascii_end();
    let method_end = memchr(b' ', line).ok_or(WireError::StartLine)?;
    let version_start = 1 + memchr::memrchr(b' ', line).ok_or(WireError::StartLine)?;
    let method = Method::read(&line[..method_end]).ok_or(WireError::StartLine)?;
    let version = &line[version_start..];
    if version.len() < 4 || !version[..4].eq_ignore_ascii_case(b"SIP/") {
        return Err(WireError::StartLine);
    }
    if !version.eq_ignore_ascii_case(b"SIP/2.0") {
        return Err(WireError::Version);
    }
    let uri = line
        .get(method_end..version_start)
        .unwrap_or_default()
        .trim_ascii();
    if !looks_like_a_uri(uri) {
        return Err(WireError::RequestUri);
    }
    Ok(StartLine::Request { method, uri })
}

/// `SIP/2.0 200 OK`. The blank after the code may be missing together with the reason.
fn status_line(line: &[u8]) -> Result<StartLine<'_>, WireError> {
    let version_end = memchr(b' ', line).ok_or(WireError::StartLine)?;
    if !line[..version_end].eq_ignore_ascii_case(b"SIP/2.0") {
        return Err(WireError::Version);
    }
    let rest = &line[version_end + 1..];
    let code_end = memchr(b' ', rest).unwrap_or(rest.len());
    let [
        hundreds @ b'1'..=b'6',
        tens @ b'0'..=b'9',
        ones @ b'0'..=b'9',
    ] = rest[..code_end]
    else {
        return Err(WireError::Status);
    };
    let digit = |byte: u8| u16::from(byte - b'0');
    let code = digit(hundreds) * 100 + digit(tens) * 10 + digit(ones);
    Ok(StartLine::Response {
        status: StatusCode::new(code).ok_or(WireError::Status)?,
        reason: rest.get(code_end + 1..).unwrap_or_default(),
    })
}

/// A scheme, a colon, something behind it, and none of the bytes no URI may hold (RFC 3986 §2).
fn looks_like_a_uri(uri: &[u8]) -> bool {
    let Some(colon) = memchr(b':', uri) else {
        return false;
    };
    uri[0].is_ascii_alphabetic()
        && uri[..colon]
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
        && colon + 1 < uri.len()
        && uri.iter().all(|byte| IN_URI[usize::from(*byte)])
}

static IN_URI: [bool; 256] = {
    let mut table = [true; 256];
    let mut byte = 0;
    while byte <= b' ' as usize {
        table[byte] = false;
        byte += 1;
    }
    table[b'<' as usize] = false;
    table[b'>' as usize] = false;
    table[b'"' as usize] = false;
    table[0x7f] = false;
    table
};

/// `name: value`, blanks before the colon allowed (§7.3.1).
fn header_line(line: &[u8], at: usize) -> Result<Place, WireError> {
    // Names are short: a plain loop is done before a vector search has begun.
    let colon = line
        .iter()
        .position(|byte| *byte == b':')
        .ok_or(WireError::HeaderLine { at })?;
    let mut name_end = colon;
    while name_end > 0 && matches!(line[name_end - 1], b' ' | b'\t') {
        name_end -= 1;
    }
    let name = HeaderName::read(&line[..name_end]);
    // Known names are tokens; only others need to be looked at byte by byte.
    if name == HeaderName::Other && !is_token(&line[..name_end]) {
        return Err(WireError::HeaderLine { at });
    }
    Ok(Place {
        name,
        folded: false,
        name_start: position(at),
        name_end: position(at + name_end),
        value_start: position(at + colon + 1),
        value_end: position(at + line.len()),
    })
}

impl<'a> Index<'a> {
    #[must_use]
    pub const fn start(&self) -> StartLine<'a> {
        self.start
    }

    /// The method of a request; `None` for a response.
    #[must_use]
    pub const fn method(&self) -> Option<Method<'a>> {
        match self.start {
            StartLine::Request { method, .. } => Some(method),
            StartLine::Response { .. } => None,
        }
    }

    /// The status of a response; `None` for a request.
    #[must_use]
    pub const fn status(&self) -> Option<StatusCode> {
        match self.start {
            StartLine::Request { .. } => None,
            StartLine::Response { status, .. } => Some(status),
        }
    }

    /// The bytes that were indexed, trailing ones included.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    #[must_use]
    pub const fn body(&self) -> &'a [u8] {
        self.body
    }

    /// How many bytes of the datagram lie beyond the body and do not belong to the message (§18.3).
    #[must_use]
    pub const fn trailing_bytes(&self) -> usize {
        self.trailing
    }

    /// Every header line in its order.
    pub fn headers(&self) -> impl Iterator<Item = Header<'a>> + '_ {
        self.places.iter().map(|place| self.header(place))
    }

    /// The lines called `name`, in their order. One line may hold a list joined by commas.
    pub fn all(&self, name: HeaderName) -> impl Iterator<Item = Header<'a>> + '_ {
        self.places
            .iter()
            .filter(move |place| place.name == name)
            .map(|place| self.header(place))
    }

    /// The first line called `name`.
    #[must_use]
    pub fn first(&self, name: HeaderName) -> Option<Header<'a>> {
        self.places
            .iter()
            .find(|place| place.name == name)
            .map(|place| self.header(place))
    }

    /// Whether a field that lists tokens (`Require`, `Supported`, `Allow`) names `token`.
    #[must_use]
    pub fn lists(&self, name: HeaderName, token: &str) -> bool {
        self.all(name).any(|header| lists(&header.text(), token))
    }

    fn header(&self, place: &Place) -> Header<'a> {
        let slice = |start: u16, end: u16| &self.bytes[usize::from(start)..usize::from(end)];
        Header {
            name: place.name,
            written_name: slice(place.name_start, place.name_end),
            raw: trim_lws(slice(place.value_start, place.value_end)),
            folded: place.folded,
        }
    }

    /// The branch parameter of the topmost Via: the name of the transaction (§8.1.1.7, §17.1.3).
    #[must_use]
    pub fn top_branch(&self) -> Option<&'a [u8]> {
        let via = self.first(HeaderName::Via)?.raw;
        // The first element of a list joined by commas; a branch is a token, so no quotes to respect.
        let element = memchr(b',', via).map_or(via, |comma| &via[..comma]);
        parameter(element, b"branch")
    }

    /// Number and method of CSeq (§20.16).
    #[must_use]
    pub fn cseq(&self) -> Option<(u32, Method<'a>)> {
        let raw = self.first(HeaderName::CSeq)?.raw;
        let digits = raw.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (number, method) = raw.split_at(digits);
        if !method.first().copied().is_some_and(is_lws) {
            return None;
        }
        let number = decimal(number)?;
        // §8.1.1.5: less than 2^31.
        if number > 0x7fff_ffff {
            return None;
        }
        Some((u32::try_from(number).ok()?, Method::read(trim_lws(method))?))
    }

    #[must_use]
    pub fn call_id(&self) -> Option<&'a [u8]> {
        self.first(HeaderName::CallId)
            .map(|header| header.raw)
            .filter(|raw| !raw.is_empty())
    }

    #[must_use]
    pub fn from_tag(&self) -> Option<&'a [u8]> {
        tag(self.first(HeaderName::From)?.raw)
    }

    #[must_use]
    pub fn to_tag(&self) -> Option<&'a [u8]> {
        tag(self.first(HeaderName::To)?.raw)
    }

    /// What Content-Length declares; `None` if the field is absent. Several that agree are one.
    ///
    /// # Errors
    /// [`WireError::ContentLength`] if it is no number or they differ.
    pub fn content_length(&self) -> Result<Option<usize>, WireError> {
        let mut declared = None;
        for header in self.all(HeaderName::ContentLength) {
            let length = decimal(header.raw)
                .and_then(|length| usize::try_from(length).ok())
                .ok_or(WireError::ContentLength)?;
            if declared.is_some_and(|other| other != length) {
                return Err(WireError::ContentLength);
            }
            declared = Some(length);
        }
        Ok(declared)
    }

    /// Whether the fields that every message must have are there, once, readable and consistent
    /// (§8.1.1, §8.1.1.5, §8.2.2).
    ///
    /// # Errors
    /// The first fault found. A server answers [`WireError::answer`]; a client ignores the response.
    pub fn check(&self) -> Result<(), WireError> {
        for name in [
            HeaderName::From,
            HeaderName::To,
            HeaderName::CallId,
            HeaderName::CSeq,
        ] {
            let mut lines = self.all(name);
            lines.next().ok_or(WireError::Missing(name))?;
            if lines.next().is_some() {
                return Err(WireError::Repeated(name));
            }
        }
        self.first(HeaderName::Via)
            .ok_or(WireError::Missing(HeaderName::Via))?;
        self.call_id()
            .ok_or(WireError::Unreadable(HeaderName::CallId))?;
        let (_, cseq_method) = self.cseq().ok_or(WireError::Unreadable(HeaderName::CSeq))?;
        if self.method().is_some_and(|method| method != cseq_method) {
            return Err(WireError::MethodMismatch);
        }
        for name in [HeaderName::From, HeaderName::To] {
            let balanced = self
                .first(name)
                .is_some_and(|header| after_address(header.raw).is_some());
            if !balanced {
                return Err(WireError::Unreadable(name));
            }
        }
        if self.all(HeaderName::MaxForwards).count() > 1 {
            return Err(WireError::Repeated(HeaderName::MaxForwards));
        }
        Ok(())
    }
}

impl<'a> Header<'a> {
    /// The value on one line: each fold becomes one blank (§7.3.1).
    #[must_use]
    pub fn unfolded(&self) -> Cow<'a, [u8]> {
        if !self.folded {
            return Cow::Borrowed(self.raw);
        }
        let mut line = Vec::with_capacity(self.raw.len());
        let mut rest = self.raw;
        while let Some(end) = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
            line.extend_from_slice(rest[..end].trim_ascii_end());
            line.push(b' ');
            let blanks = rest[end..].iter().take_while(|byte| is_lws(**byte)).count();
            rest = &rest[end + blanks..];
        }
        line.extend_from_slice(rest);
        Cow::Owned(line)
    }

    /// The value on one line as text. Bytes that are not UTF-8 are taken as Latin-1, as old PBXs send them.
    #[must_use]
    pub fn text(&self) -> Cow<'a, str> {
        match self.unfolded() {
            Cow::Borrowed(bytes) => text_of(bytes),
            Cow::Owned(bytes) => Cow::Owned(text_of(&bytes).into_owned()),
        }
    }
}

/// UTF-8 if it is, else Latin-1.
#[must_use]
pub fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(
        |_| Cow::Owned(bytes.iter().copied().map(char::from).collect()),
        Cow::Borrowed,
    )
}

/// Whether a list of tokens joined by commas names `token`.
pub(in crate::sip) fn lists(text: &str, token: &str) -> bool {
    text.split(',')
        .any(|listed| listed.trim().eq_ignore_ascii_case(token))
}

/// Digits alone, as a number that fits.
fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// The tag of a From or To value.
fn tag(raw: &[u8]) -> Option<&[u8]> {
    parameter(after_address(raw)?, b"tag")
}

/// What follows the address of a From or To value: its parameters, from the first semicolon on. `None`
/// if quotes or angle brackets do not close.
fn after_address(raw: &[u8]) -> Option<&[u8]> {
    let mut at = 0;
    while let Some(byte) = raw.get(at) {
        match byte {
            b'"' => at = closing_quote(raw, at)? + 1,
            b'<' => {
                let end = at + memchr(b'>', &raw[at..])?;
                return Some(&raw[end + 1..]);
            }
            // The addr-spec form: what follows the first semicolon belongs to the header (§20.10).
            b';' => return Some(&raw[at..]),
            _ => at += 1,
        }
    }
    Some(&[])
}

/// Where the quoted string that opens at `open` closes; a backslash quotes the byte after it.
fn closing_quote(raw: &[u8], open: usize) -> Option<usize> {
    let mut at = open + 1;
    loop {
        match raw.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// The value of the parameter `name` in `;name=value;other`, blanks around `;` and `=` allowed. Quoted
/// values of others are skipped; one's own is given without its quotes.
fn parameter<'a>(raw: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut at = memchr(b';', raw)? + 1;
    loop {
        let start = at;
        let mut equals = None;
        while let Some(byte) = raw.get(at) {
            match byte {
                b'"' => at = closing_quote(raw, at)? + 1,
                b';' => break,
                b'=' => {
                    equals = equals.or(Some(at));
                    at += 1;
                }
                _ => at += 1,
            }
        }
        if let Some(equals) = equals
            && trim_lws(&raw[start..equals]).eq_ignore_ascii_case(name)
        {
            let value = trim_lws(&raw[equals + 1..at]);
            let value = value
                .strip_prefix(b"\"")
                .and_then(|value| value.strip_suffix(b"\""))
                .unwrap_or(value);
            return Some(value).filter(|value| !value.is_empty());
        }
        if at >= raw.len() {
            return None;
        }
        at += 1;
    }
}

impl fmt::Debug for Header<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", text_of(self.written_name), self.text())
    }
}

impl fmt::Debug for StartLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request { method, uri } => write!(f, "{method} {}", text_of(uri)),
            Self::Response { status, reason } => write!(f, "{status} {}", text_of(reason)),
        }
    }
}

impl fmt::Debug for Index<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index")
            .field("start", &self.start)
            .field("headers", &self.headers().collect::<Vec<_>>())
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_message_is_refused_with_its_reason() {
        let many = format!(
            "A sip:a SIP/2.0\r\n{}\r\n",
            "X: 1\r\n".repeat(HEADERS_MAX + 1)
        );
        let cases: [(&str, &[u8], WireError); 17] = [
            ("nothing", b"", WireError::KeepAlive),
            ("line ends", b"\r\n\r\n\r\n", WireError::KeepAlive),
            ("a word", b"hello\r\n\r\n", WireError::StartLine),
            (
                "no line end",
                b"OPTIONS sip:a SIP/2.0",
                WireError::HeadUnended,
            ),
            (
                "no empty line",
                b"OPTIONS sip:a SIP/2.0\r\nTo: b\r\n",
                WireError::HeadUnended,
            ),
            ("HTTP", b"GET / HTTP/1.1\r\n\r\n", WireError::StartLine),
            (
                "a method with a colon",
                b"OPT:IONS sip:a SIP/2.0\r\n\r\n",
                WireError::StartLine,
            ),
            ("no URI", b"OPTIONS  SIP/2.0\r\n\r\n", WireError::RequestUri),
            (
                "a URI without scheme",
                b"OPTIONS a@b SIP/2.0\r\n\r\n",
                WireError::RequestUri,
            ),
            (
                "version 3",
                b"OPTIONS sip:a SIP/3.0\r\n\r\n",
                WireError::Version,
            ),
            (
                "version 3 answered",
                b"SIP/3.0 200 OK\r\n\r\n",
                WireError::Version,
            ),
            ("two digits", b"SIP/2.0 20 OK\r\n\r\n", WireError::Status),
            ("700", b"SIP/2.0 700 OK\r\n\r\n", WireError::Status),
            (
                "a fold first",
                b"SIP/2.0 200 OK\r\n To: x\r\n\r\n",
                WireError::HeaderLine { at: 16 },
            ),
            (
                "no colon",
                b"SIP/2.0 200 OK\r\nTo x\r\n\r\n",
                WireError::HeaderLine { at: 16 },
            ),
            (
                "no name",
                b"SIP/2.0 200 OK\r\n: x\r\n\r\n",
                WireError::HeaderLine { at: 16 },
            ),
            ("too many lines", many.as_bytes(), WireError::TooManyHeaders),
        ];
        for (name, bytes, expected) in cases {
            assert_eq!(index(bytes).err(), Some(expected), "{name}");
        }
        let long = vec![b'x'; MESSAGE_BYTES_MAX + 1];
        assert_eq!(
            index(&long).err(),
            Some(WireError::TooLong { bytes: 65_536 })
        );
    }

    #[test]
    fn check_asks_for_what_every_message_needs() {
        const WHOLE: &str = "BYE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\n\
            From: <sip:c@d>;tag=1\r\nTo: <sip:a@b>;tag=2\r\nCall-ID: x\r\nCSeq: 2 BYE\r\n\r\n";
        let check = |text: &str| index(text.as_bytes()).unwrap().check();
        assert_eq!(check(WHOLE), Ok(()));
        for (name, line) in [
            (HeaderName::Via, "Via: SIP/2.0/UDP h;branch=z9hG4bK1\r\n"),
            (HeaderName::From, "From: <sip:c@d>;tag=1\r\n"),
            (HeaderName::To, "To: <sip:a@b>;tag=2\r\n"),
            (HeaderName::CallId, "Call-ID: x\r\n"),
            (HeaderName::CSeq, "CSeq: 2 BYE\r\n"),
        ] {
            assert_eq!(
                check(&WHOLE.replace(line, "")),
                Err(WireError::Missing(name))
            );
            let twice = WHOLE.replace(line, &format!("{line}{line}"));
            if name != HeaderName::Via {
                assert_eq!(check(&twice), Err(WireError::Repeated(name)));
            }
        }
        for (from, to, expected) in [
            ("CSeq: 2 BYE", "CSeq: 2 ACK", WireError::MethodMismatch),
            (
                "CSeq: 2 ",
                "CSeq: 2147483648 ",
                WireError::Unreadable(HeaderName::CSeq),
            ),
            (
                "Call-ID: x",
                "Call-ID:",
                WireError::Unreadable(HeaderName::CallId),
            ),
            (
                "<sip:c@d>",
                "<sip:c@d",
                WireError::Unreadable(HeaderName::From),
            ),
        ] {
            assert_eq!(check(&WHOLE.replace(from, to)), Err(expected), "{to}");
        }
    }

    #[test]
    fn tags_are_found_where_they_are_and_nowhere_else() {
        for (value, expected) in [
            ("<sip:a@b>;tag=1", Some("1")),
            ("<sip:a@b>;x=\";tag=0\";TAG = 1 ;y", Some("1")),
            ("sip:a@b;user=phone;tag=1", Some("1")),
            ("<sip:a@b;tag=0>", None),
            ("\";tag=0\" <sip:a@b;tag=0>;tagged=0", None),
            ("\"\\\";tag=0\" <sip:a@b>;tag=\r\n 1", Some("1")),
            ("<sip:a@b>;tag=", None),
            ("<sip:a@b>;tag", None),
        ] {
            assert_eq!(
                tag(value.as_bytes()),
                expected.map(str::as_bytes),
                "{value}"
            );
        }
    }

    #[test]
    fn folds_and_old_encodings_become_one_line_of_text() {
        let bytes = b"SIP/2.0 200 OK\r\nSubject: \r\n un\r\n\t deux \n trois\xe9\r\n\r\n";
        let subject = index(bytes).unwrap().first(HeaderName::Subject).unwrap();
        assert_eq!(subject.text(), "un deux trois\u{e9}");
    }
}
