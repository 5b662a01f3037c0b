//! Timers of thousands of calls: insert, expire in order, know the next deadline.
//!
//! A hierarchical wheel: eight levels of 64 slots, the finest about a millisecond wide. It never cancels:
//! what an entry names carries a generation, and its owner ignores an entry whose generation is gone, so
//! an ended call costs nothing. Within a slot the exact times count: nothing comes early, nothing out of
//! order. Used by `sip::endpoint` and `calls`.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use crate::time::Instant;

/// A tick is 2^20 ns, a little more than a millisecond.
const TICK_BITS: u32 = 20;
/// Slots of one level, as a power of two; one word of `occupied` has a bit for each.
const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;
/// 2^(20 + 8 · 6) ns is more than an `Instant` can hold, so nothing lies beyond the last level.
const LEVELS: usize = 8;

/// A set of entries, each with the moment it is due.
#[derive(Debug)]
pub struct Wheel<T> {
    levels: Vec<Level<T>>,
    /// Entries of the current tick and earlier, the next one on top.
    near: BinaryHeap<Reverse<Entry<T>>>,
    /// All slots before this tick are empty, and its own entries are in `near`.
    current_tick: u64,
    inserted: u64,
    len: usize,
}

#[derive(Debug)]
struct Level<T> {
    /// Bit `n` is set when slot `n` holds something.
    occupied: u64,
    slots: Vec<Slot<T>>,
}

#[derive(Debug)]
struct Slot<T> {
    /// The earliest entry; meaningless while empty.
    earliest: Instant,
    entries: Vec<Entry<T>>,
}

#[derive(Debug)]
struct Entry<T> {
    at: Instant,
    /// Breaks ties in the order of insertion.
    number: u64,
    what: T,
}

impl<T> Wheel<T> {
    #[must_use]
    pub fn new() -> Self {
        Self {
            levels: (0..LEVELS).map(|_| Level::new()).collect(),
            near: BinaryHeap::new(),
            current_tick: 0,
            inserted: 0,
            len: 0,
        }
    }

    /// How many entries wait, stale ones included.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds an entry; one that is already due comes with the next `pop`.
    pub fn insert(&mut self, at: Instant, what: T) {
        self.inserted += 1;
        self.len += 1;
        self.place(Entry {
            at,
            number: self.inserted,
            what,
        });
    }

    /// The moment of the earliest entry.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        // Everything in `near` is before every slot, and every slot of a level before those of the next.
        if let Some(Reverse(entry)) = self.near.peek() {
            return Some(entry.at);
        }
        self.levels
            .iter()
            .find_map(|level| level.first().map(|slot| level.slots[slot].earliest))
    }

    /// The next entry that is due at `now`, in order of time and, at the same moment, of insertion.
    pub fn pop(&mut self, now: Instant) -> Option<(Instant, T)> {
        loop {
            if let Some(Reverse(entry)) = self.near.peek() {
                if entry.at > now {
                    return None;
                }
                let Reverse(entry) = self.near.pop()?;
                self.len -= 1;
                return Some((entry.at, entry.what));
            }
            if !self.advance(now) {
                return None;
            }
        }
    }

    /// Moves the current tick to the first occupied slot that starts by `now`; false if there is none.
    fn advance(&mut self, now: Instant) -> bool {
        let Some((number, slot)) = self
            .levels
            .iter()
            .enumerate()
            .find_map(|(number, level)| level.first().map(|slot| (number, slot)))
        else {
            return false;
        };
        let level = &mut self.levels[number];
        let earliest = level.slots[slot].earliest;
        if earliest > now {
            return false;
        }
        level.occupied &= !(1 << slot);
        let mut entries = std::mem::take(&mut level.slots[slot].entries);
        // No entry is earlier, so all slots before this tick are empty.
        self.current_tick = tick(earliest);
        for entry in entries.drain(..) {
            self.place(entry);
        }
        // The emptied buffer stays with its slot, unless an entry has just gone there again.
        let slot = &mut self.levels[number].slots[slot];
        if slot.entries.capacity() == 0 {
            slot.entries = entries;
        }
        true
    }

    fn place(&mut self, entry: Entry<T>) {
        let tick = tick(entry.at);
        if tick <= self.current_tick {
            self.near.push(Reverse(entry));
            return;
        }
        // The highest group of bits in which the tick differs from the current one names the level.
        let differing = 63 - (tick ^ self.current_tick).leading_zeros();
        let level = differing / SLOT_BITS;
        let slot = slot_of(tick, level);
        let level = &mut self.levels[level as usize];
        let place = &mut level.slots[slot];
        if level.occupied & (1 << slot) == 0 || entry.at < place.earliest {
            place.earliest = entry.at;
        }
        level.occupied |= 1 << slot;
        place.entries.push(entry);
    }
}

