//! Writing messages field by field into a buffer that is used again and again.
//!
//! For everything but the hottest messages (those are [`super::template`]s). Content-Length is always
//! written and always right, and no value can start a new line: a control byte in one makes
//! [`MessageWriter::finish`] fail and leaves the buffer as it was.

use std::fmt::{self, Write as _};
use std::net::SocketAddr;

use super::{Header, HeaderName, Index, Method, StatusCode, is_lws, is_token};

/// A value that would have broken out of its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    #[error("a control character in the value of {0}")]
    ControlByte(HeaderName),
    #[error("a control character in the value of an extension header")]
    ControlByteInExtension,
    #[error("a control character or a blank in the request-URI, or it is empty")]
    RequestUri,
    #[error("a control character in the reason phrase")]
    Reason,
    #[error("a header name that is no token")]
    HeaderName,
}

/// One message on its way into `out`.
#[derive(Debug)]
pub struct MessageWriter<'b> {
    out: &'b mut Vec<u8>,
    /// Where the message starts in `out`; on failure everything from here on is taken back.
    start: usize,
    fault: Option<WriteError>,
}

impl<'b> MessageWriter<'b> {
    /// A request line. The message is appended to `out`.
    pub fn request(out: &'b mut Vec<u8>, method: Method<'_>, uri: impl fmt::Display) -> Self {
        let mut writer = Self::at_end_of(out);
        writer.out.extend_from_slice(method.as_str().as_bytes());
        writer.out.push(b' ');
        let uri_start = writer.out.len();
        writer.text(uri);
        let uri = &writer.out[uri_start..];
        if uri.is_empty() || uri.iter().any(|byte| matches!(byte, 0..=b' ' | 0x7f)) {
            writer.fault = Some(WriteError::RequestUri);
        }
        writer.out.extend_from_slice(b" SIP/2.0\r\n");
        writer
    }

    /// A status line with its customary reason. The message is appended to `out`.
    pub fn response(out: &'b mut Vec<u8>, status: StatusCode) -> Self {
        Self::response_saying(out, status, status.customary_reason())
    }

    /// A status line with a reason of one's own.
    pub fn response_saying(out: &'b mut Vec<u8>, status: StatusCode, reason: &str) -> Self {
        let mut writer = Self::at_end_of(out);
        writer.text(format_args!("SIP/2.0 {status} "));
        writer.out.extend_from_slice(reason.as_bytes());
        if has_control(reason.as_bytes()) {
            writer.fault = Some(WriteError::Reason);
        }
        writer.out.extend_from_slice(b"\r\n");
        writer
    }

