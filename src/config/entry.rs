//! An entry of `probes` on its way from text to probe: what every kind reads, and the part that one kind fills.

use std::net::IpAddr;
use std::time::Duration;

use super::context::Context;
use super::error::Span;
use super::reader::{At, Section};
use crate::id::ProbeId;
use crate::probe::Check;

/// The part that one kind of probe fills.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) check: Check,
    /// The least time the probe needs for what it was asked to do.
    pub(super) takes: Duration,
    /// A name that tells it from others of its kind (`tcp-3306`).
    pub(super) name: Option<String>,
}

/// An entry on its way: what all kinds share, and the section they read their own keys from.
#[derive(Debug)]
pub(super) struct Entry<'s, 't> {
    pub(super) section: &'s Section<'t>,
    pub(super) context: &'s Context<'t>,
    pub(super) id: ProbeId,
    pub(super) addresses: Vec<IpAddr>,
    /// The key `address` was refused: that `addresses` is short is no further mistake.
    pub(super) address_broken: bool,
    pub(super) timeout: Option<At<Duration>>,
    pub(super) switched_off: bool,
    /// The target holds health data.
    pub(super) hds: bool,
}

impl Entry<'_, '_> {
    pub(super) fn wrong(&self, span: &Span, words: impl Into<String>) {
        self.section.findings().wrong(span, words);
    }

    /// The one address that a probe of one machine needs.
    pub(super) fn address(&self) -> Option<IpAddr> {
        match self.addresses.as_slice() {
            _ if self.address_broken => None,
            [one] => Some(*one),
            [] => {
                self.section.findings().missing(
                    &self.section.span,
                    format!(
                        "{} has nowhere to go; add address = \"192.0.2.…\" to the target",
                        self.section.title
                    ),
                );
                None
            }
            [..] => {
                self.wrong(
                    &self.section.span,
                    format!(
                        "{} goes to one address, and the target has {}; add address = \"…\" to the probe",
                        self.section.title,
                        self.addresses.len()
                    ),
                );
                None
            }
        }
    }

    /// Puts the address where the text says `{address}`.
    pub(super) fn fill(&self, text: &At<String>) -> Option<String> {
        const PLACE: &str = "{address}";
        if !text.value.contains(PLACE) {
            return Some(text.value.clone());
        }
        Some(text.value.replace(PLACE, &host_of(self.address()?)))
    }

    pub(super) fn timeout_or(&self, usual: Duration) -> Duration {
        self.timeout.as_ref().map_or(usual, |at| at.value)
    }
}

/// An address as it stands in a URI.
pub(super) fn host_of(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}
