//! What the readers of all tables share: the list of mistakes, the defaults of SIP and of limits, and the files and
//! variables that the configuration refers to.

use std::cell::RefCell;
use std::path::PathBuf;

use super::error::Span;
use super::reader::Findings;
use super::sip::Sip;
use super::vantage::Places;
use crate::id::ProbeId;
use crate::quality::limits::Limits;
use crate::secret::SecretRef;

/// Something outside the file that must be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    Secret(SecretRef),
    /// A file to read: certificates.
    Readable(PathBuf),
    /// A program to run.
    Program(PathBuf),
    /// An announcement that was learned and approved.
    Prompt(String),
}

#[derive(Debug)]
pub(super) struct Context<'t> {
    pub(super) findings: &'t Findings,
    pub(super) sip: Sip,
    pub(super) places: Places,
    /// Where good ends, for all calls.
    pub(super) limits: Limits,
    pub(super) references: RefCell<Vec<(Span, Reference, Option<ProbeId>)>>,
}

impl Context<'_> {
    pub(super) fn refer(&self, span: &Span, reference: Reference, probe: Option<ProbeId>) {
        self.references
            .borrow_mut()
            .push((span.clone(), reference, probe));
    }
}
