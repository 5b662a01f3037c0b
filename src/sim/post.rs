//! Who stands at the far end of the alert channels: what he was told, and what the journal says he was to be told.
//!
//! A mailbox takes messages, refuses them, hangs, or takes them and does not say so; the journal's side of it is read
//! from the facts about alerts.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::property::{Moment, Sent};
use crate::alert::notice::{Notice, key_of};
use crate::alert::outbox::Outgoing;
use crate::alert::record::{Failure, MessageId, Record};
use crate::alert::settings::ChannelName;
use crate::incident::IncidentId;
use crate::time::{Instant, Now, Utc};

/// A channel of the simulated plant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mailbox {
    Mail,
    Webhook,
}

impl Mailbox {
    pub const ALL: [Self; 2] = [Self::Mail, Self::Webhook];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Webhook => "webhook",
        }
    }
}

/// How a mailbox fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// It answers and says no.
    Refuses,
    /// It says nothing until we give up.
    Hangs,
    /// It takes the message, and we never hear that it did.
    LosesAnswers,
}

/// What becomes of a message that is handed over.
#[derive(Clone, Debug)]
pub(super) struct Fate {
    pub(super) is_taken: bool,
    pub(super) after: Duration,
    pub(super) outcome: Result<(), Failure>,
}

pub(super) fn fate(
    trouble: Option<Trouble>,
    timeout: Duration,
    chance: &mut fastrand::Rng,
) -> Fate {
    let soon = Duration::from_millis(chance.u64(20..900));
    match trouble {
        None => Fate {
            is_taken: true,
            after: soon,
            outcome: Ok(()),
        },
        Some(Trouble::Refuses) => Fate {
            is_taken: false,
            after: soon,
            outcome: Err(Failure::refused("550 no such user")),
        },
        Some(Trouble::Hangs) => Fate {
            is_taken: false,
            after: timeout,
            outcome: Err(Failure::passing("no answer in time")),
        },
        Some(Trouble::LosesAnswers) => Fate {
            is_taken: true,
            after: timeout,
            outcome: Err(Failure::passing("no answer in time")),
        },
    }
}

#[derive(Debug, Default)]
pub(super) struct Post {
    boxes: BTreeMap<ChannelName, Far>,
    queued: BTreeMap<MessageId, Queued>,
    threads: BTreeMap<String, Thread>,
    committed: u64,
    pub(super) sent: u64,
    pub(super) taken: u64,
}

#[derive(Debug, Default)]
struct Far {
    /// By the id of the notice: to be told.
    owed: BTreeMap<String, Owed>,
    /// Told, by the id of the notice.
    told: BTreeMap<String, Told>,
    /// Heard the alarm of this key, and no end yet; with the fact that put it together.
    alarmed: BTreeMap<String, u64>,
    /// Since when nothing is on its way; `None`: something is.
    free_since: Option<Instant>,
    /// When the last message was put together, and the one before it.
    last_queued: Option<Instant>,
    queued_before: Option<Instant>,
}

#[derive(Debug)]
struct Owed {
    fact: u64,
    since: Instant,
    /// By the wall clock.
    held_until: Option<Utc>,
    was_refused: bool,
    key: String,
    is_end: bool,
}

#[derive(Debug)]
struct Told {
    /// The fact that put its message together.
    fact: u64,
    /// The fact that says it arrived.
    known: Option<u64>,
}

#[derive(Debug)]
struct Queued {
    fact: u64,
    channel: ChannelName,
    notices: Vec<String>,
    /// The fact that says it arrived.
    delivered: Option<u64>,
}

#[derive(Debug, Default)]
struct Thread {
    in_hand: bool,
}

/// A fact about alerts, and what its reader knows.
#[derive(Debug)]
pub(super) struct Read<'a> {
    pub(super) fact: u64,
    pub(super) record: &'a Record,
    /// People plan work on all that this notice is about until then.
    pub(super) planned_until: Option<Utc>,
}

