//! The one loop of the service: wait for an input or the deadline, give it to the engine, perform what
//! it asks for.
//!
//! It holds no rule of the product: what to probe, what a verdict means and what is shown is the engine's.
//! `vigie run` and `vigie demo` open a [`Service`] and watch it; both send it [`Command`]s.

mod acts;
mod jobs;
mod keeper;
mod messenger;
mod pulse;
mod systemd;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::notify::heartbeat::Beat;
use super::prober::Prober;
use super::store::{Journal, OpenError, Report};
use super::web::{self, LabControl, Pages};
use super::{clock, config_file, control, shard};
use crate::board::view::{Answer, View};
use crate::config;
use crate::engine::Engine;
use crate::engine::fact::BootId;
use crate::engine::input::Input;
use crate::engine::output::Output;
use crate::engine::plant::Plant;
use crate::probe::Failure;
use crate::time::Now;
use acts::Acts;
use jobs::Jobs;
use messenger::Messenger;
use pulse::Pulse;

/// How often the loop looks at its clocks and at what runs for too long.
const BEAT: Duration = Duration::from_secs(1);

/// How long the pages may take to send their last answers at the end.
const CLOSE_WITHIN: Duration = Duration::from_secs(3);

/// Where a service writes its process number, in its data folder.
pub const PID_FILE: &str = "vigie.pid";

/// What a service is made of; [`Service::open`] brings it up.
#[derive(Debug)]
pub struct Service {
    pub settings: config::Settings,
    pub plant: Plant,
    /// Read again on [`Command::Reload`]; `None` when there is no file (the demo).
    pub config_file: Option<PathBuf>,
    /// Adds the demo page with its faults.
    pub lab: Option<LabControl>,
}

/// What may be asked of a running service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Read the configuration again; a bad file changes nothing.
    Reload,
    /// End calls, remove bindings, write the last fact, stop.
    Stop,
}

/// Why a service cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot use the data folder {folder}: {error}; create it, or name another one")]
    Folder {
        folder: String,
        error: std::io::Error,
    },
    #[error("{0} is no folder; the journal needs one of its own")]
    NoFolder(String),
    #[error(transparent)]
    Journal(#[from] OpenError),
    #[error("no sockets for the calls: {0}; look at the limits of the service (LimitNOFILE)")]
    Shard(std::io::Error),
    #[error("{}", .0.words)]
    Resolver(Failure),
    #[error(transparent)]
    Page(#[from] web::Error),
    #[error("this machine does not say which boot it is in: {0}")]
    Boot(std::io::Error),
}

/// A service that is up and waits to be watched.
pub struct Open {
    address: SocketAddr,
    core: Core,
    jobs: Jobs,
    acts: Acts,
    messenger: Messenger,
    reports: mpsc::UnboundedReceiver<Report>,
    page: JoinHandle<Result<(), web::Error>>,
    stop_page: tokio::sync::oneshot::Sender<()>,
    pid_file: PathBuf,
}

impl std::fmt::Debug for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Open")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Service {
    /// Opens the journal, takes its states over, starts the shard and the page. Probes nothing yet.
    ///
    /// # Errors
    /// The first thing that is missing, with what to do about it.
    pub async fn open(self) -> Result<Open, StartError> {
        let folder = &self.settings.data;
        if folder.exists() && !folder.is_dir() {
            return Err(StartError::NoFolder(folder.display().to_string()));
        }
        std::fs::create_dir_all(folder).map_err(|error| StartError::Folder {
            folder: folder.display().to_string(),
            error,
        })?;
        let boot_id = BootId::from(clock::boot_id().map_err(StartError::Boot)?.as_str());
        let now = clock::now();
        let mut engine = Engine::new(Arc::new(self.plant.clone()), boot_id);
        let opened = Journal::open(folder, |fact| engine.take_over(now, fact)).await?;
        tracing::info!(facts = opened.facts, "took over the journal");

        let mut jobs = Jobs::new(&self.settings)?;
        jobs.load(&self.plant);
        let (view, shown) = watch::channel(Arc::new(starting(now, &self.plant.name)));
        let (stop_page, stopped) = tokio::sync::oneshot::channel();
        let (address, serving) = web::serve(
            self.settings.listen,
            Pages::new(shown, &self.settings.vantage.name, self.lab).hearing(jobs.beats()),
            async move {
                // The sender goes away with the service: that is a stop as well.
                let _ = stopped.await;
            },
        )
        .await?;
        let pid_file = folder.join(PID_FILE);
        std::fs::write(&pid_file, format!("{}\n", std::process::id())).map_err(|error| {
            StartError::Folder {
                folder: folder.display().to_string(),
                error,
            }
        })?;
        let messenger = Messenger::new(&self.settings)?;
        let requests = control::open(folder).map_err(|error| StartError::Folder {
            folder: folder.display().to_string(),
            error,
        })?;
        Ok(Open {
            address,
            core: Core {
                engine,
                journal: opened.journal,
                view,
                pending: None,
                committed: 0,
                pulse: Pulse::new(now),
                settings: self.settings,
                plant: Arc::new(self.plant),
                config_file: self.config_file,
            },
            jobs,
            acts: Acts::new(requests),
            messenger,
            reports: opened.reports,
            page: tokio::spawn(serving),
            stop_page,
            pid_file,
        })
    }
}

