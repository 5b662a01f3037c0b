//! The thread that runs one `Calls` on its sockets, and the handle that the daemon holds of it.
//!
//! The thread turns in one circle: wait, deliver, let `Calls` act, perform, send. A panic ends the jobs
//! that were running, as faults of our own, and the circle starts again with fresh sockets.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc as std_mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::sockets::{Sockets, Waker};
use super::{Event, Settings, kernel};
use crate::calls::observe::{Observed, Outcome, RtpSeen};
use crate::calls::script::Task;
use crate::calls::{Calls, Input, JobId, Output};
use crate::io::clock;
use crate::probe::{Blame, Failure};
use crate::time::{Instant, Now};

/// Above ordinary threads, below what the kernel itself runs in real time.
const PRIORITY: i32 = 20;

/// How often results are offered again to a daemon that does not take them.
const OFFER_AGAIN: Duration = Duration::from_millis(10);

/// A fault not seen for this long is over. Shorter, and a fault that comes and goes fills the journal.
const FAULT_OVER_AFTER: Duration = Duration::from_secs(60);

/// How long the last calls may take to end cleanly when the thread is stopped.
const STOP_WITHIN: Duration = Duration::from_secs(3);

/// Lateness is judged over this long.
const LATENESS_WINDOW: Duration = Duration::from_secs(10);

/// Media later than this, for one packet in a hundred, says more about us than about the line.
const LATE_MAX: Duration = Duration::from_millis(5);

/// This many panics in a row without one result: the thread gives up and the daemon must decide.
const PANICS_MAX: u32 = 5;

#[derive(Debug)]
enum Command {
    Start { job: JobId, task: Arc<Task> },
    Abort { job: JobId },
    Stop,
}

/// The daemon's hold of one shard thread. Dropping it stops the thread without waiting for it.
#[derive(Debug)]
pub struct ShardHandle {
    commands: std_mpsc::SyncSender<Command>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

/// Why a shard did not take a job. Both are faults of our own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the queue of the shard is full: more probes are due than this machine can make")]
    Full,
    #[error("the shard thread has ended")]
    Ended,
}

impl ShardHandle {
    /// Starts the thread. Its events come in order; each accepted job gets exactly one `Done`.
    ///
    /// # Errors
    /// When this machine gives no descriptors or no thread.
    pub fn spawn(settings: Settings) -> io::Result<(Self, mpsc::Receiver<Event>)> {
        Self::spawn_with(settings, Calls::new)
    }

    /// The same with any machine, made anew after each panic from a seed that no other run has.
    fn spawn_with<M: Machine + 'static>(
        settings: Settings,
        make: fn(u64) -> M,
    ) -> io::Result<(Self, mpsc::Receiver<Event>)> {
        let (commands, inbox) = std_mpsc::sync_channel(settings.queue.max(1));
        let (events, outbox) = mpsc::channel(settings.queue.max(1));
        let sockets = Sockets::new(&settings)?;
        let waker = sockets.waker();
        let thread = std::thread::Builder::new()
            .name(settings.name.clone())
            .spawn({
                let waker = waker.clone();
                move || supervise(&settings, &waker, make, sockets, Desk::new(events), inbox)
            })?;
        let handle = Self {
            commands,
            waker,
            thread: Some(thread),
        };
        Ok((handle, outbox))
    }

    /// Gives the shard a job.
    ///
    /// # Errors
    /// When the shard cannot take it; then no `Done` follows.
    pub fn start(&self, job: JobId, task: Task) -> Result<(), Refused> {
        let task = Arc::new(task);
        self.command(Command::Start { job, task })
    }

    /// Ends a job at once but cleanly; its `Done` still follows.
    ///
    /// # Errors
    /// When the shard cannot be told.
    pub fn abort(&self, job: JobId) -> Result<(), Refused> {
        self.command(Command::Abort { job })
    }

    /// Ends every call cleanly and waits for the thread, a few seconds at most.
    pub fn stop(mut self) {
        self.begin_to_stop();
        if let Some(thread) = self.thread.take() {
            // A panic in it was reported as an event; there is nobody else to tell.
            let _ = thread.join();
        }
    }

    fn begin_to_stop(&self) {
        // With a full queue the thread sees the closed channel instead.
        let _ = self.command(Command::Stop);
    }

    fn command(&self, command: Command) -> Result<(), Refused> {
        self.commands
            .try_send(command)
            .map_err(|error| match error {
                std_mpsc::TrySendError::Full(_) => Refused::Full,
                std_mpsc::TrySendError::Disconnected(_) => Refused::Ended,
            })?;
        self.waker.wake();
        Ok(())
    }
}

