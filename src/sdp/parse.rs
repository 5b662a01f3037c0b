//! Reads a session description (RFC 8866) into the few values that a call needs.
//!
//! sdp-types reads the lines; this file decides which lines matter, forgives what real gateways get
//! wrong in the others (a short `o=`, no `t=`, Latin-1 in a name, bare LF), and resolves what may
//! stand at session or media level. It judges nothing: `offer_answer` does.

use std::net::{IpAddr, SocketAddr};

/// A description as far as calls need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Every `m=` line in order; an answer must have as many (RFC 3264 §6).
    pub streams: Vec<Stream>,
}

/// One `m=` line with what the session level says for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// `audio`, `video`, `image`…
    pub media: String,
    /// Zero: refused or switched off (RFC 3264 §6).
    pub port: u16,
    /// `RTP/AVP`, `udptl`…
    pub protocol: String,
    /// The formats as text, as they stand in the `m=` line.
    pub format_text: String,
    /// The formats that are RTP payload types, in order of preference.
    pub formats: Vec<Format>,
    /// From `c=`; `None` when missing or a host name (no resolver here, and nobody sends one).
    pub address: Option<IpAddr>,
    /// Where RTCP goes when it is not the next port (RFC 3605 `a=rtcp`).
    pub rtcp: Option<SocketAddr>,
    pub direction: Direction,
    /// Packet time they like to receive, milliseconds.
    pub ptime_ms: Option<u8>,
}

/// One RTP payload type with its mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    pub payload_type: u8,
    /// `PCMA`, `telephone-event`…, upper and lower case as sent; static types are filled in (RFC 3551 §6).
    pub encoding: String,
    pub clock_rate: u32,
}

impl Format {
    /// The static audio types of 8000 Hz, which need no `rtpmap` (RFC 3551 §6, table 4).
    #[must_use]
    pub fn of_static_type(payload_type: u8) -> Option<Self> {
        let encoding = match payload_type {
            0 => "PCMU",
            3 => "GSM",
            4 => "G723",
            8 => "PCMA",
            9 => "G722",
            13 => "CN",
            15 => "G728",
            18 => "G729",
            _ => return None,
        };
        Some(Self {
            payload_type,
            encoding: encoding.to_owned(),
            clock_rate: 8000,
        })
    }
}

/// Who sends, from the view of the side that wrote it (RFC 8866 §6.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    SendRecv,
    SendOnly,
    RecvOnly,
    Inactive,
}

impl Direction {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    #[must_use]
    pub const fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    #[must_use]
    pub const fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    fn from_name(name: &str) -> Option<Self> {
        [
            Self::SendRecv,
            Self::SendOnly,
            Self::RecvOnly,
            Self::Inactive,
        ]
        .into_iter()
        .find(|direction| direction.as_str().eq_ignore_ascii_case(name))
    }
}

/// Why a body is not a session description.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    #[error("the body is empty")]
    Empty,
    #[error("not a session description: {0}")]
    Syntax(String),
    #[error("a session description without any m= line")]
    NoStream,
}

/// Reads a description. No bytes make it panic.
///
/// # Errors
/// When the `m=`, `c=` and `a=` lines cannot be read, or there is no stream at all.
pub fn parse(body: &[u8]) -> Result<Description, ParseError> {
    let text = String::from_utf8_lossy(body);
    if text.trim().is_empty() {
        return Err(ParseError::Empty);
    }
    let session = sdp_types::Session::parse(essence(&text).as_bytes())
        .map_err(|error| ParseError::Syntax(error.to_string()))?;
    if session.medias.is_empty() {
        return Err(ParseError::NoStream);
    }
    let streams = session
        .medias
        .iter()
        .map(|media| stream(&session, media))
        .collect();
    Ok(Description { streams })
}

