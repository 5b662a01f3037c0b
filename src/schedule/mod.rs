//! When each probe runs: its cadence, at once when asked, one call at a time on a trunk.
//!
//! It knows names and times only: not what a probe asks, nor what its verdict means. The engine adds
//! probes, asks for extra runs when health suspects something, and reports every end.
//!
//! - A probe never overlaps itself; what is asked while it runs happens after it.
//! - A run that would start too late is skipped, so that a stall or a suspend ends without a storm.
//! - An account that a server refused is tried rarely, whoever asks.
//! - A run whose end is never reported is given up after its time-out and a grace.

mod account;
mod cadence;
pub mod spread;
mod trunk;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::id::{AccountId, ProbeId, Seed, TrunkId};
use crate::time::Instant;
use account::Account;
pub use account::REFUSED_PAUSE;
use cadence::Cadence;
pub use trunk::CALLS_PER_HOUR_MAX;
use trunk::Trunk;

/// The shell may report this long after a probe's own time-out before the run counts as lost:
/// it has to end its calls cleanly (CANCEL, BYE).
pub const GRACE: Duration = Duration::from_secs(5);

/// First runs leave within this time of the start, so that the page knows soon without a herd.
const FIRST_RUN_WITHIN: Duration = Duration::from_secs(5);

/// How one probe wants to be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub probe: ProbeId,
    pub every: Duration,
    pub timeout: Duration,
    pub trunk: Option<TrunkId>,
    /// The account it logs in with.
    pub account: Option<AccountId>,
}

/// Why a run starts; later ones outrank earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    Routine,
    /// Something near it failed.
    Suspicion,
    /// It failed itself, and is asked again from another source port.
    Confirmation,
}

/// A run that starts now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    pub probe: ProbeId,
    pub why: Why,
}

/// Why the schedule wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    Due,
    Lost,
}

#[derive(Clone, Debug)]
pub struct Schedule {
    seed: Seed,
    entries: BTreeMap<ProbeId, Entry>,
    /// One wake per entry that neither runs nor waits for its trunk.
    wakes: BTreeSet<(Instant, ProbeId)>,
    running: BTreeMap<ProbeId, Running>,
    lost: BTreeSet<(Instant, ProbeId)>,
    trunks: BTreeMap<TrunkId, Trunk>,
    calls_per_hour_max: BTreeMap<TrunkId, u16>,
    /// Those that were refused and are not known to be good for all their probes again.
    accounts: BTreeMap<AccountId, Account>,
}

#[derive(Clone, Debug)]
struct Entry {
    settings: Settings,
    cadence: Cadence,
    phase: Phase,
    /// While its target is down: run at least this often.
    hurry: Option<Duration>,
    /// Asked for at this time, which is later than the planned run.
    later: Option<(Instant, Why)>,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Planned { at: Instant, why: Why },
    WaitingForTrunk,
    Running { then: Option<(Instant, Why)> },
}

#[derive(Clone, Debug)]
struct Running {
    trunk: Option<TrunkId>,
    started: Instant,
    lost_at: Instant,
}

impl Schedule {
    #[must_use]
    pub const fn new(seed: Seed) -> Self {
        Self {
            seed,
            entries: BTreeMap::new(),
            wakes: BTreeSet::new(),
            running: BTreeMap::new(),
            lost: BTreeSet::new(),
            trunks: BTreeMap::new(),
            calls_per_hour_max: BTreeMap::new(),
            accounts: BTreeMap::new(),
        }
    }

    /// These probes and no others from now on. One whose settings did not change keeps its moments;
    /// a running one that is gone keeps its trunk until it ends. Refused accounts are tried at once: the
    /// operator may have mended them.
    pub fn reconcile(
        &mut self,
        now: Instant,
        wanted: Vec<Settings>,
        calls_per_hour_max: BTreeMap<TrunkId, u16>,
    ) {
        self.calls_per_hour_max = calls_per_hour_max;
        for (id, trunk) in &mut self.trunks {
            trunk.limit(limit_of(&self.calls_per_hour_max, id));
        }
        let mut old = std::mem::take(&mut self.entries);
        for settings in wanted {
            let kept = old
                .remove(&settings.probe)
                .and_then(|entry| self.kept(entry, &settings));
            let entry = kept.unwrap_or_else(|| self.fresh(now, settings));
            self.entries.insert(entry.settings.probe.clone(), entry);
        }
        for entry in old.into_values() {
            self.unplan(&entry);
        }
        for account in self.accounts.values_mut() {
            account.forgive(now);
        }
        let shut: Vec<ProbeId> = self
            .entries
            .values()
            .filter(|entry| self.account_of(&entry.settings).is_some())
            .map(|entry| entry.settings.probe.clone())
            .collect();
        for probe in shut {
            self.ask(&probe, now, Why::Routine);
        }
    }