impl Drop for ShardHandle {
    fn drop(&mut self) {
        self.begin_to_stop();
    }
}

/// Runs one task to its end on a thread of its own and says what was seen.
#[must_use]
pub fn run_one(task: Task, settings: &Settings) -> Observed {
    let job = JobId(0);
    let work = || -> io::Result<Observed> {
        if settings.realtime {
            let _ = kernel::become_realtime(PRIORITY);
        }
        let mut sockets = Sockets::new(settings)?;
        let mut calls = Calls::new(fresh_seed()?);
        let now = sockets.now();
        let task = Arc::new(task);
        calls.handle(now, Input::Start { job, task });
        loop {
            let mut ended = None;
            act(&mut sockets, &mut calls, |_, observed| {
                ended = Some(observed);
            });
            if let Some(observed) = ended {
                return Ok(*observed);
            }
            rest(&mut sockets, &mut calls, None)?;
        }
    };
    let ended = std::thread::scope(|scope| scope.spawn(work).join());
    match ended {
        Ok(Ok(observed)) => observed,
        Ok(Err(error)) => ours(clock::now(), format!("cannot open sockets: {error}")),
        Err(panic) => ours(clock::now(), panic_words(panic.as_ref())),
    }
}

/// What a thread of sockets can run: the calls we place, or the plant that the embedded lab simulates.
pub trait Machine {
    fn handle(&mut self, now: Now, input: Input<'_>);
    fn poll_output(&mut self) -> Option<Output>;
    fn deadline(&self) -> Option<Instant>;

    /// Takes back the buffer of a message that was sent. Who writes few messages lets it go.
    fn recycle(&mut self, buffer: Vec<u8>) {
        drop(buffer);
    }
}

/// One circle: `act`, then `rest`.
///
/// # Errors
/// When the thread cannot wait on its sockets.
pub fn turn(
    sockets: &mut Sockets,
    machine: &mut impl Machine,
    deadline: Option<Instant>,
    done: impl FnMut(JobId, Box<Observed>),
) -> io::Result<()> {
    act(sockets, machine, done);
    rest(sockets, machine, deadline)
}

/// Lets the machine act on what it knows and sends what it wants sent; `done` takes the results.
pub(super) fn act(
    sockets: &mut Sockets,
    machine: &mut impl Machine,
    mut done: impl FnMut(JobId, Box<Observed>),
) {
    let now = sockets.now();
    if machine.deadline().is_some_and(|at| at <= now.instant) {
        machine.handle(now, Input::Wake);
    }
    while let Some(output) = machine.poll_output() {
        if let Some((job, observed)) = sockets.perform(now, output) {
            done(job, observed);
        }
    }
    sockets.flush();
    while let Some(buffer) = sockets.take_sent() {
        machine.recycle(buffer);
    }
}

/// Waits for an input, the machine's deadline or `deadline`, and hands in what has happened.
pub(super) fn rest(
    sockets: &mut Sockets,
    machine: &mut impl Machine,
    deadline: Option<Instant>,
) -> io::Result<()> {
    sockets.wait(machine.deadline().into_iter().chain(deadline).min())?;
    sockets.deliver(&mut |now, input| machine.handle(now, input));
    Ok(())
}

/// Keeps the circle turning until it is told to stop.
///
/// The commands are the last argument, so that they are dropped before the desk closes the events: whoever
/// has heard the end is refused, and never left with a job that nobody runs.
fn supervise<M: Machine>(
    settings: &Settings,
    waker: &Waker,
    make: fn(u64) -> M,
    sockets: Sockets,
    mut desk: Desk,
    commands: std_mpsc::Receiver<Command>,
) {
    let realtime = settings.realtime && kernel::become_realtime(PRIORITY).is_ok();
    desk.tell(Event::Started { realtime });
    let mut sockets = Ok(sockets);
    let mut panics = 0;
    loop {
        let ended = catch_unwind(AssertUnwindSafe(|| {
            circle(make(fresh_seed()?), sockets?, &commands, &mut desk)
        }));
        let words = match ended {
            Ok(Ok(())) => return,
            Ok(Err(error)) => format!("the shard thread cannot wait on its sockets: {error}"),
            Err(panic) => panic_words(panic.as_ref()),
        };
        panics = if desk.results == 0 { panics + 1 } else { 1 };
        desk.results = 0;
        desk.fail_all(&words);
        let now = clock::instant();
        if panics >= PANICS_MAX {
            desk.fault(
                now,
                Failure::new(
                    Blame::Ours,
                    "shard_ended",
                    format!("{words}; {PANICS_MAX} times without one result: restart the service"),
                ),
            );
            desk.offer();
            return;
        }
        desk.fault(now, Failure::new(Blame::Ours, "shard_restarted", words));
        sockets = Sockets::with_waker(settings, waker.clone());
    }
}

fn circle(
    mut machine: impl Machine,
    mut sockets: Sockets,
    commands: &std_mpsc::Receiver<Command>,
    desk: &mut Desk,
) -> io::Result<()> {
    let mut stopping: Option<Instant> = None;
    loop {
        let now = sockets.now();
        stopping = take_commands(commands, &mut machine, desk, now, stopping);
        act(&mut sockets, &mut machine, |job, observed| {
            desk.done(job, observed);
        });
        let now = sockets.now().instant;
        while let Some(fault) = sockets.take_fault() {
            desk.fault(now, fault);
        }
        desk.judge_lateness(now, &mut sockets);
        desk.end_faults(now);
        desk.offer();
        if desk.events.is_closed() && stopping.is_none() {
            stopping = Some(now);
        }
        if stopping.is_some_and(|until| desk.running.is_empty() || until <= now) {
            desk.fail_all("the service was stopped before the task had ended");
            return Ok(());
        }
        let deadline = desk.deadline(now).into_iter().chain(stopping).min();
        rest(&mut sockets, &mut machine, deadline)?;
    }
}

/// Takes what the daemon asks; gives back until when to end, once told to stop.
fn take_commands(
    commands: &std_mpsc::Receiver<Command>,
    machine: &mut impl Machine,
    desk: &mut Desk,
    now: Now,
    stopping: Option<Instant>,
) -> Option<Instant> {
    let stop = loop {
        match commands.try_recv() {
            Ok(Command::Start { job, task }) => {
                desk.running.insert(job);
                machine.handle(now, Input::Start { job, task });
            }
            Ok(Command::Abort { job }) => machine.handle(now, Input::Abort { job }),
            Ok(Command::Stop) | Err(std_mpsc::TryRecvError::Disconnected) => break true,
            Err(std_mpsc::TryRecvError::Empty) => break false,
        }
    };
    if !stop || stopping.is_some() {
        return stopping;
    }
    for job in &desk.running {
        machine.handle(now, Input::Abort { job: *job });
    }
    Some(now.instant + STOP_WITHIN)
}

/// What is owed to the daemon: a result for each job, and the faults of our own.
#[derive(Debug)]
struct Desk {
    events: mpsc::Sender<Event>,
    /// What the daemon has not taken yet; never thrown away.
    backlog: VecDeque<Event>,
    running: BTreeSet<JobId>,
    /// Faults that were told, and when each was last seen.
    faults: BTreeMap<String, Instant>,
    judge_next: Instant,
    /// Results since the last panic.
    results: u64,
}

impl Desk {
    fn new(events: mpsc::Sender<Event>) -> Self {
        Self {
            events,
            backlog: VecDeque::new(),
            running: BTreeSet::new(),
            faults: BTreeMap::new(),
            judge_next: Instant(0),
            results: 0,
        }
    }

