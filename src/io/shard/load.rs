//! A load test on the calling thread: `load` says when a call may start, the circle of `thread` does
//! the rest. For one core; several shards are several threads and their tallies added.
//!
//! Without media the thread turns once a step: calls start together, answers gather in the socket
//! meanwhile, and system calls are shared by all of them.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::machine::Machine;
use super::sockets::Sockets;
use super::thread::{act, rest};
use super::{Settings, Told};
use crate::calls::script::{MediaPlan, Task};
use crate::calls::{Input, JobId};
use crate::load::{Plan, Ramp, Tally};
use crate::probe::Failure;
use crate::time::Instant;

/// What a load test on one thread came to.
#[derive(Clone, Debug)]
pub struct Ran {
    pub tally: Tally,
    /// Calls that were due while as many as allowed were under way.
    pub withheld: u64,
    /// From the first start to the last result.
    pub took: Duration,
    /// Faults of our own that were seen: then the figures say little about the far end.
    pub faults: Vec<Failure>,
}

/// Places calls as planned, like each of `tasks` in turn, and waits for the last ones to end.
///
/// # Errors
/// When this machine gives no descriptors, or the thread cannot wait on its sockets.
pub fn run<M: Machine>(
    machine: &mut M,
    plan: Plan,
    tasks: &[Task],
    settings: &Settings,
) -> io::Result<Ran> {
    let mut sockets = Sockets::new(settings)?;
    let began = sockets.now().instant;
    let mut ramp = Ramp::new(plan, began);
    let mut tally = Tally::default();
    let mut faults = Vec::new();
    let mut jobs = 0;
    let gathers = tasks.iter().all(gathers);
    let tasks: Vec<Arc<Task>> = tasks.iter().cloned().map(Arc::new).collect();
    let mut in_turn = tasks.iter().cycle();
    loop {
        let now = sockets.now();
        for _ in 0..ramp.take(now.instant, tally.in_flight()) {
            let Some(task) = in_turn.next().map(Arc::clone) else {
                break;
            };
            jobs += 1;
            tally.started();
            let job = JobId(jobs);
            machine.handle(now, Input::Start { job, task });
        }
        act(&mut sockets, machine, |told| match told {
            Told::Done { observed, .. } => tally.ended(&observed),
            Told::Live { .. } => {}
        });
        while let Some(fault) = sockets.take_fault() {
            if faults
                .iter()
                .all(|known: &Failure| known.code != fault.code)
            {
                faults.push(fault);
            }
        }
        let due = ramp.deadline();
        if due.is_none() && tally.in_flight() == 0 {
            return Ok(Ran {
                tally,
                withheld: ramp.withheld(),
                took: sockets.now().instant.since(began),
                faults,
            });
        }
        let due = due.map(stepped);
        if gathers && tally.in_flight() > 0 {
            sockets.sleep_until(stepped(now.instant));
            sockets.wait(Some(now.instant))?;
            sockets.deliver(&mut |now, input| machine.handle(now, input));
        } else {
            rest(&mut sockets, machine, due)?;
        }
    }
}

/// Whether answers may wait for the next step. Sound may not: each packet has its own deadline.
const fn gathers(task: &Task) -> bool {
    match task {
        Task::Call(plan) => matches!(plan.media, MediaPlan::None),
        Task::Register(_) | Task::Options(_) => true,
    }
}

/// At tens of thousands of calls a second each start, answer and timer would be a wake-up of its own,
/// here and at a far end that shares the machine. Longer steps make bursts that no real traffic has.
const STEP: Duration = Duration::from_millis(1);

/// The end of the step that `at` lies in.
fn stepped(at: Instant) -> Instant {
    let step = u64::try_from(STEP.as_nanos()).expect("a millisecond");
    Instant((at.0 + 1).next_multiple_of(step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_ends_after_what_lies_in_it() {
        for (at, end) in [
            (0, 1_000_000),
            (1, 1_000_000),
            (999_999, 1_000_000),
            (1_000_000, 2_000_000),
        ] {
            assert_eq!(stepped(Instant(at)), Instant(end));
        }
    }
}
