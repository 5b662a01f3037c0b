//! Lends the embedded lab its sockets: the same sockets that a shard lends its calls.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc;
use std::thread::JoinHandle;

use super::shard::{Machine, Settings, Sockets, Waker, turn};
use crate::calls::{Input, Output};
use crate::id::Seed;
use crate::lab::fault::{Fault, Server};
use crate::lab::{Lab, Layout};
use crate::time::{Instant, Now};

/// Faults that may wait; a person presses buttons, so this is never reached.
const QUEUE: usize = 64;

/// A running lab. Dropping it switches every simulated machine off.
#[derive(Debug)]
pub struct LabHandle {
    faults: Option<mpsc::SyncSender<(Server, Fault)>>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

impl LabHandle {
    /// Switches the plant on.
    ///
    /// # Errors
    /// When this machine gives no descriptors or no thread.
    pub fn spawn(layout: &Layout, seed: Seed, settings: &Settings) -> io::Result<Self> {
        let mut sockets = Sockets::new(settings)?;
        let waker = sockets.waker();
        let mut lab = Lab::new(layout, seed);
        let (faults, wished) = mpsc::sync_channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("lab".into())
            .spawn(move || run(&mut sockets, &mut lab, &wished))?;
        Ok(Self {
            faults: Some(faults),
            waker,
            thread: Some(thread),
        })
    }

    /// Breaks a server, or mends it. After the lab has ended this does nothing.
    pub fn inflict(&self, server: Server, fault: Fault) {
        if let Some(faults) = &self.faults {
            let _ = faults.try_send((server, fault));
        }
        self.waker.wake();
    }
}

impl Drop for LabHandle {
    fn drop(&mut self) {
        self.faults = None;
        self.waker.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(sockets: &mut Sockets, lab: &mut Lab, wished: &mpsc::Receiver<(Server, Fault)>) {
    lab.start();
    loop {
        let now = sockets.now();
        loop {
            match wished.try_recv() {
                Ok((server, fault)) => {
                    tracing::info!(%server, %fault, "the lab is changed");
                    lab.inflict(now, server, fault);
                }
                Err(mpsc::TryRecvError::Empty) => break,
                Err(mpsc::TryRecvError::Disconnected) => return,
            }
        }
        // The lab places no jobs, so nothing is ever done.
        if let Err(error) = turn(sockets, lab, None, |_| {}) {
            tracing::error!(%error, "the embedded lab cannot wait on its sockets and ends");
            return;
        }
    }
}

impl Machine for Lab {
    fn handle(&mut self, now: Now, input: Input<'_>) {
        self.handle(now, input);
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.poll_output()
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline()
    }
}

/// A layout on loopback: the customary port where it is free, any other where it is not.
///
/// # Errors
/// When loopback has no port at all.
pub fn free_layout() -> io::Result<Layout> {
    let at = |host: u8| -> io::Result<SocketAddr> {
        let ip = [127, 0, 119, host];
        let socket = UdpSocket::bind(SocketAddr::from((ip, 5060)))
            .or_else(|_| UdpSocket::bind(SocketAddr::from((ip, 0))))?;
        socket.local_addr()
    };
    Ok(Layout {
        xivo1: at(1)?,
        xivo2: at(2)?,
        xivo3: at(3)?,
        patton: at(10)?,
        phones: vec![
            ("4099".into(), at(99)?),
            ("4001".into(), at(41)?),
            ("4002".into(), at(42)?),
        ],
    })
}
