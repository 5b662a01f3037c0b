//! The data plane: one OS thread that owns its sockets, its timer and one `Calls` value.
//!
//! `Calls` decides everything; this folder opens the sockets it asks for, hands in what arrives with
//! the kernel's receive stamp, sends what comes out at the time it is due, and measures its own
//! lateness. The daemon holds a [`ShardHandle`]; a one-shot probe runs the same loop on its own thread
//! with [`run_one`]. No rule of SIP or of RTP lives here.

mod desk;
mod flows;
mod kernel;
pub mod load;
mod machine;
mod media;
mod news;
mod pace;
mod poll;
mod ports;
mod sockets;
mod stamp;
mod tcp;
mod thread;
mod tls;
mod udp;

pub(in crate::io) use kernel::{Inbox, Queue, become_realtime, clock_is_synchronised};
pub use machine::Machine;
pub(in crate::io) use pace::Lateness;
pub use poll::Waker;
pub(in crate::io) use poll::{Poll, Token};
pub use ports::MediaPorts;
pub use sockets::Sockets;
pub(in crate::io) use thread::PRIORITY;
pub use thread::{Refused, ShardHandle, run_one, turn};
pub use tls::Trust;
pub(in crate::io) use tls::rests_on_dates;
pub(in crate::io) use udp::{bind, bind_fault, enlarge, local_towards, measure, newly_dropped};

use crate::calls::JobId;
use crate::calls::observe::{Live, Observed};
use crate::probe::Failure;

/// What one shard needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Names the thread: `shard-0`.
    pub name: String,
    /// RTP takes the even ports of this range, RTCP the odd ones. Two shards need two ranges.
    pub media_ports: MediaPorts,
    /// Ask for `SCHED_FIFO`: media leaves on time beside busy neighbours. Not for load tests, where a
    /// thread that never sleeps would keep the machine to itself.
    pub realtime: bool,
    /// Whose certificates are believed.
    pub trust: Trust,
    /// Jobs and results that may wait in a queue. Larger hides an overload, smaller makes one of a burst.
    pub queue: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            name: "shard-0".to_owned(),
            media_ports: MediaPorts::default(),
            realtime: true,
            trust: Trust::System,
            queue: 1024,
        }
    }
}

/// What a machine tells of its jobs.
#[derive(Debug)]
pub enum Told {
    Done { job: JobId, observed: Box<Observed> },
    Live { job: JobId, live: Live },
}

/// What a shard tells the daemon.
#[derive(Debug)]
pub enum Event {
    /// The thread runs; without real time its media may leave late beside busy neighbours.
    Started { realtime: bool },
    /// A job ended; exactly one for each job that was accepted.
    Done { job: JobId, observed: Box<Observed> },
    /// How a call goes, when its plan asks for it.
    Live { job: JobId, live: Live },
    /// A fault of our own began or was seen again: drops in our buffers, a full queue, a panic.
    OwnFault(Failure),
    /// The fault with this code was not seen for a while.
    OwnFaultOver { code: String },
}
