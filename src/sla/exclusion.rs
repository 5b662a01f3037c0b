//! Time that the contract does not count, each stretch with who asked, who agreed, and the document.
//!
//! Excluded time leaves numerator and denominator: it is neither up nor down. The raw figure stays beside.

use serde::{Deserialize, Serialize};

use super::interval::{Interval, Intervals};
pub use crate::incident::act::Excluded as Ground;
use crate::incident::act::{is_sha256, same_person};

/// What is put forward; [`Exclusion::agreed`] judges it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exclusion {
    /// Number of the fact that asked for it.
    pub fact: u64,
    #[serde(flatten)]
    pub time: Interval,
    pub ground: Ground,
    pub author: String,
    pub approver: String,
    pub reason: String,
    /// Digest of the document that proves it, 64 hexadecimal digits.
    pub sha256: String,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("it ends before it begins: give its first instant, then the one after its last")]
    Backwards,
    #[error("nobody is named as {0}: an exclusion needs an author and an approver")]
    Nameless(&'static str),
    #[error("{0} asked for it: somebody else has to approve it")]
    SamePerson(String),
    #[error("no reason is given: write why the contract does not count this time")]
    NoReason,
    #[error("{0:?} is no SHA-256: 64 hexadecimal digits, as sha256sum FILE prints them")]
    NoDocument(String),
}

impl Exclusion {
    /// Itself, if it can stand before a committee.
    ///
    /// # Errors
    /// What is missing, and what to do.
    pub fn agreed(self) -> Result<Self, Refused> {
        if self.time.is_empty() {
            return Err(Refused::Backwards);
        }
        for (name, role) in [(&self.author, "author"), (&self.approver, "approver")] {
            if name.trim().is_empty() {
                return Err(Refused::Nameless(role));
            }
        }
        if same_person(&self.author, &self.approver) {
            return Err(Refused::SamePerson(self.author));
        }
        if self.reason.trim().is_empty() {
            return Err(Refused::NoReason);
        }
        if !is_sha256(&self.sha256) {
            return Err(Refused::NoDocument(self.sha256));
        }
        Ok(self)
    }
}

/// All excluded time; what two exclusions share is excluded once.
#[must_use]
pub fn excluded_time(exclusions: &[Exclusion]) -> Intervals {
    exclusions.iter().map(|exclusion| exclusion.time).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::time::Utc;

    pub(in crate::sla) fn sample(from: Utc, until: Utc) -> Exclusion {
        Exclusion {
            fact: 900,
            time: Interval::new(from, until),
            ground: Ground::Operator,
            author: "Alice Martin".into(),
            approver: "Bruno Petit".into(),
            reason: "ticket 4711 of the operator".into(),
            sha256: "0f".repeat(32),
        }
    }

    #[test]
    fn an_exclusion_needs_two_people_a_reason_and_a_document() {
        let good = sample(Utc(1), Utc(2));
        assert_eq!(good.clone().agreed(), Ok(good.clone()));
        type Spoil = fn(&mut Exclusion);
        let cases: [(&str, Spoil, &str); 6] = [
            ("empty", |e| e.time.until = e.time.from, "before it begins"),
            (
                "no author",
                |e| e.author = " ".into(),
                "nobody is named as author",
            ),
            (
                "no approver",
                |e| e.approver = String::new(),
                "nobody is named as approver",
            ),
            (
                "one person in two spellings",
                |e| e.approver = "alice  MARTIN".into(),
                "somebody else",
            ),
            ("no reason", |e| e.reason = "\t".into(), "write why"),
            (
                "no digest",
                |e| e.sha256 = "contract.pdf".into(),
                "sha256sum",
            ),
        ];
        for (name, spoil, expected) in cases {
            let mut exclusion = good.clone();
            spoil(&mut exclusion);
            let told = exclusion.agreed().unwrap_err().to_string();
            assert!(told.contains(expected), "{name}: {told}");
        }
    }

    #[test]
    fn what_two_exclusions_share_is_excluded_once() {
        let both = [sample(Utc(0), Utc(10)), sample(Utc(5), Utc(12))];
        assert_eq!(excluded_time(&both).total().as_nanos(), 12);
    }
}
