//! Offer and answer (RFC 3264) for one audio stream: PCMA, PCMU and telephone-event.
//!
//! Writes our offer, reads the answer to it, and answers the offers of a re-INVITE or UPDATE (hold,
//! media moved elsewhere, inactive). What cannot be agreed on is an [`Unusable`] with its reason; for an
//! offer that means 488. It keeps no media running: `calls` re-targets RTP from the [`Agreed`].

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use super::parse::{Description, Direction, Format, Stream};

/// The two voices of G.711 (RFC 3551 §4.5.14).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    Pcma,
    Pcmu,
}

impl Codec {
    /// As it stands in `a=rtpmap`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pcma => "PCMA",
            Self::Pcmu => "PCMU",
        }
    }

    /// Static payload type (RFC 3551 §6).
    #[must_use]
    pub const fn payload_type(self) -> u8 {
        match self {
            Self::Pcma => 8,
            Self::Pcmu => 0,
        }
    }

    fn from_format(format: &Format) -> Option<Self> {
        [Self::Pcma, Self::Pcmu].into_iter().find(|codec| {
            format.clock_rate == 8000 && format.encoding.eq_ignore_ascii_case(codec.name())
        })
    }
}

/// Payload type of telephone-event in our offers.
pub const TELEPHONE_EVENT: u8 = 101;
/// Our packet time, milliseconds.
pub const PTIME_MS: u8 = 20;

/// What both sides agreed on, from our view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreed {
    pub codec: Codec,
    /// Payload type of `codec` in this session.
    pub payload_type: u8,
    /// Payload type of telephone-event, when both sides know it.
    pub telephone_event: Option<u8>,
    /// Where they receive RTP, and where their RTP should come from.
    pub peer: SocketAddr,
    pub peer_rtcp: SocketAddr,
    /// Packet time they like to receive, milliseconds.
    pub ptime_ms: u8,
    /// Our direction: what we may send and should hear.
    pub direction: Direction,
}

impl Agreed {
    /// Where our RTP goes now; `None` while on hold.
    #[must_use]
    pub fn send_to(&self) -> Option<SocketAddr> {
        // An address of all zeros is the hold of RFC 2543, still sent by old gateways (RFC 3264 §8.4).
        (self.direction.sends() && !self.peer.ip().is_unspecified()).then_some(self.peer)
    }

    #[must_use]
    pub const fn hears(&self) -> bool {
        self.direction.receives()
    }
}

/// Why no audio can flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    #[error("no audio stream over RTP/AVP in the description")]
    NoAudio,
    #[error("the audio stream was refused (port 0, RFC 3264 section 6)")]
    AudioRefused,
    #[error("no common codec: neither PCMA nor PCMU among the formats")]
    NoCommonCodec,
    #[error("no usable IP address in the c= line")]
    NoAddress,
}

/// Our side of the session: its address, and the identity of its `o=` line (RFC 8866 §5.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Local {
    pub address: IpAddr,
    pub port: u16,
    session_id: u64,
    version: u64,
    /// All that follows `o=` in the description last sent; the version rises only if it changes (RFC 3264 §8).
    last: String,
}

impl Local {
    /// `session_id` should be unpredictable enough not to repeat; a random number of the call.
    #[must_use]
    pub const fn new(address: IpAddr, port: u16, session_id: u64) -> Self {
        Self {
            address,
            port,
            // Some readers keep it in a signed 32-bit number.
            session_id: session_id & 0x7fff_ffff,
            version: 0,
            last: String::new(),
        }
    }

    /// The offer of an INVITE: everything we can, best first.
    pub fn offer(&mut self, direction: Direction) -> String {
        let mut body = self.connection();
        let _ = write!(
            body,
            "m=audio {} RTP/AVP 8 0 {TELEPHONE_EVENT}\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n",
            self.port
        );
        write_tail(&mut body, Some(TELEPHONE_EVENT), PTIME_MS, direction);
        self.describe(body)
    }

    fn connection(&self) -> String {
        let mut body = String::with_capacity(320);
        let _ = write!(
            body,
            "s=-\r\nc=IN {} {}\r\nt=0 0\r\n",
            kind(self.address),
            self.address
        );
        body
    }

    fn describe(&mut self, body: String) -> String {
        if self.last != body {
            self.version += 1;
            self.last = body;
        }
        format!(
            "v=0\r\no=- {} {} IN {} {}\r\n{}",
            self.session_id,
            self.version,
            kind(self.address),
            self.address,
            self.last
        )
    }
}

/// Reads the answer to our offer.
///
/// # Errors
/// When the far end accepted the call but left nothing to talk with.
pub fn accept_answer(answer: &Description) -> Result<Agreed, Unusable> {
    agree(usable_stream(answer)?.1)
}

