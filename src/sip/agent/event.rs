//! What an endpoint tells its owner.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::Duration;

use super::Key;
use crate::sip::FlowId;
use crate::sip::wire::StatusCode;
use crate::time::Instant;

/// What the owner must do or know.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    Send {
        flow: FlowId,
        to: SocketAddr,
        /// Give the buffer back with `Endpoint::recycle` when it was sent, to save an allocation.
        message: Vec<u8>,
    },
    Event(Event),
}

/// Something happened to a call, a registration or a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub key: Key,
    /// The number given with the command; 0 for what came from outside and was not `adopt`ed yet.
    pub user: u64,
    pub happened: Happened,
}

/// What happened. Exactly one of the *final* ones ends each key; it names nothing afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happened {
    /// A response of the far end to our INVITE, 100 to 199; with SDP it may be early media.
    Provisional {
        status: StatusCode,
        sdp: Option<Box<[u8]>>,
    },
    /// A 2xx to our INVITE, first leg. `sdp` is the answer, or the offer if we made none (then `accept_offer`).
    Answered {
        sdp: Option<Box<[u8]>>,
        /// Server or User-Agent; read only with `ladder`.
        server: Option<Box<str>>,
    },
    /// Our own ringing call was answered by us and the far end acknowledged it.
    Confirmed { sdp: Option<Box<[u8]>> },
    /// The far end changes the session (re-INVITE or UPDATE). Answer with `accept_offer` or `refuse_offer`;
    /// if nobody does within 200 ms, the last SDP of ours is repeated.
    Offer {
        method: OfferMethod,
        /// `None`: a re-INVITE that asks for our offer; its answer comes as `Confirmed`.
        sdp: Option<Box<[u8]>>,
    },
    /// Our `reinvite` was answered: with SDP if it was accepted, else the session goes on as it was.
    OfferAnswered {
        status: StatusCode,
        sdp: Option<Box<[u8]>>,
    },
    /// Somebody calls. `ring`, `answer` or `reject` it. `message` is the INVITE as it came.
    Incoming {
        flow: FlowId,
        from: SocketAddr,
        message: Vec<u8>,
    },
    /// A request outside of calls (OPTIONS, REGISTER, MESSAGE…) to `respond` to. Unanswered ones are let go.
    Request {
        flow: FlowId,
        from: SocketAddr,
        message: Vec<u8>,
    },
    /// The registrar bound us for so long.
    Registered { granted: Duration },
    /// Final. The binding is gone (or its removal was refused or not answered: then `status` says so).
    Unregistered { status: Option<StatusCode> },
    /// Final. The answer to OPTIONS, whatever it is.
    Replied {
        status: StatusCode,
        reason: Box<str>,
        server: Option<Box<str>>,
    },
    /// Final. They answered, and said no.
    Refused(Refusal),
    /// Final. No final response came in time; the last provisional one that was heard.
    TimedOut { heard: Option<StatusCode> },
    /// Final. The far end hung up (BYE, or CANCEL while it called us).
    EndedByPeer { cause: Option<u8> },
    /// Final. We hung up, and that is done: answered, or given up after 32 s.
    Ended,
    /// Final. The session timer ran out (RFC 4028 §10): nobody refreshed; BYE was sent.
    SessionExpired,
    /// Final. The flow failed under the call or request.
    FlowFailed { words: Box<str> },
    /// The far end broke the standard; the words cite the clause. Not final: what came was ignored.
    Misbehaved { words: Cow<'static, str> },
    /// One line of the ladder, only with `ladder`.
    Trace(Trace),
}

/// Who changed the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfferMethod {
    Invite,
    Update,
}

/// A final response of 300 to 699.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub status: StatusCode,
    /// The reason phrase as it came, or a remark of ours (a secret that is wrong, redirects in a loop).
    pub reason: Box<str>,
    /// Q.850 cause of the Reason header (RFC 3326).
    pub cause: Option<u8>,
    pub retry_after: Option<Duration>,
    /// Server or User-Agent; read only with `ladder`.
    pub server: Option<Box<str>>,
    pub detail: Option<Detail>,
}

/// What the status of a refusal does not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// A challenge came back although we answered it: the user or secret is wrong, asking again is no use.
    SecretRefused,
    /// The call was sent on to an emergency number; no INVITE went there.
    SentToEmergency,
}

/// One message as it went by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// When we sent it, or when the kernel received it.
    pub at: Instant,
    pub direction: Direction,
    pub peer: SocketAddr,
    /// First line and CSeq: `INVITE sip:1199@127.0.1.10 (CSeq 1)`; never a credential.
    pub what: Box<str>,
    /// How many times this very message went this way before.
    pub repeat: u32,
    /// The message as it stood on the wire, but for the answers to challenges (`wire::mask`); empty for a remark.
    pub message: Box<[u8]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Sent,
    Received,
    /// A remark of our own: a timer fired, a message was ignored, the flow broke.
    Note,
}
