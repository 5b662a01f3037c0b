//! Counting the good runs that get no fact of their own: at 1,300 a minute they would be the journal.

use std::collections::BTreeMap;

use super::fact::{TallyLast, TallyRow};
use crate::health::Seen;
use crate::id::ProbeId;
use crate::probe::Word;
use crate::time::Utc;

#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    rows: BTreeMap<ProbeId, TallyRow>,
}

impl Tally {
    /// A good run, or one more blind one for the same reason.
    pub(super) fn count(&mut self, probe: &ProbeId, seen: &Seen) {
        let row = self.rows.entry(probe.clone()).or_default();
        if seen.word == Word::Good {
            row.good += 1;
            row.last_good = Some(seen.sent);
        } else {
            row.blind += 1;
        }
        row.last = Some(TallyLast {
            sent: seen.sent,
            took_ns: seen.took_ns,
            measures: seen.measures.clone(),
        });
    }

    /// The next run has a fact of its own.
    pub(super) fn told(&mut self, probe: &ProbeId) {
        if let Some(row) = self.rows.get_mut(probe) {
            row.last = None;
        }
    }

    /// Shows every stamp of what was counted.
    pub(super) fn each_stamp(&mut self, mut visit: impl FnMut(&mut Utc)) {
        for row in self.rows.values_mut() {
            row.last_good.iter_mut().for_each(&mut visit);
            if let Some(last) = &mut row.last {
                visit(&mut last.sent);
            }
        }
    }

    /// What was counted, by the numbers of the last configuration; counting begins anew.
    pub(super) fn take(&mut self, numbered: &[(ProbeId, String)]) -> Vec<TallyRow> {
        let mut rows = std::mem::take(&mut self.rows);
        numbered
            .iter()
            .enumerate()
            .filter_map(|(number, (id, _))| {
                let mut row = rows.remove(id)?;
                row.probe = number;
                Some(row)
            })
            .collect()
    }
}
