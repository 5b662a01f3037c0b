//! A desk phone that registers to both PBXs, answers at once and hums 440 Hz, as the watchdog's own agent
//! does in the plant: whoever hears the hum knows that a queue found somebody.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::secret_of;
use super::ua::UserAgent;
use super::voice::Programme;
use crate::calls::MediaId;
use crate::secret::Secret;
use crate::sip::digest::Account;
use crate::sip::endpoint::{Event, Happened, Hop, Key, Register, Response};
use crate::sip::header::Uri;
use crate::sip::wire::{StatusCode, index};
use crate::time::{Instant, Now};

/// A restarted PBX knows no phone until it registers again; the field's 60 s would make a demo wait.
const REGISTER_EVERY: Duration = Duration::from_secs(20);

/// First number of calls; the registrations have 0 and 1.
const FIRST_CALL: u64 = 2;

#[derive(Debug)]
pub(super) struct Phone {
    extension: String,
    registrars: [SocketAddr; 2],
    next_registration: Option<Instant>,
    calls: BTreeMap<u64, Call>,
    next: u64,
}

#[derive(Debug)]
struct Call {
    key: Key,
    voice: MediaId,
}

impl Phone {
    pub(super) fn new(extension: &str, registrars: [SocketAddr; 2]) -> Self {
        Self {
            extension: extension.into(),
            registrars,
            next_registration: None,
            calls: BTreeMap::new(),
            next: FIRST_CALL,
        }
    }

    pub(super) fn crash(&mut self) {
        self.calls.clear();
    }

    pub(super) const fn deadline(&self) -> Option<Instant> {
        self.next_registration
    }

    pub(super) fn wake(&mut self, now: Now, own: &mut UserAgent) {
        if self.next_registration.is_some_and(|due| due <= now.instant) {
            self.register_all(now, own);
        }
    }

    /// Registers to each PBX; a dead one costs nothing but a time-out.
    pub(super) fn register_all(&mut self, now: Now, own: &mut UserAgent) {
        self.next_registration = Some(now.instant + REGISTER_EVERY);
        let Some(flow) = own.flow else {
            return;
        };
        for (user, registrar) in (0_u64..).zip(self.registrars) {
            let Ok(aor) = Uri::read(&format!("sip:{}@{registrar}", self.extension)) else {
                continue;
            };
            let secret = Secret::new(secret_of(&self.extension));
            own.endpoint.register(
                now,
                Register {
                    hop: Hop {
                        flow,
                        peer: registrar,
                    },
                    aor,
                    account: Some(Arc::new(Account::new(&self.extension, secret))),
                    expires: REGISTER_EVERY * 3,
                    ladder: false,
                    user,
                },
            );
        }
    }

    pub(super) fn voice_opened(&self, now: Now, media: MediaId, own: &mut UserAgent) {
        let Some(call) = self.calls.values().find(|call| call.voice == media) else {
            return;
        };
        let sdp = own.voices.description(media);
        let answer = Response::new(StatusCode::OK).with_sdp(sdp);
        own.endpoint.answer(now, call.key, answer);
        own.voices.play(now, media, Programme::Hum);
    }

    pub(super) fn happened(&mut self, now: Now, event: Event, own: &mut UserAgent) {
        match event.happened {
            // The binding stays until it expires; the next round makes a registration of its own.
            Happened::Registered { .. } => own.endpoint.forget(event.key),
            Happened::Incoming { message, .. } => {
                let offer = index(&message).ok().map(|invite| invite.body().to_vec());
                let Some(voice) = offer.and_then(|offer| own.voices.open(&offer)) else {
                    return own.refuse(now, event.key, 488, 88);
                };
                own.endpoint.adopt(event.key, self.next, false);
                self.calls.insert(
                    self.next,
                    Call {
                        key: event.key,
                        voice,
                    },
                );
                self.next += 1;
            }
            Happened::Request { .. } => {
                own.endpoint
                    .respond(now, event.key, Response::new(StatusCode::OK));
            }
            Happened::EndedByPeer { .. }
            | Happened::Ended
            | Happened::SessionExpired
            | Happened::TimedOut { .. }
            | Happened::FlowFailed { .. } => {
                if let Some(call) = self.calls.remove(&event.user) {
                    own.voices.close(call.voice);
                }
            }
            Happened::Provisional { .. }
            | Happened::Answered { .. }
            | Happened::Refused(_)
            | Happened::Confirmed { .. }
            | Happened::Offer { .. }
            | Happened::OfferAnswered { .. }
            | Happened::Unregistered { .. }
            | Happened::Replied { .. }
            | Happened::Misbehaved { .. }
            | Happened::Trace(_) => {}
        }
    }
}
