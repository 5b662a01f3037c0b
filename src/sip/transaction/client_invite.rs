//! Client INVITE transaction (RFC 3261 §17.1.1, figure 5, with the Accepted state of RFC 6026 §7.2).
//!
//! Turns one INVITE into retransmissions, the ACK of a refusal, and responses for the call above. It is
//! not the call: after a 2xx the dialog owns the ACK.

use super::timer::{GIVE_UP, Resend, absorbing};
use crate::sip::Transport;
use crate::time::Instant;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing was heard. Timers A (`resend`) and B.
    Calling {
        resend: Option<Resend>,
        give_up: Instant,
    },
    Proceeding,
    /// A 2xx came: more of them, of other legs too, are handed up until timer M.
    Accepted {
        until: Instant,
    },
    /// Refused: the refusal is acknowledged as often as it comes until timer D.
    Completed {
        until: Instant,
    },
    Terminated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Provisional,
    Success,
    Refusal,
    TimerA,
    TimerB,
    TimerD,
    TimerM,
    TransportFailed,
}

/// What the owner of the transaction does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    SendRequest,
    SendAck,
    /// Hand the response up.
    Deliver,
    /// Nobody answered at all.
    TimedOut,
    TransportFailed,
}

impl State {
    /// The state after the INVITE was sent for the first time.
    #[must_use]
    pub fn start(now: Instant, transport: Transport) -> Self {
        Self::Calling {
            resend: Resend::first(now, transport),
            give_up: now + GIVE_UP,
        }
    }

    #[must_use]
    pub fn on(self, now: Instant, event: Event, transport: Transport) -> (Self, &'static [Effect]) {
        match (self, event) {
            (Self::Calling { .. } | Self::Proceeding, Event::Provisional) => {
                (Self::Proceeding, &[Effect::Deliver])
            }
            (Self::Calling { .. } | Self::Proceeding, Event::Success) => (
                Self::Accepted {
                    until: now + GIVE_UP,
                },
                &[Effect::Deliver],
            ),
            (Self::Calling { .. } | Self::Proceeding, Event::Refusal) => {
                let next = absorbing(GIVE_UP, transport).map_or(Self::Terminated, |time| {
                    Self::Completed { until: now + time }
                });
                (next, &[Effect::SendAck, Effect::Deliver])
            }
            (Self::Calling { resend, give_up }, Event::TimerA) => {
                let resend = resend.map(Resend::doubled);
                (Self::Calling { resend, give_up }, &[Effect::SendRequest])
            }
            (Self::Calling { .. }, Event::TimerB) => (Self::Terminated, &[Effect::TimedOut]),
            (Self::Accepted { .. }, Event::Success) => (self, &[Effect::Deliver]),
            (Self::Accepted { .. }, Event::TimerM) | (Self::Completed { .. }, Event::TimerD) => {
                (Self::Terminated, &[])
            }
            (Self::Completed { .. }, Event::Refusal) => (self, &[Effect::SendAck]),
            (
                Self::Calling { .. } | Self::Proceeding | Self::Completed { .. },
                Event::TransportFailed,
            ) => (Self::Terminated, &[Effect::TransportFailed]),
            // Responses that the state has no use for, timers that it does not have, and a flow that broke
            // when nothing was left to send.
            (Self::Calling { .. }, Event::TimerD | Event::TimerM)
            | (Self::Proceeding, Event::TimerA | Event::TimerB | Event::TimerD | Event::TimerM)
            | (
                Self::Accepted { .. },
                Event::Provisional
                | Event::Refusal
                | Event::TimerA
                | Event::TimerB
                | Event::TimerD
                | Event::TransportFailed,
            )
            | (
                Self::Completed { .. },
                Event::Provisional | Event::Success | Event::TimerA | Event::TimerB | Event::TimerM,
            )
            | (
                Self::Terminated,
                Event::Provisional
                | Event::Success
                | Event::Refusal
                | Event::TimerA
                | Event::TimerB
                | Event::TimerD
                | Event::TimerM
                | Event::TransportFailed,
            ) => (self, &[]),
        }
    }

