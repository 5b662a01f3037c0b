//! The job of a shard that a SIP probe becomes. Called by the daemon and by `vigie probe`, with the
//! address found and the secret fetched; the figures come from the settings alone.

use super::{Check, call, options, register};
use crate::calls::script::{
    CallPlan, Credentials, MediaPlan, OptionsPlan, RegisterPlan, Route, Task,
};

/// What has to be known before a route is looked for.
#[derive(Clone, Copy, Debug)]
pub enum Sip<'a> {
    Call(&'a call::Settings),
    Register(&'a register::Settings),
    Options(&'a options::Settings),
}

impl<'a> Sip<'a> {
    /// `None` when this is no SIP probe.
    #[must_use]
    pub const fn of(check: &'a Check) -> Option<Self> {
        match check {
            Check::Call(settings) => Some(Self::Call(settings)),
            Check::Register(settings) => Some(Self::Register(settings)),
            Check::Options(settings) => Some(Self::Options(settings)),
            Check::Icmp(_) | Check::Tcp(_) | Check::Http(_) | Check::Dns(_) | Check::Plugin(_) => {
                None
            }
        }
    }

    /// The URI that says where to send, and the `host[:port]` that goes before it.
    #[must_use]
    pub fn destination(self) -> (&'a str, Option<&'a str>) {
        match self {
            Self::Call(settings) => (&settings.to, settings.proxy.as_deref()),
            Self::Register(settings) => (&settings.aor, settings.proxy.as_deref()),
            Self::Options(settings) => (&settings.to, settings.proxy.as_deref()),
        }
    }

    #[must_use]
    pub const fn transport(self) -> crate::sip::Transport {
        match self {
            Self::Call(settings) => settings.transport,
            Self::Register(settings) => settings.transport,
            Self::Options(settings) => settings.transport,
        }
    }

    #[must_use]
    pub const fn account(self) -> Option<&'a super::Account> {
        match self {
            Self::Call(settings) => settings.account.as_ref(),
            Self::Register(settings) => Some(&settings.account),
            Self::Options(_) => None,
        }
    }

    /// The job itself. `ladder`: record every message, for an engineer to read.
    #[must_use]
    pub fn task(self, route: Route, credentials: Option<Credentials>, ladder: bool) -> Task {
        match self {
            Self::Call(settings) => Task::Call(CallPlan {
                route,
                to: settings.to.clone(),
                from: settings.from.clone(),
                credentials,
                hold: settings.hold,
                answer_within: settings.answer_within,
                media: match settings.hear {
                    call::Hear::Echo => MediaPlan::Tone,
                    call::Hear::Anything | call::Hear::Nothing => MediaPlan::Silence,
                },
                send_dtmf: settings.send_dtmf.clone(),
                ladder,
            }),
            Self::Register(settings) => Task::Register(RegisterPlan {
                route,
                aor: settings.aor.clone(),
                credentials,
                expires: settings.expires,
                answer_within: settings.answer_within,
                ladder,
            }),
            Self::Options(settings) => Task::Options(OptionsPlan {
                route,
                to: settings.to.clone(),
                from: settings.from.clone(),
                answer_within: settings.answer_within,
                ladder,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use super::*;
    use crate::sip::Transport;

    #[test]
    fn a_call_becomes_a_plan_with_its_sound() {
        let route = Route {
            transport: Transport::Udp,
            peer: SocketAddr::from(([127, 0, 1, 10], 5060)),
            local: SocketAddr::from(([127, 0, 0, 1], 0)),
            server_name: None,
            fresh: true,
        };
        for (hear, media) in [
            (call::Hear::Echo, MediaPlan::Tone),
            (call::Hear::Anything, MediaPlan::Silence),
            (call::Hear::Nothing, MediaPlan::Silence),
        ] {
            let settings = call::Settings {
                hear,
                ..call::Settings::new("sip:0199001199@127.0.1.10", "sip:vigie@127.0.0.1")
            };
            let check = Check::Call(settings);
            let Some(sip) = Sip::of(&check) else {
                panic!("a call is a SIP probe");
            };
            let Task::Call(plan) = sip.task(route.clone(), None, true) else {
                panic!("a call becomes a call");
            };
            assert_eq!((plan.media, plan.hold), (media, Duration::from_secs(3)));
            assert_eq!(plan.route, route);
        }
        let other = Check::Tcp(super::super::tcp::Settings::new(SocketAddr::from((
            [127, 0, 0, 1],
            1,
        ))));
        assert!(Sip::of(&other).is_none());
    }
}
