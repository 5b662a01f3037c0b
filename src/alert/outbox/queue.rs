//! What waits for one channel, and what is on its way there: one message at a time, so that a provider that hangs
//! delays its own channel and no other.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::alert::notice::Notice;
use crate::alert::record::MessageId;
use crate::time::Utc;

/// The first new try; sooner hits the same restart of the same server.
const RETRY_FIRST: Duration = Duration::from_secs(5);
/// Doubling ends here: a provider that is back is noticed within this.
const RETRY_MAX: Duration = Duration::from_secs(300);
/// Somebody has to mend an address or a password first; servers ban who asks more often.
const RETRY_REFUSED: Duration = Duration::from_secs(15 * 60);

#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    pub(super) waiting: Vec<Waiting>,
    /// Oldest first. At most one of them is not refused.
    pub(super) messages: Vec<Message>,
    last_queued: Option<Utc>,
    /// How many notices of each key have not arrived yet.
    undelivered: BTreeMap<String, usize>,
}

/// A notice that is in no message yet.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) notice: Notice,
    pub(super) since: Utc,
    pub(super) held_until: Option<Utc>,
}

#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) id: MessageId,
    /// Number of the fact that put it together.
    seq: u64,
    pub(super) queued: Utc,
    pub(super) notices: Vec<Notice>,
    pub(super) tries: u32,
    pub(super) words: String,
    refused: bool,
    failed_at: Utc,
    pub(super) in_flight: bool,
}

impl Message {
    /// How long after a failure it is tried again.
    fn pause(&self) -> Duration {
        match (self.tries, self.refused) {
            (0, _) => Duration::ZERO,
            (_, true) => RETRY_REFUSED,
            (tries, false) => RETRY_FIRST
                .saturating_mul(1 << (tries - 1).min(16))
                .min(RETRY_MAX),
        }
    }

    fn is_due(&self, now: Utc) -> bool {
        has_passed(self.failed_at, self.pause(), now)
    }
}

impl Queue {
    pub(super) fn wait(&mut self, waiting: Waiting) {
        let key = waiting.notice.key.clone();
        *self.undelivered.entry(key).or_default() += 1;
        self.waiting.push(waiting);
    }

    /// The ids that leave together now; `None`: nothing does. What was refused of the same keys leaves with them, so
    /// that no alarm arrives after its own end.
    pub(super) fn ready(&self, digest: Duration, now: Utc) -> Option<Vec<String>> {
        let in_digest = self
            .last_queued
            .is_some_and(|last| !has_passed(last, digest, now));
        if self.is_blocked() || in_digest {
            return None;
        }
        let free: Vec<&Notice> = self
            .waiting
            .iter()
            .filter(|waiting| waiting.held_until.is_none_or(|until| until <= now))
            .map(|waiting| &waiting.notice)
            .collect();
        let refused = self
            .messages
            .iter()
            .flat_map(|message| &message.notices)
            .filter(|notice| free.iter().any(|free| free.key == notice.key));
        let notices: Vec<String> = refused
            .chain(free.iter().copied())
            .map(|notice| notice.id.clone())
            .collect();
        (!free.is_empty()).then_some(notices)
    }

    /// Something is on its way, or will be as soon as the far end answers again.
    fn is_blocked(&self) -> bool {
        self.messages
            .iter()
            .any(|message| message.in_flight || !message.refused)
    }

    pub(super) fn put_together(&mut self, id: MessageId, seq: u64, at: Utc, ids: &[String]) {
        let is_leaving = |notice: &Notice| ids.contains(&notice.id);
        let mut notices = Vec::with_capacity(ids.len());
        for message in &mut self.messages {
            notices.extend(message.notices.extract_if(.., |notice| is_leaving(notice)));
        }
        self.messages.retain(|message| !message.notices.is_empty());
        let waiting = self
            .waiting
            .extract_if(.., |waiting| is_leaving(&waiting.notice));
        notices.extend(waiting.map(|waiting| waiting.notice));
        self.last_queued = Some(at);
        self.messages.push(Message {
            id,
            seq,
            queued: at,
            notices,
            tries: 0,
            words: String::new(),
            refused: false,
            failed_at: at,
            in_flight: false,
        });
    }

    pub(super) fn delivered(&mut self, id: MessageId) {
        for message in self.messages.extract_if(.., |message| message.id == id) {
            for notice in message.notices {
                if let Some(count) = self.undelivered.get_mut(&notice.key) {
                    *count -= 1;
                    if *count == 0 {
                        self.undelivered.remove(&notice.key);
                    }
                }
            }
        }
    }

    pub(super) fn failed(
        &mut self,
        id: MessageId,
        at: Utc,
        words: &str,
        tries: u32,
        refused: bool,
    ) {
        if let Some(message) = self.messages.iter_mut().find(|message| message.id == id) {
            message.tries = tries;
            words.clone_into(&mut message.words);
            message.refused = refused;
            message.failed_at = at;
            message.in_flight = false;
        }
    }

    /// The message that may leave now.
    pub(super) fn next(&mut self, now: Utc, committed: u64) -> Option<&mut Message> {
        if self.messages.iter().any(|message| message.in_flight) {
            return None;
        }
        // What was refused waits behind what was not: it is a matter of minutes, not of seconds.
        self.messages
            .iter_mut()
            .filter(|message| message.seq <= committed && message.is_due(now))
            .min_by_key(|message| (message.refused, message.id))
    }

    pub(super) fn deadline(&self, digest: Duration, now: Utc) -> Option<Utc> {
        if self.messages.iter().any(|message| message.in_flight) {
            return None;
        }
        // One that was never tried waits for its commit, which wakes us.
        let retries = self
            .messages
            .iter()
            .filter(|message| message.tries > 0)
            .map(|message| message.failed_at + message.pause());
        let next = self
            .waiting
            .iter()
            .filter(|_| !self.is_blocked())
            .map(|waiting| waiting.held_until.unwrap_or(waiting.since))
            .min()
            .map(|free| match self.last_queued {
                Some(last) if !has_passed(last, digest, now) => free.max(last + digest),
                Some(_) | None => free,
            });
        retries.chain(next).min()
    }

    /// Is something of this key not delivered yet?
    pub(super) fn holds(&self, key: &str) -> bool {
        self.undelivered.contains_key(key)
    }

    /// Until when an alarm of this key is held.
    pub(super) fn held_until(&self, key: &str) -> Option<Utc> {
        self.waiting
            .iter()
            .filter(|waiting| waiting.notice.key == key)
            .filter_map(|waiting| waiting.held_until)
            .max()
    }

    pub(super) fn hold(&mut self, key: &str, until: Utc) {
        for waiting in &mut self.waiting {
            if waiting.notice.key == key {
                waiting.held_until = waiting.held_until.max(Some(until));
            }
        }
    }

    pub(super) fn each_stamp(&mut self, visit: &mut dyn FnMut(&mut Utc)) {
        self.last_queued.iter_mut().for_each(&mut *visit);
        for waiting in &mut self.waiting {
            visit(&mut waiting.since);
        }
        for message in &mut self.messages {
            visit(&mut message.failed_at);
        }
    }
}

/// A clock that went back while nobody watched must not stop us for hours.
fn has_passed(since: Utc, pause: Duration, now: Utc) -> bool {
    now < since || now.since(since) >= pause
}
