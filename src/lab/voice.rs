//! The sound of one simulated machine: RTP ports, signatures, echoes, hums and relays.
//!
//! Each [`Voice`] is one leg's RTP stream. It sends on absolute deadlines 20 ms apart, echoes at once what
//! it hears, or hands it to the voice it is joined with.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use crate::audio::SAMPLE_RATE;
use crate::audio::dtmf;
use crate::audio::g711::Law;
use crate::calls::MediaId;
use crate::rtp::packet::{self, Packet};
use crate::sdp::{self, Agreed, Codec, Description, Direction, Local};
use crate::time::{Instant, Now};

const PACKET_TIME: Duration = Duration::from_millis(20);

/// Samples of one packet of 20 ms.
const SAMPLES: u16 = 160;

/// Quiet before a signature, as `Answer` and `SendDTMF` of a real PBX leave it.
const BEFORE_SIGNATURE: Duration = Duration::from_millis(400);

/// The hum of an automatic agent, hertz; no announcement and no music holds it for long.
const HUM_HZ: f64 = 440.0;

/// What a voice does when it has nothing to sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Programme {
    /// Sends back what it hears.
    Echo,
    /// 440 Hz.
    Hum,
    /// What it hears goes out by another voice.
    Relay(MediaId),
}

/// What the machine must do for its voices.
#[derive(Debug)]
pub(super) enum Sound {
    Open {
        media: MediaId,
    },
    Close {
        media: MediaId,
    },
    Packet {
        media: MediaId,
        to: SocketAddr,
        packet: Vec<u8>,
        due: Instant,
    },
}

#[derive(Debug)]
pub(super) struct Voices {
    voices: BTreeMap<MediaId, Voice>,
    next: u32,
    ready: VecDeque<Sound>,
}

#[derive(Debug)]
struct Voice {
    /// What the caller offered; `None` when we offer.
    offer: Option<Description>,
    local: Option<SocketAddr>,
    agreed: Option<Agreed>,
    programme: Option<Programme>,
    signature: Option<dtmf::Sending>,
    next_packet: Option<Instant>,
    sequence_number: u16,
    /// RTP timestamp of the next packet, in samples.
    timestamp: u32,
}

impl Voices {
    pub(super) const fn numbered_from(first: u32) -> Self {
        Self {
            voices: BTreeMap::new(),
            next: first,
            ready: VecDeque::new(),
        }
    }

    /// Asks for a port to answer this offer with; `None` when nothing fits (488).
    pub(super) fn open(&mut self, offer: &[u8]) -> Option<MediaId> {
        let offer = sdp::parse(offer).ok()?;
        Some(self.open_voice(Some(offer)))
    }

    /// Asks for a port to make an offer with.
    pub(super) fn open_towards_nobody(&mut self) -> MediaId {
        self.open_voice(None)
    }

    fn open_voice(&mut self, offer: Option<Description>) -> MediaId {
        let media = MediaId(self.next);
        self.next += 1;
        self.ready.push_back(Sound::Open { media });
        self.voices.insert(
            media,
            Voice {
                offer,
                local: None,
                agreed: None,
                programme: None,
                signature: None,
                next_packet: None,
                sequence_number: 1,
                timestamp: 0,
            },
        );
        media
    }

    pub(super) fn opened(&mut self, media: MediaId, local: SocketAddr) {
        if let Some(voice) = self.voices.get_mut(&media) {
            voice.local = Some(local);
        }
    }

    pub(super) fn close(&mut self, media: MediaId) {
        if self.voices.remove(&media).is_some() {
            self.ready.push_back(Sound::Close { media });
        }
    }

    /// Forgets everything; the machine is gone.
    pub(super) fn close_all(&mut self) -> Vec<MediaId> {
        self.ready.clear();
        let open = self.voices.keys().copied().collect();
        self.voices.clear();
        open
    }

    /// The description to answer or to offer with, once the port is open; empty if nothing fits.
    pub(super) fn description(&mut self, media: MediaId) -> String {
        let Some(voice) = self.voices.get_mut(&media) else {
            return String::new();
        };
        let Some(address) = voice.local else {
            return String::new();
        };
        let mut local = Local::new(address.ip(), address.port(), u64::from(media.0));
        let Some(offer) = &voice.offer else {
            return local.offer(Direction::SendRecv);
        };
        let Ok((text, agreed)) = sdp::answer(offer, &mut local) else {
            return String::new();
        };
        voice.agreed = Some(agreed);
        text
    }

    /// The far end answered our offer.
    pub(super) fn answered(&mut self, media: MediaId, answer: &[u8]) {
        let agreed = sdp::parse(answer)
            .ok()
            .and_then(|answer| sdp::accept_answer(&answer).ok());
        if let Some(voice) = self.voices.get_mut(&media) {
            voice.agreed = agreed;
        }
    }

