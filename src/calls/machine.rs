//! The machine that joins all tasks of one shard behind three verbs.
//!
//! This file holds the table of tasks, their flows and ports, their timers and their one report;
//! `call` and `answers` say what to do about the events of the endpoint.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::flows::Flows;
use super::job::{Job, Name, Seen, Slot, Stage};
use super::ladder::Ladder;
use super::media::{Media, Outgoing};
use super::observe::Outcome;
use super::recording::Packets;
use super::script::{MediaPlan, Purpose, Task};
use super::{Component, FlowFault, Input, JobId, MediaId, Output};
use crate::sip::FlowId;
use crate::sip::endpoint::{self, Endpoint};
use crate::sip::header::Uri;
use crate::time::{Instant, Now};
use crate::wheel::Wheel;

/// All calls, registrations and requests of one shard.
#[derive(Debug)]
pub struct Calls {
    pub(super) endpoint: Endpoint,
    pub(super) flows: Flows,
    slots: Vec<Slot>,
    free: Vec<u32>,
    by_id: HashMap<JobId, u32>,
    by_media: HashMap<MediaId, Name>,
    last_media: u32,
    wheel: Wheel<Timer>,
    pub(super) outputs: VecDeque<Output>,
    pub(super) random: fastrand::Rng,
    /// When what is being handled happened: the kernel's stamp, or now.
    pub(super) stamp: Instant,
    /// Why the flow failed that is being reported to the endpoint.
    pub(super) fault: Option<FlowFault>,
    /// Offers of calls without media, by own address: the same text for thousands of calls.
    pub(super) silent_offers: Vec<(IpAddr, Arc<[u8]>)>,
    /// The last address that was called: no emergency number.
    pub(super) harmless: Box<str>,
    /// Addresses of the last tasks, read once for thousands of calls.
    pub(super) uris: VecDeque<Uri>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Timer {
    Job(Name, Due),
    CloseFlow(FlowId),
}

/// What is due for a job.
#[derive(Clone, Copy, Debug)]
pub(super) enum Due {
    /// The flow or the final response should be there by now.
    GiveUp,
    /// Somebody should have said something by now.
    Unheard,
    /// The call has lasted long enough.
    HangUp,
    /// The far end is silent, so the digits are sent without waiting for it.
    SendDigits,
    /// Report, however the leaving goes.
    Report,
    /// An RTP or RTCP packet.
    Packet,
    /// Somebody watches: say how it goes.
    Look,
}

/// Timer D and its like (RFC 3261 §17.1.1.2) end within this: the far end may still retransmit to a
/// fresh UDP port, and should not be told that nobody is there.
const FLOW_LINGER: Duration = Duration::from_secs(33);

impl Calls {
    /// `seed`: of all tags, branches and stream numbers; random at start, fixed in tests.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            endpoint: Endpoint::new(endpoint::Settings {
                user_agent: concat!("vigie/", env!("CARGO_PKG_VERSION")).to_owned(),
                seed,
            }),
            flows: Flows::default(),
            slots: Vec::new(),
            free: Vec::new(),
            by_id: HashMap::new(),
            by_media: HashMap::new(),
            last_media: 0,
            wheel: Wheel::new(),
            outputs: VecDeque::new(),
            random: fastrand::Rng::with_seed(seed),
            stamp: Instant::default(),
            fault: None,
            silent_offers: Vec::new(),
            harmless: "".into(),
            uris: VecDeque::new(),
        }
    }

    /// Something happened.
    pub fn handle(&mut self, now: Now, input: Input<'_>) {
        self.stamp = now.instant;
        match input {
            Input::Start { job, task } => self.start(now, job, task),
            Input::Abort { job } => self.abort(now, job),
            Input::FlowOpened { flow, local } => self.flow_opened(now, flow, local),
            Input::FlowFailed { flow, fault } => self.flow_failed(now, flow, fault),
            Input::Signal {
                flow,
                from,
                stamp,
                message,
            } => {
                self.stamp = stamp;
                let bytes = message;
                self.tell_endpoint(
                    now,
                    endpoint::Input::Message {
                        flow,
                        from,
                        stamp,
                        bytes,
                    },
                );
            }
            Input::MediaOpened { media, local } => self.media_opened(now, media, local),
            Input::MediaFailed { media, words } => {
                if let Some(name) = self.by_media.get(&media).copied() {
                    // A call that is up is ended with BYE; one that has no port yet just ends.
                    self.leave(now, name, Outcome::Ours { words });
                }
            }
            Input::Media {
                media,
                component,
                from,
                stamp,
                packet,
            } => self.media(now, media, component, from, stamp, packet),
            Input::MediaSent { media, late } => {
                let name = self.by_media.get(&media).copied();
                if let Some(media) = name.and_then(|name| self.job(name)?.media.as_mut()) {
                    media.sent_late(late);
                }
            }
            Input::Wake => {}
        }
        self.wake(now);
    }

    /// A buffer whose message was sent, to write the next one into.
    pub fn recycle(&mut self, buffer: Vec<u8>) {
        self.endpoint.recycle(buffer);
    }

    /// What the shell must do; call until `None`.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to come back with `Input::Wake`.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.wheel
            .deadline()
            .into_iter()
            .chain(self.endpoint.deadline())
            .min()
    }

    /// How many tasks have not been reported or still tidy up.
    #[must_use]
    pub fn live(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    fn wake(&mut self, now: Now) {
        if self.endpoint.deadline().is_some_and(|at| at <= now.instant) {
            self.tell_endpoint(now, endpoint::Input::Wake);
        }
        while let Some((_, timer)) = self.wheel.pop(now.instant) {
            self.stamp = now.instant;
            match timer {
                Timer::CloseFlow(flow) => self.close_flow(now, flow),
                Timer::Job(name, due) => self.due(now, name, due),
            }
        }
        self.drain_endpoint(now);
    }

    fn due(&mut self, now: Now, name: Name, due: Due) {
        match due {
            Due::GiveUp => self.give_up(now, name),
            Due::Unheard => self.unheard(now, name),
            Due::HangUp => self.hold_is_over(now, name),
            Due::SendDigits => self.send_digits(name),
            Due::Report => self.report_now(now, name),
            Due::Look => self.look(now, name),
            Due::Packet => {
                if let Some(job) = self.job(name) {
                    job.media_timer = None;
                }
                self.send_media(now, name);
            }
        }
    }

    // Jobs and their table.

    fn start(&mut self, now: Now, id: JobId, task: Arc<Task>) {
        // A number given twice would lose one of the two reports; the first one is ended.
        self.abort(now, id);
        let name = self.vacant();
        let single_peer = matches!(&*task, Task::Call(plan) if plan.purpose == Purpose::Load);
        let kept = Job::keeps_ladder(&task);
        let kept_packets = match &*task {
            Task::Call(plan) => plan.keep,
            Task::Register(_) | Task::Options(_) => None,
        };
        let mut job = Job {
            id,
            task,
            flow: FlowId(0),
            key: None,
            stage: Stage::Opening,
            media: None,
            media_timer: None,
            digits_sent: false,
            started: now.instant,
            seen: Seen::default(),
            ladder: Ladder::new(now.instant, SocketAddr::from(([0, 0, 0, 0], 0)), false),
            packets: kept_packets.map(|keep| Box::new(Packets::new(keep.packet_bytes))),
        };
        let claim = self.flows.claim(job.route(), single_peer);
        job.ladder = Ladder::new(now.instant, job.route().peer, kept);
        job.flow = claim.flow;
        let route = job.route();
        if let Some(exclusive) = claim.open {
            self.outputs.push_back(Output::OpenFlow {
                flow: claim.flow,
                transport: route.transport,
                local: route.local,
                peer: route.peer,
                server_name: route.server_name.clone(),
                exclusive: exclusive.0,
            });
        }
        let patience = job.answer_within();
        self.by_id.insert(id, name.index);
        self.slots[name.index as usize].job = Some(Box::new(job));
        match self.flows.flow(claim.flow).map(|flow| (flow.local, flow)) {
            Some((Some(_), _)) => self.open_media_or_ask(now, name),
            Some((None, flow)) => {
                flow.waiting.push(name.as_user());
                self.after(now, patience, name, Due::GiveUp);
            }
            None => {}
        }
    }

    fn vacant(&mut self) -> Name {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            u32::try_from(self.slots.len() - 1).expect("memory ends before 2^32 slots")
        });
        let slot = &mut self.slots[index as usize];
        // Generation 0 is nobody's, so that user 0 of the endpoint never names a job.
        slot.generation = slot.generation.wrapping_add(1).max(1);
        Name {
            index,
            generation: slot.generation,
        }
    }

    pub(super) fn job(&mut self, name: Name) -> Option<&mut Job> {
        self.slots
            .get_mut(name.index as usize)
            .filter(|slot| slot.generation == name.generation)?
            .job
            .as_deref_mut()
    }

    pub(super) fn after(&mut self, now: Now, wait: Duration, name: Name, due: Due) {
        self.wheel.insert(now.instant + wait, Timer::Job(name, due));
    }

    /// Gives the one report of a job; what the endpoint still has to do goes on in the background.
    pub(super) fn finish(&mut self, now: Now, name: Name, outcome: Outcome) {
        let Some(job) = self.job(name) else { return };
        if matches!(job.stage, Stage::Reported) {
            return;
        }
        job.stage = Stage::Reported;
        let id = job.id;
        let goodbye = job
            .media
            .as_mut()
            .map(|media| (media.id, media.goodbye(now)));
        if let Some((_, Some(packet))) = &goodbye {
            job.sends(packet);
        }
        let observed = Box::new(job.observed(now.instant, outcome));
        let tidy = job.key.is_none();
        if let Some((media, goodbye)) = goodbye {
            if let Some(packet) = goodbye {
                self.outputs.push_back(send(media, packet));
            }
            self.outputs.push_back(Output::CloseMedia { media });
            self.by_media.remove(&media);
        }
        self.by_id.remove(&id);
        self.outputs.push_back(Output::Done { job: id, observed });
        if tidy {
            self.vacate(now, name);
        }
    }

    /// The endpoint is done with it too.
    pub(super) fn vacate(&mut self, now: Now, name: Name) {
        let Some(job) = self.job(name) else { return };
        let flow = job.flow;
        self.slots[name.index as usize].job = None;
        self.free.push(name.index);
        if self.flows.release(flow) {
            let linger = match self.flows.flow(flow) {
                Some(known) if !known.transport.is_reliable() => FLOW_LINGER,
                Some(_) | None => Duration::ZERO,
            };
            self.wheel
                .insert(now.instant + linger, Timer::CloseFlow(flow));
        }
    }

    // Flows.

    fn flow_opened(&mut self, now: Now, flow: FlowId, local: SocketAddr) {
        let Some(known) = self.flows.flow(flow) else {
            return;
        };
        known.local = Some(local);
        let waiting = std::mem::take(&mut known.waiting);
        let (transport, peer) = (known.transport, known.only_peer);
        self.tell_endpoint(
            now,
            endpoint::Input::FlowOpened {
                flow,
                transport,
                local,
                peer,
            },
        );
        for user in waiting {
            self.open_media_or_ask(now, Name::from_user(user));
        }
    }

    fn flow_failed(&mut self, now: Now, flow: FlowId, fault: FlowFault) {
        let Some(known) = self.flows.flow(flow) else {
            return;
        };
        let opened = known.local.is_some();
        let only = match &fault {
            // A shared UDP socket lives on when one host refuses.
            FlowFault::Refused { peer } | FlowFault::Unreachable { peer, .. }
                if opened && !known.transport.is_reliable() =>
            {
                Some(*peer)
            }
            FlowFault::Refused { .. }
            | FlowFault::Unreachable { .. }
            | FlowFault::Dates { .. }
            | FlowFault::Tls { .. }
            | FlowFault::NoTrust { .. }
            | FlowFault::Closed
            | FlowFault::Ours { .. } => None,
        };
        let waiting = std::mem::take(&mut known.waiting);
        if only.is_none() {
            self.flows.remove(flow);
            // The socket of a flow that failed is still the shell's to close.
            self.outputs.push_back(Output::CloseFlow { flow });
        }
        for user in waiting {
            self.finish(now, Name::from_user(user), Outcome::Flow(fault.clone()));
        }
        if opened {
            let words = fault.to_string();
            self.fault = Some(fault);
            self.tell_endpoint(
                now,
                endpoint::Input::FlowFailed {
                    flow,
                    peer: only,
                    words: &words,
                },
            );
            self.fault = None;
        }
    }

    fn close_flow(&mut self, now: Now, flow: FlowId) {
        if self.flows.remove(flow).is_some() {
            self.outputs.push_back(Output::CloseFlow { flow });
            self.tell_endpoint(
                now,
                endpoint::Input::FlowFailed {
                    flow,
                    peer: None,
                    words: "closed: no longer needed",
                },
            );
        }
    }

    // Media.

    /// The flow is open: calls with sound need a port before they can offer it.
    fn open_media_or_ask(&mut self, now: Now, name: Name) {
        let Some(job) = self.job(name) else { return };
        if !matches!(job.stage, Stage::Opening) {
            return;
        }
        let flow = job.flow;
        let wants_media = matches!(&*job.task, Task::Call(plan) if plan.media != MediaPlan::None);
        let Some(local) = self.flows.flow(flow).and_then(|flow| flow.local) else {
            return;
        };
        if wants_media {
            self.last_media = self.last_media.wrapping_add(1);
            let media = MediaId(self.last_media);
            self.by_media.insert(media, name);
            let ip = local.ip();
            self.outputs.push_back(Output::OpenMedia { media, ip });
        } else {
            self.ask(now, name, local);
        }
    }

    fn media_opened(&mut self, now: Now, id: MediaId, local: SocketAddr) {
        let Some(name) = self.by_media.get(&id).copied() else {
            // The job was ended while its port was being opened.
            self.outputs.push_back(Output::CloseMedia { media: id });
            return;
        };
        let mut random = self.random.fork();
        let Some(job) = self.job(name) else { return };
        let Task::Call(plan) = &*job.task else {
            return;
        };
        let media = Media::new(id, plan, local, now, &mut random);
        job.media = Some(Box::new(media));
        let flow = job.flow;
        if let Some(local) = self.flows.flow(flow).and_then(|flow| flow.local) {
            self.ask(now, name, local);
        }
    }

    fn media(
        &mut self,
        now: Now,
        media: MediaId,
        component: Component,
        from: SocketAddr,
        stamp: Instant,
        packet: &[u8],
    ) {
        let Some(name) = self.by_media.get(&media).copied() else {
            return;
        };
        let Some(job) = self.job(name) else { return };
        let Some(media) = job.media.as_mut() else {
            return;
        };
        if let Some(packets) = &mut job.packets {
            packets.keep(stamp, from, media.address(component), packet);
        }
        if let Some(remark) = media.hear(now, component, from, stamp, packet) {
            self.remark(now, name, stamp, from, remark);
        }
    }

    /// Sends the packets that are due, and comes back for the next.
    pub(super) fn send_media(&mut self, now: Now, name: Name) {
        while let Some(job) = self.job(name)
            && let Some(media) = job.media.as_mut()
        {
            let id = media.id;
            let Some(packet) = media.next(now) else { break };
            job.sends(&packet);
            self.outputs.push_back(send(id, packet));
        }
        let Some(job) = self.job(name) else { return };
        let Some(at) = job.media.as_ref().and_then(|media| media.due()) else {
            return;
        };
        if job.media_timer.is_none_or(|armed| at < armed) {
            job.media_timer = Some(at);
            self.wheel.insert(at, Timer::Job(name, Due::Packet));
        }
    }

    // Endpoint.

    fn tell_endpoint(&mut self, now: Now, input: endpoint::Input<'_>) {
        self.endpoint.handle(now, input);
        self.drain_endpoint(now);
    }

    /// Hands on what the endpoint has to say; its events may cause more of it.
    pub(super) fn drain_endpoint(&mut self, now: Now) {
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                endpoint::Output::Send { flow, to, message } => {
                    self.outputs.push_back(Output::Send { flow, to, message });
                }
                endpoint::Output::Event(event) => self.event(now, event),
            }
        }
    }

    fn abort(&mut self, now: Now, id: JobId) {
        let Some(index) = self.by_id.get(&id).copied() else {
            return;
        };
        let generation = self.slots[index as usize].generation;
        self.leave(now, Name { index, generation }, Outcome::Aborted);
        self.drain_endpoint(now);
    }
}

fn send(media: MediaId, packet: Outgoing) -> Output {
    Output::SendMedia {
        media,
        component: packet.component,
        to: packet.to,
        packet: packet.packet,
        due: packet.due,
    }
}
