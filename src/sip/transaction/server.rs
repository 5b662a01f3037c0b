//! Server non-INVITE transaction (RFC 3261 §17.2.2, figure 8), as RFC 4320 corrects it.
//!
//! Absorbs repeated requests and repeats the answer. It never says 408 and never answers once the client
//! has given up (RFC 4320 §4.2); it says 100 late or never (§4.1).

use super::timer::{GIVE_UP, TRYING_NON_INVITE, absorbing};
use crate::sip::Transport;
use crate::time::Instant;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not answered. 100 is due at `trying`, and no answer is of use after `give_up` (the client's timer F).
    Trying {
        trying: Instant,
        give_up: Instant,
    },
    /// 100 was said.
    Proceeding {
        give_up: Instant,
    },
    /// Answered: the answer is repeated as often as the request comes until timer J.
    Completed {
        until: Instant,
    },
    Terminated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The request came again.
    Request,
    Final,
    /// We would answer 408.
    RequestTimeout,
    /// The client's timer E has grown to T2 and we have not answered.
    TimerTrying,
    /// The client's timer F.
    TimerF,
    TimerJ,
    TransportFailed,
}

/// What the owner of the transaction does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    SendTrying,
    /// Send the response at hand.
    Respond,
    /// Send the last response again.
    Repeat,
    /// It is too late for any answer.
    TooLate,
    TransportFailed,
}

impl State {
    /// The state when the request has come.
    #[must_use]
    pub fn start(now: Instant) -> Self {
        Self::Trying {
            trying: now + TRYING_NON_INVITE,
            give_up: now + GIVE_UP,
        }
    }

    #[must_use]
    pub fn on(self, now: Instant, event: Event, transport: Transport) -> (Self, &'static [Effect]) {
        match (self, event) {
            (Self::Trying { give_up, .. }, Event::TimerTrying) => {
                (Self::Proceeding { give_up }, &[Effect::SendTrying])
            }
            (Self::Trying { .. } | Self::Proceeding { .. }, Event::Final) => {
                let next = absorbing(GIVE_UP, transport).map_or(Self::Terminated, |time| {
                    Self::Completed { until: now + time }
                });
                (next, &[Effect::Respond])
            }
            (
                Self::Trying { .. } | Self::Proceeding { .. },
                Event::TimerF | Event::RequestTimeout,
            ) => (Self::Terminated, &[Effect::TooLate]),
            (Self::Proceeding { .. } | Self::Completed { .. }, Event::Request) => {
                (self, &[Effect::Repeat])
            }
            (Self::Completed { .. }, Event::TimerJ) => (Self::Terminated, &[]),
            (
                Self::Trying { .. } | Self::Proceeding { .. } | Self::Completed { .. },
                Event::TransportFailed,
            ) => (Self::Terminated, &[Effect::TransportFailed]),
            // A request repeated before any answer, a second answer, timers that the state does not have.
            (Self::Trying { .. }, Event::Request | Event::TimerJ)
            | (Self::Proceeding { .. }, Event::TimerTrying | Event::TimerJ)
            | (
                Self::Completed { .. },
                Event::Final | Event::RequestTimeout | Event::TimerTrying | Event::TimerF,
            )
            | (
                Self::Terminated,
                Event::Request
                | Event::Final
                | Event::RequestTimeout
                | Event::TimerTrying
                | Event::TimerF
                | Event::TimerJ
                | Event::TransportFailed,
            ) => (self, &[]),
        }
    }

    /// The next moment at which a timer fires.
    #[must_use]
    pub const fn deadline(self) -> Option<Instant> {
        match self {
            Self::Trying { trying, .. } => Some(trying),
            Self::Proceeding { give_up } => Some(give_up),
            Self::Completed { until } => Some(until),
            Self::Terminated => None,
        }
    }

    /// The timer that has fired by `now`, if any.
    #[must_use]
    pub fn due(self, now: Instant) -> Option<Event> {
        match self {
            Self::Trying { give_up, .. } | Self::Proceeding { give_up } if give_up <= now => {
                Some(Event::TimerF)
            }
            Self::Trying { trying, .. } if trying <= now => Some(Event::TimerTrying),
            Self::Completed { until } if until <= now => Some(Event::TimerJ),
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

    const EVENTS: [Event; 7] = [
        Event::Request,
        Event::Final,
        Event::RequestTimeout,
        Event::TimerTrying,
        Event::TimerF,
        Event::TimerJ,
        Event::TransportFailed,
    ];

    #[test]
    fn the_whole_table() {
        for transport in [Transport::Udp, Transport::Tcp] {
            let trying = State::start(Instant(0));
            let states = [
                trying,
                trying.on(Instant(0), Event::TimerTrying, transport).0,
                State::Completed {
                    until: Instant(0) + GIVE_UP,
                },
                State::Terminated,
            ];
            let text = table::print(&states, &EVENTS, |state, event| {
                state.on(table::LATER, event, transport)
            });
            insta::assert_snapshot!(format!("server_{transport}"), text);
        }
    }

    fn log_of(state: State, transport: Transport) -> Vec<String> {
        table::run(state, State::deadline, State::due, |state, now, event| {
            state.on(now, event, transport)
        })
    }

    #[test]
    fn a_hundred_is_said_late_and_no_408_ever() {
        let log = log_of(State::start(Instant(0)), Transport::Udp);
        assert_eq!(
            log,
            ["3.5s TimerTrying [SendTrying]", "32s TimerF [TooLate]"],
            "RFC 4320 §4.1, §4.2"
        );
    }

    #[test]
    fn timer_j_is_32_s_and_zero_where_reliable() {
        for (transport, expected) in [
            (Transport::Udp, &["33s TimerJ []"][..]),
            (Transport::Tcp, &[]),
        ] {
            let (state, _) = State::start(Instant(0)).on(table::LATER, Event::Final, transport);
            assert_eq!(log_of(state, transport), expected, "{transport}");
        }
    }
}
