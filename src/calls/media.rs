//! The sound of one call: SDP, RTP and audio behind one port pair.
//!
//! Says what to send and when, and what was heard; it knows no SIP and no timers. Only [`super::Calls`]
//! uses it.

use std::net::SocketAddr;
use std::time::Duration;

use super::lateness::Lateness;
use super::meter::Meter;
use super::observe::{Leg, RtpSeen};
use super::recording::{self, Heard};
use super::script::{CallPlan, MediaPlan};
use super::{Component, MediaId, speech};
use crate::audio::g711::Law;
use crate::audio::{dtmf, echo};
use crate::quality;
use crate::quality::hearing::Hearing;
use crate::quality::leg::{Report, Situation};
use crate::quality::voice_report::voip_metrics;
use crate::rtp::rtcp::VoipMetrics;
use crate::rtp::sender::{Sender, phase};
use crate::rtp::source::Arrival;
use crate::rtp::{Content, Packet, Session, packet};
use crate::sdp::{self, Agreed, Codec, Direction, Local};
use crate::time::{Instant, Now};

/// One port pair and everything that flows through it.
#[derive(Debug)]
pub(super) struct Media {
    pub(super) id: MediaId,
    plan: MediaPlan,
    address: SocketAddr,
    local: Local,
    agreed: Option<Agreed>,
    /// Where their packets came from before they moved the media; some are still on the way.
    moved_from: Option<MovedFrom>,
    session: Session,
    /// One packet of the sound we send, encoded for the agreed codec.
    sound: Vec<u8>,
    /// Timestamp of the first packet after the answer: there our speech begins.
    answered: Option<u32>,
    /// What was heard, when it is kept.
    heard: Option<Heard>,
    chirps: Vec<Instant>,
    meter: Option<Meter>,
    digits: dtmf::Sending,
    pub(super) hearing: Hearing,
    echo: echo::Listener,
    /// One packet of theirs, decoded.
    decoded: Vec<i16>,
    /// Datagrams that are no RTP.
    no_rtp: u64,
    /// Packets that overtook the SDP that explains them.
    early: Vec<Early>,
    send_late: Lateness,
    receive_lag: Lateness,
}

#[derive(Debug)]
struct MovedFrom {
    peer: SocketAddr,
    until: Instant,
}

#[derive(Debug)]
struct Early {
    from: SocketAddr,
    stamp: Instant,
    bytes: Vec<u8>,
}

/// A packet to send.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) component: Component,
    pub(super) to: SocketAddr,
    pub(super) packet: Vec<u8>,
    pub(super) due: Instant,
}

/// Something heard that belongs on the ladder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Remark {
    First { codec: &'static str },
    Digit(char),
    WrongSource,
    WrongPayload(u8),
    NoRtp,
}

/// Of both voices of G.711.
const CLOCK_RATE: u32 = 8000;
/// One second of packets; more cannot overtake an answer.
const EARLY_MAX: usize = 50;
/// Two minutes of packets: their figures take about a millisecond of the thread that paces every call. Whoever calls
/// for longer reads in our report blocks what we hear; its voice is judged where the call is, after its end.
const METRICS_PACKETS_MAX: u64 = 6000;
/// Twice the longest way that a packet may be on when media moves.
const MOVE_GRACE: Duration = Duration::from_secs(1);

impl Media {
    /// A port pair that the shell opened at `address`.
    pub(super) fn new(
        id: MediaId,
        plan: &CallPlan,
        address: SocketAddr,
        now: Now,
        random: &mut fastrand::Rng,
    ) -> Self {
        let sender = Sender::new(
            random.u32(..),
            random.u16(..),
            random.u32(..),
            now.instant,
            sdp::offer_answer::PTIME_MS,
        );
        Self {
            id,
            plan: plan.media.clone(),
            address,
            local: Local::new(address.ip(), address.port(), random.u64(..)),
            agreed: None,
            moved_from: None,
            session: Session::new(sender),
            sound: Vec::new(),
            answered: None,
            heard: plan.keep.map(|keep| Heard::new(keep.heard)),
            chirps: Vec::new(),
            meter: plan.live.then(Meter::default),
            digits: dtmf::Sending::new(""),
            hearing: Hearing::default(),
            echo: echo::Listener::default(),
            decoded: Vec::new(),
            no_rtp: 0,
            early: Vec::new(),
            send_late: Lateness::default(),
            receive_lag: Lateness::default(),
        }
    }

    pub(super) fn offer(&mut self) -> String {
        self.local.offer(Direction::SendRecv)
    }

