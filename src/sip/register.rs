//! REGISTER (RFC 3261 §10.2): one binding of ours, made, refreshed on demand, and removed again.
//!
//! The registrar decides how long it lasts. Nothing is sent without being asked for.

use std::sync::Arc;
use std::time::Duration;

use super::agent::Key;
use super::agent::authorization::{Authorization, Verdict};
use super::agent::command::Register;
use super::agent::core::Core;
use super::agent::event::{Detail, Happened};
use super::agent::exchange::{Exchange, Standing, final_status};
use super::agent::lines::decimal;
use super::agent::party::{Party, Suffix};
use super::agent::refusal::{reason_of, refusal};
use super::header::{Contacts, Scheme};
use super::wire::{HeaderName, Index, StatusCode};
use crate::time::Instant;

/// How often one registration follows a demand for a longer interval (423).
const LONGER_MAX: u8 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// REGISTER is under way; `remove` if the binding is to go as soon as it is made.
    Binding {
        remove: bool,
    },
    Bound,
    Removing,
    Over,
}

/// One address of record that we bind.
#[derive(Debug)]
pub(in crate::sip) struct Registration {
    pub(in crate::sip) party: Party,
    register: Register,
    authorization: Authorization,
    contact: Arc<str>,
    cseq: u32,
    state: State,
    longer: u8,
    exchange: Option<Exchange<()>>,
    heard: Option<StatusCode>,
}

impl Registration {
    pub(in crate::sip) fn start(
        core: &mut Core,
        now: Instant,
        key: Key,
        register: Register,
    ) -> Self {
        let party = Party::new(core, key, register.hop, register.user, register.ladder);
        let contact = party.contact(core, register.aor.scheme(), register.aor.user());
        let mut registration = Self {
            party,
            authorization: Authorization::new(register.account.clone()),
            register,
            contact,
            cseq: 0,
            state: State::Binding { remove: false },
            longer: 0,
            exchange: None,
            heard: None,
        };
        registration.send(core, now);
        registration
    }

    /// Binds again.
    pub(in crate::sip) fn refresh(&mut self, core: &mut Core, now: Instant) {
        if self.state == State::Bound {
            self.state = State::Binding { remove: false };
            self.authorization.begin();
            self.send(core, now);
        }
    }

    /// Removes the binding; while REGISTER is under way, when its answer has come (§10.2: one at a time).
    pub(in crate::sip) fn remove(&mut self, core: &mut Core, now: Instant) {
        match self.state {
            State::Binding { .. } => self.state = State::Binding { remove: true },
            State::Bound => {
                self.state = State::Removing;
                self.authorization.begin();
                self.send(core, now);
            }
            State::Removing | State::Over => {}
        }
    }

    fn send(&mut self, core: &mut Core, now: Instant) {
        self.cseq += 1;
        let suffix = self.party.branch();
        let aor = &self.register.aor;
        let uri = registrar(aor);
        let credentials = self.authorization.lines(core, "REGISTER", &uri, b"");
        let seconds = match self.state {
            State::Removing => 0,
            State::Binding { .. } | State::Bound | State::Over => {
                u32::try_from(self.register.expires.as_secs()).unwrap_or(u32::MAX)
            }
        };
        let mut message = core.buffer();
        self.party
            .head(core, &mut message, "REGISTER", &uri, suffix)
            .line(
                "From",
                &[b"<", aor.as_str().as_bytes(), b">;tag=", &self.party.token],
            )
            .line("To", &[b"<", aor.as_str().as_bytes(), b">"])
            .line("Call-ID", &[&self.party.token])
            .line("CSeq", &[decimal(self.cseq, &mut [0; 10]), b" REGISTER"])
            .line("Contact", &[self.contact.as_bytes()])
            .number("Expires", seconds, "")
            .lines(credentials.as_bytes())
            .line("User-Agent", &[core.user_agent.as_bytes()])
            .finish(b"");
        let to = self.register.hop.peer;
        let names = ("REGISTER", suffix, self.cseq);
        let party = &mut self.party;
        self.exchange = Some(Exchange::start((), names, party, core, now, (to, message)));
    }

