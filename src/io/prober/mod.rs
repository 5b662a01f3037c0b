//! Fetches what the probes of `probe::{icmp, tcp, http, dns, plugin}` ask for and has it judged.
//!
//! Not for the SIP probes: `io::shard` places those. The daemon calls [`Prober::run`], once per run, and
//! gets a verdict whatever happens: a panic, a full machine, a fetcher that hangs end as blind.

mod dns;
mod http;
mod icmp;
mod plugin;
mod tcp;

/// What is read of the bytes of others, without the sockets around it: for tests that make up the bytes.
pub mod foreign {
    pub use super::dns::reply as dns_reply;
    pub use super::http::next_page;
    pub use crate::io::trust::not_after;
}

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::{clock, dns as names, trust};
use crate::probe::{self, Blame, Check, Verdict};
use crate::time::{Instant, Utc};

/// Plug-ins are whole processes: more at once would starve the calls on a small machine.
const PLUGINS_AT_ONCE: usize = 8;

/// Added to a probe's own time-out before it is given up from outside; its own should have ended it.
const GRACE: Duration = Duration::from_secs(2);

/// A time-out noticed later than this says that *we* were too slow: silence then proves nothing.
const LATE_MAX: Duration = Duration::from_millis(500);

/// What is shared by all probes of the rest of the plant.
#[derive(Debug)]
pub struct Prober {
    pinger: icmp::Pinger,
    resolver: names::Resolver,
    trust: trust::Store,
    slots: Semaphore,
    plugin_slots: Semaphore,
}

/// One run, judged.
#[derive(Debug)]
pub struct Ran {
    /// When it began to ask, after waiting for a free slot.
    pub sent: Utc,
    pub verdict: Verdict,
}

impl Prober {
    /// `resolver`: for the names of pages. `authorities`: a PEM file trusted in addition to the system's.
    #[must_use]
    pub fn new(
        at_once: usize,
        resolver: names::Resolver,
        authorities: Option<PathBuf>,
    ) -> Arc<Self> {
        Arc::new(Self {
            pinger: icmp::Pinger::default(),
            resolver,
            trust: trust::Store::new(authorities),
            slots: Semaphore::new(at_once.max(1)),
            plugin_slots: Semaphore::new(PLUGINS_AT_ONCE),
        })
    }

    /// Runs one check. Needs a tokio runtime; never fails and never takes much longer than `timeout`
    /// (twice that, when it has to wait for a slot first). `local` is the own address to leave from, if not any;
    /// a plug-in chooses its own.
    pub async fn run(
        self: Arc<Self>,
        check: Arc<Check>,
        timeout: Duration,
        local: Option<IpAddr>,
    ) -> Ran {
        let slots = match *check {
            Check::Plugin(_) => &self.plugin_slots,
            Check::Call(_)
            | Check::Register(_)
            | Check::Options(_)
            | Check::Icmp(_)
            | Check::Tcp(_)
            | Check::Http(_)
            | Check::Dns(_)
            | Check::Heartbeat(_) => &self.slots,
        };
        let Ok(Ok(_slot)) = tokio::time::timeout(timeout, slots.acquire()).await else {
            return Ran {
                sent: clock::now().utc,
                verdict: Verdict::blind(
                    "too_many_probes",
                    "no free slot for this probe: raise probes_at_once, or probe less often",
                ),
            };
        };
        let started = clock::now();
        let prober = Arc::clone(&self);
        // A task of its own, so that a panic ends this probe and nothing else.
        let mut task = tokio::spawn(async move {
            let asking = prober.fetch_and_judge(&check, timeout, local, started.utc);
            asking.await
        });
        let verdict = match tokio::time::timeout(timeout + GRACE, &mut task).await {
            Ok(Ok(verdict)) => {
                blind_if_late(verdict, timeout, clock::instant().since(started.instant))
            }
            Ok(Err(failed)) => {
                tracing::error!(%failed, "a probe panicked; its verdict is blind");
                Verdict::blind(
                    "probe_panicked",
                    "a fault of the watchdog itself; please report it with its log",
                )
            }
            Err(_) => {
                task.abort();
                Verdict::blind(
                    "probe_stuck",
                    "the probe did not end in time and was given up: this machine is overloaded",
                )
            }
        };
        Ran {
            sent: started.utc,
            verdict,
        }
    }

