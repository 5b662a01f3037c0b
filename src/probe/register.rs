//! The `register` probe: register an account of our own, then remove the binding again.

use std::time::Duration;

use super::{Account, Verdict, sip};
use crate::calls::observe::{Observed, Outcome};
use crate::calls::script::{Credentials, RegisterPlan, Route};
use crate::sip::Transport;

/// What to ask.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Address of record: `sip:vigie@192.0.2.11`.
    pub aor: String,
    /// `host` or `host:port` to send to instead of the host of `aor`.
    pub proxy: Option<String>,
    pub transport: Transport,
    pub account: Account,
    /// Asked for; the registrar may grant another.
    pub expires: Duration,
    pub answer_within: Duration,
}

impl Settings {
    /// The task that asks this.
    #[must_use]
    pub fn plan(
        &self,
        route: Route,
        credentials: Option<Credentials>,
        ladder: bool,
    ) -> RegisterPlan {
        RegisterPlan {
            route,
            aor: self.aor.clone(),
            credentials,
            expires: self.expires,
            answer_within: self.answer_within,
            ladder,
        }
    }

    /// What was seen, as a verdict. A wrong password is one clear word, and a fault of our own configuration.
    #[must_use]
    pub fn judge(&self, observed: &Observed) -> Verdict {
        let verdict = match &observed.outcome {
            Outcome::Refused {
                status: status @ (401 | 403 | 407),
                ..
            } => sip::login_refused(*status, &self.account),
            Outcome::Refused { .. }
            | Outcome::Completed { .. }
            | Outcome::HungUpByFarEnd { .. }
            | Outcome::SentToEmergency { .. }
            | Outcome::NoAnswer { .. }
            | Outcome::Misbehaved { .. }
            | Outcome::Flow(_)
            | Outcome::Aborted
            | Outcome::Ours { .. } => sip::judge(observed)
                .unwrap_or_else(|| Verdict::good(observed.answer_after.unwrap_or_default())),
        };
        sip::measured(verdict, observed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::Word;
    use crate::probe::sip::tests::a_good_call;
    use crate::secret::SecretRef;

    #[test]
    fn a_wrong_password_is_one_clear_word() {
        let settings = Settings {
            aor: "sip:4001@127.0.1.1".into(),
            proxy: None,
            transport: Transport::Udp,
            account: Account {
                user: "4001".into(),
                secret: SecretRef::Env("SECRET".into()),
            },
            expires: Duration::from_secs(60),
            answer_within: Duration::from_secs(5),
        };
        let refused = |status| Observed {
            outcome: Outcome::Refused {
                status,
                reason: "no".into(),
                cause: None,
            },
            ..a_good_call()
        };
        let cases = [
            (401, Word::Blind, "wrong_password"),
            (403, Word::Blind, "wrong_password"),
            (503, Word::Down, "sip_503"),
        ];
        for (status, word, code) in cases {
            let verdict = settings.judge(&refused(status));
            assert_eq!(verdict.word, word, "{status}");
            assert_eq!(verdict.failure.expect("not good").code, code, "{status}");
        }
        assert_eq!(settings.judge(&a_good_call()).word, Word::Good);
    }
}
