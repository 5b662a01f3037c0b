//! Alerts on their way: each in a task of its own, so that a provider that hangs holds up nobody.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::StartError;
use crate::alert::outbox::Outgoing;
use crate::alert::record::{Failure, MessageId};
use crate::config;
use crate::engine::input::Input;
use crate::io::dns;
use crate::io::notify::Senders;
use crate::io::notify::heartbeat::{self, Beat};

#[derive(Debug)]
pub(super) struct Messenger {
    senders: Arc<Senders>,
    done: mpsc::UnboundedSender<(MessageId, Result<(), Failure>)>,
    outcomes: mpsc::UnboundedReceiver<(MessageId, Result<(), Failure>)>,
    /// What the dead-man's switch tells of us.
    news: watch::Sender<Beat>,
}

impl Messenger {
    /// Starts the heartbeat, if there is one.
    pub(super) fn new(settings: &config::Settings) -> Result<Self, StartError> {
        let resolver = dns::Resolver::new(&settings.resolvers).map_err(StartError::Resolver)?;
        let senders = Senders::new(resolver, settings.tls_ca.clone());
        let (done, outcomes) = mpsc::unbounded_channel();
        let (news, heard) = watch::channel(Beat::default());
        if let Some(heartbeat) = settings.heartbeat.clone() {
            tokio::spawn(heartbeat::run(Arc::clone(&senders), heartbeat, heard));
        }
        Ok(Self {
            senders,
            done,
            outcomes,
            news,
        })
    }

    pub(super) fn send(&self, outgoing: Box<Outgoing>) {
        let (senders, done) = (Arc::clone(&self.senders), self.done.clone());
        let (id, channel) = (outgoing.id, outgoing.channel.name.clone());
        let sending = tokio::spawn(async move { senders.send(&outgoing).await });
        tokio::spawn(async move {
            // Every message is answered, or its channel would wait for ever.
            let outcome = sending.await.unwrap_or_else(|error| {
                Err(Failure::passing(format!("the sender failed: {error}")))
            });
            if let Err(failure) = &outcome {
                tracing::warn!(%channel, "an alert did not arrive: {failure}");
            }
            // The service may have stopped: what was not answered is sent again after its start.
            let _ = done.send((id, outcome));
        });
    }

    /// The next answer.
    pub(super) async fn next(&mut self) -> Input {
        match self.outcomes.recv().await {
            Some((id, outcome)) => Input::Delivered { id, outcome },
            None => std::future::pending().await,
        }
    }

    pub(super) fn tell(&self, beat: Beat) {
        self.news.send_replace(beat);
    }
}
