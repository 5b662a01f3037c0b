//! The job of a shard that a SIP probe becomes, and what its result means. Called by the daemon and by `vigie probe`, with the
//! address found and the secret fetched.

use super::{Check, Verdict, call, options, register};
use crate::calls::observe::Observed;
use crate::calls::script::{Credentials, Route, Task};
use crate::id::AccountId;
use crate::quality::leg::Report;

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
            Check::Icmp(_)
            | Check::Tcp(_)
            | Check::Http(_)
            | Check::Dns(_)
            | Check::Plugin(_)
            | Check::Heartbeat(_) => None,
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

    /// What a server counts our failed log-ins by, if this logs in.
    #[must_use]
    pub fn login(self) -> Option<AccountId> {
        let account = self.account()?;
        let (uri, proxy) = self.destination();
        let server = proxy.unwrap_or_else(|| uri.rsplit('@').next().unwrap_or(uri));
        let login = format!("{} {} {server}", account.user, account.secret);
        Some(AccountId::from(login.as_str()))
    }

    /// The job itself. `ladder`: record every message, for an engineer to read.
    #[must_use]
    pub fn task(self, route: Route, credentials: Option<Credentials>, ladder: bool) -> Task {
        match self {
            Self::Call(settings) => Task::Call(settings.plan(route, credentials, ladder)),
            Self::Register(settings) => Task::Register(settings.plan(route, credentials, ladder)),
            Self::Options(settings) => Task::Options(settings.plan(route, ladder)),
        }
    }

    /// What was seen of the task, as a verdict; of a call also the whole report of what was heard.
    #[must_use]
    pub fn judge(self, observed: &Observed) -> (Verdict, Option<Report>) {
        match self {
            Self::Call(settings) => settings.judge_and_report(observed),
            Self::Register(settings) => (settings.judge(observed), None),
            Self::Options(settings) => (settings.judge(observed), None),
        }
    }

    /// The signature that a call heard.
    #[must_use]
    pub fn signature_in(self, observed: &Observed) -> Option<&'a str> {
        match self {
            Self::Call(settings) => settings.signature_in(observed),
            Self::Register(_) | Self::Options(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::calls::script::Purpose;
    use crate::sip::Transport;

    #[test]
    fn each_sip_probe_becomes_its_task_and_no_other_does() {
        let route = Route {
            transport: Transport::Udp,
            peer: SocketAddr::from(([127, 0, 1, 10], 5060)),
            local: SocketAddr::from(([127, 0, 0, 1], 0)),
            server_name: None,
            fresh: true,
        };
        let call = Check::Call(call::Settings::new(
            "sip:1@127.0.1.10",
            "sip:vigie@127.0.0.1",
        ));
        let sip = Sip::of(&call).unwrap();
        assert_eq!(sip.destination(), ("sip:1@127.0.1.10", None));
        let Task::Call(plan) = sip.task(route.clone(), None, true) else {
            panic!("a call becomes a call");
        };
        assert_eq!((plan.route, plan.purpose), (route, Purpose::Trace));
        let ping = Check::Icmp(super::super::icmp::Settings::new(Vec::new()));
        assert!(Sip::of(&ping).is_none());
    }
}