    pub(in crate::sip) fn on_response(
        &mut self,
        core: &mut Core,
        now: Instant,
        suffix: Suffix,
        response: &Index<'_>,
    ) {
        let Some(status) = final_status(
            &mut self.exchange,
            &mut self.party,
            &mut self.heard,
            core,
            now,
            suffix,
            response,
        ) else {
            return;
        };
        let verdict = status
            .is_challenge()
            .then(|| self.authorization.challenged(response));
        if verdict == Some(Verdict::Answer) {
            self.send(core, now);
            return;
        }
        match self.state {
            State::Binding { remove } if status.is_success() => {
                self.state = State::Bound;
                let granted = self.granted(response);
                self.party.tell(core, Happened::Registered { granted });
                if remove {
                    self.remove(core, now);
                }
            }
            State::Binding { .. } => {
                if status == StatusCode::INTERVAL_TOO_BRIEF && self.lengthen(response) {
                    self.send(core, now);
                    return;
                }
                let mut refusal = refusal(status, response, self.party.has_ladder());
                refusal.reason = reason_of(response);
                refusal.detail =
                    (verdict == Some(Verdict::SecretRefused)).then_some(Detail::SecretRefused);
                self.over(core, Happened::Refused(refusal));
            }
            State::Removing => {
                let status = (!status.is_success()).then_some(status);
                self.over(core, Happened::Unregistered { status });
            }
            State::Bound | State::Over => {}
        }
    }

    /// What the registrar granted (§10.3 step 8): our Contact's expires, else the Expires field, else what we
    /// asked for.
    fn granted(&self, response: &Index<'_>) -> Duration {
        let ours = self.contact.trim_matches(['<', '>']);
        let listed = response
            .all(HeaderName::Contact)
            .filter_map(|header| Contacts::read(&header.text()).ok())
            .filter_map(|contacts| match contacts {
                Contacts::Every => None,
                Contacts::Listed(listed) => Some(listed),
            })
            .flatten()
            .filter(|contact| contact.address.uri.as_str() == ours)
            .find_map(|contact| contact.expires());
        let field = || {
            let header = response.first(HeaderName::Expires)?;
            header.text().trim().parse().ok().map(Duration::from_secs)
        };
        listed.or_else(field).unwrap_or(self.register.expires)
    }

    /// Takes over the Min-Expires of a 423 (§10.2.8).
    fn lengthen(&mut self, response: &Index<'_>) -> bool {
        let asked = response
            .first(HeaderName::MinExpires)
            .and_then(|header| header.text().trim().parse().ok());
        let Some(asked) = asked else {
            return false;
        };
        self.longer += 1;
        self.register.expires = Duration::from_secs(asked);
        self.longer <= LONGER_MAX
    }

    fn over(&mut self, core: &mut Core, last: Happened) {
        if self.state != State::Over {
            self.state = State::Over;
            self.party.tell(core, last);
        }
    }

    pub(in crate::sip) fn on_flow_failed(&mut self, core: &mut Core, words: &str) {
        let words = words.into();
        self.over(core, Happened::FlowFailed { words });
    }

    pub(in crate::sip) fn wake(&mut self, core: &mut Core, now: Instant) {
        let Some(exchange) = &mut self.exchange else {
            return;
        };
        if exchange.wake(&mut self.party, core, now) == Standing::TimedOut {
            let last = match self.state {
                State::Removing => Happened::Unregistered {
                    status: Some(StatusCode::REQUEST_TIMEOUT),
                },
                State::Binding { .. } | State::Bound | State::Over => {
                    Happened::TimedOut { heard: self.heard }
                }
            };
            self.over(core, last);
        }
    }

    pub(in crate::sip) fn deadline(&self) -> Option<Instant> {
        self.exchange.as_ref().and_then(Exchange::deadline)
    }

    pub(in crate::sip) const fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }
}

/// The Request-URI (§10.2): the address of record without its user part.
fn registrar(aor: &super::header::Uri) -> String {
    let scheme = if aor.scheme() == Scheme::Sips {
        "sips"
    } else {
        "sip"
    };
    let host = aor.host().unwrap_or("invalid");
    match aor.port() {
        Some(port) => format!("{scheme}:{host}:{port}"),
        None => format!("{scheme}:{host}"),
    }
}
