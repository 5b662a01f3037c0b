//! Alerts in a story: what leaves is handed to its far end, which takes it or does not.

use super::{Due, Run, check};
use crate::alert::outbox::Outgoing;
use crate::sim::post::{Trouble, fate};
use crate::sim::property::Moment;
use crate::sim::sabotage::Treated;
use crate::sim::story::What;
use crate::time::Now;

impl Run<'_> {
    pub(super) fn send(&mut self, outgoing: &Outgoing) {
        let fate = fate(
            self.trouble_of(&outgoing.channel.name),
            outgoing.channel.timeout,
            &mut self.chance_of_people,
        );
        let mut now = self.now();
        let treated = self.settings.sabotage.posts(outgoing);
        if treated == Treated::WaitsInLine {
            now.instant = now.instant.max(self.post_is_free);
            self.post_is_free = now.instant + fate.after;
        }
        // A stall, a sleep or a reload delay what leaves, and no channel can help it.
        let is_calm = self.witness.is_at_ease(self.now);
        match treated {
            Treated::Well | Treated::WaitsInLine => {
                self.hand(now, outgoing, fate.is_taken, is_calm);
            }
            Treated::AgainLater => {
                if let Some(before) = self.posted.replace(outgoing.clone()) {
                    self.hand(now, &before, true, false);
                }
                self.hand(now, outgoing, fate.is_taken, is_calm);
            }
            Treated::Swallowed => {
                return self.plan(now.instant + fate.after, Due::Sent(outgoing.id, Ok(())));
            }
            Treated::Lost => return,
        }
        self.plan(
            now.instant + fate.after,
            Due::Sent(outgoing.id, fate.outcome),
        );
    }

    fn hand(&mut self, now: Now, outgoing: &Outgoing, is_taken: bool, is_calm: bool) {
        let (broken, at) = (&mut self.broken, self.now);
        self.post
            .handed(now, outgoing, is_taken, is_calm, &mut |moment: &Moment<
                '_,
            >| {
                check(broken, at, moment);
            });
    }

    fn trouble_of(&self, channel: &str) -> Option<Trouble> {
        self.active.iter().find_map(|one| {
            if let What::Channel { mailbox, trouble } = one.what
                && mailbox.name() == channel
            {
                Some(trouble)
            } else {
                None
            }
        })
    }
}
