//! One task under way: what it waits for, and what was seen so far.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::JobId;
use super::ladder::Ladder;
use super::media::{Media, Outgoing};
use super::observe::{Observed, Outcome, RtpSeen};
use super::recording::{Packets, Recording};
use super::script::{Purpose, Route, Task};
use crate::sip::FlowId;
use crate::sip::endpoint::{Direction, Key, Trace};
use crate::sip::wire::StatusCode;
use crate::time::Instant;

/// A slot of the table of jobs; its generation tells a new tenant from an old one.
#[derive(Debug, Default)]
pub(super) struct Slot {
    pub(super) generation: u32,
    pub(super) job: Option<Box<Job>>,
}

/// A job's number towards the endpoint and the wheel: slot and generation. Never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) index: u32,
    pub(super) generation: u32,
}

impl Name {
    pub(super) const fn as_user(self) -> u64 {
        ((self.generation as u64) << 32) | self.index as u64
    }

    #[expect(clippy::cast_possible_truncation, reason = "the two halves of a word")]
    pub(super) const fn from_user(user: u64) -> Self {
        Self {
            index: user as u32,
            generation: (user >> 32) as u32,
        }
    }
}

#[derive(Debug)]
pub(super) struct Job {
    pub(super) id: JobId,
    pub(super) task: Arc<Task>,
    pub(super) flow: FlowId,
    /// What the endpoint calls it, from the first request until its final event.
    pub(super) key: Option<Key>,
    pub(super) stage: Stage,
    pub(super) media: Option<Box<Media>>,
    /// The moment of the wheel's entry for the next packet, so that there is only one.
    pub(super) media_timer: Option<Instant>,
    pub(super) digits_sent: bool,
    pub(super) started: Instant,
    pub(super) seen: Seen,
    pub(super) ladder: Ladder,
    /// Every packet, when the plan asks to keep them.
    pub(super) packets: Option<Box<Packets>>,
}

/// Where a task stands.
#[derive(Debug)]
pub(super) enum Stage {
    /// Its flow, then its media port, are being opened.
    Opening,
    /// The request is out, no final response is in.
    Asking { since: Instant },
    /// A call that was answered.
    Talking,
    /// CANCEL, BYE or the removal of the binding is out; this will be the outcome.
    Leaving { outcome: Outcome },
    /// The result was reported; the endpoint still tidies up.
    Reported,
}

/// What signalling showed.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The last provisional response.
    pub(super) provisional: Option<StatusCode>,
    pub(super) progress_after: Option<Duration>,
    pub(super) answer_after: Option<Duration>,
    /// When the 2xx of a call came, by the kernel's stamp.
    pub(super) answered: Option<Instant>,
    pub(super) server: Option<Box<str>>,
    pub(super) granted: Option<Duration>,
    pub(super) held: Option<Duration>,
    pub(super) goodbye_unanswered: bool,
}

impl Job {
    pub(super) fn route(&self) -> &Route {
        match &*self.task {
            Task::Call(plan) => &plan.route,
            Task::Register(plan) => &plan.route,
            Task::Options(plan) => &plan.route,
        }
    }

    pub(super) fn answer_within(&self) -> Duration {
        match &*self.task {
            Task::Call(plan) => plan.answer_within,
            Task::Register(plan) => plan.answer_within,
            Task::Options(plan) => plan.answer_within,
        }
    }

    /// A call that must tell soon when nobody is there.
    pub(super) fn is_watched(&self) -> bool {
        matches!(&*self.task, Task::Call(plan) if plan.purpose != Purpose::Load)
    }

    pub(super) fn keeps_ladder(task: &Task) -> bool {
        match task {
            // What is kept for later is read beside its ladder.
            Task::Call(plan) => plan.purpose == Purpose::Trace || plan.keep.is_some(),
            Task::Register(plan) => plan.ladder,
            Task::Options(plan) => plan.ladder,
        }
    }

    /// One SIP message that went by; `local` is our own end.
    pub(super) fn message(&mut self, trace: Trace, local: Option<SocketAddr>) {
        if let (Some(packets), Some(local)) = (&mut self.packets, local) {
            match trace.direction {
                Direction::Sent => packets.keep(trace.at, local, trace.peer, &trace.message),
                Direction::Received => packets.keep(trace.at, trace.peer, local, &trace.message),
                Direction::Note => {}
            }
        }
        self.ladder.message(trace);
    }

    /// A media packet that leaves when it is due.
    pub(super) fn sends(&mut self, packet: &Outgoing) {
        if let (Some(packets), Some(media)) = (&mut self.packets, &self.media) {
            let from = media.address(packet.component);
            packets.keep(packet.due, from, packet.to, &packet.packet);
        }
    }

    fn recording(&mut self) -> Option<Box<Recording>> {
        let packets = *self.packets.take()?;
        let (heard, chirps) = self
            .media
            .as_mut()
            .map(|media| media.take_heard())
            .unwrap_or_default();
        Some(Box::new(Recording {
            packets,
            heard,
            chirps,
            answered: self.seen.answered,
        }))
    }

    /// Everything that was seen, for the judge; the job keeps nothing of it.
    pub(super) fn observed(&mut self, now: Instant, outcome: Outcome) -> Observed {
        let recording = self.recording();
        let seen = std::mem::take(&mut self.seen);
        let nothing = Ladder::new(self.started, self.route().peer, false);
        let ladder = std::mem::replace(&mut self.ladder, nothing);
        let media = self.media.take();
        let moments = media
            .as_ref()
            .map(|media| *media.hearing.moments())
            .unwrap_or_default();
        // `since` is zero when the packet came before the answer.
        let after_answer = |moment: Option<Instant>| Some(moment?.since(seen.answered?));
        Observed {
            started: self.started,
            finished: now,
            outcome,
            progress_after: seen.progress_after,
            answer_after: seen.answer_after,
            first_media_after: after_answer(moments.first_sound),
            first_packet_after: after_answer(moments.first_packet),
            last_media_after: after_answer(moments.last_packet),
            early_media: moments
                .first_packet
                .is_some_and(|packet| seen.answered.is_none_or(|answered| packet < answered)),
            echo_dbov: media.as_ref().and_then(|media| media.echo_dbov()),
            echoed: None,
            prompt: None,
            rtp: media
                .as_ref()
                .map_or_else(RtpSeen::default, |media| media.figures()),
            dtmf: media
                .as_ref()
                .map_or_else(String::new, |media| media.hearing.digits().to_owned()),
            leg: media.map(|media| Box::new(media.into_leg())),
            answered: seen.answered,
            server: seen.server.map(String::from),
            held: seen.held,
            goodbye_unanswered: seen.goodbye_unanswered,
            granted: seen.granted,
            ladder: ladder.into_steps(),
            recording,
        }
    }
}
