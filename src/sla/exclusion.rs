//! Time that the contract does not count, each stretch with who asked, who agreed, and the document.
//!
//! Excluded time leaves numerator and denominator: it is neither up nor down. The raw figure stays beside.
//! Whether it can stand before a committee is judged once, by `incident::act`, before it becomes a fact.

use serde::{Deserialize, Serialize};

use super::interval::{Interval, Intervals};
pub use crate::incident::act::Excluded as Ground;

/// What one person proposed and another approved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exclusion {
    /// Number of the fact that asked for it.
    pub fact: u64,
    #[serde(flatten)]
    pub time: Interval,
    pub ground: Ground,
    pub author: String,
    pub approver: String,
    /// Number of the fact by which the approver agreed.
    pub approval: u64,
    pub reason: String,
    /// Digest of the document that proves it, 64 hexadecimal digits; empty of a correction, which rests on facts.
    pub sha256: String,
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
            approval: 901,
            reason: "ticket 4711 of the operator".into(),
            sha256: "0f".repeat(32),
        }
    }

    #[test]
    fn what_two_exclusions_share_is_excluded_once() {
        let both = [sample(Utc(0), Utc(10)), sample(Utc(5), Utc(12))];
        assert_eq!(excluded_time(&both).total().as_nanos(), 12);
    }
}
