//! The journal in memory: it commits late, fails when the story says so, and outlives the service.
//!
//! A fresh engine reads along (`reader`): it is what a restart would give, so a restart costs nothing and every
//! fact is replayed exactly once. What was read is dropped: a simulated year fits in memory.

use std::sync::Arc;

use crate::engine::Engine;
use crate::engine::fact::{BootId, Fact, Hash};
use crate::engine::input::Input;
use crate::engine::plant::Plant;
use crate::time::Now;

#[derive(Clone, Debug)]
pub(super) struct Journal {
    reader: Engine,
    /// On disk, not yet read back.
    unread: Vec<Fact>,
    last_read: Option<Fact>,
    /// Made, and not yet on disk.
    pending: Vec<Fact>,
    committed: u64,
    hash: Hash,
    /// Bytes of all payloads.
    bytes: u64,
}

impl Journal {
    pub(super) fn new(plant: &Arc<Plant>, boot: &BootId) -> Self {
        Self {
            reader: Engine::new(Arc::clone(plant), boot.clone()),
            unread: Vec::new(),
            last_read: None,
            pending: Vec::new(),
            committed: 0,
            hash: Hash::default(),
            bytes: 0,
        }
    }

    pub(super) fn append(&mut self, fact: Fact) {
        self.pending.push(fact);
    }

    pub(super) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// The last fact made.
    pub(super) fn last(&self) -> Option<&Fact> {
        let on_disk = self.unread.last().or(self.last_read.as_ref());
        self.pending.last().or(on_disk)
    }

    /// Everything is on disk; the number of the last fact.
    pub(super) fn commit(&mut self) -> u64 {
        if let Some(last) = self.pending.last() {
            self.committed = last.seq;
            self.hash = last.hash;
        }
        self.bytes += self
            .pending
            .iter()
            .map(|fact| fact.payload.len() as u64)
            .sum::<u64>();
        self.unread.append(&mut self.pending);
        self.committed
    }

    /// The process is gone, and what it had not written.
    pub(super) fn lose_pending(&mut self) {
        self.pending.clear();
    }

    /// Number and hash of the last fact on disk: two runs of one seed end with the same.
    pub(super) const fn end(&self) -> (u64, Hash) {
        (self.committed, self.hash)
    }

    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What a start at this moment takes over; the chain is verified on the way.
    pub(super) fn read(&mut self, now: Now) -> Result<&Engine, String> {
        let read = self.reader.replay(now, &self.unread);
        self.last_read = self.unread.pop().or_else(|| self.last_read.take());
        self.unread.clear();
        read.map_err(|error| error.to_string())?;
        Ok(&self.reader)
    }

    /// The next start is with this plant.
    pub(super) fn replanted(&mut self, now: Now, plant: &Arc<Plant>) -> Result<(), String> {
        self.read(now)?;
        self.reader
            .handle(Now::default(), Input::Reconfigured(Arc::clone(plant)));
        Ok(())
    }
}