impl Post {
    pub(super) fn reads(&mut self, now: Now, read: &Read<'_>, tell: &mut impl FnMut(&Moment<'_>)) {
        match read.record {
            Record::Taken {
                notice,
                to,
                held_until,
            } => {
                self.owes(now, read, notice, to, *held_until, tell);
            }
            Record::Queued {
                id,
                channel,
                notices,
            } => {
                let far = self.boxes.entry(channel.clone()).or_default();
                far.queued_before = far.last_queued.replace(now.instant);
                let queued = Queued {
                    fact: read.fact,
                    channel: channel.clone(),
                    notices: notices.clone(),
                    delivered: None,
                };
                self.queued.insert(*id, queued);
            }
            Record::Delivered { id } => {
                let Some(queued) = self.queued.get_mut(id) else {
                    return;
                };
                queued.delivered = Some(read.fact);
                let far = self.boxes.entry(queued.channel.clone()).or_default();
                far.free_since = Some(now.instant);
                for notice in &queued.notices {
                    far.owed.remove(notice);
                    if let Some(told) = far.told.get_mut(notice) {
                        told.known.get_or_insert(read.fact);
                    }
                }
            }
            Record::Failed { id, refused, .. } => {
                if let Some(queued) = self.queued.get(id)
                    && let Some(far) = self.boxes.get_mut(&queued.channel)
                {
                    far.free_since = refused.then_some(now.instant);
                    for notice in queued.notices.iter().filter(|_| *refused) {
                        if let Some(owed) = far.owed.get_mut(notice) {
                            owed.was_refused = true;
                        }
                    }
                }
            }
        }
    }

    fn owes(
        &mut self,
        now: Now,
        read: &Read<'_>,
        notice: &Notice,
        to: &[ChannelName],
        held_until: Option<Utc>,
        tell: &mut impl FnMut(&Moment<'_>),
    ) {
        self.taken += 1;
        let thread = self.threads.entry(notice.key.clone()).or_default();
        if notice.reason.is_alarm() {
            thread.in_hand = false;
        }
        tell(&Moment::Owed {
            notice,
            to,
            in_hand: thread.in_hand,
        });
        let planned = read.planned_until.filter(|_| notice.reason.is_alarm());
        for channel in to {
            let far = self.boxes.entry(channel.clone()).or_default();
            let owed = Owed {
                fact: read.fact,
                since: now.instant,
                held_until: held_until.max(planned),
                was_refused: false,
                key: notice.key.clone(),
                is_end: notice.reason.is_end(),
            };
            far.owed.insert(notice.id.clone(), owed);
        }
    }

    /// Somebody has it in hand.
    pub(super) fn acknowledged(&mut self, incident: IncidentId) {
        let key = key_of(incident);
        self.threads.entry(key).or_default().in_hand = true;
    }

    /// A message is handed to its far end. `is_calm`: nothing of our own has delayed it.
    pub(super) fn handed(
        &mut self,
        now: Now,
        outgoing: &Outgoing,
        is_taken: bool,
        is_calm: bool,
        tell: &mut impl FnMut(&Moment<'_>),
    ) {
        self.sent += 1;
        let fact = self.queued.get(&outgoing.id).map(|queued| queued.fact);
        let far = self.boxes.entry(outgoing.channel.name.clone()).or_default();
        for notice in &outgoing.notices {
            let owed = far.owed.get(&notice.id);
            // What was held or refused leaves with others, or after a pause.
            let since = owed
                .filter(|owed| owed.held_until.is_none() && !owed.was_refused)
                .filter(|_| is_calm && outgoing.tries == 0)
                .map(|owed| owed.since.max(far.free_since.unwrap_or_default()));
            let in_digest = since
                .zip(far.queued_before)
                .is_some_and(|(since, before)| since.since(before) <= outgoing.channel.digest);
            tell(&Moment::Handed(Sent {
                channel: &outgoing.channel,
                notice,
                waited: since.map(|since| now.instant.since(since)),
                in_digest,
                held_until: owed
                    .and_then(|owed| owed.held_until)
                    .filter(|at| *at > now.utc),
                known: far.told.get(&notice.id).and_then(|told| told.known),
            }));
            if !is_taken {
                continue;
            }
            let fact = fact.unwrap_or(u64::MAX);
            far.told
                .entry(notice.id.clone())
                .or_insert(Told { fact, known: None });
            if notice.reason.is_alarm() {
                far.alarmed.insert(notice.key.clone(), fact);
            } else if notice.reason.is_end() {
                far.alarmed.remove(&notice.key);
            }
        }
        far.free_since = None;
    }

    pub(super) fn committed(&mut self, up_to: u64) {
        self.committed = up_to;
        let is_over = |queued: &Queued| queued.delivered.is_some_and(|fact| fact <= up_to);
        self.queued.retain(|_, queued| !is_over(queued));
    }

    /// The service was killed: what was not on disk never was, and what was on its way may have arrived.
    pub(super) fn killed(&mut self) {
        let committed = self.committed;
        self.queued.retain(|_, queued| queued.fact <= committed);
        for queued in self.queued.values_mut() {
            queued.delivered = None;
        }
        for far in self.boxes.values_mut() {
            far.owed.retain(|_, owed| owed.fact <= committed);
            // Told while the disk failed, of facts that nobody knows any more.
            far.told.retain(|_, told| told.fact <= committed);
            far.alarmed.retain(|_, fact| *fact <= committed);
            for told in far.told.values_mut() {
                told.known = told.known.filter(|fact| *fact <= committed);
            }
        }
    }

    /// It is back: everything that is owed may leave from now on.
    pub(super) fn back(&mut self, now: Instant) {
        for far in self.boxes.values_mut() {
            far.free_since = Some(now);
            (far.last_queued, far.queued_before) = (Some(now), Some(now));
        }
    }

    /// An hour after the last trouble: is anything still owed?
    pub(super) fn ends(&self, now: Now, tell: &mut impl FnMut(&Moment<'_>)) {
        for (channel, far) in &self.boxes {
            let late = |owed: &&Owed| {
                now.instant.since(owed.since) > SETTLED
                    && owed
                        .held_until
                        .is_none_or(|until| until + SETTLED <= now.utc)
            };
            let unsent = far.owed.iter().find(|(_, owed)| late(owed));
            tell(&Moment::Unsent {
                channel,
                notice: unsent.map(|(id, _)| id.as_str()),
            });
            let is_waiting = |key: &str| {
                far.owed
                    .values()
                    .any(|owed| owed.is_end && owed.key == key && !late(&owed))
            };
            let unended = far.alarmed.keys().find(|key| !is_waiting(key));
            tell(&Moment::Unended {
                channel,
                key: unended.map(String::as_str),
            });
        }
    }
}

/// What was refused is tried again after a quarter of an hour, twice at most since the last trouble.
const SETTLED: Duration = Duration::from_secs(35 * 60);