/// Only the lines that we read, under a header that is always well formed: what a gateway writes
/// into `o=`, `s=`, `b=`, `k=` or `t=` is no reason to lose a call.
fn essence(text: &str) -> String {
    let mut kept = String::with_capacity(text.len() + 48);
    kept.push_str("v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n");
    // The order of RFC 8866 §5 puts c= before t= at session level; readers do not insist, nor do we.
    for line in text.split(['\n', '\r']) {
        let line = line.trim_matches(['\0', ' ', '\t']);
        if matches!(line.get(..2), Some("c=" | "m=" | "a=")) && !line.contains('\0') {
            kept.push_str(line);
            kept.push_str("\r\n");
        }
    }
    kept
}

fn stream(session: &sdp_types::Session, media: &sdp_types::Media) -> Stream {
    let address = media
        .connections
        .first()
        .or(session.connection.as_ref())
        .and_then(|connection| {
            let text = &connection.connection_address;
            let ip = text.split_once('/').map_or(text.as_str(), |(ip, _)| ip);
            ip.trim().parse().ok()
        });
    // The nearer level wins (RFC 8866 §6.7).
    let direction = direction(&media.attributes)
        .or_else(|| direction(&session.attributes))
        .unwrap_or(Direction::SendRecv);
    let ptime_ms = value(&media.attributes, "ptime")
        .or_else(|| value(&session.attributes, "ptime"))
        .and_then(|text| text.trim().parse().ok());
    Stream {
        media: media.media.clone(),
        port: media.port,
        protocol: media.proto.clone(),
        format_text: media.fmt.clone(),
        formats: formats(media),
        address,
        rtcp: value(&media.attributes, "rtcp").and_then(|text| rtcp(text, address)),
        direction,
        ptime_ms,
    }
}

fn direction(attributes: &[sdp_types::Attribute]) -> Option<Direction> {
    attributes
        .iter()
        .find_map(|attribute| Direction::from_name(attribute.attribute.trim()))
}

fn value<'a>(attributes: &'a [sdp_types::Attribute], name: &str) -> Option<&'a str> {
    attributes
        .iter()
        .find(|attribute| attribute.attribute.eq_ignore_ascii_case(name))
        .and_then(|attribute| attribute.value.as_deref())
}

/// `a=rtcp:53020` or `a=rtcp:53020 IN IP4 126.16.64.4` (RFC 3605 §2.1).
fn rtcp(text: &str, address: Option<IpAddr>) -> Option<SocketAddr> {
    let mut words = text.split_whitespace();
    let port = words.next()?.parse().ok()?;
    let ip = match words.nth(2) {
        Some(ip) => ip.parse().ok()?,
        None => address?,
    };
    Some(SocketAddr::new(ip, port))
}

fn formats(media: &sdp_types::Media) -> Vec<Format> {
    let mapping = |payload_type: u8| {
        media
            .attributes
            .iter()
            .filter(|attribute| attribute.attribute.eq_ignore_ascii_case("rtpmap"))
            .filter_map(|attribute| rtpmap(attribute.value.as_deref()?))
            .find(|format| format.payload_type == payload_type)
            .or_else(|| Format::of_static_type(payload_type))
    };
    media
        .fmt
        .split_whitespace()
        .filter_map(|text| text.parse().ok())
        .filter(|payload_type| *payload_type < 128)
        .filter_map(mapping)
        .collect()
}