/// Answers an offer: the text to send and what is agreed with it.
///
/// # Errors
/// When nothing fits; the SIP answer is then 488 (RFC 3261 §21.4.26).
pub fn answer(offer: &Description, local: &mut Local) -> Result<(String, Agreed), Unusable> {
    let (chosen, stream) = usable_stream(offer)?;
    let agreed = agree(stream)?;
    let mut body = local.connection();
    for (position, stream) in offer.streams.iter().enumerate() {
        if position == chosen {
            let _ = write!(
                body,
                "m=audio {} RTP/AVP {}",
                local.port, agreed.payload_type
            );
            if let Some(event) = agreed.telephone_event {
                let _ = write!(body, " {event}");
            }
            let _ = write!(
                body,
                "\r\na=rtpmap:{} {}/8000\r\n",
                agreed.payload_type,
                agreed.codec.name()
            );
            write_tail(
                &mut body,
                agreed.telephone_event,
                PTIME_MS,
                agreed.direction,
            );
        } else {
            // Every stream gets its line; port 0 refuses it (RFC 3264 §6).
            let format = stream.format_text.split_whitespace().next().unwrap_or("0");
            let _ = write!(
                body,
                "m={} 0 {} {format}\r\n",
                stream.media, stream.protocol
            );
        }
    }
    Ok((local.describe(body), agreed))
}

/// Our direction when theirs is `theirs` (RFC 3264 §6.1).
#[must_use]
pub const fn hold_direction(theirs: Direction) -> Direction {
    match theirs {
        Direction::SendRecv => Direction::SendRecv,
        Direction::SendOnly => Direction::RecvOnly,
        Direction::RecvOnly => Direction::SendOnly,
        Direction::Inactive => Direction::Inactive,
    }
}

/// The first audio stream over RTP/AVP that is switched on, with its position.
fn usable_stream(description: &Description) -> Result<(usize, &Stream), Unusable> {
    let audio = |stream: &&Stream| {
        stream.media.eq_ignore_ascii_case("audio")
            && stream.protocol.eq_ignore_ascii_case("RTP/AVP")
    };
    let mut refused = false;
    for (position, stream) in description.streams.iter().enumerate() {
        if audio(&stream) {
            if stream.port != 0 {
                return Ok((position, stream));
            }
            refused = true;
        }
    }
    Err(if refused {
        Unusable::AudioRefused
    } else {
        Unusable::NoAudio
    })
}

fn agree(stream: &Stream) -> Result<Agreed, Unusable> {
    let address = stream.address.ok_or(Unusable::NoAddress)?;
    let (codec, payload_type) = stream
        .formats
        .iter()
        .find_map(|format| Some((Codec::from_format(format)?, format.payload_type)))
        .ok_or(Unusable::NoCommonCodec)?;
    let telephone_event = stream
        .formats
        .iter()
        .find(|format| {
            format.clock_rate == 8000 && format.encoding.eq_ignore_ascii_case("telephone-event")
        })
        .map(|format| format.payload_type);
    let peer = SocketAddr::new(address, stream.port);
    Ok(Agreed {
        codec,
        payload_type,
        telephone_event,
        peer,
        // RTCP is the next port unless they say otherwise (RFC 3550 §11).
        peer_rtcp: stream
            .rtcp
            .unwrap_or_else(|| SocketAddr::new(address, stream.port.saturating_add(1))),
        ptime_ms: stream
            .ptime_ms
            .filter(|ms| (10..=60).contains(ms) && ms % 10 == 0)
            .unwrap_or(PTIME_MS),
        direction: hold_direction(stream.direction),
    })
}

fn write_tail(body: &mut String, event: Option<u8>, ptime_ms: u8, direction: Direction) {
    if let Some(event) = event {
        let _ = write!(
            body,
            "a=rtpmap:{event} telephone-event/8000\r\na=fmtp:{event} 0-15\r\n"
        );
    }
    let _ = write!(body, "a=ptime:{ptime_ms}\r\na={}\r\n", direction.as_str());
}

