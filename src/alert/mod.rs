//! Who is told of what, and when: pure, so that no alert is lost, doubled or late by accident of a task.
//!
//! [`notice`] is one thing worth telling, [`outbox`] decides what goes to which channel and when, as records that
//! the engine keeps as facts; [`message`] renders what leaves. Nothing here sends: `io::notify` does.

pub mod message;
pub mod notice;
pub mod outbox;
pub mod record;
pub mod settings;
