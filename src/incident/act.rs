//! What people do about incidents. Each act is a fact with its author; what touches a figure of the contract
//! needs a second person.

use serde::{Deserialize, Serialize};

use super::IncidentId;
use super::book::Book;
use crate::health::standing::Subject;
use crate::probe::Word;
use crate::time::Utc;

/// One act of one person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    pub author: String,
    #[serde(flatten)]
    pub what: What,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
pub enum What {
    /// "I have it in hand": reminders stop.
    Acknowledge {
        incident: IncidentId,
    },
    Comment {
        incident: IncidentId,
        text: String,
    },
    Cause {
        incident: IncidentId,
        text: String,
    },
    /// A document kept elsewhere, by its digest.
    Attach {
        incident: IncidentId,
        name: String,
        sha256: String,
    },
    /// Both are one: what `incident` holds goes into `into`.
    Merge {
        incident: IncidentId,
        into: IncidentId,
    },
    /// These have another cause: they become an incident of their own.
    Split {
        incident: IncidentId,
        subjects: Vec<Subject>,
    },
    /// What the page of the supervisor says of it.
    Publish {
        incident: IncidentId,
        phase: Phase,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        text: String,
    },
    /// Who sees it.
    Show {
        incident: IncidentId,
        audience: Audience,
    },
    /// The customer said so, at that time: the third start of the clock.
    Declare {
        incident: IncidentId,
        at: Utc,
        text: String,
    },
    /// Work that is planned: alerts wait, and the time is counted apart.
    Maintain {
        subjects: Vec<Subject>,
        from: Utc,
        until: Utc,
        text: String,
    },
    /// Time that the contract does not count. In force once a second person approved it.
    Exclude {
        subject: Subject,
        from: Utc,
        until: Utc,
        reason: Excluded,
        text: String,
        /// Digest of the document that proves it.
        sha256: String,
    },
    /// What it really was, whatever we saw. In force once a second person approved it; the raw figure stays.
    Correct {
        subject: Subject,
        from: Utc,
        until: Utc,
        word: Word,
        text: String,
    },
    /// A second person agrees with the act of that fact number.
    Approve {
        fact: u64,
    },
    Reject {
        fact: u64,
        text: String,
    },
}

/// Why time is not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Excluded {
    Maintenance,
    Operator,
    AccessRefused,
    ForceMajeure,
    /// It worked, whatever was seen.
    Corrected,
}

impl Excluded {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Maintenance => "maintenance",
            Self::Operator => "operator",
            Self::AccessRefused => "access_refused",
            Self::ForceMajeure => "force_majeure",
            Self::Corrected => "corrected",
        }
    }
}

/// What the page says of an incident.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    #[default]
    Investigating,
    Identified,
    Monitoring,
    Resolved,
}

/// Who sees an incident.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    Engineers,
    #[default]
    Supervisors,
    Customer,
}

/// Why an act cannot be done; the words tell its author what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub String);

/// Longer is no comment but a document: attach that.
const TEXT_MAX: usize = 4_000;

/// Longer is no name.
const AUTHOR_MAX: usize = 64;

