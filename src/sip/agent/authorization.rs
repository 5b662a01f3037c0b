//! Answering 401 and 407 (RFC 3261 §22): once for each request, once more if only the nonce was too old.
//!
//! A second challenge to the same request means that the secret is wrong. We say so and stop, because PBXs
//! ban who tries on.

use std::fmt::Write as _;
use std::sync::Arc;

use super::core::Core;
use crate::sip::digest::{Account, Session, Signed};
use crate::sip::header::Challenge;
use crate::sip::wire::{HeaderName, Index, StatusCode};

/// What we know of the far end's challenges, a proxy's apart from a server's.
#[derive(Debug, Default)]
pub(in crate::sip) struct Authorization {
    account: Option<Arc<Account>>,
    server: Option<Realm>,
    proxy: Option<Realm>,
}

#[derive(Debug)]
struct Realm {
    session: Session,
    /// How often this request was challenged; a nonce known from an earlier request has 0.
    challenged: u8,
}

/// What to do about a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sip) enum Verdict {
    /// Send the request again with an answer.
    Answer,
    /// The answer was refused: user or secret are wrong.
    SecretRefused,
    /// We have no account, or no challenge that we can answer.
    Unanswerable,
}

impl Authorization {
    pub(in crate::sip) const fn new(account: Option<Arc<Account>>) -> Self {
        Self {
            account,
            server: None,
            proxy: None,
        }
    }

    /// A new request begins; what is known of nonces stays.
    pub(in crate::sip) fn begin(&mut self) {
        for realm in [&mut self.server, &mut self.proxy].into_iter().flatten() {
            realm.challenged = 0;
        }
    }

    pub(in crate::sip) fn challenged(&mut self, response: &Index<'_>) -> Verdict {
        let (name, realm) = if response.status() == Some(StatusCode::PROXY_AUTHENTICATION_REQUIRED)
        {
            (HeaderName::ProxyAuthenticate, &mut self.proxy)
        } else {
            (HeaderName::WwwAuthenticate, &mut self.server)
        };
        let challenges = response
            .all(name)
            .filter_map(|header| Challenge::list(&header.text()).ok())
            .flatten();
        let Some(challenge) = Challenge::strongest(challenges) else {
            return Verdict::Unanswerable;
        };
        if self.account.is_none() {
            return Verdict::Unanswerable;
        }
        let challenged = match realm {
            None => 1,
            Some(known) if known.challenged == 0 => 1,
            Some(known) if known.challenged == 1 && known.session.may_answer_again(&challenge) => 2,
            Some(_) => return Verdict::SecretRefused,
        };
        *realm = Some(Realm {
            session: Session::new(challenge),
            challenged,
        });
        Verdict::Answer
    }

    /// The header lines for the next request, empty while nobody asked.
    pub(in crate::sip) fn lines(
        &mut self,
        core: &mut Core,
        method: &str,
        uri: &str,
        body: &[u8],
    ) -> String {
        let mut lines = String::new();
        let Some(account) = &self.account else {
            return lines;
        };
        let signed = Signed { method, uri, body };
        for (name, realm) in [
            ("Authorization", &mut self.server),
            ("Proxy-Authorization", &mut self.proxy),
        ] {
            if let Some(realm) = realm {
                let credentials = realm.session.answer(account, signed, &core.cnonce());
                write!(lines, "{name}: {credentials}\r\n").expect("a String takes every character");
            }
        }
        lines
    }
}
