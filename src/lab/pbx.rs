//! A XiVO: registrar, test numbers, queue.
//!
//! | number | what happens |
//! |---|---|
//! | `0199001199`, `*43` | answer, DTMF signature `*<digit>#`, echo for 30 s |
//! | `0199001198` | answer, signature, then the queue of the watchdog: extension 4099 hums 440 Hz |
//! | `0199001190` | answer, signature, then the queue of the call centre: extension 4001 |
//! | `0199001197` | early media, then a release with cause 31 |
//! | anything else | 404, cause 1 |
//!
//! It is not Asterisk: no dialplan, no transfer, no music. What the watchdog must prove, it proves against
//! the real one.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::secret_of;
use super::ua::{UserAgent, called_number, request_uri};
use super::voice::Programme;
use crate::calls::MediaId;
use crate::secret::Secret;
use crate::sip::digest::{Account, Admission, Guard, Signed};
use crate::sip::endpoint::{Event, Happened, Hop, Invite, Key, Response};
use crate::sip::header::auth::{Algorithm, Qop};
use crate::sip::header::{Address, Challenge, Contacts, Credentials, Uri};
use crate::sip::wire::{HeaderName, Index, Method, StatusCode, index};
use crate::time::{Instant, Now};

/// XiVO's limits for a binding in a high-availability pair.
const EXPIRES: std::ops::RangeInclusive<u64> = 60..=300;

/// `TIMEOUT(absolute)` of the test numbers: a probe that never hangs up does not hold a channel for ever.
const LONGEST_CALL: Duration = Duration::from_secs(30);

/// How long the early announcement sounds before the release.
const ANNOUNCEMENT: Duration = Duration::from_millis(1500);

#[derive(Debug)]
pub(super) struct Pbx {
    /// Which PBX this is, in its signature.
    digit: char,
    bindings: BTreeMap<String, Binding>,
    guards: BTreeMap<String, Guard>,
    calls: BTreeMap<u64, Call>,
    next: u64,
    nonces: u64,
}

#[derive(Debug)]
struct Binding {
    contact: SocketAddr,
    until: Instant,
}

#[derive(Debug)]
struct Call {
    key: Key,
    voice: MediaId,
    part: Part,
    /// When the PBX ends it by itself.
    until: Instant,
}

/// What a call is, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Echo,
    Early,
    /// Waits for an agent at this extension, then talks to the call of that number.
    Queue {
        extension: &'static str,
        agent: Option<u64>,
    },
    /// The leg to an agent's phone, for the caller of that number.
    Agent {
        caller: u64,
    },
}

impl Part {
    fn of(number: &str) -> Option<Self> {
        match number {
            "0199001199" | "*43" => Some(Self::Echo),
            "0199001198" => Some(Self::queue("4099")),
            "0199001190" => Some(Self::queue("4001")),
            "0199001197" => Some(Self::Early),
            _ => None,
        }
    }

    const fn queue(extension: &'static str) -> Self {
        Self::Queue {
            extension,
            agent: None,
        }
    }
}

impl Pbx {
    pub(super) const fn new(digit: char) -> Self {
        Self {
            digit,
            bindings: BTreeMap::new(),
            guards: BTreeMap::new(),
            calls: BTreeMap::new(),
            next: 0,
            nonces: 0,
        }
    }

    pub(super) fn crash(&mut self) {
        self.bindings.clear();
        self.guards.clear();
        self.calls.clear();
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.calls.values().map(|call| call.until).min()
    }

    pub(super) fn wake(&mut self, now: Now, own: &mut UserAgent) {
        let due: Vec<u64> = self
            .calls
            .iter()
            .filter(|(_, call)| call.until <= now.instant)
            .map(|(number, _)| *number)
            .collect();
        for number in due {
            let Some(call) = self.calls.get(&number) else {
                continue;
            };
            if call.part == Part::Early {
                own.refuse(now, call.key, 480, 31);
            } else {
                own.endpoint.hang_up(now, call.key);
            }
            self.over(now, number, own);
        }
    }

    pub(super) fn happened(&mut self, now: Now, event: Event, own: &mut UserAgent) {
        let Event {
            key,
            user,
            happened,
        } = event;
        match happened {
            Happened::Incoming { message, .. } => self.incoming(now, key, &message, own),
            Happened::Request { message, from, .. } => self.request(now, key, &message, from, own),
            Happened::Answered { sdp, .. } => {
                let sdp = sdp.unwrap_or_default();
                self.agent_answered(now, key, user, &sdp, own);
            }
            Happened::EndedByPeer { .. }
            | Happened::Ended
            | Happened::SessionExpired
            | Happened::Refused(_)
            | Happened::TimedOut { .. }
            | Happened::FlowFailed { .. } => {
                if self.calls.get(&user).is_some_and(|call| call.key == key) {
                    self.over(now, user, own);
                }
            }
            Happened::Provisional { .. }
            | Happened::Confirmed { .. }
            | Happened::Offer { .. }
            | Happened::OfferAnswered { .. }
            | Happened::Registered { .. }
            | Happened::Unregistered { .. }
            | Happened::Replied { .. }
            | Happened::Misbehaved { .. }
            | Happened::Trace(_) => {}
        }
    }

