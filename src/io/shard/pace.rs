//! Media packets in the order in which they are due, and how late they left.
//!
//! `Calls` usually asks at the very deadline; what it asks for ahead of time waits here until then.
//! The rules of when a packet is due are in `rtp`; this file only keeps the appointments.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::calls::{Component, MediaId};
use crate::time::Instant;

/// One media packet on its way out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outgoing {
    pub(super) media: MediaId,
    pub(super) component: Component,
    pub(super) to: SocketAddr,
    pub(super) packet: Vec<u8>,
    pub(super) due: Instant,
}

/// Packets that wait for their time.
#[derive(Debug, Default)]
pub(super) struct Pace {
    waiting: BinaryHeap<Reverse<Entry>>,
    /// Keeps packets that are due together in the order in which they came.
    count: u64,
}

#[derive(Debug)]
struct Entry {
    due: Instant,
    number: u64,
    outgoing: Outgoing,
}

impl Pace {
    pub(super) fn push(&mut self, outgoing: Outgoing) {
        self.count += 1;
        self.waiting.push(Reverse(Entry {
            due: outgoing.due,
            number: self.count,
            outgoing,
        }));
    }

    /// The next packet whose time has come.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Outgoing> {
        if self.deadline()? > now {
            return None;
        }
        self.waiting.pop().map(|Reverse(entry)| entry.outgoing)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.waiting.peek().map(|Reverse(entry)| entry.due)
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.number).cmp(&(other.due, other.number))
    }
}

/// How late the thread was, in microseconds, as a histogram of fixed size (1 µs to 1 min, 1 %).
#[derive(Debug)]
pub(in crate::io) struct Lateness(hdrhistogram::Histogram<u32>);

impl Default for Lateness {
    fn default() -> Self {
        Self(
            hdrhistogram::Histogram::new_with_bounds(1, 60_000_000, 2)
                .expect("the bounds are constants in the right order"),
        )
    }
}

impl Lateness {
    pub(in crate::io) fn record(&mut self, late: Duration) {
        self.0
            .saturating_record(u64::try_from(late.as_micros()).unwrap_or(u64::MAX).max(1));
    }

    pub(in crate::io) fn p99(&self) -> Duration {
        Duration::from_micros(self.0.value_at_quantile(0.99))
    }

    pub(super) fn count(&self) -> u64 {
        self.0.len()
    }

    pub(super) fn clear(&mut self) {
        self.0.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(due: u64, name: u8) -> Outgoing {
        Outgoing {
            media: MediaId(0),
            component: Component::Rtp,
            to: ([127, 0, 0, 1], 4000).into(),
            packet: vec![name],
            due: Instant(due),
        }
    }

    #[test]
    fn packets_leave_in_the_order_of_their_deadlines_and_never_before() {
        let mut pace = Pace::default();
        for (due, name) in [(30, b'd'), (10, b'a'), (20, b'b'), (20, b'c')] {
            pace.push(packet(due, name));
        }
        let mut left = Vec::new();
        for now in [0, 10, 25, 29, 30] {
            while let Some(out) = pace.pop_due(Instant(now)) {
                left.push((now, out.packet[0]));
            }
        }
        assert_eq!(left, [(10, b'a'), (25, b'b'), (25, b'c'), (30, b'd')]);
        assert_eq!(pace.deadline(), None);
    }

    #[test]
    fn lateness_is_told_as_its_99th_percentile() {
        let mut lateness = Lateness::default();
        for _ in 0..99 {
            lateness.record(Duration::from_micros(50));
        }
        lateness.record(Duration::from_secs(100));
        assert_eq!(lateness.p99(), Duration::from_micros(50));
        assert_eq!(lateness.count(), 100);
    }
}
