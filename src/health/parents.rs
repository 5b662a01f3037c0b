//! Dependencies: a child whose parent is down cannot be seen, so it is explained, not blamed.
//!
//! Parents are asked at once on the first failure of a child (`ask_around`); a confirmed failure of
//! the child waits a little for their verdict.

use super::judge::{Judgement, WAIT_FOR_EXPLANATION};
use super::standing::Subject;
use super::{Health, Judged};
use crate::id::TargetId;
use crate::probe::Word;
use crate::time::Instant;

/// What the parents say about a failure.
#[derive(Debug, Default)]
pub(super) struct Explanation {
    pub(super) because_of: Option<TargetId>,
    /// Wait for them until then.
    pub(super) held_until: Option<Instant>,
}

impl Health {
    pub(super) fn explanation(
        &self,
        now: Instant,
        subject: &Subject,
        judgement: &Judgement,
        judged: &Judged,
    ) -> Explanation {
        if judgement.word != Word::Down {
            return Explanation::default();
        }
        let because_of = self.culprit(subject);
        let news = judged.standing.word != Word::Down;
        if because_of.is_some() || !news || !self.parents_are_open(subject) {
            return Explanation {
                because_of,
                held_until: None,
            };
        }
        let until = judged.held_until.unwrap_or(now + WAIT_FOR_EXPLANATION);
        Explanation {
            because_of: None,
            held_until: (now < until).then_some(until),
        }
    }

    /// The deepest parent that is down and explains this.
    fn culprit(&self, subject: &Subject) -> Option<TargetId> {
        let parent = self.topology.explained_by(subject).find(|parent| {
            self.standing_of(parent)
                .is_some_and(|standing| standing.word == Word::Down)
        })?;
        let deeper = self.standing_of(parent)?.because_of.clone();
        Some(deeper.unwrap_or_else(|| parent.clone()))
    }

    /// May a parent still turn out to be down? Not if it was proven good since the child failed.
    fn parents_are_open(&self, subject: &Subject) -> bool {
        let failed = self
            .topology
            .all_probes_of(subject)
            .filter_map(|probe| self.probes.get(probe)?.first_failed)
            .min()
            .unwrap_or_default();
        self.topology.explained_by(subject).any(|parent| {
            let mut probes = self.topology.probes_of(parent).peekable();
            probes.peek().is_some() && !probes.any(|probe| self.probes[probe].is_good_since(failed))
        })
    }
}
