//! One SIP identity over many flows: datagram → transaction → dialog → event, and commands the other way.
//!
//! It opens no flow and knows no media: `calls` and `lab` own it, hand in whole messages and the SDP, and
//! send what comes out. After each `handle` or command call `poll_output` until `None`, then come back at
//! `deadline` with `Input::Wake`.
//!
//! A call of ours is found by the slab index in the tag and branch that we chose, so an answer costs no
//! map; a map exists for the first requests of others only.

mod asked;
mod receive;
mod slots;

pub use super::agent::Key;
pub use super::agent::command::{Hop, Invite, Options, Register, Response};
pub use super::agent::core::Settings;
pub use super::agent::event::{
    Detail, Direction, Event, Happened, OfferMethod, Output, Refusal, Trace,
};

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use self::asked::Asked;
use self::slots::Slots;
use super::agent::core::Core;
use super::call::{Call, Remains};
use super::options::Asking;
use super::register::Registration;
use super::transaction::key::ServerKey;
use super::transaction::timer::GIVE_UP;
use super::{FlowId, Transport};
use crate::time::{Instant, Now};
use crate::wheel::Wheel;

/// Slots of ended calls are freed in batches of this length, so that a load test does not wake for each.
const FREE_EVERY: Duration = Duration::from_millis(100);

/// What the layer below reports.
#[derive(Debug)]
pub enum Input<'a> {
    /// A flow can be used; give it before a command or message names it.
    FlowOpened {
        flow: FlowId,
        transport: Transport,
        /// Stands in Via and Contact, so never unspecified.
        local: SocketAddr,
        /// The only peer of a connection (or a connected socket); `None` if it can send anywhere.
        peer: Option<SocketAddr>,
    },
    /// The flow broke or was closed; with `peer` only for that one (ICMP refusal on a shared socket).
    FlowFailed {
        flow: FlowId,
        peer: Option<SocketAddr>,
        words: &'a str,
    },
    /// One whole message.
    Message {
        flow: FlowId,
        from: SocketAddr,
        /// When the kernel received it; `now` decides, this one is shown.
        stamp: Instant,
        bytes: &'a [u8],
    },
    /// The deadline has come.
    Wake,
}

/// The machine.
#[derive(Debug)]
pub struct Endpoint {
    core: Core,
    slots: Slots<Occupant>,
    wheel: Wheel<Key>,
    /// First requests of others, by the name of their transaction.
    server_keys: HashMap<ServerKey, Key>,
    /// Ended calls in the order in which their slots are freed: the delay is the same for all.
    ended: VecDeque<(Instant, Key)>,
}

/// What a slot holds.
#[derive(Debug)]
enum Occupant {
    Call(Box<Call>),
    Registration(Box<Registration>),
    Asking(Box<Asking>),
    Asked(Box<Asked>),
    Remains(Remains),
}

