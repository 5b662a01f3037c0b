//! An account that a server refused: who may try it again, and when.
//!
//! Servers ban an address that fails to log in too often (fail2ban: fifteen times in ten minutes is what we
//! met), and then the whole PBX looks dead. So a refused account is tried by one probe at a time, and rarely.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::id::ProbeId;
use crate::time::Instant;

/// After the first refusal: a PBX that starts may refuse for some seconds what it does not know yet.
const FIRST_PAUSE: Duration = Duration::from_secs(60);

/// One try in this time after two refusals in a row. Shorter adds up to a ban within its window; longer leaves the
/// target unseen after the secret was mended on the server (mended on our side, a reload tries at once).
pub const REFUSED_PAUSE: Duration = Duration::from_secs(600);

/// A try has so long to be refused before the next probe of the account has its turn.
const TURN: Duration = Duration::from_secs(30);

#[derive(Clone, Debug, Default)]
pub(super) struct Account {
    shut_until: Instant,
    /// Whose try was refused last: the others go before it.
    refused: Option<ProbeId>,
    /// Let in since their last refusal: what is refused to another one is no fault of the account.
    let_in: BTreeSet<ProbeId>,
}

impl Account {
    pub(super) fn refuse(&mut self, now: Instant, probe: &ProbeId) {
        let pause = if self.refused.is_some() {
            REFUSED_PAUSE
        } else {
            FIRST_PAUSE
        };
        self.shut_until = now + pause;
        self.let_in.remove(probe);
        self.refused = Some(probe.clone());
    }

    /// The account is good for this probe; says whether it is for all, as far as we know.
    pub(super) fn accept(&mut self, now: Instant, probe: &ProbeId) -> bool {
        // The first good try is news: the next probe of the account may try, the refused one after it.
        if self.let_in.insert(probe.clone()) {
            self.shut_until = self.shut_until.min(now);
        }
        self.refused.as_ref().is_none_or(|refused| refused == probe)
    }

    /// The secret may be another one now.
    pub(super) fn forgive(&mut self, now: Instant) {
        self.shut_until = self.shut_until.min(now);
        self.refused = None;
    }

    /// When this probe may try, if not before then.
    pub(super) fn opens_at(&self, probe: &ProbeId) -> Instant {
        if self.let_in.contains(probe) {
            Instant::default()
        } else if self.refused.as_ref() == Some(probe) {
            self.shut_until + TURN
        } else {
            self.shut_until
        }
    }

    /// This probe tries now; the others wait for what comes of it.
    pub(super) fn take_turn(&mut self, now: Instant, probe: &ProbeId) {
        if !self.let_in.contains(probe) {
            self.shut_until = now + TURN;
        }
    }
}
