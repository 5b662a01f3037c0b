//! The probes that run now: SIP ones on the shard, the others as tasks. Each ends in exactly one
//! `Input::ProbeDone`, whatever happens to it: no name, no secret, no shard, no answer from ourselves.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::keeper::Keeper;
use super::{Prober, StartError, shard};
use crate::audio::prompt::Reference;
use crate::calls::JobId;
use crate::calls::observe::Observed;
use crate::calls::script::Task;
use crate::config;
use crate::engine::input::{Input, RunId};
use crate::engine::plant::Plant;
use crate::id::ProbeId;
use crate::io::beats::Beats;
use crate::io::evidence::{self, Evidence};
use crate::io::leave::Own;
use crate::io::prompts::{self, Shelf};
use crate::io::shard::{Event, MediaPorts, Refused, ShardHandle, Trust};
use crate::io::{clock, dns, prober, route};
use crate::probe::report::Report;
use crate::probe::task::Sip;
use crate::probe::{Blame, Check, Failure, Verdict};
use crate::time::{Instant, Now, Utc};

/// Added to a SIP probe's own time-outs; beyond, the shard itself is stuck.
const GRACE: Duration = Duration::from_secs(2);

/// A shard that ended is started again after this, not faster: the cause may last.
const RESTART_AFTER: Duration = Duration::from_secs(2);

pub(super) struct Jobs {
    prober: Arc<Prober>,
    beats: Beats,
    resolver: dns::Resolver,
    shard_settings: shard::Settings,
    shard: Option<Shard>,
    /// Codes of the faults that the shard told and that are not over; they end with its thread.
    faults: BTreeSet<String>,
    /// When the shard ended, if it did.
    ended: Option<Instant>,
    /// Where probes leave from.
    settings: config::Settings,
    shelf: Shelf,
    /// The announcements that the plant names.
    prompts: prompts::Loaded,
    /// Plants that were read since the start: only the last is taken.
    reloads: u64,
    keeper: Keeper,
    /// SIP probes on the shard, and those whose route is still looked for.
    calls: BTreeMap<JobId, Placed>,
    /// Routes being looked for, and the other probes.
    tasks: JoinSet<Ready>,
}

struct Shard {
    handle: ShardHandle,
    events: mpsc::Receiver<Event>,
}

/// A SIP probe on its way.
struct Placed {
    run: RunId,
    probe: ProbeId,
    check: Arc<Check>,
    begun: Utc,
    /// Given up from outside then.
    end: Instant,
}

/// What a task brings back.
enum Ready {
    /// The route of a SIP probe is known, or why not.
    Routed {
        job: JobId,
        task: Result<Box<Task>, Failure>,
    },
    /// A probe of the rest of the plant has ended.
    Ran {
        run: RunId,
        probe: ProbeId,
        ran: prober::Ran,
    },
    /// A call was examined and judged.
    Judged(Box<Judged>),
    /// A new plant, with its announcements.
    Loaded {
        reload: u64,
        plant: Arc<Plant>,
        prompts: prompts::Loaded,
    },
    /// Evidence was written, or why not.
    Kept {
        evidence: Evidence,
        written: Result<(), Failure>,
    },
}

struct Judged {
    done: Input,
    /// To be written now that the verdict is told.
    evidence: Option<Box<evidence::Case>>,
}

/// What is needed to judge a call away from the loop.
struct Case {
    placed: Placed,
    observed: Box<Observed>,
    now: Now,
    prompt: Option<Arc<Reference>>,
    evidence_wanted: bool,
}

