//! Where the thread waits: one epoll with its timer, and the waker by which another thread ends the wait.
//!
//! It knows which socket is ready and nothing of what it carries; `sockets` asks it, `flows` and `media` put
//! their sockets in.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use crate::calls::{Component, MediaId};
use crate::io::clock;
use crate::sip::FlowId;
use crate::time::Instant;

/// Ready sockets taken at once.
const READY: usize = 64;

/// Wakes a thread that waits in [`Sockets::wait`](super::Sockets::wait).
#[derive(Clone, Debug)]
pub struct Waker(Arc<EventFd>);

impl Waker {
    pub(in crate::io) fn new() -> io::Result<Self> {
        let event = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?;
        Ok(Self(Arc::new(event)))
    }

    pub fn wake(&self) {
        // Only fails when 2^64 wake-ups are pending; then the thread is awake.
        let _ = self.0.write(1);
    }
}

/// Epoll, timer and waker of one thread.
#[derive(Debug)]
pub(in crate::io) struct Poll {
    epoll: Epoll,
    timer: TimerFd,
    /// What the timer is set to; `None` once it has fired.
    armed: Option<Instant>,
    waker: Waker,
    ready: Vec<EpollEvent>,
    ready_count: usize,
}

/// What an epoll event belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::io) enum Token {
    /// The timer or the waker: both are edge-triggered and only end the wait.
    Alarm,
    Flow(FlowId),
    Media(MediaId, Component),
}

impl Token {
    fn number(self) -> u64 {
        match self {
            Self::Alarm => 0,
            Self::Flow(id) => 1 << 32 | u64::from(id.0),
            Self::Media(id, Component::Rtp) => 2 << 32 | u64::from(id.0),
            Self::Media(id, Component::Rtcp) => 3 << 32 | u64::from(id.0),
        }
    }

    fn of(number: u64) -> Self {
        let id = u32::try_from(number & u64::from(u32::MAX)).expect("masked to 32 bits");
        match number >> 32 {
            1 => Self::Flow(FlowId(id)),
            2 => Self::Media(MediaId(id), Component::Rtp),
            3 => Self::Media(MediaId(id), Component::Rtcp),
            _ => Self::Alarm,
        }
    }
}

impl Poll {
    pub(in crate::io) fn new(waker: Waker) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let timer = TimerFd::new(
            ClockId::CLOCK_BOOTTIME,
            TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC,
        )?;
        // Edge-triggered, so that neither ever needs to be read.
        let alarm = || {
            EpollEvent::new(
                EpollFlags::EPOLLIN | EpollFlags::EPOLLET,
                Token::Alarm.number(),
            )
        };
        epoll.add(&timer, alarm())?;
        epoll.add(waker.0.as_fd(), alarm())?;
        Ok(Self {
            epoll,
            timer,
            armed: None,
            waker,
            ready: vec![EpollEvent::empty(); READY],
            ready_count: 0,
        })
    }

    pub(super) fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Puts a socket in; closing its last descriptor takes it out.
    pub(in crate::io) fn watch(
        &self,
        socket: impl AsFd,
        flags: EpollFlags,
        token: Token,
    ) -> io::Result<()> {
        Ok(self
            .epoll
            .add(socket, EpollEvent::new(flags, token.number()))?)
    }

    /// Waits for something else of a socket from now on.
    pub(super) fn watch_for(&self, socket: impl AsFd, flags: EpollFlags, token: Token) {
        let mut event = EpollEvent::new(flags, token.number());
        let _ = self.epoll.modify(socket, &mut event);
    }

    /// Waits until a socket is ready, the waker is used, or the deadline has come; not at all if `at_once`.
    pub(in crate::io) fn wait(
        &mut self,
        deadline: Option<Instant>,
        at_once: bool,
    ) -> io::Result<()> {
        let timeout = if at_once || deadline.is_some_and(|at| at <= clock::instant()) {
            EpollTimeout::ZERO
        } else {
            self.arm(deadline)?;
            EpollTimeout::NONE
        };
        self.ready_count = match self.epoll.wait(&mut self.ready, timeout) {
            Ok(count) => count,
            Err(Errno::EINTR) => 0,
            Err(error) => return Err(error.into()),
        };
        if self.armed.is_some_and(|at| at <= clock::instant()) {
            self.armed = None;
        }
        Ok(())
    }

    /// How many sockets the last wait found ready; each is told by `ready`, once.
    pub(in crate::io) fn take_ready(&mut self) -> usize {
        std::mem::take(&mut self.ready_count)
    }

    pub(in crate::io) fn ready(&self, index: usize) -> (Token, EpollFlags) {
        let event = self.ready[index];
        (Token::of(event.data()), event.events())
    }

    /// Sets the timer. One that would fire earlier is left alone: an empty wake-up is cheaper than
    /// moving the timer with every message.
    fn arm(&mut self, deadline: Option<Instant>) -> io::Result<()> {
        let Some(deadline) = deadline else {
            return Ok(());
        };
        if self.armed.is_some_and(|armed| armed <= deadline) {
            return Ok(());
        }
        let at = TimeSpec::from_duration(Duration::from_nanos(deadline.0.max(1)));
        self.timer.set(
            Expiration::OneShot(at),
            TimerSetTimeFlags::TFD_TIMER_ABSTIME,
        )?;
        self.armed = Some(deadline);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back_as_they_went() {
        for token in [
            Token::Alarm,
            Token::Flow(FlowId(0)),
            Token::Flow(FlowId(u32::MAX)),
            Token::Media(MediaId(7), Component::Rtp),
            Token::Media(MediaId(7), Component::Rtcp),
        ] {
            assert_eq!(Token::of(token.number()), token);
        }
    }
}
