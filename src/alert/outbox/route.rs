//! Which notice goes to whom, and who is reminded.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Outbox, Thread};
use crate::alert::notice::{Notice, Reason};
use crate::alert::record::Record;
use crate::alert::settings::{Channel, ChannelName};
use crate::time::Utc;

/// What began and ended longer ago than this, and was told to nobody, is history: after an update the journal may
/// hold years of it.
const HISTORY: Duration = Duration::from_secs(3600);

impl Outbox {
    /// Decides where the oldest owed notice goes.
    pub(super) fn route_owed(&self, now: Utc) -> Option<Record> {
        let notice = self.owed.front()?;
        let nobody = Thread::default();
        let thread = self.threads.get(&notice.key).unwrap_or(&nobody);
        let to = if self.is_history(notice, thread, now) {
            Vec::new()
        } else {
            self.recipients(notice, thread)
        };
        Some(Record::Taken {
            held_until: self.hold(notice, thread, now),
            notice: Box::new(notice.clone()),
            to,
        })
    }

    fn recipients(&self, notice: &Notice, thread: &Thread) -> Vec<ChannelName> {
        let mut to: BTreeSet<ChannelName> = thread.alarmed.keys().cloned().collect();
        // The end is told to those who heard the alarm, and to nobody else.
        if !notice.reason.is_end() {
            let wanting = self
                .channels
                .iter()
                .filter(|channel| channel.filter.wants(notice));
            to.extend(wanting.map(|channel| channel.name.clone()));
        }
        to.into_iter().collect()
    }

    fn is_history(&self, notice: &Notice, thread: &Thread, now: Utc) -> bool {
        thread.alarmed.is_empty()
            && self.owed.iter().any(|later| {
                later.key == notice.key && later.reason.is_end() && now.since(later.at) > HISTORY
            })
    }

    /// An alarm waits for the end of planned work, and its own end with it. Of what was told before, the end is
    /// told at once.
    fn hold(&self, notice: &Notice, thread: &Thread, now: Utc) -> Option<Utc> {
        let held = if notice.reason.is_end() {
            self.queues
                .values()
                .filter_map(|queue| queue.held_until(&notice.key))
                .max()
        } else {
            notice.quiet_until.max(thread.quiet_until)
        };
        held.filter(|until| *until > now)
    }

    /// Everybody who is to be reminded of the first thread whose time has come.
    pub(super) fn remind(&self, now: Utc) -> Option<Record> {
        let (key, latest, _) = self.reminders().find(|(.., at)| *at <= now)?;
        let to = self
            .reminders()
            .filter(|(of, _, at)| of.0 == key.0 && *at <= now)
            .map(|(of, ..)| of.1.clone())
            .collect();
        let reminders = self.threads.get(key.0).map_or(0, |thread| thread.reminders);
        Some(Record::Taken {
            notice: Box::new(latest.again(reminders + 1, now)),
            to,
            held_until: None,
        })
    }

    /// Key and channel, the alarm, and when the channel is to be reminded of it.
    pub(super) fn reminders(&self) -> impl Iterator<Item = ((&str, &ChannelName), &Notice, Utc)> {
        let open = self
            .threads
            .iter()
            .filter(|(_, thread)| thread.is_open && !thread.is_acknowledged);
        open.flat_map(move |(key, thread)| {
            self.channels.iter().filter_map(move |channel| {
                let at = self.reminder_at(key, thread, channel)?;
                Some(((key.as_str(), &channel.name), thread.latest.as_ref()?, at))
            })
        })
    }

    fn reminder_at(&self, key: &str, thread: &Thread, channel: &Channel) -> Option<Utc> {
        let told = *thread.alarmed.get(&channel.name)?;
        let every = channel.reminder?;
        let queue = self.queues.get(&channel.name);
        // What has not arrived yet needs no reminder.
        let is_on_its_way = queue.is_some_and(|queue| queue.holds(key));
        let at = Some(told + every).max(thread.quiet_until)?;
        let is_of_an_alarm = thread
            .latest
            .as_ref()
            .is_some_and(|latest| latest.reason != Reason::Test);
        (!is_on_its_way && is_of_an_alarm).then_some(at)
    }
}
