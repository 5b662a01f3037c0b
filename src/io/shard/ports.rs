//! Which media ports are free: pairs of an even RTP and the next odd RTCP port (RFC 3550 §11).
//!
//! Ports are taken in a circle, so that the far end's last packets of one call meet a closed port
//! and never the next call. No sockets here; `media` binds what is taken.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::time::Instant;

/// The range of media ports of one shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaPorts {
    pub range: RangeInclusive<u16>,
    /// Those of calls that leave from this own address: it has all its ports for itself.
    pub elsewhere: BTreeMap<IpAddr, RangeInclusive<u16>>,
    /// How long a port rests after its call. Shorter, and a queue that drains late at the far end
    /// puts the old call's packets into the new call's figures; longer, and a small range runs dry.
    pub rest: Duration,
}

impl Default for MediaPorts {
    /// Below the range from which Linux takes its own ports (32768 and up).
    fn default() -> Self {
        Self {
            range: 20_000..=29_999,
            elsewhere: BTreeMap::new(),
            rest: Duration::from_secs(5),
        }
    }
}

/// Free and resting ports, in the order in which they may be used.
#[derive(Debug)]
pub(super) struct Ports {
    free: VecDeque<u16>,
    resting: VecDeque<(Instant, u16)>,
    rest: Duration,
}

impl Ports {
    pub(super) fn new(range: &RangeInclusive<u16>, rest: Duration) -> Self {
        let last = *range.end();
        Self {
            free: range
                .clone()
                .filter(|port| port % 2 == 0 && *port > 0 && *port < last)
                .collect(),
            resting: VecDeque::new(),
            rest,
        }
    }

    /// How many pairs may be tried before the range is exhausted.
    pub(super) fn available(&mut self, now: Instant) -> usize {
        while let Some((until, port)) = self.resting.front().copied() {
            if until > now {
                break;
            }
            self.resting.pop_front();
            self.free.push_back(port);
        }
        self.free.len()
    }

    /// The even port of a pair that nobody of ours uses.
    pub(super) fn take(&mut self, now: Instant) -> Option<u16> {
        self.available(now);
        self.free.pop_front()
    }

    /// The call is over, or somebody else holds the port: it rests either way.
    pub(super) fn give_back(&mut self, port: u16, now: Instant) {
        self.resting.push_back((now + self.rest, port));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(range: RangeInclusive<u16>) -> Ports {
        Ports::new(&range, Duration::from_secs(5))
    }

    #[test]
    fn only_even_ports_with_a_partner_are_taken() {
        let cases: [(RangeInclusive<u16>, &[u16]); 5] = [
            (4000..=4005, &[4000, 4002, 4004]),
            (4001..=4004, &[4002]),
            (4000..=4000, &[]),
            (0..=3, &[2]),
            (65_532..=65_535, &[65_532, 65_534]),
        ];
        for (range, expected) in cases {
            let mut ports = ports(range.clone());
            let taken: Vec<u16> = std::iter::from_fn(|| ports.take(Instant(0))).collect();
            assert_eq!(taken, expected, "{range:?}");
        }
    }

    #[test]
    fn a_port_rests_before_it_is_used_again() {
        let mut ports = ports(4000..=4003);
        let second = 1_000_000_000;
        assert_eq!(ports.take(Instant(0)), Some(4000));
        ports.give_back(4000, Instant(0));
        assert_eq!(ports.take(Instant(0)), Some(4002));
        assert_eq!(ports.take(Instant(5 * second - 1)), None);
        assert_eq!(ports.take(Instant(5 * second)), Some(4000));
    }
}
