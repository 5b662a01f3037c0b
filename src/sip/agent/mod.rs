//! What every user of transactions needs below itself: the flows and who we are (`core`), one side of a call
//! or request with its names (`party`), requests written (`lines`), sent and repeated (`exchange`), signed
//! again after a challenge (`authorization`), responses made (`reply`) and refusals read (`refusal`).
//!
//! `command` and `event` are the words between an endpoint and its owner. Nothing here knows a dialog or a
//! call: `dialog`, `call`, `options`, `register` and `endpoint` build on it.

pub(in crate::sip) mod authorization;
pub(in crate::sip) mod command;
pub(in crate::sip) mod core;
pub(in crate::sip) mod event;
pub(in crate::sip) mod exchange;
pub(in crate::sip) mod lines;
pub(in crate::sip) mod party;
pub(in crate::sip) mod refusal;
pub(in crate::sip) mod reply;

/// Names one call, registration or request of an endpoint, ours or theirs; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    pub(in crate::sip) index: u32,
    pub(in crate::sip) generation: u32,
}