impl Jobs {
    pub(super) fn new(settings: &config::Settings) -> Result<Self, StartError> {
        let shard_settings = shard::Settings {
            media_ports: MediaPorts {
                range: settings.vantage.media_ports.clone(),
                elsewhere: settings
                    .elsewhere
                    .iter()
                    .map(|place| (place.local, place.media_ports.clone()))
                    .collect(),
                ..MediaPorts::default()
            },
            trust: settings
                .tls_ca
                .clone()
                .map_or(Trust::System, Trust::Besides),
            ..shard::Settings::default()
        };
        let (handle, events) =
            ShardHandle::spawn(shard_settings.clone()).map_err(StartError::Shard)?;
        let resolver = dns::Resolver::new(&settings.resolvers).map_err(StartError::Resolver)?;
        Ok(Self {
            prober: Prober::new(
                settings.probes_at_once,
                resolver.clone(),
                settings.tls_ca.clone(),
            ),
            beats: Beats::default(),
            resolver,
            shard_settings,
            shard: Some(Shard { handle, events }),
            faults: BTreeSet::new(),
            ended: None,
            settings: settings.clone(),
            shelf: Shelf::new(settings.prompt_directory()),
            prompts: prompts::Loaded::new(),
            reloads: 0,
            keeper: Keeper::new(settings),
            calls: BTreeMap::new(),
            tasks: JoinSet::new(),
        })
    }

    /// What was heard, for the pages to add to.
    pub(super) fn beats(&self) -> Beats {
        self.beats.clone()
    }

    /// Fetches the announcements of the first plant and listens to its senders of beats.
    pub(super) fn load(&mut self, plant: &Plant) {
        self.beats.watch(plant, clock::instant());
        self.take_prompts(self.shelf.load(plant));
    }

    /// Fetches the announcements of a new plant, those that were approved meanwhile included, beside the loop;
    /// the engine gets the plant together with them.
    pub(super) fn reconfigure(&mut self, plant: Arc<Plant>) {
        self.reloads += 1;
        let (reload, shelf) = (self.reloads, self.shelf.clone());
        self.tasks.spawn_blocking(move || Ready::Loaded {
            reload,
            prompts: shelf.load(&plant),
            plant,
        });
    }

    fn loaded(&mut self, reload: u64, plant: Arc<Plant>, loaded: prompts::Loaded) -> Vec<Input> {
        if reload != self.reloads {
            // A newer one is on its way.
            return Vec::new();
        }
        self.take_prompts(loaded);
        self.beats.watch(&plant, clock::instant());
        vec![Input::Reconfigured(plant)]
    }

    fn take_prompts(&mut self, loaded: prompts::Loaded) {
        for words in loaded.values().filter_map(|loaded| loaded.as_ref().err()) {
            tracing::warn!("{words}");
        }
        self.prompts = loaded;
    }

    fn prompt(&self, check: &Check) -> Option<&Result<Arc<Reference>, String>> {
        self.prompts.get(prompts::expected(check)?)
    }

    /// Starts a probe. Never waits.
    pub(super) fn start(
        &mut self,
        run: RunId,
        probe: ProbeId,
        check: Arc<Check>,
        timeout: Duration,
        confirm: bool,
    ) {
        if matches!(*check, Check::Heartbeat(_)) {
            let beats = self.beats.clone();
            self.tasks.spawn(async move {
                let now = clock::now();
                let verdict = beats.judge(&probe, now.instant);
                let sent = now.utc;
                let ran = prober::Ran { sent, verdict };
                Ready::Ran { run, probe, ran }
            });
            return;
        }
        let place = self.settings.place_of(&probe);
        if Sip::of(&check).is_none() {
            let prober = Arc::clone(&self.prober);
            let local = place.map(|place| place.map(|place| place.local));
            self.tasks.spawn(async move {
                let ran = match local {
                    Some(local) => prober.run(check, timeout, local).await,
                    None => prober::Ran {
                        sent: clock::now().utc,
                        verdict: Verdict::down(unknown_place(&probe)),
                    },
                };
                Ready::Ran { run, probe, ran }
            });
            return;
        }
        let now = clock::now();
        let job = JobId(run.0);
        let placed = Placed {
            run,
            probe: probe.clone(),
            check: Arc::clone(&check),
            begun: now.utc,
            end: now.instant + timeout + GRACE,
        };
        self.calls.insert(job, placed);
        let own = match place {
            Some(Some(place)) => Ok(Own::Only(place.local)),
            Some(None) => Ok(Own::Preferred(SocketAddr::new(
                self.settings.vantage.local,
                0,
            ))),
            None => Err(unknown_place(&probe)),
        };
        let unusable = self.prompt(&check).and_then(|loaded| loaded.as_ref().err());
        // A call that nobody could judge need not be placed.
        let unusable =
            unusable.map(|words| Failure::new(Blame::Ours, "no_prompt_reference", words.clone()));
        let own = match (own, unusable) {
            (Ok(own), None) => own,
            (Err(failure), _) | (Ok(_), Some(failure)) => {
                self.tasks.spawn(async move {
                    Ready::Routed {
                        job,
                        task: Err(failure),
                    }
                });
                return;
            }
        };
        let resolver = self.resolver.clone();
        self.tasks.spawn(async move {
            let sip = Sip::of(&check).expect("only SIP probes are routed");
            let task = route::prepare(&resolver, sip, own, confirm, false).await;
            Ready::Routed {
                job,
                task: task.map(Box::new),
            }
        });
    }