impl<T> Default for Wheel<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Level<T> {
    fn new() -> Self {
        Self {
            occupied: 0,
            slots: (0..SLOTS)
                .map(|_| Slot {
                    earliest: Instant::default(),
                    entries: Vec::new(),
                })
                .collect(),
        }
    }

    /// The earliest occupied slot. Entries only lie ahead of the current tick and agree with it in all
    /// higher bits, so slots never wrap and the lowest number is the earliest.
    const fn first(&self) -> Option<usize> {
        if self.occupied == 0 {
            return None;
        }
        Some(self.occupied.trailing_zeros() as usize)
    }
}

const fn tick(at: Instant) -> u64 {
    at.0 >> TICK_BITS
}

/// Which slot of `level` a tick belongs to.
fn slot_of(tick: u64, level: u32) -> usize {
    let slot = (tick >> (level * SLOT_BITS)) & (SLOTS as u64 - 1);
    usize::try_from(slot).expect("a slot number has six bits")
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    /// What the model is asked to do.
    #[derive(Clone, Debug)]
    enum Step {
        Insert { in_ns: u64 },
        Pass { ns: u64 },
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        // Delays of every size, from the same tick to beyond a year, so that every level is used.
        let length = || (0_u32..56, any::<u64>()).prop_map(|(bits, any)| any & ((1 << bits) - 1));
        let step = prop_oneof![
            length().prop_map(|in_ns| Step::Insert { in_ns }),
            length().prop_map(|ns| Step::Pass { ns }),
        ];
        prop::collection::vec(step, 1..200)
    }

    proptest! {
        #[test]
        fn it_expires_as_a_sorted_map_does(steps in steps(), start in 0_u64..1 << 60) {
            let mut wheel = Wheel::new();
            let mut model = BTreeMap::new();
            let mut now = Instant(start);
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Insert { in_ns } => {
                        let at = now + Duration::from_nanos(in_ns);
                        wheel.insert(at, number);
                        model.insert((at, number), ());
                    }
                    Step::Pass { ns } => {
                        now = now + Duration::from_nanos(ns);
                        let mut last = Instant(0);
                        while let Some((at, what)) = wheel.pop(now) {
                            prop_assert!(at <= now && at >= last, "timers never go back");
                            last = at;
                            let expected = model.pop_first().map(|(key, ())| key);
                            prop_assert_eq!(expected, Some((at, what)));
                        }
                        prop_assert!(model.first_key_value().is_none_or(|((at, _), ())| *at > now));
                    }
                }
                prop_assert_eq!(wheel.len(), model.len());
                prop_assert_eq!(wheel.deadline(), model.first_key_value().map(|((at, _), ())| *at));
            }
        }
    }

    #[test]
    fn a_million_timers_come_in_order() {
        let mut wheel = Wheel::new();
        let mut random = fastrand::Rng::with_seed(7);
        for number in 0..1_000_000_u32 {
            wheel.insert(Instant(random.u64(0..64_000_000_000)), number);
        }
        let (mut now, mut last, mut expired) = (Instant(0), Instant(0), 0);
        while let Some(deadline) = wheel.deadline() {
            assert!(deadline >= now, "a deadline lies ahead");
            now = deadline + Duration::from_millis(10);
            while let Some((at, _)) = wheel.pop(now) {
                assert!(at >= last && at <= now);
                last = at;
                expired += 1;
            }
        }
        assert_eq!((expired, wheel.len()), (1_000_000, 0));
    }

    #[test]
    fn what_is_overdue_comes_at_once() {
        let mut wheel = Wheel::new();
        wheel.insert(Instant(5_000_000_000), 'b');
        assert_eq!(
            wheel.pop(Instant(6_000_000_000)).map(|(_, what)| what),
            Some('b')
        );
        wheel.insert(Instant(1), 'a');
        assert_eq!(wheel.deadline(), Some(Instant(1)));
        assert_eq!(
            wheel.pop(Instant(6_000_000_000)).map(|(_, what)| what),
            Some('a')
        );
    }
}