    fn tell(&mut self, event: Event) {
        self.backlog.push_back(event);
        self.offer();
    }

    /// Gives the daemon what it takes.
    fn offer(&mut self) {
        while let Some(event) = self.backlog.pop_front() {
            match self.events.try_send(event) {
                Ok(()) => {}
                Err(TrySendError::Full(event)) => {
                    self.backlog.push_front(event);
                    let now = clock::instant();
                    // Told behind the backlog, once; `fault` does not call `offer` again.
                    self.note_fault(now, &full_queue());
                    return;
                }
                Err(TrySendError::Closed(_)) => self.backlog.clear(),
            }
        }
    }

    fn done(&mut self, job: JobId, observed: Box<Observed>) {
        if self.running.remove(&job) {
            self.results += 1;
            self.tell(Event::Done { job, observed });
        }
    }

    /// Every running job ends as a fault of our own.
    fn fail_all(&mut self, words: &str) {
        for job in std::mem::take(&mut self.running) {
            let observed = Box::new(ours(clock::now(), words.to_owned()));
            self.tell(Event::Done { job, observed });
        }
    }

    fn fault(&mut self, now: Instant, fault: Failure) {
        self.note_fault(now, &fault);
        self.offer();
    }

    /// Queues the fault, unless it is already known to be on.
    fn note_fault(&mut self, now: Instant, fault: &Failure) {
        let known = self.faults.insert(fault.code.to_string(), now).is_some();
        if !known {
            self.backlog.push_back(Event::OwnFault(fault.clone()));
        }
    }

