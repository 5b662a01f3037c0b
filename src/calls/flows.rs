//! The flows that tasks leave by: shared with other tasks to the same peer, or a fresh one.
//!
//! A table and its rules; it opens nothing, [`super::Calls`] asks the shell for that.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::script::Route;
use crate::sip::{FlowId, Transport};

/// All flows, opening or open.
#[derive(Debug, Default)]
pub(super) struct Flows {
    last: u32,
    all: BTreeMap<FlowId, Flow>,
    shared: BTreeMap<Sharing, FlowId>,
}

#[derive(Debug)]
pub(super) struct Flow {
    pub(super) transport: Transport,
    /// Its own address, once it is open.
    pub(super) local: Option<SocketAddr>,
    /// How many tasks still need it.
    users: u32,
    /// Tasks that wait until it is open.
    pub(super) waiting: Vec<u64>,
    sharing: Option<Sharing>,
    pub(super) only_peer: Option<SocketAddr>,
}

/// What tasks must have in common to share a flow.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Sharing {
    transport: Transport,
    local: SocketAddr,
    /// `None`: a UDP socket on a chosen port, which exists once and talks to everybody.
    peer: Option<SocketAddr>,
    server_name: Option<String>,
    exclusive: bool,
}

/// A flow for a task.
pub(super) struct Claim {
    pub(super) flow: FlowId,
    /// The shell must open it; `exclusive` as in `Output::OpenFlow`.
    pub(super) open: Option<Exclusive>,
}

/// May the socket be connected to its one peer?
pub(super) struct Exclusive(pub(super) bool);

impl Flows {
    /// Finds or makes the flow of this route. `single_peer`: the task never talks to anybody but the
    /// peer of its route (no redirect, no Contact elsewhere), as in load tests.
    pub(super) fn claim(&mut self, route: &Route, single_peer: bool) -> Claim {
        let sharing = Self::sharing(route, single_peer);
        if let Some(sharing) = &sharing
            && let Some(flow) = self.shared.get(sharing)
            && let Some(known) = self.all.get_mut(flow)
        {
            known.users += 1;
            return Claim {
                flow: *flow,
                open: None,
            };
        }
        self.last = self.last.wrapping_add(1);
        let flow = FlowId(self.last);
        let exclusive = sharing.as_ref().map_or(single_peer, |key| key.exclusive);
        let stream = route.transport.is_reliable();
        self.all.insert(
            flow,
            Flow {
                transport: route.transport,
                local: None,
                users: 1,
                waiting: Vec::new(),
                sharing: sharing.clone(),
                only_peer: (exclusive || stream).then_some(route.peer),
            },
        );
        if let Some(sharing) = sharing {
            self.shared.insert(sharing, flow);
        }
        Claim {
            flow,
            open: Some(Exclusive(exclusive)),
        }
    }

    /// `None` for a flow of its own. A chosen UDP port can be bound once only, so it is always shared.
    fn sharing(route: &Route, single_peer: bool) -> Option<Sharing> {
        let datagrams = !route.transport.is_reliable();
        let chosen_port = datagrams && route.local.port() != 0;
        if route.fresh && !chosen_port {
            return None;
        }
        Some(Sharing {
            transport: route.transport,
            local: route.local,
            peer: (!chosen_port).then_some(route.peer),
            server_name: route.server_name.clone(),
            exclusive: datagrams && single_peer && !chosen_port,
        })
    }

    pub(super) fn flow(&mut self, flow: FlowId) -> Option<&mut Flow> {
        self.all.get_mut(&flow)
    }

    /// A task needs the flow no more. True if it is of no further use to anybody.
    pub(super) fn release(&mut self, flow: FlowId) -> bool {
        let Some(known) = self.all.get_mut(&flow) else {
            return false;
        };
        known.users = known.users.saturating_sub(1);
        known.users == 0 && known.sharing.is_none()
    }

    /// It broke or was closed; the next task to this peer gets a new one.
    pub(super) fn remove(&mut self, flow: FlowId) -> Option<Flow> {
        let removed = self.all.remove(&flow)?;
        if let Some(sharing) = &removed.sharing {
            self.shared.remove(sharing);
        }
        Some(removed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(peer: &str, local: &str, fresh: bool) -> Route {
        Route {
            transport: Transport::Udp,
            peer: peer.parse().unwrap(),
            local: local.parse().unwrap(),
            server_name: None,
            fresh,
        }
    }

    #[test]
    fn tasks_to_one_peer_share_a_flow_unless_they_want_a_fresh_one() {
        let (one, two, any, chosen) = (
            "127.0.1.1:5060",
            "127.0.1.2:5060",
            "0.0.0.0:0",
            "127.0.0.1:5070",
        );
        let cases = [
            (
                "same peer",
                route(one, any, false),
                route(one, any, false),
                true,
            ),
            (
                "another peer",
                route(one, any, false),
                route(two, any, false),
                false,
            ),
            (
                "fresh",
                route(one, any, false),
                route(one, any, true),
                false,
            ),
            (
                "a chosen port exists once",
                route(one, chosen, false),
                route(two, chosen, true),
                true,
            ),
        ];
        for (name, first, second, shared) in cases {
            let mut flows = Flows::default();
            let first = flows.claim(&first, false);
            assert!(first.open.is_some(), "{name}");
            let second = flows.claim(&second, false);
            assert_eq!(first.flow == second.flow, shared, "{name}");
            assert_eq!(second.open.is_none(), shared, "{name}");
        }
    }

    #[test]
    fn a_fresh_flow_goes_with_its_last_user_and_a_shared_one_stays() {
        let mut flows = Flows::default();
        let fresh = flows
            .claim(&route("127.0.1.1:5060", "0.0.0.0:0", true), false)
            .flow;
        let shared = flows
            .claim(&route("127.0.1.1:5060", "0.0.0.0:0", false), false)
            .flow;
        assert!(flows.release(fresh));
        assert!(!flows.release(shared));
        flows.remove(shared);
        assert!(
            flows
                .claim(&route("127.0.1.1:5060", "0.0.0.0:0", false), false)
                .open
                .is_some()
        );
    }
}
