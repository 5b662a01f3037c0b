//! The keys of the kind `heartbeat`.

use std::time::Duration;

use super::context::Reference;
use super::entry::{Entry, Kind};
use crate::probe::{Check, heartbeat};
use crate::secret::SecretRef;

/// Sooner, a packet that is sent again would be an alarm; a month and a bit holds what runs once a month.
const WITHIN_MIN: Duration = Duration::from_secs(5);
const WITHIN_MAX: Duration = Duration::from_secs(35 * 86_400);

pub(super) fn read(entry: &Entry<'_, '_>) -> Option<Kind> {
    let section = entry.section;
    let within = section.duration("within", WITHIN_MIN..=WITHIN_MAX);
    let within = section.required("within", "\"5m\"", within);
    let secret = section.required("secret", "\"env:NAME\"", section.text("secret"))?;
    let reference = match secret.value.parse::<SecretRef>() {
        Ok(reference) => reference,
        Err(words) => {
            // The text itself may be the secret, and is not repeated.
            entry.wrong(&secret.span, format!("\"secret\": {words}"));
            return None;
        }
    };
    entry.context.refer(
        &secret.span,
        Reference::Secret(reference.clone()),
        Some(entry.id.clone()),
    );
    Some(Kind {
        check: Check::Heartbeat(heartbeat::Settings {
            within: within?.value,
            secret: reference,
        }),
        takes: Duration::ZERO,
        name: None,
    })
}
