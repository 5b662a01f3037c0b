//! What every call of an endpoint shares: the flows, the outputs, chance, and who we are.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use super::Key;
use super::event::{Event, Happened, Output};
use super::lines::host_port;
use crate::sip::header::uri::Scheme;
use crate::sip::{FlowId, Transport};

/// Buffers kept for reuse; more than are ever on their way at once would only be memory.
const SPARE_BUFFERS_MAX: usize = 1024;

/// Who we are.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `User-Agent` of requests and `Server` of responses.
    pub user_agent: String,
    /// Keeps two runs of the process apart in branches, tags, Call-IDs and cnonces: random at start, fixed
    /// in tests.
    pub seed: u64,
}

/// One flow and the texts that name it in messages.
#[derive(Debug)]
pub(in crate::sip) struct Flow {
    pub(in crate::sip) transport: Transport,
    /// The only address that the flow can send to, if it is bound to one.
    pub(in crate::sip) peer: Option<SocketAddr>,
    /// `Via: SIP/2.0/UDP 127.0.0.1:5060;rport;branch=z9hG4bK`, the branch to be added.
    pub(in crate::sip) via: Box<str>,
    /// `127.0.0.1:5060`, with `;transport=` where it is not UDP: what a Contact of ours ends with.
    pub(in crate::sip) contact: Box<str>,
    last_contact: Option<LastContact>,
}

/// The last whole Contact and what is in it: a load test asks for thousands of the same.
#[derive(Debug)]
struct LastContact {
    scheme: &'static str,
    user: Option<Box<str>>,
    value: Arc<str>,
}

#[derive(Debug)]
pub(in crate::sip) struct Core {
    pub(in crate::sip) user_agent: Box<str>,
    pub(in crate::sip) salt: u32,
    pub(in crate::sip) random: fastrand::Rng,
    pub(in crate::sip) outputs: VecDeque<Output>,
    flows: BTreeMap<FlowId, Flow>,
    spare: Vec<Vec<u8>>,
}

impl Core {
    pub(in crate::sip) fn new(settings: Settings) -> Self {
        let mut random = fastrand::Rng::with_seed(settings.seed);
        Self {
            user_agent: settings.user_agent.into(),
            salt: random.u32(..),
            random,
            outputs: VecDeque::new(),
            flows: BTreeMap::new(),
            spare: Vec::new(),
        }
    }

    pub(in crate::sip) fn open(
        &mut self,
        flow: FlowId,
        transport: Transport,
        local: SocketAddr,
        peer: Option<SocketAddr>,
    ) {
        let token = transport.via_token();
        let host_port = host_port(local);
        let via = format!("Via: SIP/2.0/{token} {host_port};rport;branch=z9hG4bK").into();
        let contact = match transport {
            Transport::Udp => host_port,
            Transport::Tcp | Transport::Tls => format!("{host_port};transport={transport}"),
        };
        self.flows.insert(
            flow,
            Flow {
                transport,
                peer,
                via,
                contact: contact.into(),
                last_contact: None,
            },
        );
    }

    pub(in crate::sip) fn close(&mut self, flow: FlowId) {
        self.flows.remove(&flow);
    }

    pub(in crate::sip) fn flow(&self, flow: FlowId) -> Option<&Flow> {
        self.flows.get(&flow)
    }

    /// The value of our Contact on a flow, towards a URI of `scheme` (RFC 3261 §8.1.1.8: secure all the way
    /// if that one is).
    pub(in crate::sip) fn contact(
        &mut self,
        flow: FlowId,
        scheme: Scheme,
        user: Option<&str>,
    ) -> Arc<str> {
        let scheme = match scheme {
            Scheme::Sips => "sips",
            Scheme::Sip | Scheme::Tel | Scheme::Other => "sip",
        };
        let Some(flow) = self.flows.get_mut(&flow) else {
            return contact_value(scheme, "invalid", user);
        };
        match &flow.last_contact {
            Some(last) if last.scheme == scheme && last.user.as_deref() == user => {
                Arc::clone(&last.value)
            }
            Some(_) | None => {
                let value = contact_value(scheme, &flow.contact, user);
                flow.last_contact = Some(LastContact {
                    scheme,
                    user: user.map(Into::into),
                    value: Arc::clone(&value),
                });
                value
            }
        }
    }

    pub(in crate::sip) fn buffer(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    pub(in crate::sip) fn recycle(&mut self, mut buffer: Vec<u8>) {
        if self.spare.len() < SPARE_BUFFERS_MAX && buffer.capacity() > 0 {
            buffer.clear();
            self.spare.push(buffer);
        }
    }

    /// A copy in a buffer of its own.
    pub(in crate::sip) fn copy(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut copy = self.buffer();
        copy.extend_from_slice(bytes);
        copy
    }

    pub(in crate::sip) fn tell(&mut self, key: Key, user: u64, happened: Happened) {
        self.outputs.push_back(Output::Event(Event {
            key,
            user,
            happened,
        }));
    }

    /// Hard to guess, for a cnonce.
    pub(in crate::sip) fn cnonce(&mut self) -> String {
        format!("{:016x}", self.random.u64(..))
    }
}

fn contact_value(scheme: &str, place: &str, user: Option<&str>) -> Arc<str> {
    match user {
        Some(user) => format!("<{scheme}:{user}@{place}>").into(),
        None => format!("<{scheme}:{place}>").into(),
    }
}
