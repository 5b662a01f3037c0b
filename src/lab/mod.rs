//! The embedded lab: XIVO 1, XIVO 2, XIVO 3, the Patton and desk phones, simulated.
//!
//! Pure like everything else, and of the same shape as `calls`: the shard that lends a `Calls` its sockets
//! lends them to a `Lab` too. It is what `vigie demo` watches, and what tests use for speed. It proves
//! nothing by itself: every behaviour is also shown against a real Asterisk.
//!
//! Each machine is a `node::Node` with one SIP endpoint and one role: `pbx`, `gateway` or `phone`. They
//! reach each other over real sockets only, so a fault of one is seen by the others as on a network.

pub mod fault;

mod gateway;
mod node;
mod pbx;
mod phone;
mod ua;
mod voice;

use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};

use crate::calls::{Input, MediaId, Output};
use crate::id::Seed;
use crate::sip::{FlowId, Transport};
use crate::time::{Instant, Now};

use fault::{Fault, Server};
use node::Node;

/// Where the machines stand. Any free ports on loopback do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    pub xivo1: SocketAddr,
    pub xivo2: SocketAddr,
    pub xivo3: SocketAddr,
    pub patton: SocketAddr,
    /// Desk phones: extension and address. They register to XIVO 1 and XIVO 2.
    pub phones: Vec<(String, SocketAddr)>,
}

/// The secret of an extension, the same in the registrar, the phones and the watch account.
#[must_use]
pub fn secret_of(extension: &str) -> String {
    format!("lab-{extension}")
}

/// The machine of machines.
#[derive(Debug)]
pub struct Lab {
    nodes: Vec<Node>,
    /// Which node speaks through a media port.
    speakers: BTreeMap<MediaId, usize>,
    outputs: VecDeque<Output>,
}

impl Lab {
    /// Builds the plant; `start` brings it up.
    #[must_use]
    pub fn new(layout: &Layout, seed: Seed) -> Self {
        let mut nodes = vec![
            Node::pbx(Server::Xivo1, layout.xivo1, '1'),
            Node::pbx(Server::Xivo2, layout.xivo2, '2'),
            Node::pbx(Server::Xivo3, layout.xivo3, '3'),
            Node::gateway(layout.patton, [layout.xivo1, layout.xivo2]),
        ];
        for (extension, address) in &layout.phones {
            nodes.push(Node::phone(
                extension,
                *address,
                [layout.xivo1, layout.xivo2],
            ));
        }
        for (number, node) in (0_u32..).zip(&mut nodes) {
            node.reseed(number, seed);
        }
        Self {
            nodes,
            speakers: BTreeMap::new(),
            outputs: VecDeque::new(),
        }
    }

    /// Switches every machine on.
    pub fn start(&mut self) {
        for index in 0..self.nodes.len() {
            self.listen(index);
        }
    }

    /// Breaks a server, or mends it.
    pub fn inflict(&mut self, now: Now, server: Server, fault: Fault) {
        let Some(index) = self
            .nodes
            .iter()
            .position(|node| node.server == Some(server))
        else {
            return;
        };
        let was = self.nodes[index].fault;
        self.nodes[index].fault = (fault != Fault::Restore).then_some(fault);
        match (was, fault) {
            (Some(Fault::Kill), Fault::Kill) => {}
            (_, Fault::Kill) => {
                self.outputs.push_back(Output::CloseFlow {
                    flow: flow_of(index),
                });
                for media in self.nodes[index].crash() {
                    self.speakers.remove(&media);
                    self.outputs.push_back(Output::CloseMedia { media });
                }
            }
            (Some(Fault::Kill), _) => self.listen(index),
            (_, _) => {
                self.nodes[index].wake(now);
                self.drain(now, index);
            }
        }
    }

    fn listen(&mut self, index: usize) {
        self.outputs.push_back(Output::OpenFlow {
            flow: flow_of(index),
            transport: Transport::Udp,
            local: self.nodes[index].address,
            peer: (Ipv4Addr::UNSPECIFIED, 0).into(),
            server_name: None,
            exclusive: false,
        });
    }

    pub fn handle(&mut self, now: Now, input: Input<'_>) {
        let index = match &input {
            Input::FlowOpened { flow, .. }
            | Input::FlowFailed { flow, .. }
            | Input::Signal { flow, .. } => node_of(*flow),
            Input::MediaOpened { media, .. }
            | Input::MediaFailed { media, .. }
            | Input::Media { media, .. } => match self.speakers.get(media) {
                Some(index) => *index,
                None => return,
            },
            Input::Wake => {
                for index in 0..self.nodes.len() {
                    self.nodes[index].wake(now);
                    self.drain(now, index);
                }
                return;
            }
            // The lab places no jobs, and its own lateness is nobody's measure.
            Input::Start { .. } | Input::Abort { .. } | Input::MediaSent { .. } => return,
        };
        if let Some(node) = self.nodes.get_mut(index) {
            node.handle(now, input);
            self.drain(now, index);
        }
    }

    fn drain(&mut self, now: Now, index: usize) {
        while let Some(wish) = self.nodes[index].poll(now) {
            if let Output::OpenMedia { media, .. } = &wish {
                self.speakers.insert(*media, index);
            }
            if let Output::CloseMedia { media } = &wish {
                self.speakers.remove(media);
            }
            self.outputs.push_back(wish);
        }
    }

    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.nodes.iter().filter_map(Node::deadline).min()
    }
}

fn flow_of(index: usize) -> FlowId {
    FlowId(u32::try_from(index).expect("the lab has a handful of machines"))
}

fn node_of(flow: FlowId) -> usize {
    usize::try_from(flow.0).expect("a u32 fits in a usize on every machine we build for")
}