    fn incoming(&mut self, now: Now, key: Key, message: &[u8], own: &mut UserAgent) {
        let Ok(invite) = index(message) else {
            return;
        };
        if own.rejects {
            return own.refuse(now, key, 503, 34);
        }
        let Some(part) = called_number(&invite).and_then(|number| Part::of(&number)) else {
            return own.refuse(now, key, 404, 1);
        };
        let Some(voice) = own.voices.open(invite.body()) else {
            return own.refuse(now, key, 488, 88);
        };
        let number = self.next;
        self.next += 1;
        own.endpoint.adopt(key, number, false);
        let lasts = if part == Part::Early {
            ANNOUNCEMENT
        } else {
            LONGEST_CALL
        };
        self.calls.insert(
            number,
            Call {
                key,
                voice,
                part,
                until: now.instant + lasts,
            },
        );
    }

    /// The port is there: the call can be answered, or the agent called.
    pub(super) fn voice_opened(&mut self, now: Now, media: MediaId, own: &mut UserAgent) {
        let Some((number, call)) = self.calls.iter().find(|(_, call)| call.voice == media) else {
            return;
        };
        let (number, key, part) = (*number, call.key, call.part.clone());
        let sdp = own.voices.description(media);
        match part {
            Part::Early => {
                let progress = Response::new(StatusCode::SESSION_PROGRESS).with_sdp(sdp);
                own.endpoint.ring(now, key, progress);
                own.voices.play(now, media, Programme::Hum);
            }
            Part::Echo => {
                let answer = Response::new(StatusCode::OK).with_sdp(sdp);
                own.endpoint.answer(now, key, answer);
                own.voices.sign(now, media, &format!("*{}#", self.digit));
                own.voices.play(now, media, Programme::Echo);
            }
            Part::Queue { extension, .. } => {
                let answer = Response::new(StatusCode::OK).with_sdp(sdp);
                own.endpoint.answer(now, key, answer);
                own.voices.sign(now, media, &format!("*{}#", self.digit));
                self.call_agent(number, extension, own);
            }
            Part::Agent { .. } => self.invite_agent(now, number, sdp, own),
        }
    }

    /// Opens the leg to the phone that is bound to `extension`, if there is one.
    fn call_agent(&mut self, caller: u64, extension: &'static str, own: &mut UserAgent) {
        if !self.bindings.contains_key(extension) {
            return;
        }
        let agent = self.next;
        self.next += 1;
        let Some(call) = self.calls.get_mut(&caller) else {
            return;
        };
        call.part = Part::Queue {
            extension,
            agent: Some(agent),
        };
        let leg = Call {
            // Until the INVITE leaves, the leg is known by its voice alone.
            key: call.key,
            voice: own.voices.open_towards_nobody(),
            part: Part::Agent { caller },
            until: call.until,
        };
        self.calls.insert(agent, leg);
    }

    fn invite_agent(&mut self, now: Now, number: u64, sdp: String, own: &mut UserAgent) {
        let Some(flow) = own.flow else {
            return;
        };
        let Some(Part::Agent { caller }) = self.calls.get(&number).map(|call| call.part.clone())
        else {
            return;
        };
        let Some(Part::Queue { extension, .. }) =
            self.calls.get(&caller).map(|call| call.part.clone())
        else {
            return;
        };
        let Some(binding) = self.bindings.get(extension) else {
            return;
        };
        let to = Uri::read(&format!("sip:{extension}@{}", binding.contact));
        let from = Uri::read(&format!("sip:file@{}", own.ip));
        let (Ok(to), Ok(from)) = (to, from) else {
            return;
        };
        let key = own.endpoint.invite(
            now,
            Invite {
                hop: Hop {
                    flow,
                    peer: binding.contact,
                },
                to,
                from,
                offer: Some(Arc::from(sdp.into_bytes())),
                account: None,
                session_expires: None,
                ladder: false,
                user: number,
            },
        );
        if let Some(call) = self.calls.get_mut(&number) {
            call.key = key;
        }
    }

