//! Sends what the outbox lets go, one channel kind per file. It decides nothing: whether, when and how often is
//! `alert::outbox`; what is said is `alert::message`.
//!
//! The daemon calls [`Senders::send`] in a task of its own for each message and answers the outbox with the result;
//! no channel waits for another. `vigie alert test` calls it once.

mod alertmanager;
pub mod heartbeat;
mod mail;
mod nagios;
mod post;
mod webhook;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::dns::Resolver;
use super::{config_file, trust};
use crate::alert::outbox::Outgoing;
use crate::alert::record::Failure;
use crate::alert::settings::Kind;
use crate::secret::{Secret, SecretRef};

/// What all channels share.
#[derive(Debug)]
pub struct Senders {
    resolver: Resolver,
    trust: trust::Store,
    /// For mail, which reads it itself.
    authorities: Option<PathBuf>,
}

impl Senders {
    /// `authorities`: a PEM file trusted in addition to the system's.
    #[must_use]
    pub fn new(resolver: Resolver, authorities: Option<PathBuf>) -> Arc<Self> {
        Arc::new(Self {
            resolver,
            trust: trust::Store::new(authorities.clone()),
            authorities,
        })
    }

    /// Hands one message to its far end. Takes no longer than the channel's time-out.
    ///
    /// # Errors
    /// Why it did not arrive, in words that hold no secret.
    pub async fn send(&self, outgoing: &Outgoing) -> Result<(), Failure> {
        // Boxed: the state of TLS and SMTP would make every waiting task as large.
        let sending = async {
            match &outgoing.channel.kind {
                Kind::Mail(mail) => Box::pin(self.mail(mail, outgoing)).await,
                Kind::Webhook(webhook) => Box::pin(self.webhook(webhook, outgoing)).await,
                Kind::Alertmanager(settings) => {
                    Box::pin(self.alertmanager(settings, outgoing)).await
                }
                Kind::Nagios(nagios) => Box::pin(self.nagios(nagios, outgoing)).await,
            }
        };
        within(outgoing.channel.timeout, sending).await
    }
}

async fn within(
    timeout: Duration,
    sending: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    match tokio::time::timeout(timeout, sending).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Failure::passing(format!(
            "no answer within {} s",
            timeout.as_secs_f64()
        ))),
    }
}

/// Somebody has to put it there; the outbox asks again.
fn secret(reference: &SecretRef) -> Result<Secret, Failure> {
    config_file::resolve(reference).map_err(Failure::passing)
}

/// RFC 6750 §2.1.
fn bearer_of(reference: &SecretRef) -> Result<String, Failure> {
    Ok(format!("Bearer {}", secret(reference)?.reveal()))
}

/// What a far end says, short and on one line.
fn quoted(text: &str) -> String {
    /// Enough to recognise it; a page of HTML helps nobody.
    const CHARACTERS_MAX: usize = 200;
    let line: String = text
        .trim()
        .chars()
        .take(CHARACTERS_MAX)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    format!("{line:?}")
}