    /// Waits until something ended, and says what.
    pub(super) async fn next(&mut self) -> Vec<Input> {
        tokio::select! {
            Some(joined) = self.tasks.join_next(), if !self.tasks.is_empty() => match joined {
                Ok(Ready::Ran { run, probe, ran }) => vec![Input::ProbeDone {
                    run,
                    probe,
                    sent: ran.sent,
                    verdict: ran.verdict,
                    signature: None,
                }],
                Ok(Ready::Routed { job, task }) => self.place(job, task).into_iter().collect(),
                Ok(Ready::Judged(judged)) => self.judged(*judged),
                Ok(Ready::Loaded {
                    reload,
                    plant,
                    prompts,
                }) => self.loaded(reload, plant, prompts),
                Ok(Ready::Kept { evidence, written }) => {
                    let told = self.keeper.written(evidence, written);
                    self.write_evidence();
                    told.into_iter().collect()
                }
                Err(failed) => {
                    // The engine counts the run as lost, which is blind.
                    tracing::error!(%failed, "a probe task panicked");
                    Vec::new()
                }
            },
            event = next_event(self.shard.as_mut()) => self.shard_says(event),
        }
    }

    /// Hands a routed probe to the shard.
    fn place(&mut self, job: JobId, task: Result<Box<Task>, Failure>) -> Option<Input> {
        let refused = match task {
            Err(failure) => failure,
            Ok(task) => {
                if !self.calls.contains_key(&job) {
                    // It was given up meanwhile.
                    return None;
                }
                let started = match &self.shard {
                    Some(shard) => shard.handle.start(job, *task),
                    None => Err(Refused::Ended),
                };
                match started {
                    Ok(()) => return None,
                    Err(refused) => Failure::new(Blame::Ours, "no_shard", refused.to_string()),
                }
            }
        };
        self.give_up(job, refused)
    }

    fn shard_says(&mut self, event: Option<Event>) -> Vec<Input> {
        match event {
            Some(Event::Started { realtime }) => {
                tracing::info!(realtime, "the shard runs");
                Vec::new()
            }
            Some(Event::Done { job, observed }) => self.done(job, observed).into_iter().collect(),
            // No probe asks for it.
            Some(Event::Live { .. }) => Vec::new(),
            Some(Event::OwnFault(failure)) => {
                tracing::warn!(code = %failure.code, "{}", failure.words);
                self.faults.insert(failure.code.clone().into_owned());
                vec![Input::OwnFault(failure)]
            }
            Some(Event::OwnFaultOver { code }) => {
                self.faults.remove(&code);
                vec![Input::OwnFaultOver { code }]
            }
            None => self.shard_ended(),
        }
    }

    /// A call is examined and judged beside the loop: that takes tens of milliseconds.
    fn done(&mut self, job: JobId, observed: Box<Observed>) -> Option<Input> {
        let placed = self.calls.remove(&job)?;
        let case = Case {
            prompt: self
                .prompt(&placed.check)
                .and_then(|loaded| loaded.as_ref().ok())
                .map(Arc::clone),
            placed,
            now: clock::now(),
            evidence_wanted: self.keeper.is_wanted(),
            observed,
        };
        if case.observed.recording.is_none() {
            return Some(case.judge().done);
        }
        self.tasks
            .spawn_blocking(|| Ready::Judged(Box::new(case.judge())));
        None
    }

    /// The verdict goes first: it does not wait for a disk.
    fn judged(&mut self, judged: Judged) -> Vec<Input> {
        let mut inputs = vec![judged.done];
        if let Some(case) = judged.evidence {
            inputs.extend(self.keeper.keep(case));
            self.write_evidence();
        }
        inputs
    }

