//! One SIP identity over many flows: datagram → transaction → dialog → event, and commands the other way.
//!
//! It opens no flow and knows no media: `calls` and `lab` own it, hand in whole messages and the SDP, and
//! send what comes out. After each `handle` or command call `poll_output` until `None`, then come back at
//! `deadline` with `Input::Wake`.
//!
//! A call of ours is found by the slab index in the tag and branch that we chose, so an answer costs no
//! map; a map exists for the first requests of others only.

mod command;
mod event;

pub use command::{Hop, Invite, Options, Register, Response};
pub use event::{Direction, Event, Happened, OfferMethod, Refusal, Trace};

use std::collections::VecDeque;
use std::net::SocketAddr;

use super::{FlowId, Transport};
use crate::time::{Instant, Now};

/// Names one call, registration or request of an endpoint, ours or theirs; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    index: u32,
    generation: u32,
}

/// Who we are.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `User-Agent` of requests and `Server` of responses.
    pub user_agent: String,
    /// Keeps two runs of the process apart in branches, tags, Call-IDs and cnonces: random at start, fixed
    /// in tests.
    pub seed: u64,
}

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

/// What the owner must do or know.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    Send {
        flow: FlowId,
        to: SocketAddr,
        /// Give the buffer back with [`Endpoint::recycle`] when it was sent, to save an allocation.
        message: Vec<u8>,
    },
    Event(Event),
}

/// The machine.
#[derive(Debug)]
pub struct Endpoint {
    settings: Settings,
    outputs: VecDeque<Output>,
}

impl Endpoint {
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            outputs: VecDeque::new(),
        }
    }

    /// Something happened.
    pub fn handle(&mut self, _now: Now, _input: Input<'_>) {}

    /// What to send or to know; call until `None`.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to come back with `Input::Wake`.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        None
    }

    /// A buffer that was sent, to be used again.
    pub fn recycle(&mut self, _buffer: Vec<u8>) {}

    /// Places a call. Ends with exactly one final event.
    pub fn invite(&mut self, _now: Now, _invite: Invite) -> Key {
        self.placeholder()
    }

    /// Ends a call from any state: CANCEL before the answer, BYE after it. A final event follows, at the
    /// latest 64 s on.
    pub fn hang_up(&mut self, _now: Now, _key: Key) {}

    /// Registers once; `Registered` or a final event follows.
    pub fn register(&mut self, _now: Now, _register: Register) -> Key {
        self.placeholder()
    }

    /// Binds again before the binding ends; `Registered` or a final event follows.
    pub fn refresh(&mut self, _now: Now, _key: Key) {}

    /// Removes the binding (also while `register` is under way); a final event follows.
    pub fn unregister(&mut self, _now: Now, _key: Key) {}

    /// Sends OPTIONS; one final event follows.
    pub fn options(&mut self, _now: Now, _options: Options) -> Key {
        self.placeholder()
    }

    /// Drops a registration or OPTIONS without another word; no event follows.
    pub fn forget(&mut self, _key: Key) {}

    /// Gives a call or request that came from outside its owner's number.
    pub fn adopt(&mut self, _key: Key, _user: u64, _ladder: bool) {}

    /// A provisional response (101 to 199) to an `Incoming` call, with SDP for early media. Sent reliably
    /// if the caller requires it (RFC 3262).
    pub fn ring(&mut self, _now: Now, _key: Key, _response: Response) {}

    /// Answers an `Incoming` call with 200 and SDP; `Confirmed` follows when the ACK came.
    pub fn answer(&mut self, _now: Now, _key: Key, _response: Response) {}

    /// Refuses an `Incoming` call (300 to 699). No event follows.
    pub fn reject(&mut self, _now: Now, _key: Key, _response: Response) {}

    /// Answers an `Offer` with our SDP; also gives the answer when the far end's 2xx held the offer.
    pub fn accept_offer(&mut self, _now: Now, _key: Key, _sdp: &[u8]) {}

    /// Refuses an `Offer` (488); the session goes on as it was.
    pub fn refuse_offer(&mut self, _now: Now, _key: Key, _response: Response) {}

    /// Changes the session of an answered call by re-INVITE. `OfferAnswered` follows.
    pub fn reinvite(&mut self, _now: Now, _key: Key, _sdp: &[u8]) {}

    /// Answers a `Request`. No event follows.
    pub fn respond(&mut self, _now: Now, _key: Key, _response: Response) {}

    /// How many calls, registrations and requests have not had their final event.
    #[must_use]
    pub fn live(&self) -> usize {
        0
    }

    fn placeholder(&self) -> Key {
        let _ = &self.settings;
        Key {
            index: 0,
            generation: 0,
        }
    }
}