    /// The server refuses the account of this probe.
    pub fn refused(&mut self, now: Instant, probe: &ProbeId) {
        let Some(entry) = self.entries.get(probe) else {
            return;
        };
        let Some(id) = entry.settings.account.clone() else {
            return;
        };
        let account = self.accounts.entry(id.clone()).or_default();
        account.refuse(now, probe);
        // Those of the account that wait for a trunk wait for the account instead.
        let mut waiting = Vec::new();
        for (other, entry) in &mut self.entries {
            let at = account.opens_at(other);
            if entry.settings.account.as_ref() == Some(&id)
                && at > now
                && matches!(entry.phase, Phase::WaitingForTrunk)
            {
                let why = Why::Routine;
                entry.phase = Phase::Planned { at, why };
                waiting.push((at, other.clone(), entry.settings.trunk.clone()));
            }
        }
        for (at, other, trunk) in waiting {
            if let Some(trunk) = trunk.and_then(|id| self.trunks.get_mut(&id)) {
                trunk.forget(&other);
            }
            self.wakes.insert((at, other));
        }
    }

    /// The server takes the account of this probe.
    pub fn let_in(&mut self, now: Instant, probe: &ProbeId) {
        let entry = self.entries.get(probe);
        let Some(id) = entry.and_then(|entry| entry.settings.account.as_ref()) else {
            return;
        };
        if let Some(account) = self.accounts.get_mut(id)
            && account.accept(now, probe)
        {
            self.accounts.remove(id);
        }
    }

    fn account_of(&self, settings: &Settings) -> Option<&Account> {
        self.accounts.get(settings.account.as_ref()?)
    }

    /// The entry, if its settings are still the same; else it is taken off the plan.
    fn kept(&mut self, entry: Entry, settings: &Settings) -> Option<Entry> {
        if entry.settings == *settings {
            return Some(entry);
        }
        self.unplan(&entry);
        None
    }

    fn fresh(&mut self, now: Instant, settings: Settings) -> Entry {
        let cadence = Cadence::new(self.seed, &settings.probe, settings.every);
        let phase = if self.running.contains_key(&settings.probe) {
            Phase::Running { then: None }
        } else {
            let within = cadence.every().min(FIRST_RUN_WITHIN);
            let at = now + spread::offset(self.seed, settings.probe.as_str(), within);
            self.wakes.insert((at, settings.probe.clone()));
            Phase::Planned {
                at,
                why: Why::Routine,
            }
        };
        Entry {
            settings,
            cadence,
            phase,
            hurry: None,
            later: None,
        }
    }

    fn unplan(&mut self, entry: &Entry) {
        let probe = &entry.settings.probe;
        match entry.phase {
            Phase::Planned { at, .. } => {
                self.wakes.remove(&(at, probe.clone()));
            }
            Phase::WaitingForTrunk => {
                if let Some(trunk) = self.trunk_of(&entry.settings) {
                    trunk.forget(probe);
                }
            }
            Phase::Running { .. } => {}
        }
    }

    fn trunk_of(&mut self, settings: &Settings) -> Option<&mut Trunk> {
        settings
            .trunk
            .as_ref()
            .and_then(|id| self.trunks.get_mut(id))
    }

    /// Runs this probe at `at`, or sooner if it is planned sooner; after its present run if it runs.
    pub fn ask(&mut self, probe: &ProbeId, at: Instant, why: Why) {
        let Some(entry) = self.entries.get_mut(probe) else {
            return;
        };
        match &mut entry.phase {
            Phase::Planned {
                at: planned,
                why: present,
            } => {
                if at > *planned && why == Why::Suspicion {
                    // What is wanted is the answer of that moment; the planned run comes too early for it.
                    entry.later = Some((at, why));
                    return;
                }
                self.wakes.remove(&(*planned, probe.clone()));
                *planned = at.min(*planned);
                *present = why.max(*present);
                self.wakes.insert((*planned, probe.clone()));
            }
            Phase::WaitingForTrunk => {
                let settings = entry.settings.clone();
                if let Some(trunk) = self.trunk_of(&settings) {
                    trunk.wait(at, probe.clone(), why);
                }
            }
            Phase::Running { then } => {
                *then = Some(match *then {
                    Some((planned, present)) => (at.min(planned), why.max(present)),
                    None => (at, why),
                });
            }
        }
    }

    /// While something is down its proof is asked at least every `every`; `None` ends that.
    pub fn hurry(&mut self, now: Instant, probe: &ProbeId, every: Option<Duration>) {
        let Some(entry) = self.entries.get_mut(probe) else {
            return;
        };
        if entry.hurry == every {
            return;
        }
        entry.hurry = every;
        if let (Some(every), Phase::Planned { .. }) = (every, entry.phase) {
            self.ask(probe, now + every, Why::Routine);
        }
    }

