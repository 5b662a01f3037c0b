//! Writing messages field by field into a buffer that is used again and again.
//!
//! Content-Length is always written and always right, and no value can start a new line: a control byte in
//! one makes [`MessageWriter::finish`] fail and leaves the buffer as it was.

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
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a response repeats five fields and no other"
    )]
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

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "every known name is reported alike"
    )]
    fn checked(&mut self, name: HeaderName, value: impl fmt::Display) {
        let start = self.out.len();
        self.text(value);
        if has_control(&self.out[start..]) {
            self.fault = self.fault.or(Some(match name {
                HeaderName::Other => WriteError::ControlByteInExtension,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::wire::index;

    const INVITE: &[u8] = b"INVITE sip:a@b SIP/2.0\r\n\
        v: SIP/2.0/UDP 10.0.0.1:5060;rport;branch=z9hG4bK1;received=6.6.6.6\r\n\
        Via: SIP/2.0/TCP proxy;branch=z9hG4bK0\r\n\
        f: \"Ren\xe9\"\r\n <sip:r@c>;tag=1\r\nt: <sip:a@b>\r\ni: x\r\nCSeq: 1 INVITE\r\nl: 0\r\n\r\n";

    #[test]
    fn an_answer_repeats_what_it_must() {
        let request = index(INVITE).unwrap();
        let from = Some(([192, 0, 2, 7], 5080).into());
        let mut out = b"kept".to_vec();
        let mut writer =
            MessageWriter::answer(&mut out, &request, StatusCode::RINGING, Some("ours"), from);
        writer.header(HeaderName::Contact, "<sip:us@here>");
        writer.finish(None).unwrap();
        assert_eq!(
            out.escape_ascii().to_string(),
            "keptSIP/2.0 180 Ringing\\r\\n\
             Via: SIP/2.0/UDP 10.0.0.1:5060;rport=5080;branch=z9hG4bK1;received=192.0.2.7\\r\\n\
             Via: SIP/2.0/TCP proxy;branch=z9hG4bK0\\r\\n\
             From: \\\"Ren\\xe9\\\" <sip:r@c>;tag=1\\r\\nTo: <sip:a@b>;tag=ours\\r\\nCall-ID: x\\r\\n\
             CSeq: 1 INVITE\\r\\nContact: <sip:us@here>\\r\\nContent-Length: 0\\r\\n\\r\\n"
        );
    }

    #[test]
    fn a_request_is_written_with_its_body() {
        let mut out = Vec::new();
        let mut writer = MessageWriter::request(&mut out, Method::Info, "sip:a@b");
        writer
            .header(HeaderName::CSeq, format_args!("{} INFO", 2))
            .extension("X-Essai", "oui");
        writer
            .finish(Some(("application/dtmf-relay", b"Signal=1\r\n")))
            .unwrap();
        let message = index(&out).unwrap();
        assert_eq!(message.method(), Some(Method::Info));
        assert_eq!(message.body(), b"Signal=1\r\n");
        assert_eq!(message.cseq(), Some((2, Method::Info)));
    }

    #[test]
    fn nothing_we_write_can_start_a_line_of_its_own() {
        const EVIL: &str = "x\r\nEvil: 1";
        let request = index(INVITE).unwrap();
        type Writing = fn(&mut Vec<u8>, &Index<'_>) -> Result<(), WriteError>;
        let cases: [(Writing, WriteError); 6] = [
            (
                |out, _| MessageWriter::request(out, Method::Bye, EVIL).finish(None),
                WriteError::RequestUri,
            ),
            (
                |out, _| MessageWriter::response_saying(out, StatusCode::OK, EVIL).finish(None),
                WriteError::Reason,
            ),
            (
                |out, _| {
                    let mut writer = MessageWriter::response(out, StatusCode::OK);
                    writer.header(HeaderName::Subject, EVIL);
                    writer.finish(None)
                },
                WriteError::ControlByte(HeaderName::Subject),
            ),
            (
                |out, _| {
                    let mut writer = MessageWriter::response(out, StatusCode::OK);
                    writer.extension(EVIL, "1");
                    writer.finish(None)
                },
                WriteError::HeaderName,
            ),
            (
                |out, request| {
                    MessageWriter::answer(out, request, StatusCode::OK, Some(EVIL), None)
                        .finish(None)
                },
                WriteError::ControlByte(HeaderName::To),
            ),
            (
                |out, _| MessageWriter::response(out, StatusCode::OK).finish(Some((EVIL, b"body"))),
                WriteError::ControlByte(HeaderName::ContentType),
            ),
        ];
        for (write, expected) in cases {
            let mut out = b"kept".to_vec();
            assert_eq!(write(&mut out, &request), Err(expected));
            assert_eq!(out, b"kept", "{expected}");
        }
    }

    #[test]
    fn a_copied_value_stays_on_its_line() {
        let bytes = b"OPTIONS sip:a@b SIP/2.0\r\nSubject: one\r\n two\rthree\r\n\r\n";
        let message = index(bytes).unwrap();
        let mut out = Vec::new();
        let mut writer = MessageWriter::response(&mut out, StatusCode::OK);
        writer.copy(&message.first(HeaderName::Subject).unwrap());
        writer.finish(None).unwrap();
        let copied = index(&out).unwrap();
        assert_eq!(copied.headers().count(), 2);
        assert_eq!(
            copied.first(HeaderName::Subject).unwrap().raw,
            b"one two three"
        );
    }
}
