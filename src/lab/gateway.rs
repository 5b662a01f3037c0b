//! The Patton: takes a call from the operator's side and hunts for a PBX that answers it.
//!
//! As the SmartNode of the plant is set up: XIVO 1 first, XIVO 2 when XIVO 1 gives no sign for three
//! seconds or refuses for want of resources; every other refusal goes back to the caller. The session
//! description passes through, so that sound flows straight between the ends.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::ua::{UserAgent, called_number};
use crate::sip::endpoint::{Event, Happened, Hop, Invite, Key, Refusal, Response};
use crate::sip::header::Uri;
use crate::sip::wire::{StatusCode, index};
use crate::time::{Instant, Now};

/// `timeout 3` of the hunt group: no sign of life for so long, and the next PBX is tried.
const HUNT_TIMEOUT: Duration = Duration::from_secs(3);

/// Refusals on which a SmartNode hunts on: no circuit, out of order, temporary failure, congestion.
const HUNTED_ON: [u16; 3] = [500, 502, 503];

#[derive(Debug)]
pub(super) struct Gateway {
    hunts: [SocketAddr; 2],
    /// By the even number that both legs of a call share.
    calls: BTreeMap<u64, Bridge>,
    next: u64,
}

/// One call with its two legs.
#[derive(Debug)]
struct Bridge {
    caller: Key,
    callee: Option<Key>,
    /// Which PBX comes next.
    hunted: usize,
    /// When the PBX that is being tried has had its time; `None` once it gave a sign.
    patience: Option<Instant>,
    answered: bool,
    number: String,
    offer: Arc<[u8]>,
}

impl Gateway {
    pub(super) const fn new(hunts: [SocketAddr; 2]) -> Self {
        Self {
            hunts,
            calls: BTreeMap::new(),
            next: 0,
        }
    }

    pub(super) fn crash(&mut self) {
        self.calls.clear();
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.calls.values().filter_map(|call| call.patience).min()
    }

    pub(super) fn wake(&mut self, now: Now, own: &mut UserAgent) {
        let due: Vec<u64> = self
            .calls
            .iter()
            .filter(|(_, call)| call.patience.is_some_and(|until| until <= now.instant))
            .map(|(number, _)| *number)
            .collect();
        for number in due {
            self.hunt_on(now, number, None, own);
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
            Happened::Request { .. } => {
                own.endpoint
                    .respond(now, key, Response::new(StatusCode::OK));
            }
            Happened::Provisional { status, sdp } => {
                if let Some(call) = self.callee(key, user)
                    && status != StatusCode::TRYING
                {
                    call.patience = None;
                    let mut ringing = Response::new(status);
                    if let Some(sdp) = sdp {
                        ringing = ringing.with_sdp(sdp.into_vec());
                    }
                    own.endpoint.ring(now, call.caller, ringing);
                }
            }
            Happened::Answered { sdp, .. } => {
                if let Some(call) = self.callee(key, user) {
                    call.patience = None;
                    call.answered = true;
                    let answer =
                        Response::new(StatusCode::OK).with_sdp(sdp.unwrap_or_default().into_vec());
                    own.endpoint.answer(now, call.caller, answer);
                } else {
                    own.endpoint.hang_up(now, key);
                }
            }
            Happened::Refused(refusal) => self.refused(now, key, user, &refusal, own),
            Happened::TimedOut { .. } | Happened::FlowFailed { .. } => {
                if self.callee(key, user).is_some() {
                    self.hunt_on(now, user & !1, None, own);
                } else {
                    self.ended(now, key, user, own);
                }
            }
            Happened::EndedByPeer { .. } | Happened::Ended | Happened::SessionExpired => {
                self.ended(now, key, user, own);
            }
            Happened::Confirmed { .. }
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
        let Some(number) = called_number(&invite) else {
            return own.refuse(now, key, 484, 28);
        };
        if own.rejects {
            return own.refuse(now, key, 503, 34);
        }
        let call = self.next;
        self.next += 2;
        own.endpoint.adopt(key, call, false);
        self.calls.insert(
            call,
            Bridge {
                caller: key,
                callee: None,
                hunted: 0,
                patience: None,
                answered: false,
                number,
                offer: Arc::from(invite.body()),
            },
        );
        self.hunt_on(now, call, None, own);
    }

    /// Leaves the PBX that was tried and tries the next, or tells the caller that none is left.
    fn hunt_on(&mut self, now: Now, number: u64, refusal: Option<&Refusal>, own: &mut UserAgent) {
        let Some(call) = self.calls.get_mut(&number) else {
            return;
        };
        if let Some(tried) = call.callee.take()
            && refusal.is_none()
        {
            own.endpoint.hang_up(now, tried);
        }
        let (Some(pbx), Some(flow)) = (self.hunts.get(call.hunted), own.flow) else {
            let caller = call.caller;
            self.calls.remove(&number);
            return own.refuse(now, caller, 503, 34);
        };
        call.hunted += 1;
        call.patience = Some(now.instant + HUNT_TIMEOUT);
        let to = Uri::read(&format!("sip:{}@{pbx}", call.number));
        let from = Uri::read(&format!("sip:operateur@{}", own.ip));
        let (Ok(to), Ok(from)) = (to, from) else {
            let caller = call.caller;
            self.calls.remove(&number);
            return own.refuse(now, caller, 484, 28);
        };
        let invite = Invite {
            hop: Hop { flow, peer: *pbx },
            to,
            from,
            offer: Some(Arc::clone(&call.offer)),
            account: None,
            session_expires: None,
            ladder: false,
            user: number + 1,
        };
        call.callee = Some(own.endpoint.invite(now, invite));
    }

    fn refused(&mut self, now: Now, key: Key, user: u64, refusal: &Refusal, own: &mut UserAgent) {
        if self.callee(key, user).is_none() {
            return;
        }
        let number = user & !1;
        if HUNTED_ON.contains(&refusal.status.code()) {
            return self.hunt_on(now, number, Some(refusal), own);
        }
        if let Some(call) = self.calls.remove(&number) {
            let cause = refusal.cause.unwrap_or(31);
            own.refuse(now, call.caller, refusal.status.code(), cause);
        }
    }

    /// One leg is over: so is the other.
    fn ended(&mut self, now: Now, key: Key, user: u64, own: &mut UserAgent) {
        let number = user & !1;
        let Some(call) = self.calls.get(&number) else {
            return;
        };
        if key != call.caller && Some(key) != call.callee {
            return;
        }
        let call = self.calls.remove(&number).expect("it was just seen");
        if key == call.caller {
            if let Some(callee) = call.callee {
                own.endpoint.hang_up(now, callee);
            }
        } else if call.answered {
            own.endpoint.hang_up(now, call.caller);
        } else {
            own.refuse(now, call.caller, 480, 31);
        }
    }

    /// The call whose present callee is `key`.
    fn callee(&mut self, key: Key, user: u64) -> Option<&mut Bridge> {
        self.calls
            .get_mut(&(user & !1))
            .filter(|call| call.callee == Some(key))
    }
}