/// What is shown until the engine has published: nothing is known yet.
fn starting(now: Now, plant: &str) -> View {
    View {
        at: now.utc,
        made: now.instant,
        fact: 0,
        plant: plant.to_owned(),
        answer: Answer::Unknown,
        because: "La surveillance démarre.".to_owned(),
        since: now.utc,
        lines: Vec::new(),
        targets: Vec::new(),
        incidents: Vec::new(),
        own_faults: Vec::new(),
    }
}

/// The engine and what only it may touch.
struct Core {
    engine: Engine,
    journal: Journal,
    view: watch::Sender<Arc<View>>,
    /// The newest view whose fact is not on disk yet.
    pending: Option<Arc<View>>,
    committed: u64,
    pulse: Pulse,
    settings: config::Settings,
    plant: Arc<Plant>,
    config_file: Option<PathBuf>,
}

impl Open {
    /// Where the page is served.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the pages show, as it changes.
    #[must_use]
    pub fn view(&self) -> watch::Receiver<Arc<View>> {
        self.core.view.subscribe()
    }

    /// Watches the plant until [`Command::Stop`], or until nobody is left to send it.
    ///
    /// # Errors
    /// When the page could not be served to the end; the watching itself does not fail.
    pub async fn watch(mut self, mut commands: mpsc::Receiver<Command>) -> Result<(), web::Error> {
        self.core.handle(Input::Started {
            version: env!("CARGO_PKG_VERSION").to_owned(),
        });
        self.perform();
        systemd::notify("READY=1");
        let watchdog = systemd::is_watched();
        let mut beat = tokio::time::interval(BEAT);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            let deadline = self.core.engine.deadline().map(|(at, _)| at);
            let sleep = deadline.map_or(BEAT, |at| at.since(clock::instant()));
            tokio::select! {
                command = commands.recv() => match command {
                    Some(Command::Reload) => {
                        if let Some(plant) = self.core.reload() {
                            self.jobs.reconfigure(plant);
                        }
                    }
                    Some(Command::Stop) | None => break,
                },
                Some(report) = self.reports.recv() => {
                    self.core.report(report);
                    self.acts.committed(self.core.committed);
                }
                act = self.acts.next() => self.core.handle(act),
                delivered = self.messenger.next() => self.core.handle(delivered),
                happened = self.jobs.next() => {
                    for input in happened {
                        self.core.handle(input);
                    }
                }
                _ = beat.tick() => {
                    for input in self.jobs.overdue(clock::now()) {
                        self.core.handle(input);
                    }
                    self.core.beat();
                    self.messenger.tell(self.core.news());
                    if watchdog {
                        systemd::notify("WATCHDOG=1");
                    }
                }
                () = tokio::time::sleep(sleep) => self.core.handle(Input::Wake),
            }
            self.perform();
        }
        self.stop().await
    }

    /// Does what the engine asks for, until it asks for nothing.
    fn perform(&mut self) {
        while let Some(output) = self.core.engine.poll_output() {
            match output {
                Output::Probe {
                    run,
                    probe,
                    check,
                    timeout,
                    confirm,
                } => self.jobs.start(run, probe, check, timeout, confirm),
                Output::Record(fact) => self.core.journal.append(fact),
                Output::Publish(view) => self.core.publish(view),
                Output::Send(outgoing) => self.messenger.send(outgoing),
                Output::Acted { token, outcome } => self.acts.answer(token, outcome),
            }
        }
    }

    async fn stop(mut self) -> Result<(), web::Error> {
        systemd::notify("STOPPING=1");
        tracing::info!("stopping: ending calls and removing bindings");
        self.jobs.stop().await;
        self.core.handle(Input::Stopping);
        self.perform();
        self.core.journal.close().await;
        // Nothing was published without its fact: what the journal just wrote needs no page any more.
        let _ = self.stop_page.send(());
        let _ = std::fs::remove_file(&self.pid_file);
        match tokio::time::timeout(CLOSE_WITHIN, &mut self.page).await {
            Ok(Ok(served)) => served,
            // A page that panicked or hangs must not hold the end of the service.
            Ok(Err(_)) | Err(_) => {
                self.page.abort();
                Ok(())
            }
        }
    }
}