/// `8 PCMA/8000` or `8 PCMA/8000/1` (RFC 8866 §6.6).
fn rtpmap(text: &str) -> Option<Format> {
    let (payload_type, mapping) = text.trim().split_once([' ', '\t'])?;
    let mut parts = mapping.trim().split('/');
    Some(Format {
        payload_type: payload_type.parse().ok()?,
        encoding: parts.next()?.to_owned(),
        clock_rate: parts.next()?.trim().parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn audio(text: &str) -> Stream {
        parse(text.as_bytes())
            .unwrap_or_else(|error| panic!("{error}: {text}"))
            .streams
            .remove(0)
    }

    /// Bodies as gateways and PBXs write them; each once made some reader stumble.
    #[test]
    fn what_devices_write_is_read() {
        let cases = [
            (
                "asterisk",
                "v=0\r\no=- 1 3 IN IP4 127.0.1.1\r\ns=Asterisk\r\nc=IN IP4 127.0.1.1\r\nt=0 0\r\nm=audio 16384 RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=maxptime:150\r\na=sendrecv\r\n",
            ),
            (
                "smartnode: short version in o=, video line without attributes",
                "v=0\r\no=MxSIP 0 56\r\ns=SIP Call\r\nc=IN IP4 127.0.1.1\r\nt=0 0\r\nm=audio 16384 RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=sendrecv\r\nm=video 0 RTP/AVP 31\r\n",
            ),
            (
                "no t=, bare LF, no last line end",
                "v=0\no=- 1 1 IN IP4 127.0.1.1\ns=-\nc=IN IP4 127.0.1.1\nm=audio 16384 RTP/AVP 8",
            ),
            (
                "address at media level, time to live, blank at line end",
                "v=0\r\no=- 1 1 IN IP4 9.9.9.9\r\ns= \r\nt=0 0\r\nm=audio 16384 RTP/AVP 8 0 \r\nc=IN IP4 127.0.1.1/127\r\n",
            ),
            (
                "crypto, unknown lines, odd bandwidth",
                "v=0\r\no=- 1 1 IN IP4 127.0.1.1\r\ns=-\r\nc=IN IP4 127.0.1.1\r\nb=AS:sixty\r\nt=never\r\nx=y\r\nm=audio 16384 RTP/AVP 8\r\nk=\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:xxx\r\n",
            ),
            (
                "direction at session level, refused fax stream",
                "v=0\r\no=- 1 1 IN IP4 127.0.1.1\r\ns=-\r\nc=IN IP4 127.0.1.1\r\nt=0 0\r\na=sendrecv\r\nm=audio 16384 RTP/AVP 8\r\nm=image 0 udptl t38\r\n",
            ),
        ];
        for (name, text) in cases {
            let stream = audio(text);
            assert_eq!(stream.media, "audio", "{name}");
            assert_eq!(stream.port, 16384, "{name}");
            assert_eq!(stream.address, "127.0.1.1".parse().ok(), "{name}");
            assert_eq!(stream.direction, Direction::SendRecv, "{name}");
            assert_eq!(stream.formats[0].encoding, "PCMA", "{name}");
        }
    }

    #[test]
    fn latin_1_in_a_name_loses_nothing() {
        let body =
            b"v=0\r\no=accueil\xe9 1 1 IN IP4 127.0.0.1\r\ns=\xe9t\xe9\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
        assert_eq!(parse(body).unwrap().streams[0].formats[0].encoding, "PCMU");
    }

    #[test]
    fn the_nearer_level_wins() {
        let stream = audio(
            "v=0\r\no=- 1 1 IN IP4 1.1.1.1\r\ns=-\r\nc=IN IP4 1.1.1.1\r\nt=0 0\r\na=sendrecv\r\na=ptime:30\r\nm=audio 4000 RTP/AVP 8\r\nc=IN IP6 ::1\r\na=inactive\r\na=ptime:20\r\na=rtcp:5001\r\n",
        );
        assert_eq!(stream.direction, Direction::Inactive);
        assert_eq!(stream.ptime_ms, Some(20));
        assert_eq!(stream.address, "::1".parse().ok());
        assert_eq!(stream.rtcp, "[::1]:5001".parse().ok());
    }

    #[test]
    fn what_is_no_description_says_so() {
        for (body, error) in [
            ("", ParseError::Empty),
            ("\r\n", ParseError::Empty),
            ("v=0\r\ns=-\r\n", ParseError::NoStream),
            ("JUNKJUNK", ParseError::NoStream),
        ] {
            assert_eq!(parse(body.as_bytes()), Err(error), "{body:?}");
        }
        assert!(matches!(
            parse(b"v=0\r\nm=audio port RTP/AVP 8\r\n"),
            Err(ParseError::Syntax(_))
        ));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..400)) {
            let _ = parse(&body);
        }

        #[test]
        fn no_lines_make_it_panic(lines in proptest::collection::vec("[cma]=[ -~]{0,40}", 0..12)) {
            let _ = parse(lines.join("\r\n").as_bytes());
        }
    }
}
