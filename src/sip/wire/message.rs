//! The one door to the rsip crate: a message as a value of its own, for evidence and for looking at.
//!
//! rsip 0.4 is never given network bytes. It reads a normalised head: long names, one line per field, CRLF,
//! UTF-8, and a stand-in for the start line, because its closed list of methods and its URI reader refuse or
//! misread what real devices send. It then holds the header fields, which it does well. Start line and body
//! are read by us, values by `sip::header`. The tests at the end name each thing that rsip alone gets wrong;
//! one that fails after an update of rsip means that this door can be made smaller. Not for the hot path.

use rsip::headers::UntypedHeader as _;
use rsip::message::HasHeaders as _;

use super::index::text_of;
use super::{HeaderName, Index, Method, StartLine, StatusCode};

/// A message that no longer borrows the datagram it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    start: Start,
    fields: rsip::Headers,
    body: Box<[u8]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Start {
    Request {
        method: Box<str>,
        uri: Box<str>,
    },
    Response {
        status: StatusCode,
        reason: Box<str>,
    },
}

/// rsip could not read what we had put in order.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rsip refuses the normalised message: {0}")]
pub struct Refused(String);

/// An indexed message as a value of its own.
///
/// # Errors
/// When rsip refuses the normalised head; no message is known of which it does.
pub fn read(message: &Index<'_>) -> Result<Message, Refused> {
    let start = match message.start() {
        StartLine::Request { method, uri } => Start::Request {
            method: method.as_str().into(),
            uri: text_of(uri).into(),
        },
        StartLine::Response { status, reason } => Start::Response {
            status,
            reason: text_of(reason).into(),
        },
    };
    let fields = rsip::SipMessage::try_from(normalised(message))
        .map_err(|error| Refused(error.to_string()))?
        .headers()
        .clone();
    Ok(Message {
        start,
        fields,
        body: message.body().into(),
    })
}

/// The head as rsip reads it right.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "every known name is written alike"
)]
fn normalised(message: &Index<'_>) -> String {
    let mut head = String::with_capacity(message.bytes().len());
    head.push_str(match message.start() {
        StartLine::Request { .. } => "OPTIONS sip:stand-in.invalid SIP/2.0\r\n",
        StartLine::Response { .. } => "SIP/2.0 200 OK\r\n",
    });
    for header in message.headers() {
        match header.name {
            HeaderName::Other => head.push_str(&text_of(header.written_name)),
            known => head.push_str(known.as_str()),
        }
        head.push_str(": ");
        head.push_str(&header.text());
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    head
}

impl Message {
    /// The method of a request.
    #[must_use]
    pub fn method(&self) -> Option<Method<'_>> {
        match &self.start {
            Start::Request { method, .. } => Method::read(method.as_bytes()),
            Start::Response { .. } => None,
        }
    }

    /// The Request-URI as it came.
    #[must_use]
    pub fn uri(&self) -> Option<&str> {
        match &self.start {
            Start::Request { uri, .. } => Some(uri),
            Start::Response { .. } => None,
        }
    }

    /// The status and reason of a response.
    #[must_use]
    pub fn status(&self) -> Option<(StatusCode, &str)> {
        match &self.start {
            Start::Request { .. } => None,
            Start::Response { status, reason } => Some((*status, reason)),
        }
    }

    /// Names and values of all header fields, in their order, each value on one line.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(name_and_value)
    }

    /// The value of the first field called `name`.
    #[must_use]
    pub fn value(&self, name: HeaderName) -> Option<&str> {
        self.fields()
            .find(|(known, _)| HeaderName::read(known.as_bytes()) == name)
            .map(|(_, value)| value)
    }

    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

/// What rsip holds under each of its names.
fn name_and_value(header: &rsip::Header) -> (&str, &str) {
    macro_rules! each {
        ($($variant:ident $name:literal)*) => {
            match header {
                $(rsip::Header::$variant(value) => ($name, value.value()),)*
                rsip::Header::Other(name, value) => (name, value),
            }
        };
    }
    each! {
        Accept "Accept" AcceptEncoding "Accept-Encoding" AcceptLanguage "Accept-Language"
        AlertInfo "Alert-Info" Allow "Allow" AuthenticationInfo "Authentication-Info"
        Authorization "Authorization" CSeq "CSeq" CallId "Call-ID" CallInfo "Call-Info"
        Contact "Contact" ContentDisposition "Content-Disposition"
        ContentEncoding "Content-Encoding" ContentLanguage "Content-Language"
        ContentLength "Content-Length" ContentType "Content-Type" Date "Date"
        ErrorInfo "Error-Info" Event "Event" Expires "Expires" From "From"
        InReplyTo "In-Reply-To" MaxForwards "Max-Forwards" MimeVersion "MIME-Version"
        MinExpires "Min-Expires" Organization "Organization" Priority "Priority"
        ProxyAuthenticate "Proxy-Authenticate" ProxyAuthorization "Proxy-Authorization"
        ProxyRequire "Proxy-Require" RecordRoute "Record-Route" ReplyTo "Reply-To"
        Require "Require" RetryAfter "Retry-After" Route "Route" Server "Server"
        Subject "Subject" SubscriptionState "Subscription-State" Supported "Supported"
        Timestamp "Timestamp" To "To" Unsupported "Unsupported" UserAgent "User-Agent"
        Via "Via" Warning "Warning" WwwAuthenticate "WWW-Authenticate"
    }
}

