//! The arrivals of one stream, a line each, in the order in which they came: what `stream` writes and all figures
//! that need the whole record are read from. Bounded, for a call may last for days.

use crate::time::Instant;

/// A line of the log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard {
    pub(super) at: Instant,
    /// Arrival minus timestamp, from the first packet of the epoch on.
    pub(super) transit_ns: i64,
    /// Place in the stream.
    pub(super) number: u32,
    /// Counts the clocks that the far end began; transits of different ones cannot be compared.
    pub(super) epoch: u16,
    /// Its timestamp says when it was spoken: sound, and not overtaken by a change of the clock.
    pub(super) timed: bool,
}

impl Heard {
    /// When it was spoken, on our clock: had it been as quick as the first of its epoch, it came then.
    pub(super) const fn spoken_ns(&self) -> i64 {
        self.at.0.cast_signed().saturating_sub(self.transit_ns)
    }
}

/// A line in the order of sequence numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Packets before it that never came.
    pub(super) missing: u64,
    pub(super) line: usize,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    lines: Vec<Heard>,
}

/// An hour of packets of 20 ms.
const LINES_MAX: usize = 180_000;
/// Grows by three minutes, not to twice its length.
const GROW: usize = 9000;

impl Log {
    pub(super) fn push(&mut self, heard: Heard) {
        if self.lines.len() >= LINES_MAX {
            return;
        }
        if self.lines.len() == self.lines.capacity() {
            // A call of a minute shall not cost the memory of three.
            self.lines.reserve_exact(self.lines.len().clamp(64, GROW));
        }
        self.lines.push(heard);
    }

    /// From this packet on the far end's clock was another one.
    pub(super) fn begin_epoch(&mut self, at: Instant, number: u32, epoch: u16, transit_ns: i64) {
        let late = self
            .lines
            .iter_mut()
            .rev()
            .take_while(|heard| heard.at >= at);
        for heard in late.filter(|heard| heard.number >= number) {
            heard.epoch = epoch;
            heard.transit_ns -= transit_ns;
        }
    }

    pub(super) fn lines(&self) -> &[Heard] {
        &self.lines
    }

    /// Lines that say when they were spoken.
    pub(super) fn timed(&self) -> Vec<usize> {
        (0..self.lines.len())
            .filter(|line| self.lines[*line].timed)
            .collect()
    }

    /// All lines by sequence number, each number once.
    pub(super) fn in_order(&self) -> Vec<Place> {
        let mut order: Vec<Place> = (0..self.lines.len())
            .map(|line| Place { missing: 0, line })
            .collect();
        order.sort_by_key(|place| self.lines[place.line].number);
        order.dedup_by_key(|place| self.lines[place.line].number);
        let mut next = None;
        for place in &mut order {
            let number = self.lines[place.line].number;
            place.missing = u64::from(number - next.unwrap_or(number));
            next = Some(number.saturating_add(1));
        }
        order
    }
}