impl Endpoint {
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            core: Core::new(settings),
            slots: Slots::new(),
            wheel: Wheel::new(),
            server_keys: HashMap::new(),
            ended: VecDeque::new(),
        }
    }

    /// Something happened.
    pub fn handle(&mut self, now: Now, input: Input<'_>) {
        let now = now.instant;
        match input {
            Input::FlowOpened {
                flow,
                transport,
                local,
                peer,
            } => self.core.open(flow, transport, local, peer),
            Input::FlowFailed { flow, peer, words } => self.flow_failed(now, flow, peer, words),
            Input::Message {
                flow,
                from,
                stamp,
                bytes,
            } => self.receive(now, stamp, Hop { flow, peer: from }, bytes),
            Input::Wake => {}
        }
        self.wake(now);
    }

    /// What to send or to know; call until `None`.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.core.outputs.pop_front()
    }

    /// When to come back with `Input::Wake`.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let free = self.ended.front().map(|(at, _)| *at + FREE_EVERY);
        self.wheel.deadline().into_iter().chain(free).min()
    }

    /// A buffer that was sent, to be used again.
    pub fn recycle(&mut self, buffer: Vec<u8>) {
        self.core.recycle(buffer);
    }

    /// Places a call. Ends with exactly one final event.
    pub fn invite(&mut self, now: Now, invite: Invite) -> Key {
        let key = self.slots.reserve();
        let call = Call::place(&mut self.core, now.instant, key, invite);
        self.settle(now.instant, key, Occupant::Call(Box::new(call)));
        key
    }

    /// Ends a call from any state: CANCEL before the answer, BYE after it. A final event follows, at the
    /// latest 64 s on.
    pub fn hang_up(&mut self, now: Now, key: Key) {
        self.with_call(now, key, |call, core| call.hang_up(core, now.instant));
    }

    /// Registers once; `Registered` or a final event follows.
    pub fn register(&mut self, now: Now, register: Register) -> Key {
        let key = self.slots.reserve();
        let registration = Registration::start(&mut self.core, now.instant, key, register);
        let occupant = Occupant::Registration(Box::new(registration));
        self.settle(now.instant, key, occupant);
        key
    }

    /// Binds again before the binding ends; `Registered` or a final event follows.
    pub fn refresh(&mut self, now: Now, key: Key) {
        self.with_registration(now, key, |registration, core| {
            registration.refresh(core, now.instant);
        });
    }

    /// Removes the binding (also while `register` is under way); a final event follows.
    pub fn unregister(&mut self, now: Now, key: Key) {
        self.with_registration(now, key, |registration, core| {
            registration.remove(core, now.instant);
        });
    }

    /// Sends OPTIONS; one final event follows.
    pub fn options(&mut self, now: Now, options: Options) -> Key {
        let key = self.slots.reserve();
        let asking = Asking::start(&mut self.core, now.instant, key, options);
        self.settle(now.instant, key, Occupant::Asking(Box::new(asking)));
        key
    }

    /// Drops a registration or OPTIONS without another word; no event follows.
    pub fn forget(&mut self, key: Key) {
        match self.slots.take(key) {
            Some(Occupant::Registration(_) | Occupant::Asking(_)) => self.slots.release(key),
            Some(other @ (Occupant::Call(_) | Occupant::Asked(_) | Occupant::Remains(_))) => {
                self.slots.put(key, other);
            }
            None => {}
        }
    }

    /// Gives a call or request that came from outside its owner's number.
    pub fn adopt(&mut self, key: Key, user: u64, ladder: bool) {
        let Some(mut occupant) = self.slots.take(key) else {
            return;
        };
        match &mut occupant {
            Occupant::Call(call) => call.party.adopt(user, ladder),
            Occupant::Asked(asked) => asked.party.adopt(user, ladder),
            Occupant::Registration(_) | Occupant::Asking(_) | Occupant::Remains(_) => {}
        }
        self.slots.put(key, occupant);
    }

    /// A provisional response (101 to 199) to an `Incoming` call, with SDP for early media. Sent reliably
    /// if the caller requires it (RFC 3262), or if it supports it and the response has `Require: 100rel`.
    pub fn ring(&mut self, now: Now, key: Key, response: Response) {
        self.with_call(now, key, |call, core| {
            call.ring(core, now.instant, response);
        });
    }

    /// Answers an `Incoming` call with 200 and SDP; `Confirmed` follows when the ACK came.
    pub fn answer(&mut self, now: Now, key: Key, response: Response) {
        self.with_call(now, key, |call, core| {
            call.answer(core, now.instant, response);
        });
    }

    /// Refuses an `Incoming` call (300 to 699). No event follows.
    pub fn reject(&mut self, now: Now, key: Key, response: &Response) {
        self.with_call(now, key, |call, core| {
            call.reject(core, now.instant, response);
        });
    }

    /// Answers an `Offer` with our SDP; also gives the answer when the far end's 2xx held the offer.
    pub fn accept_offer(&mut self, now: Now, key: Key, sdp: &[u8]) {
        self.with_call(now, key, |call, core| {
            call.accept_offer(core, now.instant, sdp);
        });
    }

    /// Refuses an `Offer` (488); the session goes on as it was.
    pub fn refuse_offer(&mut self, now: Now, key: Key, response: &Response) {
        self.with_call(now, key, |call, core| {
            call.refuse_offer(core, now.instant, response);
        });
    }

    /// Changes the session of an answered call by re-INVITE. `OfferAnswered` follows.
    pub fn reinvite(&mut self, now: Now, key: Key, sdp: &[u8]) {
        self.with_call(now, key, |call, core| call.change(core, now.instant, sdp));
    }

    /// Answers a `Request`. No event follows.
    pub fn respond(&mut self, now: Now, key: Key, response: Response) {
        let Some(occupant) = self.slots.take(key) else {
            return;
        };
        match occupant {
            Occupant::Asked(mut asked) => {
                asked.respond(&mut self.core, now.instant, response);
                self.settle(now.instant, key, Occupant::Asked(asked));
            }
            other @ (Occupant::Call(_)
            | Occupant::Registration(_)
            | Occupant::Asking(_)
            | Occupant::Remains(_)) => self.slots.put(key, other),
        }
    }

    /// How many calls, registrations and requests have not come to their end.
    #[must_use]
    pub fn live(&self) -> usize {
        self.slots.len() - self.ended.len()
    }

    fn with_call(&mut self, now: Now, key: Key, act: impl FnOnce(&mut Call, &mut Core)) {
        match self.slots.take(key) {
            Some(Occupant::Call(mut call)) => {
                act(&mut call, &mut self.core);
                self.settle(now.instant, key, Occupant::Call(call));
            }
            Some(other) => self.slots.put(key, other),
            None => {}
        }
    }

    fn with_registration(
        &mut self,
        now: Now,
        key: Key,
        act: impl FnOnce(&mut Registration, &mut Core),
    ) {
        match self.slots.take(key) {
            Some(Occupant::Registration(mut registration)) => {
                act(&mut registration, &mut self.core);
                self.settle(now.instant, key, Occupant::Registration(registration));
            }
            Some(other) => self.slots.put(key, other),
            None => {}
        }
    }

    /// Puts an occupant back after something happened to it: armed for its next timer, as remains if it is
    /// a call that ended, not at all if nothing can come for it any more.
    fn settle(&mut self, now: Instant, key: Key, occupant: Occupant) {
        let (occupant, deadline) = match occupant {
            Occupant::Call(call) if call.is_finished() => {
                let remains = call.remains(&mut self.core);
                self.ended.push_back((now + GIVE_UP, key));
                (Occupant::Remains(remains), None)
            }
            Occupant::Call(call) => {
                let deadline = call.deadline();
                (Occupant::Call(call), deadline)
            }
            Occupant::Registration(registration) => {
                if registration.is_over() {
                    self.slots.release(key);
                    return;
                }
                let deadline = registration.deadline();
                (Occupant::Registration(registration), deadline)
            }
            Occupant::Asking(asking) => {
                if asking.is_over() {
                    self.slots.release(key);
                    return;
                }
                let deadline = asking.deadline();
                (Occupant::Asking(asking), deadline)
            }
            Occupant::Asked(asked) => {
                if asked.is_over() {
                    self.server_keys.remove(&asked.server_key);
                    self.slots.release(key);
                    return;
                }
                let deadline = asked.deadline();
                (Occupant::Asked(asked), deadline)
            }
            Occupant::Remains(remains) => (Occupant::Remains(remains), None),
        };
        self.slots.put(key, occupant);
        if let Some(at) = deadline
            && self.slots.arm(key, at)
        {
            self.wheel.insert(at, key);
        }
    }

    /// Runs the timers that are due, and frees slots that no straggler can need any more.
    fn wake(&mut self, now: Instant) {
        while let Some((at, key)) = self.wheel.pop(now) {
            if self.slots.disarm(key, at) {
                self.wake_slot(now, key);
            }
        }
        while let Some((at, key)) = self.ended.front().copied() {
            if at > now {
                break;
            }
            self.ended.pop_front();
            if let Some(Occupant::Remains(Remains {
                server_key: Some(server_key),
                ..
            })) = self.slots.take(key)
            {
                self.server_keys.remove(&server_key);
            }
            self.slots.release(key);
        }
    }

    fn wake_slot(&mut self, now: Instant, key: Key) {
        let Some(mut occupant) = self.slots.take(key) else {
            return;
        };
        match &mut occupant {
            Occupant::Call(call) => call.wake(&mut self.core, now),
            Occupant::Registration(registration) => registration.wake(&mut self.core, now),
            Occupant::Asking(asking) => asking.wake(&mut self.core, now),
            Occupant::Asked(asked) => asked.wake(&mut self.core, now),
            Occupant::Remains(_) => {}
        }
        self.settle(now, key, occupant);
    }

    fn flow_failed(&mut self, now: Instant, flow: FlowId, peer: Option<SocketAddr>, words: &str) {
        for key in self.slots.keys() {
            let Some(mut occupant) = self.slots.take(key) else {
                continue;
            };
            let hop = match &occupant {
                Occupant::Call(call) => call.party.hop,
                Occupant::Registration(registration) => registration.party.hop,
                Occupant::Asking(asking) => asking.party.hop,
                Occupant::Asked(asked) => asked.party.hop,
                Occupant::Remains(remains) => remains.hop,
            };
            if hop.flow != flow || peer.is_some_and(|peer| peer != hop.peer) {
                self.slots.put(key, occupant);
                continue;
            }
            match &mut occupant {
                Occupant::Call(call) => call.on_flow_failed(&mut self.core, words),
                Occupant::Registration(registration) => {
                    registration.on_flow_failed(&mut self.core, words);
                }
                Occupant::Asking(asking) => asking.on_flow_failed(&mut self.core, words),
                Occupant::Asked(asked) => asked.on_flow_failed(),
                Occupant::Remains(_) => {}
            }
            self.settle(now, key, occupant);
        }
        if peer.is_none() {
            self.core.close(flow);
        }
    }
}