    /// The beginning of a response to `request` (§8.2.6.2): Via, From, To, Call-ID, CSeq as they came.
    /// `to_tag` is added if To has none. `from` is where the request came from: it fills `received` and
    /// `rport` of the topmost Via (§18.2.1, RFC 3581 §4).
    pub fn answer(
        out: &'b mut Vec<u8>,
        request: &Index<'_>,
        status: StatusCode,
        to_tag: Option<&str>,
        from: Option<SocketAddr>,
    ) -> Self {
        let mut writer = Self::response(out, status);
        for (number, via) in request.all(HeaderName::Via).enumerate() {
            match from {
                Some(from) if number == 0 => writer.top_via(&via, from),
                Some(_) | None => writer.copy_as(HeaderName::Via, &via),
            }
        }
        for header in request.headers() {
            match header.name {
                HeaderName::From | HeaderName::CallId | HeaderName::CSeq => {
                    writer.copy_as(header.name, &header);
                }
                HeaderName::To => {
                    writer.copy_as(HeaderName::To, &header);
                    if let (None, Some(tag)) = (request.to_tag(), to_tag) {
                        writer.out.truncate(writer.out.len() - 2);
                        writer.checked(HeaderName::To, format_args!(";tag={tag}"));
                        writer.out.extend_from_slice(b"\r\n");
                    }
                }
                #[expect(
                    clippy::wildcard_enum_match_arm,
                    reason = "a response repeats five fields and no other"
                )]
                _ => {}
            }
        }
        writer
    }

    fn at_end_of(out: &'b mut Vec<u8>) -> Self {
        let start = out.len();
        Self {
            out,
            start,
            fault: None,
        }
    }

    /// One header field.
    pub fn header(&mut self, name: HeaderName, value: impl fmt::Display) -> &mut Self {
        self.out.extend_from_slice(name.as_str().as_bytes());
        self.out.extend_from_slice(b": ");
        self.checked(name, value);
        self.out.extend_from_slice(b"\r\n");
        self
    }

    /// A header field this stack has no name for.
    pub fn extension(&mut self, name: &str, value: impl fmt::Display) -> &mut Self {
        if !is_token(name.as_bytes()) {
            self.fault = self.fault.or(Some(WriteError::HeaderName));
        }
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b": ");
        self.checked(HeaderName::Other, value);
        self.out.extend_from_slice(b"\r\n");
        self
    }

    /// A header field of a received message under the same name, on one line, its bytes kept.
    pub fn copy(&mut self, header: &Header<'_>) -> &mut Self {
        if header.name == HeaderName::Other {
            self.out.extend_from_slice(header.written_name);
            self.out.extend_from_slice(b": ");
            self.one_line(header.raw);
            self.out.extend_from_slice(b"\r\n");
        } else {
            self.copy_as(header.name, header);
        }
        self
    }

    /// Ends the header fields and adds the body, with Content-Type if there is one.
    ///
    /// # Errors
    /// When a value held a control byte; `out` is then as it was before.
    pub fn finish(mut self, body: Option<(&str, &[u8])>) -> Result<(), WriteError> {
        if let Some((content_type, _)) = body {
            self.header(HeaderName::ContentType, content_type);
        }
        let bytes = body.map_or(&[][..], |(_, bytes)| bytes);
        self.text(format_args!("Content-Length: {}\r\n\r\n", bytes.len()));
        self.out.extend_from_slice(bytes);
        match self.fault {
            None => Ok(()),
            Some(fault) => {
                self.out.truncate(self.start);
                Err(fault)
            }
        }
    }

    fn copy_as(&mut self, name: HeaderName, header: &Header<'_>) {
        self.out.extend_from_slice(name.as_str().as_bytes());
        self.out.extend_from_slice(b": ");
        self.one_line(header.raw);
        self.out.extend_from_slice(b"\r\n");
    }

    /// The topmost Via with what we saw of its sender.
    fn top_via(&mut self, via: &Header<'_>, from: SocketAddr) {
        self.out.extend_from_slice(b"Via: ");
        let raw = via.raw;
        let end = raw
            .iter()
            .position(|byte| *byte == b',')
            .unwrap_or(raw.len());
        let (element, others) = raw.split_at(end);
        let mut parts = element.split(|byte| *byte == b';');
        self.one_line(parts.next().unwrap_or_default());
        for part in parts {
            let name_end = part
                .iter()
                .position(|byte| *byte == b'=')
                .unwrap_or(part.len());
            let name = super::trim_lws(&part[..name_end]);
            // What the sender wrote of these is not to be believed: we saw where it came from.
            if name.eq_ignore_ascii_case(b"received") {
                continue;
            }
            if name.eq_ignore_ascii_case(b"rport") {
                self.text(format_args!(";rport={}", from.port()));
                continue;
            }
            self.out.push(b';');
            self.one_line(part);
        }
        self.text(format_args!(";received={}", from.ip()));
        self.one_line(others);
        self.out.extend_from_slice(b"\r\n");
    }

    /// Received bytes with every run of line ends and the blanks around it as one blank, so that no copied
    /// value starts a line.
    fn one_line(&mut self, raw: &[u8]) {
        let mut rest = raw;
        while let Some(end) = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
            self.out.extend_from_slice(rest[..end].trim_ascii_end());
            self.out.push(b' ');
            let blanks = rest[end..].iter().take_while(|byte| is_lws(**byte)).count();
            rest = &rest[end + blanks..];
        }
        self.out.extend_from_slice(rest);
    }

    fn checked(&mut self, name: HeaderName, value: impl fmt::Display) {
        let start = self.out.len();
        self.text(value);
        if has_control(&self.out[start..]) {
            self.fault = self.fault.or(Some(match name {
                HeaderName::Other => WriteError::ControlByteInExtension,
                #[expect(
                    clippy::wildcard_enum_match_arm,
                    reason = "every known name is reported alike"
                )]
                name => WriteError::ControlByte(name),
            }));
        }
    }

    fn text(&mut self, value: impl fmt::Display) {
        struct Appender<'a>(&'a mut Vec<u8>);
        impl fmt::Write for Appender<'_> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                self.0.extend_from_slice(text.as_bytes());
                Ok(())
            }
        }
        write!(Appender(self.out), "{value}").expect("a Vec takes every byte and our values print");
    }
}

/// Control bytes but the tab: none of them may stand in a value we make up (CR and LF would end it).
pub(crate) fn has_control(bytes: &[u8]) -> bool {
    bytes
        .iter()
        .any(|byte| byte.is_ascii_control() && *byte != b'\t')
}