    fn write_evidence(&mut self) {
        if let Some((evidence, case)) = self.keeper.next() {
            self.tasks.spawn_blocking(move || Ready::Kept {
                written: evidence.keep(&case),
                evidence,
            });
        }
    }

    /// The shard thread gave up: what it ran is blind, and it is started again by [`Jobs::overdue`].
    fn shard_ended(&mut self) -> Vec<Input> {
        self.shard = None;
        self.ended = Some(clock::instant());
        let failure = Failure::new(
            Blame::Ours,
            SHARD_ENDED,
            "the thread that places calls has ended and is started again; please report it with the log",
        );
        tracing::error!(code = SHARD_ENDED, "{}", failure.words);
        self.faults.insert(SHARD_ENDED.to_owned());
        let running: Vec<JobId> = self.calls.keys().copied().collect();
        let mut inputs = vec![Input::OwnFault(failure.clone())];
        inputs.extend(
            running
                .into_iter()
                .filter_map(|job| self.give_up(job, failure.clone())),
        );
        inputs
    }

    /// Gives up what ran for too long, and starts a shard that ended.
    pub(super) fn overdue(&mut self, now: Now) -> Vec<Input> {
        self.beats.awake(now.instant);
        let late: Vec<JobId> = self
            .calls
            .iter()
            .filter(|(_, placed)| placed.end <= now.instant)
            .map(|(job, _)| *job)
            .collect();
        let mut inputs = Vec::new();
        for job in late {
            if let Some(shard) = &self.shard {
                // Its own `Done` will find nobody waiting.
                let _ = shard.handle.abort(job);
            }
            inputs.extend(self.give_up(
                job,
                Failure::new(
                    Blame::Ours,
                    "probe_stuck",
                    "the shard did not end the probe in time: this machine is overloaded",
                ),
            ));
        }
        if self
            .ended
            .is_some_and(|at| now.instant.since(at) >= RESTART_AFTER)
        {
            inputs.extend(self.restart(now));
        }
        inputs
    }

    fn restart(&mut self, now: Now) -> Vec<Input> {
        match ShardHandle::spawn(self.shard_settings.clone()) {
            Ok((handle, events)) => {
                self.shard = Some(Shard { handle, events });
                self.ended = None;
                // What the old thread told, it can no longer take back.
                std::mem::take(&mut self.faults)
                    .into_iter()
                    .map(|code| Input::OwnFaultOver { code })
                    .collect()
            }
            Err(error) => {
                tracing::error!(%error, "the shard cannot be started");
                self.ended = Some(now.instant);
                Vec::new()
            }
        }
    }

    fn give_up(&mut self, job: JobId, failure: Failure) -> Option<Input> {
        let placed = self.calls.remove(&job)?;
        Some(Input::ProbeDone {
            run: placed.run,
            probe: placed.probe,
            sent: placed.begun,
            verdict: Verdict::down(failure),
            signature: None,
        })
    }

    /// Ends calls with BYE, removes bindings, kills plug-ins. Waits for all of it, a few seconds at most.
    pub(super) async fn stop(&mut self) {
        self.tasks.shutdown().await;
        self.calls.clear();
        if let Some(Shard { handle, mut events }) = self.shard.take() {
            let ending = tokio::task::spawn_blocking(move || handle.stop());
            // It waits for room to tell its last events.
            while events.recv().await.is_some() {}
            let _ = ending.await;
        }
    }
}

impl Case {
    fn judge(self) -> Judged {
        let Self {
            placed,
            mut observed,
            now,
            prompt,
            evidence_wanted,
        } = self;
        observed.examine(prompt.as_deref());
        let sip = Sip::of(&placed.check).expect("only SIP probes are placed");
        let (mut verdict, quality) = sip.judge(&observed);
        let signature = sip.signature_in(&observed).map(str::to_owned);
        let sent = now.utc - now.instant.since(observed.started);
        let mut evidence = None;
        if evidence_wanted
            && verdict.leaves_evidence()
            && let Some(recording) = observed.recording.take()
        {
            let case = evidence::Case {
                at: now,
                probe: placed.probe.clone(),
                report: Report::seen(verdict.clone(), quality, *observed),
                recording,
            };
            if let Some(failure) = &mut verdict.failure {
                failure.words.push_str(&format!("; evidence {}", case.id()));
            }
            evidence = Some(Box::new(case));
        }
        tracing::debug!(probe = %placed.probe, verdict = %verdict.word, "probe done");
        Judged {
            done: Input::ProbeDone {
                run: placed.run,
                probe: placed.probe,
                sent,
                verdict,
                signature,
            },
            evidence,
        }
    }
}

