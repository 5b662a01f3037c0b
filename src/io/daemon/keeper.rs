//! Evidence that is still to be written: one case at a time, beside the loop and after its verdict.
//!
//! A disk that hangs holds up nothing but evidence. [`super::jobs::Jobs`] writes what comes out of here.

use std::collections::VecDeque;

use crate::config;
use crate::engine::input::Input;
use crate::io::evidence::{Case, Evidence, NOT_KEPT, not_kept};
use crate::probe::Failure;

#[derive(Debug)]
pub(super) struct Keeper {
    wanted: bool,
    /// Away while a case is written: there is one writer, who drops old cases as well.
    evidence: Option<Evidence>,
    waiting: VecDeque<Box<Case>>,
    /// The last case could not be kept.
    lost: bool,
}

/// A case holds a megabyte of packets and sound; a disk that is so far behind hangs.
const WAITING_MAX: usize = 20;

impl Keeper {
    pub(super) fn new(settings: &config::Settings) -> Self {
        let evidence = Evidence::new(settings);
        Self {
            wanted: evidence.is_some(),
            evidence,
            waiting: VecDeque::new(),
            lost: false,
        }
    }

    /// Whether anything is kept at all.
    pub(super) const fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// A case that waits for the disk.
    pub(super) fn keep(&mut self, case: Box<Case>) -> Option<Input> {
        if self.waiting.len() >= WAITING_MAX {
            return self.told(Err(not_kept("the disk does not answer".to_owned())));
        }
        self.waiting.push_back(case);
        None
    }

    /// What is to be written now; it comes back by [`Keeper::written`].
    pub(super) fn next(&mut self) -> Option<(Evidence, Box<Case>)> {
        if self.waiting.is_empty() {
            return None;
        }
        Some((self.evidence.take()?, self.waiting.pop_front()?))
    }

    pub(super) fn written(
        &mut self,
        evidence: Evidence,
        written: Result<(), Failure>,
    ) -> Option<Input> {
        self.evidence = Some(evidence);
        self.told(written)
    }

    fn told(&mut self, written: Result<(), Failure>) -> Option<Input> {
        match written {
            // Told once, not for every call on a full disk.
            Err(_) if self.lost => None,
            Err(failure) => {
                tracing::error!(code = %failure.code, "{}", failure.words);
                self.lost = true;
                Some(Input::OwnFault(failure))
            }
            Ok(()) => std::mem::take(&mut self.lost).then(|| Input::OwnFaultOver {
                code: NOT_KEPT.to_owned(),
            }),
        }
    }
}
