//! One thing worth telling: an incident began, grew, ended, or the watchdog itself cannot see.

use serde::{Deserialize, Serialize};

use crate::incident::IncidentId;
use crate::probe::{Failure, Word};
use crate::time::Utc;

/// What is told, complete: a message is rendered from its notices alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Names this notice for ever (`incident-7/opened/1234`): what was taken over once is not taken again.
    pub id: String,
    /// What it is about, the same from alarm to recovery (`incident-7`); receivers join the two by it.
    pub key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<IncidentId>,
    pub reason: Reason,
    /// Name of what failed, as people call it.
    pub subject: String,
    /// Groups of the inventory that are hit; none: every channel may be told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    pub word: Word,
    /// What was seen, in one French sentence without its full stop. No secret, nothing of a caller.
    pub words: String,
    pub at: Utc,
    /// Since when it is so; of a recovery: since when it was down.
    pub since: Utc,
    /// Names of what else cannot work because of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hit: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Deadline>,
    /// Planned work goes on there until then: the notice waits for its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet_until: Option<Utc>,
}

/// Until when it must work again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deadline {
    /// The indicator of the contract: `IC6`.
    pub indicator: String,
    pub at: Utc,
}

/// Why somebody is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    Opened,
    /// More is hit, or it is down and was degraded.
    Worse,
    /// It failed again before it was closed.
    Relapsed,
    Restored,
    /// It is part of another incident now, which goes on.
    Merged,
    /// It is watched no more: nobody will see its end.
    Dropped,
    /// Still so, and nobody has said that he has it in hand.
    Reminder,
    /// The time of the contract will soon be over.
    AtRisk,
    /// It is over.
    Breach,
    /// The watchdog itself cannot see.
    OwnFault,
    OwnFaultOver,
    /// Somebody wants to see whether the channel works.
    Test,
}

impl Reason {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Worse => "worse",
            Self::Relapsed => "relapsed",
            Self::Restored => "restored",
            Self::Merged => "merged",
            Self::Dropped => "dropped",
            Self::Reminder => "reminder",
            Self::AtRisk => "at_risk",
            Self::Breach => "breach",
            Self::OwnFault => "own_fault",
            Self::OwnFaultOver => "own_fault_over",
            Self::Test => "test",
        }
    }

    /// Something begins or grows: whoever hears it must hear of the end.
    #[must_use]
    pub const fn is_alarm(self) -> bool {
        match self {
            Self::Opened | Self::Worse | Self::Relapsed | Self::OwnFault => true,
            Self::Restored
            | Self::Merged
            | Self::Dropped
            | Self::Reminder
            | Self::AtRisk
            | Self::Breach
            | Self::OwnFaultOver
            | Self::Test => false,
        }
    }

    /// Nothing more will be told of it, or it begins anew.
    #[must_use]
    pub const fn is_end(self) -> bool {
        match self {
            Self::Restored | Self::Merged | Self::Dropped | Self::OwnFaultOver => true,
            Self::Opened
            | Self::Worse
            | Self::Relapsed
            | Self::Reminder
            | Self::AtRisk
            | Self::Breach
            | Self::OwnFault
            | Self::Test => false,
        }
    }

    /// It speaks of the watchdog, not of the plant.
    #[must_use]
    pub const fn is_own(self) -> bool {
        match self {
            Self::OwnFault | Self::OwnFaultOver => true,
            Self::Opened
            | Self::Worse
            | Self::Relapsed
            | Self::Restored
            | Self::Merged
            | Self::Dropped
            | Self::Reminder
            | Self::AtRisk
            | Self::Breach
            | Self::Test => false,
        }
    }
}

/// The key of an incident's notices.
#[must_use]
pub fn key_of(incident: IncidentId) -> String {
    format!("incident-{incident}")
}

impl Notice {
    /// About an incident; `fact` is the number of the fact that says so. What else is known is filled in by the
    /// caller: `groups`, `hit`, `deadline`, `quiet_until`.
    #[must_use]
    pub fn of_incident(
        incident: IncidentId,
        reason: Reason,
        fact: u64,
        subject: &str,
        (word, words): (Word, String),
        (since, at): (Utc, Utc),
    ) -> Self {
        let key = key_of(incident);
        Self {
            id: format!("{key}/{}/{fact}", reason.as_str()),
            key,
            incident: Some(incident),
            reason,
            subject: subject.to_owned(),
            groups: Vec::new(),
            word,
            words,
            at,
            since,
            hit: Vec::new(),
            deadline: None,
            quiet_until: None,
        }
    }

    /// The watchdog itself cannot see since `since`; `fact` is the number of the fact that says so.
    #[must_use]
    pub fn own_fault(failure: &Failure, fact: u64, since: Utc) -> Self {
        Self::own(
            Reason::OwnFault,
            &failure.code,
            failure.words_fr(),
            fact,
            (since, since),
        )
    }

    /// It sees again.
    #[must_use]
    pub fn own_fault_over(code: &str, fact: u64, since: Utc, at: Utc) -> Self {
        let words = "la surveillance voit de nouveau".to_owned();
        Self::own(Reason::OwnFaultOver, code, words, fact, (since, at))
    }

    fn own(reason: Reason, code: &str, words: String, fact: u64, (since, at): (Utc, Utc)) -> Self {
        let key = format!("own-{code}");
        Self {
            id: format!("{key}/{}/{fact}", reason.as_str()),
            key,
            incident: None,
            reason,
            subject: "surveillance".to_owned(),
            groups: Vec::new(),
            word: if reason.is_end() {
                Word::Good
            } else {
                Word::Blind
            },
            words,
            at,
            since,
            hit: Vec::new(),
            deadline: None,
            quiet_until: None,
        }
    }

    /// What `vigie alert test` sends.
    #[must_use]
    pub fn test(at: Utc) -> Self {
        Self {
            id: "test".to_owned(),
            key: "test".to_owned(),
            incident: None,
            reason: Reason::Test,
            subject: "essai".to_owned(),
            groups: Vec::new(),
            word: Word::Good,
            words: "essai du canal d’alerte, rien à faire".to_owned(),
            at,
            since: at,
            hit: Vec::new(),
            deadline: None,
            quiet_until: None,
        }
    }

    /// Nobody will see its end.
    pub(super) fn dropped(&self, at: Utc) -> Self {
        Self {
            id: format!("{}/dropped", self.key),
            reason: Reason::Dropped,
            words: "n’est plus surveillé : sa fin n’a pas été vue".to_owned(),
            at,
            deadline: None,
            quiet_until: None,
            ..self.clone()
        }
    }

    /// It goes on as part of that incident.
    pub(super) fn merged(&self, into: IncidentId, at: Utc) -> Self {
        Self {
            id: format!("{}/merged", self.key),
            reason: Reason::Merged,
            words: format!("suivi maintenant sous l’incident {into}"),
            at,
            deadline: None,
            quiet_until: None,
            ..self.clone()
        }
    }

    /// The same state told again, `n`-th time.
    pub(super) fn again(&self, n: u32, at: Utc) -> Self {
        Self {
            id: format!("{}/reminder/{n}", self.key),
            reason: Reason::Reminder,
            at,
            quiet_until: None,
            ..self.clone()
        }
    }
}