    async fn fetch_and_judge(
        &self,
        check: &Check,
        timeout: Duration,
        local: Option<IpAddr>,
        now: Utc,
    ) -> Verdict {
        match check {
            Check::Icmp(settings) => {
                let seen = self.pinger.fetch(settings, timeout, local).await;
                probe::icmp::judge(settings, &seen)
            }
            Check::Tcp(settings) => {
                probe::tcp::judge(settings, &tcp::fetch(settings, timeout, local).await)
            }
            Check::Http(settings) => {
                // Boxed: the state of TLS and redirects would make every probe as large as this one.
                let fetched = http::fetch(settings, timeout, local, &self.resolver, &self.trust);
                let seen = Box::pin(fetched).await;
                probe::http::judge(settings, &seen, now)
            }
            Check::Dns(settings) => {
                probe::dns::judge(settings, &dns::fetch(settings, timeout, local).await)
            }
            Check::Plugin(settings) => {
                probe::plugin::judge(settings, &plugin::fetch(settings, timeout).await)
            }
            Check::Call(_) | Check::Register(_) | Check::Options(_) => {
                Verdict::blind("not_placed", "SIP probes are placed by a shard")
            }
            Check::Heartbeat(_) => Verdict::blind(
                "not_listening",
                "only the running service hears beats: look at its page or at vigie status",
            ),
        }
    }
}

/// Silence that we noticed too late is no silence of theirs.
fn blind_if_late(verdict: Verdict, timeout: Duration, took: Duration) -> Verdict {
    let silent = verdict
        .failure
        .as_ref()
        .is_some_and(|failure| failure.blame == Blame::Silent);
    if silent && took > timeout + LATE_MAX {
        return Verdict::blind(
            "overloaded",
            format!(
                "this machine noticed the end of a {} ms time-out only after {} ms: give it more CPU",
                timeout.as_millis(),
                took.as_millis()
            ),
        );
    }
    verdict
}

/// The end of a probe: every wait of a fetcher ends there.
#[derive(Clone, Copy, Debug)]
struct Deadline {
    started: Instant,
    end: tokio::time::Instant,
}

impl Deadline {
    fn after(timeout: Duration) -> Self {
        Self {
            started: clock::instant(),
            end: tokio::time::Instant::now() + timeout,
        }
    }

    fn elapsed(&self) -> Duration {
        clock::instant().since(self.started)
    }

    /// `None` when the time is over.
    async fn wait<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout_at(self.end, future).await.ok()
    }

    /// An I/O call, with its errors read.
    async fn io<T>(
        &self,
        future: impl Future<Output = std::io::Result<T>>,
    ) -> Result<T, probe::socket::SocketFault> {
        match self.wait(future).await {
            Some(Ok(value)) => Ok(value),
            Some(Err(error)) => Err(probe::socket::SocketFault::of(&error)),
            None => Err(probe::socket::SocketFault::TimedOut),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::{Failure, Word};

    #[test]
    fn silence_noticed_late_is_our_own_fault() {
        let timeout = Duration::from_secs(2);
        for (blame, late_ms, word) in [
            (Blame::Silent, 100, Word::Down),
            (Blame::Silent, 800, Word::Blind),
            (Blame::Refused, 800, Word::Down),
        ] {
            let verdict = Verdict::down(Failure::new(blame, "x", "x"));
            let took = timeout + Duration::from_millis(late_ms);
            assert_eq!(
                blind_if_late(verdict, timeout, took).word,
                word,
                "{blame:?} {late_ms}"
            );
        }
    }

    #[tokio::test]
    async fn a_full_house_is_blind() {
        let prober = Prober::new(1, names::tests::resolver().await, None);
        let _taken = prober.slots.acquire().await.unwrap();
        let check = Arc::new(Check::Tcp(probe::tcp::Settings::new(
            std::net::SocketAddr::from(([127, 0, 0, 1], 1)),
        )));
        let ran = Arc::clone(&prober)
            .run(check, Duration::from_millis(20), None)
            .await;
        assert_eq!(ran.verdict.word, Word::Blind);
        assert_eq!(ran.verdict.failure.unwrap().code, "too_many_probes");
    }
}