impl Act {
    /// May this be done now?
    ///
    /// # Errors
    /// What is wrong with it, and what to do instead.
    pub fn check(&self, book: &Book) -> Result<(), Refusal> {
        let refuse = |words: String| Err(Refusal(words));
        if self.author.trim().is_empty() || self.author.chars().count() > AUTHOR_MAX {
            return refuse("say who does it: --by NAME, 64 letters at most".to_owned());
        }
        if let Some(text) = self.what.text() {
            if text.trim().is_empty() {
                return refuse("say why or what: the text is empty".to_owned());
            }
            if text
                .chars()
                .any(|letter| letter.is_control() && letter != '\n')
            {
                return refuse("the text holds control characters: write plain text".to_owned());
            }
            if text.len() > TEXT_MAX {
                return refuse(format!(
                    "the text has {} bytes, {TEXT_MAX} at most: attach it as a document",
                    text.len()
                ));
            }
        }
        for incident in self.what.incidents() {
            let Some(known) = book.incident(incident) else {
                return refuse(format!(
                    "there is no incident {incident}: vigie incidents lists them"
                ));
            };
            if let Some(into) = known.merged_into {
                return refuse(format!(
                    "incident {incident} is part of {into} now: act there"
                ));
            }
        }
        self.what.check_itself(book)?;
        if let What::Approve { fact } | What::Reject { fact, .. } = &self.what {
            let Some(proposed) = book.proposal(*fact) else {
                return refuse(format!(
                    "fact {fact} is no exclusion or correction that waits for a second person"
                ));
            };
            if matches!(self.what, What::Approve { .. })
                && same_person(&proposed.act.author, &self.author)
            {
                return refuse(format!(
                    "{} proposed it: somebody else has to approve it",
                    proposed.act.author
                ));
            }
        }
        Ok(())
    }

    /// Does it wait for a second person?
    #[must_use]
    pub const fn needs_two(&self) -> bool {
        matches!(self.what, What::Exclude { .. } | What::Correct { .. })
    }
}

/// Case and spaces make nobody a second person.
#[must_use]
pub fn same_person(one: &str, other: &str) -> bool {
    let plain = |name: &str| -> String {
        let letters = name.chars().filter(|letter| !letter.is_whitespace());
        letters.flat_map(char::to_lowercase).collect()
    };
    plain(one) == plain(other)
}

impl What {
    /// What has to be said with it.
    fn text(&self) -> Option<&str> {
        match self {
            Self::Comment { text, .. }
            | Self::Cause { text, .. }
            | Self::Declare { text, .. }
            | Self::Maintain { text, .. }
            | Self::Exclude { text, .. }
            | Self::Correct { text, .. }
            | Self::Reject { text, .. }
            | Self::Attach { name: text, .. } => Some(text),
            Self::Publish { text, .. } if !text.is_empty() => Some(text),
            Self::Acknowledge { .. }
            | Self::Merge { .. }
            | Self::Split { .. }
            | Self::Publish { .. }
            | Self::Show { .. }
            | Self::Approve { .. } => None,
        }
    }

    /// The targets and lines that it speaks of.
    #[must_use]
    pub fn subjects(&self) -> &[Subject] {
        match self {
            Self::Split { subjects, .. } | Self::Maintain { subjects, .. } => subjects,
            Self::Exclude { subject, .. } | Self::Correct { subject, .. } => {
                std::slice::from_ref(subject)
            }
            Self::Acknowledge { .. }
            | Self::Comment { .. }
            | Self::Cause { .. }
            | Self::Attach { .. }
            | Self::Merge { .. }
            | Self::Publish { .. }
            | Self::Show { .. }
            | Self::Declare { .. }
            | Self::Approve { .. }
            | Self::Reject { .. } => &[],
        }
    }

    /// The incidents that it speaks of.
    #[must_use]
    pub fn incidents(&self) -> Vec<IncidentId> {
        match self {
            Self::Acknowledge { incident }
            | Self::Comment { incident, .. }
            | Self::Cause { incident, .. }
            | Self::Attach { incident, .. }
            | Self::Split { incident, .. }
            | Self::Publish { incident, .. }
            | Self::Show { incident, .. }
            | Self::Declare { incident, .. } => vec![*incident],
            Self::Merge { incident, into } => vec![*incident, *into],
            Self::Maintain { .. }
            | Self::Exclude { .. }
            | Self::Correct { .. }
            | Self::Approve { .. }
            | Self::Reject { .. } => Vec::new(),
        }
    }