    /// Reads the answer to our offer, early or final.
    pub(super) fn accept_answer(&mut self, now: Now, answer: &[u8]) -> Result<Vec<Remark>, String> {
        let answer = sdp::parse(answer).map_err(|error| error.to_string())?;
        let agreed = sdp::accept_answer(&answer).map_err(|error| error.to_string())?;
        Ok(self.agree(now, agreed))
    }

    /// Answers an offer of the far end with our SDP.
    pub(super) fn answer_offer(&mut self, now: Now, offer: &[u8]) -> Result<String, String> {
        let offer = sdp::parse(offer).map_err(|error| error.to_string())?;
        let (text, agreed) =
            sdp::answer(&offer, &mut self.local).map_err(|error| error.to_string())?;
        self.agree(now, agreed);
        Ok(text)
    }

    /// The 2xx came: from now on our sound is heard by somebody.
    pub(super) fn answer(&mut self) {
        self.answered = Some(self.session.sender.timestamp());
    }

    /// Where our packets of this kind leave from.
    pub(super) fn address(&self, component: Component) -> SocketAddr {
        let port = self.address.port();
        let port = match component {
            Component::Rtp => port,
            Component::Rtcp => port.saturating_add(1),
        };
        SocketAddr::new(self.address.ip(), port)
    }

    /// The sound that was kept, and when our chirps left.
    pub(super) fn take_heard(&mut self) -> (Heard, Vec<Instant>) {
        let heard = self.heard.take().unwrap_or_default();
        (heard, std::mem::take(&mut self.chirps))
    }

    /// Level of what was heard since the last look, dBov.
    pub(super) fn take_level(&mut self) -> Option<f64> {
        self.meter.as_mut()?.take()
    }

    pub(super) const fn is_agreed(&self) -> bool {
        self.agreed.is_some()
    }

    pub(super) const fn peer(&self) -> Option<SocketAddr> {
        match &self.agreed {
            Some(agreed) => Some(agreed.peer),
            None => None,
        }
    }

    pub(super) fn send_digits(&mut self, digits: &str) {
        self.digits = dtmf::Sending::new(digits);
    }

    fn agree(&mut self, now: Now, agreed: Agreed) -> Vec<Remark> {
        match &self.agreed {
            None => {
                // Calls that begin together must not send together.
                let start = now.instant + phase(self.id.0, agreed.ptime_ms);
                self.session.start(start);
            }
            Some(before) if before.peer != agreed.peer => {
                self.moved_from = Some(MovedFrom {
                    peer: before.peer,
                    until: now.instant + MOVE_GRACE,
                });
            }
            Some(_) => {}
        }
        self.session.sender.set_ptime(agreed.ptime_ms);
        self.agreed = Some(agreed);
        let early = std::mem::take(&mut self.early);
        early
            .into_iter()
            .filter_map(|packet| self.hear_rtp(packet.from, packet.stamp, &packet.bytes))
            .collect()
    }

    /// Encodes the packet that is due.
    fn encode_sound(&mut self) {
        let Some(agreed) = &self.agreed else { return };
        let law = law(agreed.codec);
        let sender = &self.session.sender;
        let (timestamp, samples) = (sender.timestamp(), usize::from(sender.samples()));
        self.sound.clear();
        let Some(place) = self.answered.and_then(|begin| place(begin, timestamp)) else {
            self.sound.resize(samples, law.silence());
            return;
        };
        let speech = (place..place + samples).map(|n| law.encode(speech::sample(&self.plan, n)));
        self.sound.extend(speech);
        let chirp = speech::next_chirp(place);
        if self.plan == MediaPlan::Tone && chirp < place + samples {
            self.chirps
                .push(sender.due() + recording::length(chirp - place));
        }
    }

    /// When something is to be sent next.
    pub(super) fn due(&self) -> Option<Instant> {
        self.agreed.as_ref()?;
        Some(self.session.sender.due().min(self.session.report_due()))
    }

    /// The next packet that is due; call until `None`.
    pub(super) fn next(&mut self, now: Now) -> Option<Outgoing> {
        let agreed = self.agreed.as_ref()?;
        let (send_to, to) = (agreed.send_to(), agreed.peer_rtcp);
        let (payload_type, event_type) = (agreed.payload_type, agreed.telephone_event);
        if self.session.report_due() <= now.instant {
            let due = self.session.report_due();
            let metrics = self.metrics(now.instant);
            let packet = self.session.report(now, false, metrics);
            if !to.ip().is_unspecified() {
                return Some(outgoing(Component::Rtcp, to, packet, due));
            }
        }
        self.session.sender.catch_up(now.instant);
        while self.session.sender.due() <= now.instant {
            let due = self.session.sender.due();
            let Some(to) = send_to else {
                self.session.sender.pass();
                continue;
            };
            let packet = self.event(event_type).unwrap_or_else(|| {
                self.encode_sound();
                self.session.sender.sound(payload_type, &self.sound)
            });
            return Some(outgoing(Component::Rtp, to, packet, due));
        }
        None
    }