    fn end_faults(&mut self, now: Instant) {
        let over: Vec<String> = self
            .faults
            .iter()
            .filter(|(_, seen)| now.since(**seen) >= FAULT_OVER_AFTER)
            .map(|(code, _)| code.clone())
            .collect();
        for code in over {
            self.faults.remove(&code);
            self.tell(Event::OwnFaultOver { code });
        }
    }

    fn judge_lateness(&mut self, now: Instant, sockets: &mut Sockets) {
        if now < self.judge_next {
            return;
        }
        self.judge_next = now + LATENESS_WINDOW;
        let (packets, p99) = sockets.take_lateness();
        if packets > 0 && p99 > LATE_MAX {
            let words = format!(
                "1 % of {packets} media packets left {} ms late or more: this machine is \
                 overloaded or gives no real-time priority, so jitter and loss of these calls say \
                 nothing about the line",
                p99.as_millis()
            );
            self.fault(now, Failure::new(Blame::Ours, "media_late", words));
        }
    }

    /// When there is something to do although nothing happens.
    fn deadline(&self, now: Instant) -> Option<Instant> {
        let offer = (!self.backlog.is_empty()).then(|| now + OFFER_AGAIN);
        let over = self.faults.values().min().map(|at| *at + FAULT_OVER_AFTER);
        offer.into_iter().chain(over).min()
    }
}

fn full_queue() -> Failure {
    Failure::new(
        Blame::Ours,
        "results_waiting",
        "results of calls wait for the service to take them: it is overloaded, or its disk is slow",
    )
}

/// What was seen of a task that a fault of our own ended.
fn ours(now: Now, words: String) -> Observed {
    Observed {
        started: now.instant,
        finished: now.instant,
        outcome: Outcome::Ours { words },
        progress_after: None,
        answer_after: None,
        first_media_after: None,
        last_media_after: None,
        early_media: false,
        dtmf: String::new(),
        echo_dbov: None,
        rtp: RtpSeen::default(),
        server: None,
        held: None,
        goodbye_unanswered: false,
        granted: None,
        ladder: Vec::new(),
    }
}

fn panic_words(panic: &(dyn std::any::Any + Send)) -> String {
    let why = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no words");
    format!("the shard thread broke ({why}): please report it")
}

/// Keeps the calls of two runs apart: a far end still remembers those of the last one for 32 s.
fn fresh_seed() -> io::Result<u64> {
    let mut seed = [0; 8];
    io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut seed)?;
    Ok(u64::from_ne_bytes(seed))
}

