//! One machine of the lab: its endpoint, its role, and what is wrong with it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use super::fault::{Fault, Server};
use super::gateway::Gateway;
use super::pbx::Pbx;
use super::phone::Phone;
use super::ua::UserAgent;
use super::voice::{Sound, Voices};
use crate::calls::{Component, FlowFault, Input, MediaId, Output};
use crate::id::Seed;
use crate::sip::Transport;
use crate::sip::endpoint::{self, Endpoint, Event};
use crate::time::{Instant, Now};

/// How late every answer of a slow machine comes; longer than the 500 ms of timer A, so that requests are
/// sent again, and shorter than what makes a caller give up.
const SLOW: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Node {
    pub(super) server: Option<Server>,
    pub(super) address: SocketAddr,
    pub(super) fault: Option<Fault>,
    settings: endpoint::Settings,
    role: Role,
    own: UserAgent,
    /// Signalling of a slow machine, on its way.
    held: VecDeque<(Instant, Output)>,
    ready: VecDeque<Output>,
}

#[derive(Debug)]
enum Role {
    Pbx(Pbx),
    Gateway(Gateway),
    Phone(Phone),
}

impl Node {
    pub(super) fn pbx(server: Server, address: SocketAddr, digit: char) -> Self {
        Self::new(
            Some(server),
            address,
            "XiVO PBX",
            Role::Pbx(Pbx::new(digit)),
        )
    }

    pub(super) fn gateway(address: SocketAddr, hunts: [SocketAddr; 2]) -> Self {
        let role = Role::Gateway(Gateway::new(hunts));
        Self::new(
            Some(Server::Patton),
            address,
            "Patton SN4120 (simulated)",
            role,
        )
    }

    pub(super) fn phone(extension: &str, address: SocketAddr, registrars: [SocketAddr; 2]) -> Self {
        let role = Role::Phone(Phone::new(extension, registrars));
        Self::new(None, address, "Desk phone (simulated)", role)
    }

    fn new(server: Option<Server>, address: SocketAddr, user_agent: &str, role: Role) -> Self {
        let settings = endpoint::Settings {
            user_agent: user_agent.into(),
            seed: 0,
        };
        Self {
            server,
            address,
            fault: None,
            role,
            own: UserAgent {
                endpoint: Endpoint::new(settings.clone()),
                voices: Voices::numbered_from(0),
                flow: None,
                ip: address.ip(),
                rejects: false,
            },
            settings,
            held: VecDeque::new(),
            ready: VecDeque::new(),
        }
    }

    /// Gives the machine chance and media port names of its own.
    pub(super) fn reseed(&mut self, number: u32, seed: Seed) {
        self.settings.seed = seed.0.wrapping_add(u64::from(number));
        self.own.voices = Voices::numbered_from(number << 16);
        self.own.endpoint = Endpoint::new(self.settings.clone());
    }

    /// The process ends: all it knew is gone. Returns the media ports to close.
    pub(super) fn crash(&mut self) -> Vec<MediaId> {
        // Another seed, so that a restarted server never repeats a tag of its former life.
        self.settings.seed = self
            .settings
            .seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        self.own.endpoint = Endpoint::new(self.settings.clone());
        self.own.flow = None;
        self.held.clear();
        self.ready.clear();
        match &mut self.role {
            Role::Pbx(pbx) => pbx.crash(),
            Role::Gateway(gateway) => gateway.crash(),
            Role::Phone(phone) => phone.crash(),
        }
        self.own.voices.close_all()
    }

    /// A hanging process keeps its sockets and reads nothing.
    fn hangs(&self) -> bool {
        matches!(self.fault, Some(Fault::Hang | Fault::Kill))
    }

