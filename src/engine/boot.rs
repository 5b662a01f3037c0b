//! Which stamps the present boot made: a step of the wall clock corrects those, and no others.
//!
//! The clock that was set is the clock of this boot. What an earlier boot stamped was stamped by another one, and
//! stays. A stamp is known by its value: it tells nanoseconds, so that no two are the same.

use std::collections::BTreeSet;

use super::fact::BootId;
use crate::time::{Now, Utc};

/// Smaller changes between wall clock and boot clock are the noise of reading two clocks one after the other;
/// larger ones would leave a restoration clock wrong by as much.
const STEP_NS_MIN: i64 = 20_000_000;

/// The boot of the last fact.
#[derive(Clone, Debug, Default)]
pub(super) struct Boot {
    id: Option<BootId>,
    /// Wall clock less boot clock, as the last fact has it.
    offset_ns: i64,
    /// Stamps of earlier boots that are still remembered somewhere.
    earlier: BTreeSet<Utc>,
}

impl Boot {
    /// A fact of the boot `id` was stamped at `now`. If it is another boot than before, what `each` visits was all
    /// stamped by earlier ones.
    pub(super) fn stamped(
        &mut self,
        id: &BootId,
        now: Now,
        each: impl FnOnce(&mut dyn FnMut(&mut Utc)),
    ) {
        self.offset_ns = offset_ns(now);
        if self.id.as_ref() == Some(id) {
            return;
        }
        self.id = Some(id.clone());
        self.earlier.clear();
        each(&mut |at| {
            self.earlier.insert(*at);
        });
    }

    /// Corrects a stamp of this boot after a step of `by_ns`, and leaves one of an earlier boot.
    pub(super) fn correct(&self, by_ns: i64, at: &mut Utc) {
        if !self.earlier.contains(at) {
            at.0 = at.0.saturating_add(by_ns);
        }
    }

    /// By how much the wall clock was set since the last fact, if that was in this boot and it was.
    pub(super) fn stepped_since(&self, id: &BootId, now: Now) -> Option<i64> {
        let by_ns = offset_ns(now).saturating_sub(self.offset_ns);
        (self.id.as_ref() == Some(id) && by_ns.abs() >= STEP_NS_MIN).then_some(by_ns)
    }
}

fn offset_ns(now: Now) -> i64 {
    let boot = i64::try_from(now.instant.0).unwrap_or(i64::MAX);
    now.utc.0.saturating_sub(boot)
}