    /// The next run that starts now, if any; call until `None`.
    pub fn due(&mut self, now: Instant) -> Option<Start> {
        while let Some((at, probe)) = self.wakes.first().cloned() {
            if at > now {
                break;
            }
            self.wakes.pop_first();
            if let Some(start) = self.wake(now, at, probe) {
                return Some(start);
            }
        }
        self.admit(now)
    }

    fn wake(&mut self, now: Instant, at: Instant, probe: ProbeId) -> Option<Start> {
        let entry = self.entries.get_mut(&probe)?;
        let Phase::Planned { why, .. } = entry.phase else {
            return None;
        };
        if why == Why::Routine && now.since(at) > entry.cadence.tolerance() {
            let at = entry.cadence.after(now);
            entry.phase = Phase::Planned { at, why };
            self.wakes.insert((at, probe));
            return None;
        }
        if let Some(id) = &entry.settings.account
            && let Some(account) = self.accounts.get_mut(id)
        {
            let opens = account.opens_at(&probe);
            if opens > now {
                let why = Why::Routine;
                entry.phase = Phase::Planned { at: opens, why };
                self.wakes.insert((opens, probe));
                return None;
            }
            account.take_turn(now, &probe);
        }
        match entry.settings.trunk.clone() {
            None => Some(self.start(now, probe, why)),
            Some(trunk) => {
                entry.phase = Phase::WaitingForTrunk;
                let limit = limit_of(&self.calls_per_hour_max, &trunk);
                let trunk = self.trunks.entry(trunk).or_insert_with(|| {
                    let mut trunk = Trunk::default();
                    trunk.limit(limit);
                    trunk
                });
                trunk.wait(at, probe, why);
                None
            }
        }
    }

    fn admit(&mut self, now: Instant) -> Option<Start> {
        let (probe, why) = self
            .trunks
            .values_mut()
            .find_map(|trunk| trunk.admit(now))?;
        Some(self.start(now, probe, why))
    }

    fn start(&mut self, now: Instant, probe: ProbeId, why: Why) -> Start {
        let entry = self
            .entries
            .get_mut(&probe)
            .expect("a removed probe is taken off the wakes and out of its trunk");
        let then = entry.later.take();
        entry.phase = Phase::Running { then };
        let lost_at = now + entry.settings.timeout + GRACE;
        self.lost.insert((lost_at, probe.clone()));
        self.running.insert(
            probe.clone(),
            Running {
                trunk: entry.settings.trunk.clone(),
                started: now,
                lost_at,
            },
        );
        Start { probe, why }
    }

    /// A run ended (or was given up). `answered` is `None` if we could not see.
    pub fn ended(&mut self, now: Instant, probe: &ProbeId, answered: Option<bool>) {
        let Some(running) = self.running.remove(probe) else {
            return;
        };
        self.lost.remove(&(running.lost_at, probe.clone()));
        if let Some(id) = running.trunk
            && let Some(trunk) = self.trunks.get_mut(&id)
        {
            trunk.release(probe, answered);
            if trunk.is_idle()
                && !self
                    .entries
                    .values()
                    .any(|e| e.settings.trunk == Some(id.clone()))
            {
                self.trunks.remove(&id);
            }
        }
        let Some(entry) = self.entries.get_mut(probe) else {
            return;
        };
        let Phase::Running { then } = entry.phase else {
            return;
        };
        let mut next = (entry.cadence.after(now), Why::Routine);
        if let Some(every) = entry.hurry {
            next.0 = next.0.min((running.started + every).max(now));
        }
        if let Some((at, why)) = then
            && at <= next.0
        {
            next = (at.max(now), why);
        }
        let (at, why) = next;
        entry.phase = Phase::Planned { at, why };
        self.wakes.insert((at, probe.clone()));
    }

    /// A run whose end was not reported in time; the caller judges it and calls `ended`.
    #[must_use]
    pub fn lost(&self, now: Instant) -> Option<ProbeId> {
        let (at, probe) = self.lost.first()?;
        (*at <= now).then(|| probe.clone())
    }

    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.running.len()
    }

    #[must_use]
    pub fn deadline(&self) -> Option<(Instant, Reason)> {
        let due = self.wakes.first().map(|(at, _)| (*at, Reason::Due));
        let lost = self.lost.first().map(|(at, _)| (*at, Reason::Lost));
        let trunk = self
            .trunks
            .values()
            .filter_map(Trunk::opens_at)
            .min()
            .map(|at| (at, Reason::Due));
        [due, lost, trunk].into_iter().flatten().min()
    }
}

fn limit_of(calls_per_hour_max: &BTreeMap<TrunkId, u16>, trunk: &TrunkId) -> u16 {
    let said = calls_per_hour_max.get(trunk).copied();
    said.unwrap_or(CALLS_PER_HOUR_MAX)
}

#[cfg(test)]
mod tests;