    pub(super) fn handle(&mut self, now: Now, input: Input<'_>) {
        self.own.rejects = self.fault == Some(Fault::Reject);
        match input {
            Input::FlowOpened { flow, local } => {
                self.own.flow = Some(flow);
                let opened = endpoint::Input::FlowOpened {
                    flow,
                    transport: Transport::Udp,
                    local,
                    peer: None,
                };
                self.own.endpoint.handle(now, opened);
                if let Role::Phone(phone) = &mut self.role {
                    phone.register_all(now, &mut self.own);
                }
            }
            Input::FlowFailed { flow, fault } => {
                let failed = endpoint::Input::FlowFailed {
                    flow,
                    peer: refusing_peer(&fault),
                    words: "the flow failed",
                };
                self.own.endpoint.handle(now, failed);
            }
            _ if self.hangs() => return,
            Input::Signal {
                flow,
                from,
                stamp,
                message,
            } => {
                let message = endpoint::Input::Message {
                    flow,
                    from,
                    stamp,
                    bytes: message,
                };
                self.own.endpoint.handle(now, message);
            }
            Input::MediaOpened { media, local } => {
                self.own.voices.opened(media, local);
                match &mut self.role {
                    Role::Pbx(pbx) => pbx.voice_opened(now, media, &mut self.own),
                    Role::Phone(phone) => phone.voice_opened(now, media, &mut self.own),
                    Role::Gateway(_) => {}
                }
            }
            Input::MediaFailed { media, .. } => self.own.voices.close(media),
            Input::Media {
                media,
                component: Component::Rtp,
                packet,
                ..
            } => {
                if self.fault != Some(Fault::DropRtp) {
                    self.own.voices.heard(now, media, packet);
                }
            }
            Input::Media { .. }
            | Input::MediaSent { .. }
            | Input::Start { .. }
            | Input::Abort { .. } => {}
            Input::Wake => {
                self.own.endpoint.handle(now, endpoint::Input::Wake);
            }
        }
        self.settle(now);
    }

    pub(super) fn wake(&mut self, now: Now) {
        if self.own.flow.is_none() || self.hangs() {
            return;
        }
        self.handle(now, Input::Wake);
        match &mut self.role {
            Role::Pbx(pbx) => pbx.wake(now, &mut self.own),
            Role::Gateway(gateway) => gateway.wake(now, &mut self.own),
            Role::Phone(phone) => phone.wake(now, &mut self.own),
        }
        self.own.voices.speak(now);
        self.settle(now);
    }

    /// Lets the role answer what the endpoint says, until both are quiet, and collects what leaves.
    fn settle(&mut self, now: Now) {
        while let Some(output) = self.own.endpoint.poll_output() {
            match output {
                endpoint::Output::Send { flow, to, message } => {
                    let send = Output::Send { flow, to, message };
                    if self.fault == Some(Fault::Slow) {
                        self.held.push_back((now.instant + SLOW, send));
                    } else {
                        self.ready.push_back(send);
                    }
                }
                endpoint::Output::Event(event) => self.happened(now, event),
            }
        }
    }

    fn happened(&mut self, now: Now, event: Event) {
        match &mut self.role {
            Role::Pbx(pbx) => pbx.happened(now, event, &mut self.own),
            Role::Gateway(gateway) => gateway.happened(now, event, &mut self.own),
            Role::Phone(phone) => phone.happened(now, event, &mut self.own),
        }
    }

    pub(super) fn poll(&mut self, now: Now) -> Option<Output> {
        if self.hangs() {
            return None;
        }
        while self
            .held
            .front()
            .is_some_and(|(due, _)| *due <= now.instant)
        {
            let (_, send) = self.held.pop_front().expect("the front was just seen");
            self.ready.push_back(send);
        }
        if let Some(send) = self.ready.pop_front() {
            return Some(send);
        }
        loop {
            match self.own.voices.poll()? {
                Sound::Open { media } => {
                    return Some(Output::OpenMedia {
                        media,
                        ip: self.own.ip,
                    });
                }
                Sound::Close { media } => return Some(Output::CloseMedia { media }),
                Sound::Packet { .. } if self.fault == Some(Fault::DropRtp) => {}
                Sound::Packet {
                    media,
                    to,
                    packet,
                    due,
                } => {
                    return Some(Output::SendMedia {
                        media,
                        component: Component::Rtp,
                        to,
                        packet,
                        due,
                    });
                }
            }
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        if self.own.flow.is_none() || self.hangs() {
            return None;
        }
        let role = match &self.role {
            Role::Pbx(pbx) => pbx.deadline(),
            Role::Gateway(gateway) => gateway.deadline(),
            Role::Phone(phone) => phone.deadline(),
        };
        let held = self.held.front().map(|(due, _)| *due);
        [
            self.own.endpoint.deadline(),
            self.own.voices.deadline(),
            role,
            held,
        ]
        .into_iter()
        .flatten()
        .min()
    }
}

/// Whom a failure concerns; `None`: everybody.
const fn refusing_peer(fault: &FlowFault) -> Option<SocketAddr> {
    match fault {
        FlowFault::Refused { peer } | FlowFault::Unreachable { peer, .. } => Some(*peer),
        FlowFault::Dates { .. }
        | FlowFault::Tls { .. }
        | FlowFault::NoTrust { .. }
        | FlowFault::Closed
        | FlowFault::Ours { .. } => None,
    }
}
