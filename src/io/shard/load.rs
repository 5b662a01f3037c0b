//! A load test on the calling thread: `load` says when a call may start, the circle of `thread` does
//! the rest. For one core; several shards are several threads and their tallies added.

use std::io;
use std::time::Duration;

use super::Settings;
use super::sockets::Sockets;
use super::thread::{Machine, act, rest};
use crate::calls::script::Task;
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

/// Places calls as planned, each one like `task`, and waits for the last ones to end.
///
/// # Errors
/// When this machine gives no descriptors, or the thread cannot wait on its sockets.
pub fn run<M: Machine>(
    machine: &mut M,
    plan: Plan,
    task: &Task,
    settings: &Settings,
) -> io::Result<Ran> {
    let mut sockets = Sockets::new(settings)?;
    let began = sockets.now().instant;
    let mut ramp = Ramp::new(plan, began);
    let mut tally = Tally::default();
    let mut faults = Vec::new();
    let mut jobs = 0;
    loop {
        let now = sockets.now();
        for _ in 0..ramp.take(now.instant, tally.in_flight()) {
            jobs += 1;
            tally.started();
            let task = Box::new(task.clone());
            let job = JobId(jobs);
            machine.handle(now, Input::Start { job, task });
        }
        act(&mut sockets, machine, |_, observed| tally.ended(&observed));
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
        rest(&mut sockets, machine, rounded(due))?;
    }
}

/// At tens of thousands of calls a second each start would be a wake-up of its own; at the next
/// half millisecond several start together and their messages share one system call.
fn rounded(due: Option<Instant>) -> Option<Instant> {
    const STEP: u64 = 500_000;
    due.map(|at| Instant(at.0.next_multiple_of(STEP)))
}
