//! From notices to messages, so that nothing is lost and nobody is told twice without a reason.
//!
//! The state is a fold: [`Outbox::owe`], [`Outbox::acknowledged`], [`Outbox::quiet`], [`Outbox::merged`],
//! [`Outbox::closed`] and [`Outbox::each_stamp`] for what other facts say, [`Outbox::apply`] for its own records,
//! live and replayed alike. What is to be decided is a pure function of it: [`Outbox::due`] gives the next record
//! until there is none; the engine makes a fact of each and applies it. So a crash at any point leaves the same
//! decision open. Only what is on its way ([`Outbox::sendable`]) is forgotten by a crash: it is sent again under
//! the same key.

mod queue;
mod route;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::notice::{Notice, Reason, key_of};
use super::record::{Failure, MessageId, Record};
use super::settings::{Channel, ChannelName};
use crate::incident::IncidentId;
use crate::time::Utc;
use queue::{Queue, Waiting};

#[derive(Clone, Debug, Default)]
pub struct Outbox {
    channels: Vec<Channel>,
    /// What facts say is to be told, and nobody has taken over yet.
    owed: VecDeque<Notice>,
    threads: BTreeMap<String, Thread>,
    queues: BTreeMap<ChannelName, Queue>,
    last: MessageId,
}

/// What is known of one key: who was told, and what last.
#[derive(Clone, Debug, Default)]
struct Thread {
    /// Ids of notices that were taken over.
    taken: BTreeSet<String>,
    /// Who heard the alarm and must hear the end, and when he was told last.
    alarmed: BTreeMap<ChannelName, Utc>,
    /// The last alarm.
    latest: Option<Notice>,
    is_open: bool,
    is_acknowledged: bool,
    is_closed: bool,
    quiet_until: Option<Utc>,
    reminders: u32,
}

/// A message that may leave now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    pub id: MessageId,
    pub channel: Channel,
    pub notices: Vec<Notice>,
    /// When it was put together.
    pub queued: Utc,
    /// How often it was tried before.
    pub tries: u32,
}

impl Outgoing {
    /// The same for every try of this message, also after a crash: receivers drop what they know.
    #[must_use]
    pub fn key(&self) -> String {
        // The moment tells messages of two journals apart.
        format!(
            "vigie-{}-{}-{}",
            self.channel.name,
            self.id,
            self.queued.0 / 1_000_000
        )
    }

    /// A try-out of the channel.
    #[must_use]
    pub fn test(channel: Channel, at: Utc) -> Self {
        Self {
            id: 0,
            channel,
            notices: vec![Notice::test(at)],
            queued: at,
            tries: 0,
        }
    }
}

/// A channel that cannot deliver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stuck<'o> {
    pub channel: &'o str,
    /// Since when its oldest message waits.
    pub since: Utc,
    pub tries: u32,
    pub words: &'o str,
}

impl Outbox {
    #[must_use]
    pub fn new(channels: Vec<Channel>) -> Self {
        Self {
            channels,
            ..Self::default()
        }
    }

    /// Another file holds from now on. What was decided stays so: whoever heard an alarm hears its end, and what
    /// waits for a channel that is gone waits for its return.
    pub fn reconfigure(&mut self, channels: Vec<Channel>) {
        self.channels = channels;
    }

    /// This is to be told. Owing it again, or after it was taken over, changes nothing.
    pub fn owe(&mut self, notice: Notice) {
        let taken = self.threads.get(&notice.key);
        let is_known = taken.is_some_and(|thread| thread.taken.contains(&notice.id))
            || self.owed.iter().any(|owed| owed.id == notice.id);
        if !is_known {
            self.owed.push_back(notice);
        }
    }

    /// Somebody has it in hand: no reminders, until it gets worse.
    pub fn acknowledged(&mut self, key: &str) {
        if let Some(thread) = self.threads.get_mut(key) {
            thread.is_acknowledged = true;
        }
    }

    /// Planned work goes on there until then: what waits goes on waiting, and nobody is reminded.
    pub fn quiet(&mut self, key: &str, until: Utc) {
        if let Some(thread) = self.threads.get_mut(key) {
            thread.quiet_until = thread.quiet_until.max(Some(until));
        }
        for queue in self.queues.values_mut() {
            queue.hold(key, until);
        }
    }

    /// `key` is part of the incident `into` now: who heard of the one is told so, and hears the end of the other.
    pub fn merged(&mut self, key: &str, into: IncidentId, at: Utc) {
        let Some(thread) = self.threads.get(key) else {
            return;
        };
        let alarmed = thread.alarmed.clone();
        if let (Some(latest), false) = (&thread.latest, alarmed.is_empty()) {
            self.owed.push_back(latest.merged(into, at));
        }
        let into = self.threads.entry(key_of(into)).or_default();
        for (channel, told) in alarmed {
            into.alarmed.entry(channel).or_insert(told);
        }
        self.closed(key, at);
    }

    /// No notice of this key will come any more. Who heard an alarm and no end (a target that is watched no more)
    /// hears that.
    pub fn closed(&mut self, key: &str, at: Utc) {
        let Some(thread) = self.threads.get_mut(key) else {
            return;
        };
        thread.is_closed = true;
        let is_told = thread.alarmed.is_empty()
            || self
                .owed
                .iter()
                .any(|owed| owed.key == key && owed.reason.is_end());
        if !is_told && let Some(latest) = &thread.latest {
            self.owed.push_back(latest.dropped(at));
        }
        self.forget(key);
    }

