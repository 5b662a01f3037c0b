//! The slab in which calls live: found by index, told apart by generation.

use crate::sip::agent::Key;
use crate::time::Instant;

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    /// The wheel entry that counts; later ones are stale.
    armed: Option<Instant>,
    what: Option<T>,
}

/// Slots and the free ones among them.
#[derive(Debug)]
pub(super) struct Slots<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

impl<T> Slots<T> {
    pub(super) const fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
        }
    }

    /// A key whose slot is empty until `put`.
    pub(super) fn reserve(&mut self) -> Key {
        if let Some(index) = self.free.pop() {
            let generation = self.slots[index as usize].generation;
            return Key { index, generation };
        }
        let index = u32::try_from(self.slots.len()).expect("memory ends before four billion calls");
        self.slots.push(Slot {
            generation: 0,
            armed: None,
            what: None,
        });
        Key {
            index,
            generation: 0,
        }
    }

    /// Takes out what `key` names, to be `put` back or `release`d.
    pub(super) fn take(&mut self, key: Key) -> Option<T> {
        self.slot(key)?.what.take()
    }

    pub(super) fn put(&mut self, key: Key, what: T) {
        if let Some(slot) = self.slot(key) {
            slot.what = Some(what);
        }
    }

    /// Ends the key: the slot is used again under the next generation.
    pub(super) fn release(&mut self, key: Key) {
        if let Some(slot) = self.slot(key) {
            slot.what = None;
            slot.armed = None;
            slot.generation = slot.generation.wrapping_add(1);
            self.free.push(key.index);
        }
    }

    /// Notes that a timer is wanted at `at`; true if the wheel does not have one as early.
    pub(super) fn arm(&mut self, key: Key, at: Instant) -> bool {
        match self.slot(key) {
            Some(slot) if slot.armed.is_none_or(|armed| at < armed) => {
                slot.armed = Some(at);
                true
            }
            Some(_) | None => false,
        }
    }

    /// Whether the timer that has come is the one that counts.
    pub(super) fn disarm(&mut self, key: Key, at: Instant) -> bool {
        match self.slot(key) {
            Some(slot) if slot.armed == Some(at) => {
                slot.armed = None;
                true
            }
            Some(_) | None => false,
        }
    }

    /// How many keys are in use.
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Every key in use, in the order of their slots.
    pub(super) fn keys(&self) -> Vec<Key> {
        self.slots
            .iter()
            .zip(0_u32..)
            .filter(|(slot, _)| slot.what.is_some())
            .map(|(slot, index)| Key {
                index,
                generation: slot.generation,
            })
            .collect()
    }

    fn slot(&mut self, key: Key) -> Option<&mut Slot<T>> {
        self.slots
            .get_mut(key.index as usize)
            .filter(|slot| slot.generation == key.generation)
    }
}
