//! The thread that runs one `Calls` on its sockets, and the handle that the daemon holds of it.
//!
//! The thread turns in one circle: wait, deliver, let `Calls` act, perform, send. A panic ends the jobs
//! that were running, as faults of our own, and the circle starts again with fresh sockets.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc as std_mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc;

use super::desk::{Desk, ours};
use super::machine::Machine;
use super::poll::Waker;
use super::sockets::Sockets;
use super::{Event, Settings, Told, kernel};
use crate::calls::observe::Observed;
use crate::calls::script::Task;
use crate::calls::{Calls, Input, JobId};
use crate::io::clock;
use crate::probe::{Blame, Failure};
use crate::time::{Instant, Now};

/// Above ordinary threads, below what the kernel itself runs in real time.
pub(in crate::io) const PRIORITY: i32 = 20;

/// How long the last calls may take to end cleanly when the thread is stopped.
const STOP_WITHIN: Duration = Duration::from_secs(3);

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
            act(&mut sockets, &mut calls, |told| match told {
                Told::Done { observed, .. } => ended = Some(observed),
                Told::Live { .. } => {}
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

/// One circle: `act`, then `rest`.
///
/// # Errors
/// When the thread cannot wait on its sockets.
pub fn turn(
    sockets: &mut Sockets,
    machine: &mut impl Machine,
    deadline: Option<Instant>,
    hear: impl FnMut(Told),
) -> io::Result<()> {
    act(sockets, machine, hear);
    rest(sockets, machine, deadline)
}

/// Lets the machine act on what it knows and sends what it wants sent; `hear` takes the rest.
pub(super) fn act(sockets: &mut Sockets, machine: &mut impl Machine, mut hear: impl FnMut(Told)) {
    let now = sockets.now();
    if machine.deadline().is_some_and(|at| at <= now.instant) {
        machine.handle(now, Input::Wake);
    }
    while let Some(output) = machine.poll_output() {
        if let Some(told) = sockets.perform(now, output) {
            hear(told);
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
        act(&mut sockets, &mut machine, |told| desk.hear(told));
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

#[cfg(test)]
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "what a test does not expect is one failure"
)]
mod tests {
    use std::collections::VecDeque;

    use super::*;
    use crate::calls::Output;
    use crate::calls::observe::Outcome;

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
            Some(Event::Live { job, .. }) => format!("{} live", job.0),
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
