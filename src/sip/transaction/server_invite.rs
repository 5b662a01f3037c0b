//! Server INVITE transaction (RFC 3261 §17.2.1, figure 7, with the Accepted state of RFC 6026 §7.1).
//!
//! Absorbs repeated INVITEs, repeats a refusal until its ACK comes, and hands the ACK of a 2xx up. The 2xx
//! itself is repeated by the call (§13.3.1.4).

use super::timer::{GIVE_UP, Resend, T4, TRYING, absorbing};
use crate::sip::Transport;
use crate::time::Instant;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Figure 7's Proceeding before any response: 100 is due.
    Received {
        trying: Instant,
    },
    Proceeding,
    /// A 2xx was sent: repeated INVITEs are absorbed, ACKs handed up, until timer L.
    Accepted {
        until: Instant,
    },
    /// Refused and not yet acknowledged. Timers G (`resend`) and H.
    Completed {
        resend: Option<Resend>,
        give_up: Instant,
    },
    /// Acknowledged: more ACKs are absorbed until timer I.
    Confirmed {
        until: Instant,
    },
    Terminated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The INVITE came again.
    Request,
    Ack,
    /// We answer 101 to 199.
    Provisional,
    /// We answer 200 to 299, for the first time or again.
    Success,
    /// We answer 300 to 699.
    Refusal,
    /// 200 ms passed without a response of ours.
    TimerTrying,
    TimerG,
    TimerH,
    TimerI,
    TimerL,
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
    DeliverAck,
    /// Timer H: nobody acknowledged the refusal.
    NoAck,
    TransportFailed,
}

impl State {
    /// The state when the INVITE has come.
    #[must_use]
    pub fn start(now: Instant) -> Self {
        Self::Received {
            trying: now + TRYING,
        }
    }

    #[must_use]
    pub fn on(self, now: Instant, event: Event, transport: Transport) -> (Self, &'static [Effect]) {
        match (self, event) {
            // The far end waits already: say 100 at once.
            (Self::Received { .. }, Event::TimerTrying | Event::Request) => {
                (Self::Proceeding, &[Effect::SendTrying])
            }
            (Self::Received { .. } | Self::Proceeding, Event::Provisional) => {
                (Self::Proceeding, &[Effect::Respond])
            }
            (Self::Received { .. } | Self::Proceeding, Event::Success) => (
                Self::Accepted {
                    until: now + GIVE_UP,
                },
                &[Effect::Respond],
            ),
            (Self::Received { .. } | Self::Proceeding, Event::Refusal) => (
                Self::Completed {
                    resend: Resend::first(now, transport),
                    give_up: now + GIVE_UP,
                },
                &[Effect::Respond],
            ),
            (Self::Proceeding | Self::Completed { .. }, Event::Request) => {
                (self, &[Effect::Repeat])
            }
            (Self::Accepted { .. }, Event::Success) => (self, &[Effect::Respond]),
            (Self::Accepted { .. }, Event::Ack) => (self, &[Effect::DeliverAck]),
            (Self::Accepted { .. }, Event::TimerL) | (Self::Confirmed { .. }, Event::TimerI) => {
                (Self::Terminated, &[])
            }
            (Self::Completed { .. }, Event::Ack) => {
                let next = absorbing(T4, transport).map_or(Self::Terminated, |time| {
                    Self::Confirmed { until: now + time }
                });
                (next, &[])
            }
            (Self::Completed { resend, give_up }, Event::TimerG) => {
                let resend = resend.map(Resend::doubled_to_t2);
                (Self::Completed { resend, give_up }, &[Effect::Repeat])
            }
            (Self::Completed { .. }, Event::TimerH) => (Self::Terminated, &[Effect::NoAck]),
            (
                Self::Received { .. } | Self::Proceeding | Self::Completed { .. },
                Event::TransportFailed,
            ) => (Self::Terminated, &[Effect::TransportFailed]),
            // Stray ACKs, responses that come too late, timers that the state does not have.
            (
                Self::Received { .. },
                Event::Ack | Event::TimerG | Event::TimerH | Event::TimerI | Event::TimerL,
            )
            | (
                Self::Proceeding,
                Event::Ack
                | Event::TimerTrying
                | Event::TimerG
                | Event::TimerH
                | Event::TimerI
                | Event::TimerL,
            )
            | (
                Self::Accepted { .. },
                Event::Request
                | Event::Provisional
                | Event::Refusal
                | Event::TimerTrying
                | Event::TimerG
                | Event::TimerH
                | Event::TimerI
                | Event::TransportFailed,
            )
            | (
                Self::Completed { .. },
                Event::Provisional
                | Event::Success
                | Event::Refusal
                | Event::TimerTrying
                | Event::TimerI
                | Event::TimerL,
            )
            | (
                Self::Confirmed { .. },
                Event::Request
                | Event::Ack
                | Event::Provisional
                | Event::Success
                | Event::Refusal
                | Event::TimerTrying
                | Event::TimerG
                | Event::TimerH
                | Event::TimerL
                | Event::TransportFailed,
            )
            | (
                Self::Terminated,
                Event::Request
                | Event::Ack
                | Event::Provisional
                | Event::Success
                | Event::Refusal
                | Event::TimerTrying
                | Event::TimerG
                | Event::TimerH
                | Event::TimerI
                | Event::TimerL
                | Event::TransportFailed,
            ) => (self, &[]),
        }
    }

