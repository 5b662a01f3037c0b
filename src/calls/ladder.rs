//! The ladder of one task: every message and every remark, with its time.

use std::net::SocketAddr;

use super::observe::{Direction, Step};
use crate::sip::endpoint;
use crate::time::Instant;

/// Steps in the order they happened; keeps nothing when switched off.
#[derive(Debug)]
pub(super) struct Ladder {
    started: Instant,
    /// Where remarks without an address of their own belong.
    peer: SocketAddr,
    steps: Option<Vec<Step>>,
}

/// A far end that talks without end fills no memory.
const STEPS_MAX: usize = 500;

impl Ladder {
    pub(super) const fn new(started: Instant, peer: SocketAddr, kept: bool) -> Self {
        Self {
            started,
            peer,
            steps: if kept { Some(Vec::new()) } else { None },
        }
    }

    pub(super) const fn is_kept(&self) -> bool {
        self.steps.is_some()
    }

    pub(super) fn message(&mut self, trace: endpoint::Trace) {
        self.push(
            trace.at,
            trace.direction,
            trace.peer,
            trace.what.into(),
            trace.repeat,
        );
    }

    pub(super) fn heard(&mut self, at: Instant, peer: SocketAddr, what: String) {
        self.push(at, Direction::Received, peer, what, 0);
    }

    pub(super) fn note(&mut self, at: Instant, what: impl Into<String>) {
        if self.is_kept() {
            self.push(at, Direction::Note, self.peer, what.into(), 0);
        }
    }

    fn push(
        &mut self,
        at: Instant,
        direction: Direction,
        peer: SocketAddr,
        what: String,
        repeat: u32,
    ) {
        let Some(steps) = self.steps.as_mut().filter(|steps| steps.len() < STEPS_MAX) else {
            return;
        };
        steps.push(Step {
            at: at.since(self.started),
            direction,
            peer,
            what,
            repeat,
        });
    }

    /// All steps in order of time: a kernel stamp may be older than a remark made before it was read.
    pub(super) fn into_steps(self) -> Vec<Step> {
        let mut steps = self.steps.unwrap_or_default();
        steps.sort_by_key(|step| step.at);
        steps
    }
}