    fn event(&mut self, payload_type: Option<u8>) -> Option<Vec<u8>> {
        let sender = &mut self.session.sender;
        let payload_type = payload_type?;
        let packet = self.digits.next(sender.timestamp(), sender.samples())?;
        let payload = packet.event.to_bytes();
        Some(sender.event(payload_type, &payload, packet.marker, packet.timestamp))
    }

    /// The last report, with BYE (RFC 3550 §6.6).
    pub(super) fn goodbye(&mut self, now: Now) -> Option<Outgoing> {
        let to = self.agreed.as_ref()?.peer_rtcp;
        let metrics = self.metrics(now.instant);
        let packet = self.session.report(now, true, metrics);
        (!to.ip().is_unspecified()).then(|| outgoing(Component::Rtcp, to, packet, now.instant))
    }

    /// What we tell the far end of its voice (RFC 3611 §4.7), while that costs little: all calls wait for it.
    fn metrics(&self, now: Instant) -> Option<VoipMetrics> {
        if self.session.counts().packets > METRICS_PACKETS_MAX {
            return None;
        }
        let situation = Situation {
            to: now,
            codec: self.codec(),
            round_trip: self.session.round_trip(),
            ..Situation::default()
        };
        let report = Report::of(self.session.streams(), &self.hearing, &situation);
        voip_metrics(&report, self.session.round_trip())
    }

    fn codec(&self) -> Option<quality::codec::Codec> {
        let codec = self.agreed.as_ref()?.codec;
        quality::codec::Codec::named(codec.name(), CLOCK_RATE, None)
    }

    /// All that was heard, for a report later: nothing of it is computed here.
    pub(super) fn into_leg(self) -> Leg {
        Leg {
            codec: self.codec(),
            round_trip: self.session.round_trip(),
            far_end: *self.session.far_end(),
            streams: self.session.into_streams(),
            hearing: self.hearing,
        }
    }

    /// A packet came.
    pub(super) fn hear(
        &mut self,
        now: Now,
        component: Component,
        from: SocketAddr,
        stamp: Instant,
        bytes: &[u8],
    ) -> Option<Remark> {
        self.receive_lag.record(now.instant.since(stamp));
        match component {
            Component::Rtp if self.agreed.is_none() => {
                if self.early.len() < EARLY_MAX {
                    self.early.push(Early {
                        from,
                        stamp,
                        bytes: bytes.to_vec(),
                    });
                }
                None
            }
            Component::Rtp => self.hear_rtp(from, stamp, bytes),
            Component::Rtcp => {
                // Reports tell only of quality: what cannot be read is as good as lost.
                let _ = self.session.hear_report(now, stamp, bytes);
                None
            }
        }
    }

    fn hear_rtp(&mut self, from: SocketAddr, stamp: Instant, bytes: &[u8]) -> Option<Remark> {
        let agreed = self.agreed.as_ref()?;
        let moved_from = self.moved_from.as_ref();
        // The port may differ from the SDP (asymmetric RTP); another host is another matter.
        let expected = from.ip() == agreed.peer.ip()
            || moved_from.is_some_and(|moved| from.ip() == moved.peer.ip() && stamp <= moved.until);
        let Ok(packet) = packet::parse(bytes) else {
            // STUN, a probe of a firewall: it has no payload type that could be wrong.
            self.no_rtp += 1;
            return (self.no_rtp == 1).then_some(Remark::NoRtp);
        };
        if !expected {
            self.hearing.wrong_source += 1;
            return (self.hearing.wrong_source == 1).then_some(Remark::WrongSource);
        }
        if agreed.telephone_event == Some(packet.payload_type) {
            let arrival = self.session.hear(stamp, &packet, Content::Event);
            let digit = self.hearing.event(stamp, arrival, &packet)?;
            return Some(Remark::Digit(digit));
        }
        if packet.payload_type == COMFORT_NOISE {
            let arrival = self.session.hear(stamp, &packet, Content::ComfortNoise);
            self.hearing.comfort_noise(stamp, arrival, &packet);
            return None;
        }
        let Some((codec, law)) = sound(agreed, packet.payload_type) else {
            self.hearing.wrong_payload += 1;
            return (self.hearing.wrong_payload == 1)
                .then_some(Remark::WrongPayload(packet.payload_type));
        };
        let first = self.hearing.moments().first_sound.is_none();
        let arrival = self.session.hear(stamp, &packet, Content::Sound);
        if !quality::codec::fits(codec, packet.payload.len()) {
            self.hearing.wrong_payload += 1;
            return None;
        }
        self.hear_sound(stamp, arrival, &packet, law);
        first.then_some(Remark::First { codec })
    }