const fn kind(address: IpAddr) -> &'static str {
    match address {
        IpAddr::V4(_) => "IP4",
        IpAddr::V6(_) => "IP6",
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse::parse;
    use super::*;

    fn local() -> Local {
        Local::new("127.0.0.1".parse().unwrap(), 4000, 7)
    }

    fn body(lines: &str) -> Description {
        let text =
            format!("v=0\no=- 1 1 IN IP4 127.0.1.1\ns=-\nc=IN IP4 127.0.1.1\nt=0 0\n{lines}");
        parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn our_offer_is_read_by_ourselves() {
        let offer = local().offer(Direction::SendRecv);
        assert!(offer.starts_with("v=0\r\no=- 7 1 IN IP4 127.0.0.1\r\ns=-\r\n"));
        let agreed = accept_answer(&parse(offer.as_bytes()).unwrap()).unwrap();
        assert_eq!(agreed.codec, Codec::Pcma);
        assert_eq!(agreed.telephone_event, Some(101));
        assert_eq!(agreed.send_to(), "127.0.0.1:4000".parse().ok());
        assert_eq!(agreed.peer_rtcp, "127.0.0.1:4001".parse().unwrap());
    }

    #[test]
    fn the_first_codec_of_the_answer_is_taken() {
        let cases = [
            (
                "m=audio 9 RTP/AVP 8 0 101\na=rtpmap:101 telephone-event/8000",
                Codec::Pcma,
                8,
                Some(101),
            ),
            ("m=audio 9 RTP/AVP 0 8", Codec::Pcmu, 0, None),
            ("m=audio 9 RTP/AVP 18 0", Codec::Pcmu, 0, None),
            (
                "m=audio 9 RTP/AVP 97 96\na=rtpmap:97 pcma/8000/1\na=rtpmap:96 TELEPHONE-EVENT/8000",
                Codec::Pcma,
                97,
                Some(96),
            ),
            (
                "m=video 9 RTP/AVP 31\nm=audio 9 RTP/AVP 8",
                Codec::Pcma,
                8,
                None,
            ),
            (
                "m=audio 9 RTP/AVP 8 100\na=rtpmap:100 telephone-event/48000",
                Codec::Pcma,
                8,
                None,
            ),
        ];
        for (lines, codec, payload_type, event) in cases {
            let agreed = accept_answer(&body(lines)).unwrap();
            assert_eq!(
                (agreed.codec, agreed.payload_type, agreed.telephone_event),
                (codec, payload_type, event),
                "{lines}"
            );
        }
    }

    #[test]
    fn what_cannot_be_used_says_why() {
        for (lines, why) in [
            ("m=audio 0 RTP/AVP 8", Unusable::AudioRefused),
            ("m=audio 9 RTP/AVP 18 9", Unusable::NoCommonCodec),
            (
                "m=audio 9 RTP/AVP 97\na=rtpmap:97 PCMA/16000",
                Unusable::NoCommonCodec,
            ),
            ("m=audio 9 RTP/SAVP 8", Unusable::NoAudio),
            ("m=image 9 udptl t38", Unusable::NoAudio),
            (
                "m=audio 9 RTP/AVP 8\nc=IN IP4 pbx.example",
                Unusable::NoAddress,
            ),
        ] {
            assert_eq!(accept_answer(&body(lines)), Err(why), "{lines}");
            assert_eq!(
                answer(&body(lines), &mut local()).err(),
                Some(why),
                "{lines}"
            );
        }
    }

    #[test]
    fn hold_in_all_its_spellings_stops_our_sending() {
        for (lines, direction, hears) in [
            ("m=audio 9 RTP/AVP 8\na=sendonly", Direction::RecvOnly, true),
            (
                "m=audio 9 RTP/AVP 8\na=inactive",
                Direction::Inactive,
                false,
            ),
            (
                "m=audio 9 RTP/AVP 8\nc=IN IP4 0.0.0.0",
                Direction::SendRecv,
                true,
            ),
        ] {
            let (text, agreed) = answer(&body(lines), &mut local()).unwrap();
            assert_eq!(agreed.send_to(), None, "{lines}");
            assert_eq!(agreed.hears(), hears, "{lines}");
            assert!(
                text.contains(&format!("a={}\r\n", direction.as_str())),
                "{text}"
            );
        }
    }

    #[test]
    fn an_answer_has_a_line_for_every_stream_and_its_version_rises_only_on_change() {
        let mut local = local();
        local.offer(Direction::SendRecv);
        let moved = body("m=video 0 RTP/AVP 31\nm=audio 9 RTP/AVP 8 0\nc=IN IP4 127.0.1.9");
        let (first, agreed) = answer(&moved, &mut local).unwrap();
        assert_eq!(agreed.peer, "127.0.1.9:9".parse().unwrap());
        assert!(
            first.contains("m=video 0 RTP/AVP 31\r\nm=audio 4000 RTP/AVP 8\r\n"),
            "{first}"
        );
        assert!(first.contains("o=- 7 2 "), "{first}");
        let (again, _) = answer(&moved, &mut local).unwrap();
        assert_eq!(first, again);
    }

    #[test]
    fn ipv6_is_written_as_such() {
        let mut local = Local::new("::1".parse().unwrap(), 4000, 7);
        assert!(
            local
                .offer(Direction::SendRecv)
                .contains("c=IN IP6 ::1\r\n")
        );
    }
}