impl Machine for Calls {
    fn handle(&mut self, now: Now, input: Input<'_>) {
        self.handle(now, input);
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.poll_output()
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline()
    }

    fn recycle(&mut self, buffer: Vec<u8>) {
        self.recycle(buffer);
    }
}

#[cfg(test)]
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "what a test does not expect is one failure"
)]
mod tests {
    use super::*;

    fn desk(queue: usize) -> (Desk, mpsc::Receiver<Event>) {
        let (events, taken) = mpsc::channel(queue);
        (Desk::new(events), taken)
    }

    fn result(words: &str) -> Box<Observed> {
        Box::new(ours(Now::default(), words.to_owned()))
    }

    #[test]
    fn a_full_queue_loses_no_result_and_is_told_as_a_fault() {
        let (mut desk, mut taken) = desk(1);
        for job in [JobId(1), JobId(2)] {
            desk.running.insert(job);
            desk.done(job, result("ended"));
        }
        assert!(desk.deadline(Instant(5)).is_some_and(|at| at > Instant(5)));
        let mut told = Vec::new();
        while let Ok(event) = taken.try_recv() {
            told.push(match event {
                Event::Done { job, .. } => format!("done {}", job.0),
                Event::OwnFault(fault) => fault.code.to_string(),
                Event::OwnFaultOver { code } => format!("{code} over"),
                Event::Started { .. } => "started".to_owned(),
            });
            desk.offer();
        }
        assert_eq!(told, ["done 1", "done 2", "results_waiting"]);
    }

    #[test]
    fn a_job_gets_one_result_only() {
        let (mut desk, mut taken) = desk(8);
        desk.running.insert(JobId(1));
        desk.done(JobId(1), result("first"));
        desk.done(JobId(1), result("second"));
        desk.fail_all("stopped");
        assert!(matches!(
            taken.try_recv(),
            Ok(Event::Done { job: JobId(1), .. })
        ));
        assert!(taken.try_recv().is_err());
    }

    #[test]
    fn a_fault_is_told_once_and_ends_when_it_is_not_seen_any_more() {
        let (mut desk, mut taken) = desk(8);
        let fault = Failure::new(Blame::Ours, "media_late", "late");
        let start = Instant(1_000_000_000);
        desk.fault(start, fault.clone());
        desk.fault(start + Duration::from_secs(59), fault);
        desk.end_faults(start + Duration::from_secs(60));
        assert!(matches!(taken.try_recv(), Ok(Event::OwnFault(_))));
        assert!(taken.try_recv().is_err());
        desk.end_faults(start + Duration::from_secs(119));
        assert!(
            matches!(taken.try_recv(), Ok(Event::OwnFaultOver { code }) if code == "media_late")
        );
        assert_eq!(desk.deadline(start), None);
    }

    /// Ends each call at its abort; breaks when the URI says so.
    #[derive(Default)]
    struct Fragile {
        outputs: VecDeque<Output>,
    }

    impl Machine for Fragile {
        fn handle(&mut self, now: Now, input: Input<'_>) {
            match input {
                Input::Start { task, .. } => {
                    let Task::Options(plan) = &*task else {
                        panic!("only OPTIONS here");
                    };
                    assert_ne!(plan.to, "sip:break", "broken on purpose");
                }
                Input::Abort { job } => {
                    let mut observed = Box::new(ours(now, String::new()));
                    observed.outcome = Outcome::Aborted;
                    self.outputs.push_back(Output::Done { job, observed });
                }
                other => panic!("unexpected {other:?}"),
            }
        }