    /// Shows every stamp to be corrected after a step of the wall clock: times between messages stay what they were.
    /// The end of planned work is a time of day and does not move.
    pub fn each_stamp(&mut self, visit: &mut dyn FnMut(&mut Utc)) {
        for thread in self.threads.values_mut() {
            thread.alarmed.values_mut().for_each(&mut *visit);
        }
        for queue in self.queues.values_mut() {
            queue.each_stamp(visit);
        }
    }

    /// Takes over a record, of the fact numbered `seq`.
    pub fn apply(&mut self, seq: u64, at: Utc, record: &Record) {
        match record {
            Record::Taken {
                notice,
                to,
                held_until,
            } => self.take(at, notice, to, *held_until),
            Record::Queued {
                id,
                channel,
                notices,
            } => {
                self.last = self.last.max(*id);
                self.queues
                    .entry(channel.clone())
                    .or_default()
                    .put_together(*id, seq, at, notices);
            }
            Record::Delivered { id } => {
                for queue in self.queues.values_mut() {
                    queue.delivered(*id);
                }
            }
            Record::Failed {
                id,
                words,
                tries,
                refused,
            } => {
                for queue in self.queues.values_mut() {
                    queue.failed(*id, at, words, *tries, *refused);
                }
            }
        }
    }

    fn take(&mut self, at: Utc, notice: &Notice, to: &[ChannelName], held_until: Option<Utc>) {
        self.owed.retain(|owed| owed.id != notice.id);
        let thread = self.threads.entry(notice.key.clone()).or_default();
        thread.taken.insert(notice.id.clone());
        if notice.reason.is_alarm() {
            thread.is_open = true;
            thread.is_acknowledged = false;
            thread.latest = Some(notice.clone());
        }
        if let Some(until) = held_until {
            thread.quiet_until = thread.quiet_until.max(Some(until));
        }
        if notice.reason.is_end() {
            thread.is_open = false;
            thread.alarmed.clear();
        } else if thread.is_open {
            for channel in to {
                thread.alarmed.insert(channel.clone(), at);
            }
        }
        if notice.reason == Reason::Reminder {
            thread.reminders += 1;
        }
        for channel in to {
            self.queues
                .entry(channel.clone())
                .or_default()
                .wait(Waiting {
                    notice: notice.clone(),
                    since: at,
                    held_until,
                });
        }
        // The next own fault of this kind is another thread; an incident may relapse until it is closed.
        if notice.reason == Reason::OwnFaultOver {
            thread.is_closed = true;
        }
        self.forget(&notice.key);
    }

    fn forget(&mut self, key: &str) {
        let is_over = self.threads.get(key).is_some_and(|thread| thread.is_closed)
            && !self.owed.iter().any(|owed| owed.key == key);
        if is_over {
            self.threads.remove(key);
        }
    }

    /// The next decision; the caller makes a fact of it and applies it, until there is none.
    #[must_use]
    pub fn due(&self, now: Utc) -> Option<Record> {
        self.route_owed(now)
            .or_else(|| self.remind(now))
            .or_else(|| self.put_together(now))
    }

    fn put_together(&self, now: Utc) -> Option<Record> {
        self.channels.iter().find_map(|channel| {
            let queue = self.queues.get(&channel.name)?;
            let notices = queue.ready(channel.digest, now)?;
            Some(Record::Queued {
                id: self.last + 1,
                channel: channel.name.clone(),
                notices,
            })
        })
    }

    /// A message that may leave: its record is committed (`committed` is the number of the last fact on disk), its
    /// channel is free and its time has come. It is on its way from then on: answer with [`Outbox::tried`].
    pub fn sendable(&mut self, now: Utc, committed: u64) -> Option<Outgoing> {
        let Self {
            channels, queues, ..
        } = self;
        channels.iter().find_map(|channel| {
            let message = queues.get_mut(&channel.name)?.next(now, committed)?;
            message.in_flight = true;
            Some(Outgoing {
                id: message.id,
                channel: channel.clone(),
                notices: message.notices.clone(),
                queued: message.queued,
                tries: message.tries,
            })
        })
    }

    /// What became of a message that was on its way; the caller makes a fact of the answer and applies it.
    #[must_use]
    pub fn tried(&self, id: MessageId, outcome: Result<(), Failure>) -> Record {
        match outcome {
            Ok(()) => Record::Delivered { id },
            Err(Failure { words, refused }) => {
                let mut messages = self.queues.values().flat_map(|queue| &queue.messages);
                let before = messages.find(|message| message.id == id);
                Record::Failed {
                    id,
                    words,
                    tries: before.map_or(0, |message| message.tries) + 1,
                    refused,
                }
            }
        }
    }

    /// When [`Outbox::due`] or [`Outbox::sendable`] has something next, if nothing else happens.
    #[must_use]
    pub fn deadline(&self, now: Utc) -> Option<Utc> {
        if !self.owed.is_empty() {
            return Some(now);
        }
        let queues = self.channels.iter().filter_map(|channel| {
            let queue = self.queues.get(&channel.name)?;
            queue.deadline(channel.digest, now)
        });
        let reminders = self.reminders().map(|(_, _, at)| at);
        queues.chain(reminders).min()
    }

    /// Channels whose messages do not get through, for the page and for the other channels.
    pub fn stuck(&self) -> impl Iterator<Item = Stuck<'_>> {
        self.queues.iter().filter_map(|(name, queue)| {
            let message = queue.messages.iter().find(|message| message.tries > 0)?;
            Some(Stuck {
                channel: name,
                since: message.queued,
                tries: message.tries,
                words: &message.words,
            })
        })
    }
}