    /// Joins the caller and the agent.
    fn agent_answered(&self, now: Now, key: Key, number: u64, sdp: &[u8], own: &mut UserAgent) {
        let joined = self.calls.get(&number).and_then(|agent| match agent.part {
            Part::Agent { caller } => Some((agent.voice, self.calls.get(&caller)?.voice)),
            Part::Echo | Part::Early | Part::Queue { .. } => None,
        });
        let Some((agent, caller)) = joined else {
            return own.endpoint.hang_up(now, key);
        };
        own.voices.answered(agent, sdp);
        own.voices.play(now, agent, Programme::Relay(caller));
        own.voices.play(now, caller, Programme::Relay(agent));
    }

    /// A call is over, and with it the leg that belongs to it.
    fn over(&mut self, now: Now, number: u64, own: &mut UserAgent) {
        let Some(call) = self.calls.remove(&number) else {
            return;
        };
        own.voices.close(call.voice);
        let other = match call.part {
            Part::Queue { agent, .. } => agent,
            Part::Agent { caller } => Some(caller),
            Part::Echo | Part::Early => None,
        };
        if let Some(other) = other.and_then(|number| self.calls.remove(&number)) {
            own.voices.close(other.voice);
            if other.key != call.key {
                own.endpoint.hang_up(now, other.key);
            }
        }
    }

    fn request(
        &mut self,
        now: Now,
        key: Key,
        message: &[u8],
        from: SocketAddr,
        own: &mut UserAgent,
    ) {
        let response = match index(message) {
            Ok(request) if request.method() == Some(Method::Register) => {
                self.registration(now, &request, from)
            }
            Ok(_) | Err(_) => Response::new(StatusCode::OK),
        };
        own.endpoint.respond(now, key, response);
    }

    /// REGISTER (§10.3): challenge, then bind, within the limits of the PBX.
    fn registration(&mut self, now: Now, request: &Index<'_>, from: SocketAddr) -> Response {
        let text = |name| request.first(name).map(|header| header.text().into_owned());
        let aor = text(HeaderName::To)
            .and_then(|to| Address::read(&to).ok())
            .and_then(|to| to.uri.user().map(str::to_owned));
        let (Some(extension), Some(uri)) = (aor, request_uri(request)) else {
            return Response::new(StatusCode::BAD_REQUEST);
        };
        let credentials = text(HeaderName::Authorization)
            .and_then(|text| Credentials::read(&text).ok())
            .flatten();
        let account = Account::new(&extension, Secret::new(secret_of(&extension)));
        let signed = Signed {
            method: "REGISTER",
            uri: uri.as_str(),
            body: request.body(),
        };
        self.nonces += 1;
        let nonce = format!("{:x}-{:x}", now.instant.0, self.nonces);
        let guard = self
            .guards
            .entry(extension.clone())
            .or_insert_with(|| Guard::new(challenge(&nonce)));
        match guard.admit(credentials.as_ref(), &account, signed) {
            Admission::Granted => self.bind(now, request, extension, from),
            Admission::Challenge { stale } => {
                guard.renew(&nonce);
                let challenge = Challenge {
                    stale,
                    ..challenge(&nonce)
                };
                Response::new(StatusCode::UNAUTHORIZED)
                    .with(HeaderName::WwwAuthenticate, challenge.to_string())
            }
            Admission::Wrong => Response::new(StatusCode::FORBIDDEN),
        }
    }

    fn bind(
        &mut self,
        now: Now,
        request: &Index<'_>,
        extension: String,
        from: SocketAddr,
    ) -> Response {
        let text = |name| request.first(name).map(|header| header.text().into_owned());
        let contact = text(HeaderName::Contact).unwrap_or_default();
        let asked = Contacts::read(&contact)
            .ok()
            .and_then(|contacts| contacts.first()?.expires())
            .or_else(|| {
                text(HeaderName::Expires)?
                    .trim()
                    .parse()
                    .ok()
                    .map(Duration::from_secs)
            })
            .unwrap_or(Duration::from_secs(120));
        if asked.is_zero() {
            self.bindings.remove(&extension);
            return Response::new(StatusCode::OK);
        }
        let granted = asked.as_secs().clamp(*EXPIRES.start(), *EXPIRES.end());
        self.bindings.insert(
            extension,
            Binding {
                contact: from,
                until: now.instant + Duration::from_secs(granted),
            },
        );
        self.bindings
            .retain(|_, binding| binding.until > now.instant);
        let address = contact.split('>').next().unwrap_or_default();
        Response::new(StatusCode::OK)
            .with(HeaderName::Contact, format!("{address}>;expires={granted}"))
            .with(HeaderName::Expires, granted.to_string())
    }
}

/// As `chan_pjsip` of a XiVO challenges.
fn challenge(nonce: &str) -> Challenge {
    Challenge {
        realm: "xivo".into(),
        nonce: nonce.into(),
        opaque: None,
        algorithm: Some(Algorithm::Md5),
        qop: vec![Qop::Auth],
        stale: false,
    }
}