        fn poll_output(&mut self) -> Option<Output> {
            self.outputs.pop_front()
        }

        fn deadline(&self) -> Option<Instant> {
            None
        }
    }

    fn options(to: &str) -> Task {
        let any = ([127, 0, 0, 1], 0).into();
        Task::Options(crate::calls::script::OptionsPlan {
            route: crate::calls::script::Route {
                transport: crate::sip::Transport::Udp,
                peer: any,
                local: any,
                server_name: None,
                fresh: false,
            },
            to: to.to_owned(),
            from: "sip:vigie".to_owned(),
            answer_within: Duration::from_secs(1),
            ladder: false,
        })
    }

    fn told(event: Option<Event>) -> String {
        match event {
            Some(Event::Started { .. }) => "started".to_owned(),
            Some(Event::Done { job, observed }) => match observed.outcome {
                Outcome::Ours { words } => format!("{} ours: {words}", job.0),
                other => format!("{} {other:?}", job.0),
            },
            Some(Event::OwnFault(fault)) => format!("fault {}", fault.code),
            Some(Event::OwnFaultOver { code }) => format!("{code} over"),
            None => "ended".to_owned(),
        }
    }

    fn fragile() -> (ShardHandle, mpsc::Receiver<Event>) {
        let settings = Settings {
            realtime: false,
            ..Settings::default()
        };
        ShardHandle::spawn_with(settings, |_| Fragile::default()).expect("a thread")
    }

    #[test]
    fn a_panic_ends_the_running_jobs_as_our_fault_and_the_shard_goes_on() {
        let (shard, mut events) = fragile();
        assert_eq!(told(events.blocking_recv()), "started");
        shard.start(JobId(1), options("sip:wait")).expect("taken");
        shard.start(JobId(2), options("sip:break")).expect("taken");
        for job in [1, 2] {
            let told = told(events.blocking_recv());
            assert!(
                told.starts_with(&format!("{job} ours: the shard thread broke")),
                "{told}"
            );
        }
        assert_eq!(told(events.blocking_recv()), "fault shard_restarted");
        shard.start(JobId(3), options("sip:wait")).expect("taken");
        shard.abort(JobId(3)).expect("told");
        assert_eq!(told(events.blocking_recv()), "3 Aborted");
        shard.stop();
        assert_eq!(told(events.blocking_recv()), "ended");
    }

    #[test]
    fn a_shard_that_only_breaks_gives_up_and_says_so() {
        let (shard, mut events) = fragile();
        assert_eq!(told(events.blocking_recv()), "started");
        let mut seen = Vec::new();
        for job in 0..u64::from(PANICS_MAX) {
            shard
                .start(JobId(job), options("sip:break"))
                .expect("taken");
            seen.push(told(events.blocking_recv()));
            if job == 0 {
                // Told once, for it is the same fault each time.
                assert_eq!(told(events.blocking_recv()), "fault shard_restarted");
            }
        }
        assert_eq!(seen.len(), 5);
        assert_eq!(told(events.blocking_recv()), "fault shard_ended");
        assert_eq!(told(events.blocking_recv()), "ended");
        assert_eq!(
            shard.start(JobId(9), options("sip:wait")),
            Err(Refused::Ended)
        );
    }

    #[test]
    fn stopping_ends_every_call_cleanly_first() {
        let (shard, mut events) = fragile();
        for job in 1..=3 {
            shard.start(JobId(job), options("sip:wait")).expect("taken");
        }
        shard.stop();
        let seen: Vec<String> = std::iter::from_fn(|| events.blocking_recv())
            .map(|event| told(Some(event)))
            .collect();
        assert_eq!(seen, ["started", "1 Aborted", "2 Aborted", "3 Aborted"]);
    }

    #[test]
    fn dropping_the_handle_ends_the_thread() {
        let (shard, mut events) = fragile();
        drop(shard);
        assert_eq!(told(events.blocking_recv()), "started");
        assert_eq!(told(events.blocking_recv()), "ended");
    }
}
