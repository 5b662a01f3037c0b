//! What the outbox decides and what became of it; each is a fact of the journal.

use serde::{Deserialize, Serialize};

use super::notice::Notice;
use super::settings::ChannelName;
use crate::time::Utc;

/// Number of a message, 1, 2, 3… for ever.
pub type MessageId = u64;

/// One step in the life of an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "alert", rename_all = "snake_case")]
pub enum Record {
    /// This notice goes to these channels, whatever is configured later; none: nobody wants it.
    Taken {
        notice: Box<Notice>,
        to: Vec<ChannelName>,
        /// Planned work holds it until then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        held_until: Option<Utc>,
    },
    /// These notices (by id) leave together. It may be sent once this record is committed.
    Queued {
        id: MessageId,
        channel: ChannelName,
        notices: Vec<String>,
    },
    /// The far end took it.
    Delivered { id: MessageId },
    /// It did not; it will be tried again.
    Failed {
        id: MessageId,
        words: String,
        /// How often it was tried so far.
        tries: u32,
        /// They answered and said no.
        refused: bool,
    },
}

/// Why a message did not arrive. The words hold no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{words}")]
pub struct Failure {
    pub words: String,
    /// They answered and will say no again: an unknown address, a wrong token. Others need not wait for it.
    pub refused: bool,
}

impl Failure {
    /// Nobody answered, or not now: it is worth trying again soon.
    #[must_use]
    pub fn passing(words: impl Into<String>) -> Self {
        Self {
            words: words.into(),
            refused: false,
        }
    }

    /// The same message will be refused again until somebody mends something.
    #[must_use]
    pub fn refused(words: impl Into<String>) -> Self {
        Self {
            words: words.into(),
            refused: true,
        }
    }
}