    fn hear_sound(&mut self, stamp: Instant, arrival: Arrival, packet: &Packet<'_>, law: Law) {
        self.decoded.clear();
        self.decoded
            .extend(packet.payload.iter().map(|octet| law.decode(*octet)));
        self.hearing.sound(stamp, arrival, packet, &self.decoded);
        let samples = self.decoded.iter().copied();
        if self.answered.is_some() {
            self.echo.hear(samples.clone());
        }
        if let Some(meter) = &mut self.meter {
            meter.hear(samples.clone());
        }
        if let Some(heard) = &mut self.heard {
            heard.hear(stamp, packet.timestamp, samples);
            if self.answered.is_none() {
                heard.forget_early();
            }
        }
    }

    pub(super) fn sent_late(&mut self, late: Duration) {
        self.send_late.record(late);
    }

    /// Level of our tone as it came back, dBov.
    pub(super) fn echo_dbov(&self) -> Option<f64> {
        self.echo.dbov().filter(|_| self.plan == MediaPlan::Tone)
    }

    pub(super) const fn session(&self) -> &Session {
        &self.session
    }

    pub(super) fn figures(&self) -> RtpSeen {
        let counts = self.session.counts();
        RtpSeen {
            sent: u64::from(self.session.sender.packets()),
            received: counts.packets,
            lost: counts.lost,
            jitter_ms: self.session.jitter_ms(),
            send_late_p99_us: self.send_late.p99_us(),
            receive_lag_p99_us: self.receive_lag.p99_us(),
            round_trip: self.session.round_trip(),
        }
    }
}

/// Static payload type of comfort noise (RFC 3389 §4); it comes unasked where silence is suppressed.
const COMFORT_NOISE: u8 = 13;

const fn outgoing(component: Component, to: SocketAddr, packet: Vec<u8>, due: Instant) -> Outgoing {
    Outgoing {
        component,
        to,
        packet,
        due,
    }
}

/// Where in our speech a packet lies; `None` before its beginning.
fn place(begin: u32, timestamp: u32) -> Option<usize> {
    let place = timestamp.wrapping_sub(begin);
    // Half the circle of timestamps lies behind.
    usize::try_from(place.cast_signed()).ok()
}

const fn law(codec: Codec) -> Law {
    match codec {
        Codec::Pcma => Law::A,
        Codec::Pcmu => Law::Mu,
    }
}

/// The codec of a payload type: the agreed one, or the other voice of G.711, which our offer allows
/// at any time (RFC 3264 §5.1).
fn sound(agreed: &Agreed, payload_type: u8) -> Option<(&'static str, Law)> {
    let codec = if payload_type == agreed.payload_type {
        agreed.codec
    } else {
        [Codec::Pcma, Codec::Pcmu]
            .into_iter()
            .find(|codec| codec.payload_type() == payload_type)?
    };
    Some((codec.name(), law(codec)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::script::{Purpose, Route};
    use crate::sip::Transport;
    use crate::time::Utc;

    #[test]
    fn what_is_no_rtp_is_noted_once_and_has_no_wrong_payload_type() {
        let far = SocketAddr::from(([192, 0, 2, 1], 4000));
        let here = SocketAddr::from(([192, 0, 2, 2], 4000));
        let now = Now {
            instant: Instant(1_000_000_000),
            utc: Utc(0),
        };
        let plan = CallPlan {
            route: Route {
                transport: Transport::Udp,
                peer: far,
                local: here,
                server_name: None,
                fresh: true,
            },
            to: String::new(),
            from: String::new(),
            credentials: None,
            hold: Duration::ZERO,
            answer_within: Duration::ZERO,
            media: MediaPlan::Tone,
            send_dtmf: String::new(),
            purpose: Purpose::Trace,
            keep: None,
            live: false,
        };
        let mut random = fastrand::Rng::with_seed(1);
        let mut media = Media::new(MediaId(1), &plan, here, now, &mut random);
        let answer = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
                      m=audio 4000 RTP/AVP 8\r\n";
        media.accept_answer(now, answer.as_bytes()).unwrap();
        let stun = [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
        let mut hear = |bytes: &[u8]| media.hear(now, Component::Rtp, far, now.instant, bytes);
        assert_eq!(hear(&stun), Some(Remark::NoRtp));
        assert_eq!((hear(&stun), hear(&[])), (None, None));
        assert_eq!((media.hearing.wrong_payload, media.no_rtp), (0, 3));
    }
}
