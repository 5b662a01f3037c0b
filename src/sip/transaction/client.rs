//! Client non-INVITE transaction (RFC 3261 §17.1.2, figure 6): BYE, REGISTER, OPTIONS, CANCEL and the rest.
//!
//! Turns one request into retransmissions and responses for what is above.

use super::timer::{GIVE_UP, Resend, T2, T4, absorbing};
use crate::sip::Transport;
use crate::time::Instant;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing was heard. Timers E (`resend`) and F.
    Trying {
        resend: Option<Resend>,
        give_up: Instant,
    },
    /// They work on it; the request is repeated every T2 all the same, and F runs on.
    Proceeding {
        resend: Option<Resend>,
        give_up: Instant,
    },
    /// Answered: repeated answers are absorbed until timer K.
    Completed {
        until: Instant,
    },
    Terminated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Provisional,
    Final,
    TimerE,
    TimerF,
    TimerK,
    TransportFailed,
}

/// What the owner of the transaction does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    SendRequest,
    /// Hand the response up.
    Deliver,
    TimedOut,
    TransportFailed,
}

impl State {
    /// The state after the request was sent for the first time.
    #[must_use]
    pub fn start(now: Instant, transport: Transport) -> Self {
        Self::Trying {
            resend: Resend::first(now, transport),
            give_up: now + GIVE_UP,
        }
    }

    #[must_use]
    pub fn on(self, now: Instant, event: Event, transport: Transport) -> (Self, &'static [Effect]) {
        match (self, event) {
            (Self::Trying { resend, give_up }, Event::Provisional) => {
                (Self::Proceeding { resend, give_up }, &[Effect::Deliver])
            }
            (Self::Proceeding { .. }, Event::Provisional) => (self, &[Effect::Deliver]),
            (Self::Trying { .. } | Self::Proceeding { .. }, Event::Final) => {
                let next = absorbing(T4, transport).map_or(Self::Terminated, |time| {
                    Self::Completed { until: now + time }
                });
                (next, &[Effect::Deliver])
            }
            (Self::Trying { resend, give_up }, Event::TimerE) => {
                let resend = resend.map(Resend::doubled_to_t2);
                (Self::Trying { resend, give_up }, &[Effect::SendRequest])
            }
            (Self::Proceeding { resend, give_up }, Event::TimerE) => {
                let resend = resend.map(|resend| Resend {
                    at: resend.at + T2,
                    interval: T2,
                });
                (Self::Proceeding { resend, give_up }, &[Effect::SendRequest])
            }
            (Self::Trying { .. } | Self::Proceeding { .. }, Event::TimerF) => {
                (Self::Terminated, &[Effect::TimedOut])
            }
            (Self::Trying { .. } | Self::Proceeding { .. }, Event::TransportFailed) => {
                (Self::Terminated, &[Effect::TransportFailed])
            }
            (Self::Completed { .. }, Event::TimerK) => (Self::Terminated, &[]),
            // Repeated answers, and timers that the state does not have.
            (Self::Trying { .. } | Self::Proceeding { .. }, Event::TimerK)
            | (
                Self::Completed { .. },
                Event::Provisional
                | Event::Final
                | Event::TimerE
                | Event::TimerF
                | Event::TransportFailed,
            )
            | (
                Self::Terminated,
                Event::Provisional
                | Event::Final
                | Event::TimerE
                | Event::TimerF
                | Event::TimerK
                | Event::TransportFailed,
            ) => (self, &[]),
        }
    }

    /// The next moment at which a timer fires.
    #[must_use]
    pub fn deadline(self) -> Option<Instant> {
        match self {
            Self::Trying { resend, give_up } | Self::Proceeding { resend, give_up } => {
                Some(resend.map_or(give_up, |resend| resend.at.min(give_up)))
            }
            Self::Completed { until } => Some(until),
            Self::Terminated => None,
        }
    }

    /// The timer that has fired by `now`, if any.
    #[must_use]
    pub fn due(self, now: Instant) -> Option<Event> {
        match self {
            Self::Trying { give_up, .. } | Self::Proceeding { give_up, .. } if give_up <= now => {
                Some(Event::TimerF)
            }
            Self::Trying {
                resend: Some(resend),
                ..
            }
            | Self::Proceeding {
                resend: Some(resend),
                ..
            } if resend.at <= now => Some(Event::TimerE),
            Self::Completed { until } if until <= now => Some(Event::TimerK),
            Self::Trying { .. }
            | Self::Proceeding { .. }
            | Self::Completed { .. }
            | Self::Terminated => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::transaction::table;

    const EVENTS: [Event; 6] = [
        Event::Provisional,
        Event::Final,
        Event::TimerE,
        Event::TimerF,
        Event::TimerK,
        Event::TransportFailed,
    ];

    #[test]
    fn the_whole_table() {
        for transport in [Transport::Udp, Transport::Tcp] {
            let trying = State::start(Instant(0), transport);
            let (proceeding, _) = trying.on(Instant(0), Event::Provisional, transport);
            let states = [
                trying,
                proceeding,
                State::Completed {
                    until: Instant(0) + T4,
                },
                State::Terminated,
            ];
            let text = table::print(&states, &EVENTS, |state, event| {
                state.on(table::LATER, event, transport)
            });
            insta::assert_snapshot!(format!("client_{transport}"), text);
        }
    }

    fn log_of(start: State, transport: Transport) -> Vec<String> {
        table::run(start, State::deadline, State::due, |state, now, event| {
            state.on(now, event, transport)
        })
    }

    #[test]
    fn timer_e_doubles_up_to_t2_until_timer_f() {
        let log = log_of(State::start(Instant(0), Transport::Udp), Transport::Udp);
        assert_eq!(
            log,
            [
                "500ms TimerE [SendRequest]",
                "1.5s TimerE [SendRequest]",
                "3.5s TimerE [SendRequest]",
                "7.5s TimerE [SendRequest]",
                "11.5s TimerE [SendRequest]",
                "15.5s TimerE [SendRequest]",
                "19.5s TimerE [SendRequest]",
                "23.5s TimerE [SendRequest]",
                "27.5s TimerE [SendRequest]",
                "31.5s TimerE [SendRequest]",
                "32s TimerF [TimedOut]",
            ]
        );
    }

    #[test]
    fn after_a_provisional_it_repeats_every_t2() {
        let start = State::start(Instant(0), Transport::Udp);
        let (state, _) = start.on(Instant(0), Event::Provisional, Transport::Udp);
        let log = log_of(state, Transport::Udp);
        assert_eq!(
            log[..2],
            ["500ms TimerE [SendRequest]", "4.5s TimerE [SendRequest]"]
        );
        assert_eq!(log.last().unwrap(), "32s TimerF [TimedOut]");
    }

    #[test]
    fn timer_k_is_t4_and_zero_where_reliable() {
        for (transport, expected) in [
            (Transport::Udp, &["6s TimerK []"][..]),
            (Transport::Tcp, &[]),
            (Transport::Tls, &[]),
        ] {
            let start = State::start(Instant(0), transport);
            let (state, _) = start.on(table::LATER, Event::Final, transport);
            assert_eq!(log_of(state, transport), expected, "{transport}");
        }
    }

    #[test]
    fn a_reliable_transport_sends_once() {
        let log = log_of(State::start(Instant(0), Transport::Tls), Transport::Tls);
        assert_eq!(log, ["32s TimerF [TimedOut]"]);
    }
}