#[cfg(test)]
mod tests {
    use rsip::headers::ToTypedHeader as _;
    use rsip::prelude::HeadersExt as _;

    use super::*;
    use crate::sip::wire::index;

    /// A request with a start line and one more header line of choice.
    fn request(start: &str, line: &str) -> Vec<u8> {
        format!(
            "{start} SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\n\
             To: <sip:b@h>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n{line}\r\n\r\nbody"
        )
        .into_bytes()
    }

    fn alone(bytes: &[u8]) -> rsip::SipMessage {
        rsip::SipMessage::try_from(bytes).unwrap()
    }

    #[test]
    fn what_rsip_alone_refuses_comes_through_the_door() {
        const INVITE: &str = "INVITE sip:b@h";
        let mut latin_1 = request(INVITE, "Subject: ete?");
        *latin_1.iter_mut().rfind(|byte| **byte == b'?').unwrap() = 0xe9;
        let keep_alive = [&b"\r\n\r\n"[..], &request(INVITE, "X: 1")].concat();
        let bare_lf = String::from_utf8(request(INVITE, "X: 1"))
            .unwrap()
            .replace('\r', "");
        for (name, bytes, field, value) in [
            (
                "a folded value",
                request(INVITE, "Subject: un\r\n deux"),
                HeaderName::Subject,
                "un deux",
            ),
            (
                "a blank before the colon",
                request(INVITE, "Subject : un"),
                HeaderName::Subject,
                "un",
            ),
            ("a keep-alive in front", keep_alive, HeaderName::CallId, "x"),
            ("bare LF", bare_lf.into_bytes(), HeaderName::CallId, "x"),
            (
                "tel:",
                request("INVITE tel:+33199001199", "X: 1"),
                HeaderName::CallId,
                "x",
            ),
            (
                "IPv6",
                request("INVITE sip:b@[2001:db8::1]:5060", "X: 1"),
                HeaderName::CallId,
                "x",
            ),
            (
                "an unknown method",
                request("KDMQ sip:b@h", "X: 1"),
                HeaderName::CallId,
                "x",
            ),
            ("Latin-1", latin_1, HeaderName::Subject, "ete\u{e9}"),
        ] {
            assert!(
                rsip::SipMessage::try_from(&bytes[..]).is_err(),
                "rsip reads {name} now"
            );
            let message = read(&index(&bytes).unwrap()).unwrap();
            assert_eq!(message.value(field), Some(value), "{name}");
            assert_eq!(message.body(), b"body", "{name}");
        }
    }

    #[test]
    fn what_rsip_alone_misreads_is_read_by_us() {
        let compact = request("INVITE sip:b@h", "s: essai");
        assert!(
            !alone(&compact)
                .headers()
                .iter()
                .any(|field| matches!(field, rsip::Header::Subject(_)))
        );
        let message = read(&index(&compact).unwrap()).unwrap();
        assert_eq!(
            message.value(HeaderName::Subject),
            Some("essai"),
            "a compact name"
        );

        let short = request("INVITE sip:b@h", "Content-Length: 2");
        assert_eq!(alone(&short).body(), b"body");
        let message = read(&index(&short).unwrap()).unwrap();
        assert_eq!(message.body(), b"bo", "a body shorter than the datagram");

        let dotted = request("INVITE sip:eve.martin@h", "X: 1");
        let uri = match alone(&dotted) {
            rsip::SipMessage::Request(request) => request.uri,
            rsip::SipMessage::Response(_) => panic!("a request"),
        };
        assert!(uri.auth.is_none(), "a dot in the user part");
        let message = read(&index(&dotted).unwrap()).unwrap();
        assert_eq!(message.uri(), Some("sip:eve.martin@h"));

        let lower = request("INVITE sip:b@h;transport=tls", "X: 1");
        assert!(
            alone(&lower).to_string().contains("transport=TLS"),
            "its spelling of parameters"
        );
        let message = read(&index(&lower).unwrap()).unwrap();
        assert_eq!(message.uri(), Some("sip:b@h;transport=tls"));
    }

    /// Values that rsip's typed headers refuse; `sip::header` reads each in its own tests.
    #[test]
    fn the_typed_headers_of_rsip_are_not_to_be_used() {
        for from in ["\"A <B>\" <sip:a@h>;tag=1", "<sip:a@h> ; tag=1"] {
            let bytes = format!("OPTIONS sip:b@h SIP/2.0\r\nFrom: {from}\r\n\r\n");
            let message = alone(bytes.as_bytes());
            let typed = message.from_header().unwrap().typed();
            let right = typed.is_ok_and(|typed| typed.params.len() == 1);
            assert!(!right, "rsip reads {from} now");
        }
        for challenge in [
            "Digest realm=\"x\", nonce=\"n\", qop=\"auth,auth-int\"",
            "Digest realm=\"x\", nonce=\"n\", algorithm=SHA-256",
        ] {
            let bytes = format!("SIP/2.0 401 No\r\nWWW-Authenticate: {challenge}\r\n\r\n");
            let rsip::Header::WwwAuthenticate(header) = alone(bytes.as_bytes())
                .headers()
                .iter()
                .next()
                .cloned()
                .unwrap()
            else {
                panic!("a challenge");
            };
            assert!(header.typed().is_err(), "rsip reads {challenge} now");
        }
    }
}