impl Core {
    /// Gives one input to the engine, after the step of the wall clock that may lie before it.
    fn handle(&mut self, input: Input) {
        let now = clock::now();
        if let Some(by_ns) = self.pulse.stepped(now) {
            tracing::warn!(by_ms = by_ns / 1_000_000, "the wall clock was set");
            self.engine.handle(now, Input::ClockStepped { by_ns });
        }
        self.engine.handle(now, input);
    }

    fn report(&mut self, report: Report) {
        match report {
            Report::Committed { up_to } => {
                self.committed = self.committed.max(up_to);
                self.handle(Input::Committed { up_to });
                self.show();
            }
            Report::Trouble(failure) => {
                tracing::error!(code = %failure.code, "{}", failure.words);
                self.handle(Input::OwnFault(failure));
            }
            Report::TroubleOver { code } => {
                tracing::info!(code, "the journal can be written again");
                self.handle(Input::OwnFaultOver { code });
            }
        }
    }

    fn publish(&mut self, view: Arc<View>) {
        self.pending = Some(view);
        self.show();
    }

    /// Shows the newest view as soon as the fact behind it is on disk.
    fn show(&mut self) {
        if self
            .pending
            .as_ref()
            .is_some_and(|view| view.fact <= self.committed)
            && let Some(view) = self.pending.take()
        {
            self.view.send_replace(view);
        }
    }

    /// What the dead-man's switch tells: facts on disk, and when the engine last spoke.
    fn news(&self) -> Beat {
        Beat {
            fact: self.committed,
            verdicts: self.engine.verdicts(),
            at: self.view.borrow().at,
        }
    }

    fn beat(&mut self) {
        if let Some(state) = self.pulse.beat(clock::instant()) {
            self.handle(Input::Clock(state));
        }
    }

    /// The plant of the configuration file if it is good; keeps what there is if it is not.
    fn reload(&mut self) -> Option<Arc<Plant>> {
        let Some(path) = &self.config_file else {
            tracing::warn!("there is no configuration file to read again");
            return None;
        };
        match config_file::load(path) {
            Err(mistakes) => {
                for mistake in &mistakes {
                    tracing::error!("{mistake}");
                }
                tracing::error!(
                    mistakes = mistakes.len(),
                    "the new configuration is refused; the old one stays in force"
                );
                None
            }
            Ok(loaded) => {
                for warning in &loaded.warnings {
                    tracing::warn!("{warning}");
                }
                if loaded.settings != self.settings {
                    tracing::warn!("the [service] settings changed: they apply after a restart");
                }
                if loaded.plant == *self.plant {
                    // What it refers to may have changed: a refused account is tried at once.
                    tracing::info!("the configuration was read again: the plant is the same");
                } else {
                    self.plant = Arc::new(loaded.plant);
                    tracing::info!(targets = self.plant.targets.len(), "watching the new plant");
                }
                Some(Arc::clone(&self.plant))
            }
        }
    }
}