    /// The next moment at which a timer fires.
    #[must_use]
    pub fn deadline(self) -> Option<Instant> {
        match self {
            Self::Received { trying } => Some(trying),
            Self::Completed { resend, give_up } => {
                Some(resend.map_or(give_up, |resend| resend.at.min(give_up)))
            }
            Self::Accepted { until } | Self::Confirmed { until } => Some(until),
            Self::Proceeding | Self::Terminated => None,
        }
    }

    /// The timer that has fired by `now`, if any.
    #[must_use]
    pub fn due(self, now: Instant) -> Option<Event> {
        match self {
            Self::Received { trying } if trying <= now => Some(Event::TimerTrying),
            Self::Completed { give_up, .. } if give_up <= now => Some(Event::TimerH),
            Self::Completed {
                resend: Some(resend),
                ..
            } if resend.at <= now => Some(Event::TimerG),
            Self::Accepted { until } if until <= now => Some(Event::TimerL),
            Self::Confirmed { until } if until <= now => Some(Event::TimerI),
            Self::Received { .. }
            | Self::Proceeding
            | Self::Accepted { .. }
            | Self::Completed { .. }
            | Self::Confirmed { .. }
            | Self::Terminated => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::transaction::table;

    const EVENTS: [Event; 11] = [
        Event::Request,
        Event::Ack,
        Event::Provisional,
        Event::Success,
        Event::Refusal,
        Event::TimerTrying,
        Event::TimerG,
        Event::TimerH,
        Event::TimerI,
        Event::TimerL,
        Event::TransportFailed,
    ];

    #[test]
    fn the_whole_table() {
        for transport in [Transport::Udp, Transport::Tcp] {
            let begin = Instant(0);
            let received = State::start(begin);
            let states = [
                received,
                State::Proceeding,
                received.on(begin, Event::Success, transport).0,
                received.on(begin, Event::Refusal, transport).0,
                State::Confirmed { until: begin + T4 },
                State::Terminated,
            ];
            let text = table::print(&states, &EVENTS, |state, event| {
                state.on(table::LATER, event, transport)
            });
            insta::assert_snapshot!(format!("server_invite_{transport}"), text);
        }
    }

    fn log_after(event: Event, then: Option<Event>, transport: Transport) -> Vec<String> {
        let (mut state, _) = State::start(Instant(0)).on(Instant(0), event, transport);
        if let Some(then) = then {
            state = state.on(table::LATER, then, transport).0;
        }
        table::run(state, State::deadline, State::due, |state, now, event| {
            state.on(now, event, transport)
        })
    }

    #[test]
    fn timer_g_doubles_up_to_t2_until_timer_h() {
        assert_eq!(
            log_after(Event::Refusal, None, Transport::Udp),
            [
                "500ms TimerG [Repeat]",
                "1.5s TimerG [Repeat]",
                "3.5s TimerG [Repeat]",
                "7.5s TimerG [Repeat]",
                "11.5s TimerG [Repeat]",
                "15.5s TimerG [Repeat]",
                "19.5s TimerG [Repeat]",
                "23.5s TimerG [Repeat]",
                "27.5s TimerG [Repeat]",
                "31.5s TimerG [Repeat]",
                "32s TimerH [NoAck]",
            ]
        );
        assert_eq!(
            log_after(Event::Refusal, None, Transport::Tcp),
            ["32s TimerH [NoAck]"]
        );
    }

    #[test]
    fn timers_i_and_l_end_it() {
        for (name, event, then, transport, expected) in [
            (
                "I over UDP",
                Event::Refusal,
                Some(Event::Ack),
                Transport::Udp,
                &["6s TimerI []"][..],
            ),
            (
                "I over TCP is zero",
                Event::Refusal,
                Some(Event::Ack),
                Transport::Tcp,
                &[],
            ),
            (
                "L over UDP",
                Event::Success,
                None,
                Transport::Udp,
                &["32s TimerL []"],
            ),
            (
                "L over TCP",
                Event::Success,
                Some(Event::Ack),
                Transport::Tcp,
                &["32s TimerL []"],
            ),
        ] {
            assert_eq!(log_after(event, then, transport), expected, "{name}");
        }
    }

    #[test]
    fn a_hundred_is_said_after_200_ms() {
        let log = table::run(
            State::start(Instant(0)),
            State::deadline,
            State::due,
            |state, now, event| state.on(now, event, Transport::Udp),
        );
        assert_eq!(log, ["200ms TimerTrying [SendTrying]"]);
    }
}