    pub(super) fn play(&mut self, now: Now, media: MediaId, programme: Programme) {
        if let Some(voice) = self.voices.get_mut(&media) {
            voice.programme = Some(programme);
            if programme == Programme::Hum && voice.next_packet.is_none() {
                voice.next_packet = Some(now.instant);
            }
        }
    }

    /// Sends digits (RFC 4733) before anything else.
    pub(super) fn sign(&mut self, now: Now, media: MediaId, digits: &str) {
        if let Some(voice) = self.voices.get_mut(&media) {
            voice.signature = Some(dtmf::Sending::new(digits));
            voice.next_packet = Some(now.instant + BEFORE_SIGNATURE);
        }
    }

    /// A packet came: echo it, relay it, or let it be.
    pub(super) fn heard(&mut self, now: Now, media: MediaId, bytes: &[u8]) {
        let Ok(heard) = packet::parse(bytes) else {
            return;
        };
        let Some(voice) = self.voices.get(&media) else {
            return;
        };
        let through = match voice.programme {
            Some(Programme::Echo) if voice.signature.is_none() => media,
            Some(Programme::Relay(other)) => other,
            Some(Programme::Echo | Programme::Hum) | None => return,
        };
        let Some(voice) = self.voices.get_mut(&through) else {
            return;
        };
        if let Some(to) = voice.agreed.as_ref().and_then(Agreed::send_to) {
            let packet = voice.repeat(through, &heard);
            self.ready.push_back(Sound::Packet {
                media: through,
                to,
                packet,
                due: now.instant,
            });
        }
    }

    /// Sends what is due.
    pub(super) fn speak(&mut self, now: Now) {
        for (media, voice) in &mut self.voices {
            while let Some(due) = voice.next_packet.filter(|due| *due <= now.instant) {
                let Some(to) = voice.agreed.as_ref().and_then(Agreed::send_to) else {
                    voice.next_packet = None;
                    break;
                };
                let packet = voice.speak(*media);
                voice.next_packet = voice.still_speaks().then_some(due + PACKET_TIME);
                if let Some(packet) = packet {
                    self.ready.push_back(Sound::Packet {
                        media: *media,
                        to,
                        packet,
                        due,
                    });
                }
            }
        }
    }

    pub(super) fn poll(&mut self) -> Option<Sound> {
        self.ready.pop_front()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.voices
            .values()
            .filter_map(|voice| voice.next_packet)
            .min()
    }
}

impl Voice {
    fn still_speaks(&self) -> bool {
        self.signature.is_some() || self.programme == Some(Programme::Hum)
    }

    /// The next packet of a signature or a hum; `None` in the pause between two digits.
    fn speak(&mut self, media: MediaId) -> Option<Vec<u8>> {
        let at = self.timestamp;
        self.timestamp = at.wrapping_add(u32::from(SAMPLES));
        let agreed = self.agreed.clone()?;
        if let Some(signature) = &mut self.signature {
            let next = signature.next(at, SAMPLES);
            if signature.is_over() {
                self.signature = None;
            }
            let (event, next) = (agreed.telephone_event?, next?);
            let payload = next.event.to_bytes();
            return Some(self.packet(media, event, next.timestamp, next.marker, &payload));
        }
        let payload: Vec<u8> = (0..u32::from(SAMPLES))
            .map(|sample| law(agreed.codec).encode(hum(at.wrapping_add(sample))))
            .collect();
        Some(self.packet(media, agreed.payload_type, at, false, &payload))
    }

    /// What was heard, as our own stream.
    fn repeat(&mut self, media: MediaId, heard: &Packet<'_>) -> Vec<u8> {
        let at = heard.timestamp;
        self.timestamp = at.wrapping_add(u32::from(SAMPLES));
        self.packet(media, heard.payload_type, at, heard.marker, heard.payload)
    }

    fn packet(
        &mut self,
        media: MediaId,
        payload_type: u8,
        timestamp: u32,
        marker: bool,
        payload: &[u8],
    ) -> Vec<u8> {
        let sequence_number = self.sequence_number;
        self.sequence_number = sequence_number.wrapping_add(1);
        packet::write(Packet {
            marker,
            payload_type,
            sequence_number,
            timestamp,
            ssrc: media.0.wrapping_mul(0x9e37_79b9),
            payload,
        })
    }
}

const fn law(codec: Codec) -> Law {
    match codec {
        Codec::Pcma => Law::A,
        Codec::Pcmu => Law::Mu,
    }
}

/// One sample of the hum, half as loud as can be.
fn hum(position: u32) -> i16 {
    let phase = f64::from(position % SAMPLE_RATE) * HUM_HZ / f64::from(SAMPLE_RATE);
    let sample = (phase * std::f64::consts::TAU).sin() * 8000.0;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a sine of amplitude 8000 fits in 16 bits"
    )]
    let sample = sample as i16;
    sample
}