/// A reload may name a place that was not there at the start.
fn unknown_place(probe: &ProbeId) -> Failure {
    Failure::new(
        Blame::Ours,
        "unknown_vantage",
        format!(
            "vantage point {:?} was not in the file when the service started: restart the service",
            probe.vantage().unwrap_or_default()
        ),
    )
}

/// The code of the fault that the thread of the calls has ended.
const SHARD_ENDED: &str = "shard_ended";

/// Never ready while there is no shard.
async fn next_event(shard: Option<&mut Shard>) -> Option<Event> {
    match shard {
        Some(shard) => shard.events.recv().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::observe::Outcome;
    use crate::probe::call;

    fn settings() -> config::Settings {
        config::Settings {
            resolvers: vec![([127, 0, 0, 1], 53).into()],
            ..config::Settings::default()
        }
    }

    fn fault(code: &'static str) -> Option<Event> {
        Some(Event::OwnFault(Failure::new(Blame::Ours, code, "words")))
    }

    #[tokio::test]
    async fn a_verdict_does_not_wait_for_its_evidence() {
        let folder = tempfile::tempdir().unwrap();
        let in_the_way = folder.path().join("evidence");
        std::fs::write(&in_the_way, "a file").unwrap();
        let mut settings = settings();
        settings.evidence.directory = Some(in_the_way);
        let mut jobs = Jobs::new(&settings).unwrap();
        let call = call::Settings::new("sip:1@192.0.2.1".to_owned(), "sip:2@192.0.2.1".to_owned());
        let now = clock::now();
        jobs.calls.insert(
            JobId(1),
            Placed {
                run: RunId(1),
                probe: ProbeId::from("patton/call"),
                check: Arc::new(Check::Call(call)),
                begun: now.utc,
                end: now.instant,
            },
        );
        let outcome = Outcome::Completed { status: 200 };
        let mut observed = Observed::nothing(now.instant, now.instant, outcome);
        observed.recording = Some(Box::default());
        assert!(jobs.done(JobId(1), Box::new(observed)).is_none());
        let mut told = Vec::new();
        for _ in 0..2 {
            told.push(loop {
                // The shard tells that it runs.
                let inputs = jobs.next().await;
                if !inputs.is_empty() {
                    break inputs;
                }
            });
        }
        let [done, fault] = told.as_slice() else {
            panic!("{told:?}");
        };
        let [Input::ProbeDone { verdict, .. }] = done.as_slice() else {
            panic!("{done:?}");
        };
        let words = &verdict.failure.as_ref().unwrap().words;
        assert!(words.contains("; evidence 20"), "{words}");
        let [Input::OwnFault(failure)] = fault.as_slice() else {
            panic!("{fault:?}");
        };
        assert_eq!(failure.code, evidence::NOT_KEPT);
        jobs.stop().await;
    }

    #[tokio::test]
    async fn a_new_shard_begins_without_the_faults_of_the_old_one() {
        let mut jobs = Jobs::new(&settings()).unwrap();
        jobs.shard_says(fault("media_late"));
        jobs.shard_says(fault("results_waiting"));
        jobs.shard_says(Some(Event::OwnFaultOver {
            code: "results_waiting".to_owned(),
        }));
        jobs.shard_says(fault("shard_restarted"));
        jobs.shard_says(None);
        let over: Vec<String> = jobs
            .overdue(clock::now().after(RESTART_AFTER))
            .into_iter()
            .map(|input| {
                let Input::OwnFaultOver { code } = input else {
                    panic!("{input:?}");
                };
                code
            })
            .collect();
        assert_eq!(over, ["media_late", SHARD_ENDED, "shard_restarted"]);
        jobs.stop().await;
    }
}