    /// The next moment at which a timer fires.
    #[must_use]
    pub fn deadline(self) -> Option<Instant> {
        match self {
            Self::Calling { resend, give_up } => {
                Some(resend.map_or(give_up, |resend| resend.at.min(give_up)))
            }
            Self::Accepted { until } | Self::Completed { until } => Some(until),
            Self::Proceeding | Self::Terminated => None,
        }
    }

    /// The timer that has fired by `now`, if any. B goes before A: giving up needs no last request.
    #[must_use]
    pub fn due(self, now: Instant) -> Option<Event> {
        match self {
            Self::Calling { give_up, .. } if give_up <= now => Some(Event::TimerB),
            Self::Calling {
                resend: Some(resend),
                ..
            } if resend.at <= now => Some(Event::TimerA),
            Self::Accepted { until } if until <= now => Some(Event::TimerM),
            Self::Completed { until } if until <= now => Some(Event::TimerD),
            Self::Calling { .. }
            | Self::Proceeding
            | Self::Accepted { .. }
            | Self::Completed { .. }
            | Self::Terminated => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::transaction::table;

    const EVENTS: [Event; 8] = [
        Event::Provisional,
        Event::Success,
        Event::Refusal,
        Event::TimerA,
        Event::TimerB,
        Event::TimerD,
        Event::TimerM,
        Event::TransportFailed,
    ];

    #[test]
    fn the_whole_table() {
        let begin = Instant(0);
        let until = begin + GIVE_UP;
        for transport in [Transport::Udp, Transport::Tcp] {
            let states = [
                State::start(begin, transport),
                State::Proceeding,
                State::Accepted { until },
                State::Completed { until },
                State::Terminated,
            ];
            let text = table::print(&states, &EVENTS, |state, event| {
                state.on(table::LATER, event, transport)
            });
            insta::assert_snapshot!(format!("client_invite_{transport}"), text);
        }
    }

    #[test]
    fn timer_a_doubles_until_timer_b() {
        let log = table::run(
            State::start(Instant(0), Transport::Udp),
            State::deadline,
            State::due,
            |state, now, event| state.on(now, event, Transport::Udp),
        );
        assert_eq!(
            log,
            [
                "500ms TimerA [SendRequest]",
                "1.5s TimerA [SendRequest]",
                "3.5s TimerA [SendRequest]",
                "7.5s TimerA [SendRequest]",
                "15.5s TimerA [SendRequest]",
                "31.5s TimerA [SendRequest]",
                "32s TimerB [TimedOut]",
            ]
        );
    }

    #[test]
    fn a_reliable_transport_sends_once() {
        let log = table::run(
            State::start(Instant(0), Transport::Tcp),
            State::deadline,
            State::due,
            |state, now, event| state.on(now, event, Transport::Tcp),
        );
        assert_eq!(log, ["32s TimerB [TimedOut]"]);
    }

    #[test]
    fn timers_d_and_m_end_it() {
        for (name, event, transport, expected) in [
            (
                "D over UDP",
                Event::Refusal,
                Transport::Udp,
                &["33s TimerD []"][..],
            ),
            ("D over TCP is zero", Event::Refusal, Transport::Tcp, &[]),
            (
                "M over UDP",
                Event::Success,
                Transport::Udp,
                &["33s TimerM []"],
            ),
            (
                "M over TCP",
                Event::Success,
                Transport::Tcp,
                &["33s TimerM []"],
            ),
        ] {
            let (state, _) = State::start(Instant(0), transport).on(table::LATER, event, transport);
            let log = table::run(state, State::deadline, State::due, |state, now, event| {
                state.on(now, event, transport)
            });
            assert_eq!(log, expected, "{name}");
        }
    }
}