    fn check_itself(&self, book: &Book) -> Result<(), Refusal> {
        let refuse = |words: &str| Err(Refusal(words.to_owned()));
        match self {
            Self::Merge { incident, into } if incident == into => {
                refuse("an incident cannot be merged into itself: name another one")
            }
            Self::Merge { incident, into }
                if book.is_closed(*into) && !book.is_closed(*incident) =>
            {
                refuse(
                    "the one is closed and the other is not: merge the closed one into the open one",
                )
            }
            Self::Split { incident, subjects } => {
                let members = book.incident(*incident).map(|known| &known.members);
                let all = members.is_some_and(|members| {
                    !subjects.is_empty()
                        && subjects.len() < members.len()
                        && subjects.iter().all(|subject| members.contains_key(subject))
                });
                if all {
                    Ok(())
                } else {
                    refuse("name some of its targets and lines, and leave it at least one")
                }
            }
            Self::Maintain { from, until, .. }
            | Self::Exclude { from, until, .. }
            | Self::Correct { from, until, .. }
                if from >= until =>
            {
                refuse("it ends before it begins: look at --from and --until")
            }
            Self::Maintain { subjects, .. } if subjects.is_empty() => {
                refuse("name what is worked on: targets or lines")
            }
            Self::Attach { sha256, .. } | Self::Exclude { sha256, .. } if !is_sha256(sha256) => {
                refuse("name the document by its SHA-256, 64 hexadecimal digits: sha256sum FILE")
            }
            Self::Acknowledge { .. }
            | Self::Comment { .. }
            | Self::Cause { .. }
            | Self::Attach { .. }
            | Self::Merge { .. }
            | Self::Publish { .. }
            | Self::Show { .. }
            | Self::Declare { .. }
            | Self::Maintain { .. }
            | Self::Exclude { .. }
            | Self::Correct { .. }
            | Self::Approve { .. }
            | Self::Reject { .. } => Ok(()),
        }
    }
}

/// Is this how `sha256sum` prints a digest?
#[must_use]
pub fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exclusion() -> Act {
        Act {
            author: "Alice Martin".to_owned(),
            what: What::Exclude {
                subject: Subject::Line("119".into()),
                from: Utc(1),
                until: Utc(2),
                reason: Excluded::Operator,
                text: "ticket 4711 of the operator".to_owned(),
                sha256: "0f".repeat(32),
            },
        }
    }

    #[test]
    fn an_exclusion_needs_two_people_a_reason_and_a_document() {
        let mut book = Book::default();
        assert_eq!(exclusion().check(&book), Ok(()));
        type Spoil = fn(&mut String, &mut Utc, &mut String, &mut String);
        let cases: [(&str, Spoil, &str); 4] = [
            (
                "empty",
                |_, until, _, _| *until = Utc(1),
                "before it begins",
            ),
            (
                "no author",
                |author, _, _, _| *author = " ".to_owned(),
                "--by NAME",
            ),
            (
                "no reason",
                |_, _, text, _| *text = "\t".to_owned(),
                "say why",
            ),
            (
                "no digest",
                |_, _, _, sha256| *sha256 = "contract.pdf".to_owned(),
                "sha256sum",
            ),
        ];
        for (name, spoil, expected) in cases {
            let mut act = exclusion();
            let What::Exclude {
                until,
                text,
                sha256,
                ..
            } = &mut act.what
            else {
                panic!("{name}: an exclusion");
            };
            spoil(&mut act.author, until, text, sha256);
            let told = act.check(&book).unwrap_err().to_string();
            assert!(told.contains(expected), "{name}: {told}");
        }
        book.act(7, Utc(3), &exclusion());
        for (approver, expected) in [
            ("alice  MARTIN", "somebody else has to approve it"),
            (" ", "--by NAME"),
        ] {
            let agrees = Act {
                author: approver.to_owned(),
                what: What::Approve { fact: 7 },
            };
            let told = agrees.check(&book).unwrap_err().to_string();
            assert!(told.contains(expected), "{approver:?}: {told}");
        }
    }
}
