//! The `options` probe: any SIP answer is a sign of life. A hint: a PBX whose dialplan is dead answers too.

use std::time::Duration;

use super::{Verdict, sip};
use crate::calls::observe::{Observed, Outcome};
use crate::calls::script::{OptionsPlan, Route};
use crate::sip::Transport;

/// Asterisk says so while it stops gracefully (`core stop gracefully`): it takes no new call.
const STOPPING: u16 = 503;

/// What to ask.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Request-URI: `sip:192.0.2.11`.
    pub to: String,
    /// From URI.
    pub from: String,
    /// `host` or `host:port` to send to instead of where `to` points.
    pub proxy: Option<String>,
    pub transport: Transport,
    pub answer_within: Duration,
}

impl Settings {
    /// The task that asks this.
    #[must_use]
    pub fn plan(&self, route: Route, ladder: bool) -> OptionsPlan {
        OptionsPlan {
            route,
            to: self.to.clone(),
            from: self.from.clone(),
            answer_within: self.answer_within,
            ladder,
        }
    }

    /// What was seen, as a verdict: 200, 401, 404, any answer of the server itself is a sign of life. 503 is
    /// none: it says that the server takes nothing.
    #[must_use]
    pub fn judge(&self, observed: &Observed) -> Verdict {
        let verdict = match &observed.outcome {
            // OPTIONS ends with its final answer, whichever that is.
            Outcome::Completed { status: STOPPING } => Some(Verdict::down(sip::refused(
                STOPPING,
                "Service Unavailable",
                None,
            ))),
            Outcome::Refused { status, .. } if *status != STOPPING => None,
            Outcome::Refused { .. }
            | Outcome::Completed { .. }
            | Outcome::HungUpByFarEnd { .. }
            | Outcome::SentToEmergency { .. }
            | Outcome::NoAnswer { .. }
            | Outcome::Misbehaved { .. }
            | Outcome::Flow(_)
            | Outcome::Aborted
            | Outcome::Ours { .. } => sip::judge(observed),
        };
        let verdict =
            verdict.unwrap_or_else(|| Verdict::good(observed.answer_after.unwrap_or_default()));
        sip::measured(verdict, observed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::Word;
    use crate::probe::sip::tests::a_good_call;

    #[test]
    fn any_answer_but_503_is_a_sign_of_life() {
        let settings = Settings {
            to: "sip:127.0.1.1".into(),
            from: "sip:vigie@127.0.1.50".into(),
            proxy: None,
            transport: Transport::Udp,
            answer_within: Duration::from_secs(2),
        };
        let cases = [
            (200, Word::Good),
            (401, Word::Good),
            (404, Word::Good),
            (405, Word::Good),
            (503, Word::Down),
        ];
        for (status, word) in cases {
            // As OPTIONS ends, and as a call would.
            let refused = Outcome::Refused {
                status,
                reason: String::new(),
                cause: None,
            };
            for outcome in [Outcome::Completed { status }, refused] {
                let observed = Observed {
                    outcome,
                    ..a_good_call()
                };
                assert_eq!(settings.judge(&observed).word, word, "{observed:?}");
            }
        }
    }
}
