//! All sockets of one thread, and the one place where it waits.
//!
//! Performs the outputs of `Calls` and delivers what arrives as its inputs. It is used by the shard
//! thread, by one-shot probes, and by anything else that speaks `calls::{Input, Output}`; it knows no
//! rule of SIP or RTP. Use: `perform` each output, `flush`, `wait` for the deadline, `deliver`.

use std::io;
use std::time::Duration;

use super::flows::{Flows, Opening};
use super::media::Media;
use super::news::Found;
use super::pace::Outgoing;
use super::poll::{Poll, Token, Waker};
use super::{Settings, Told};
use crate::calls::{Input, Output};
use crate::io::clock::{self, Gap};
use crate::probe::Failure;
use crate::time::{Instant, Now};

/// Sockets, timer and clock of one thread.
#[derive(Debug)]
pub struct Sockets {
    poll: Poll,
    gap: Gap,
    flows: Flows,
    media: Media,
    /// What `perform` found out and `deliver` will tell.
    found: Found,
}

impl Sockets {
    /// # Errors
    /// When this machine gives no descriptors.
    pub fn new(settings: &Settings) -> io::Result<Self> {
        Self::with_waker(settings, Waker::new()?)
    }

    /// The same, woken by a waker that others hold already.
    ///
    /// # Errors
    /// When this machine gives no descriptors.
    pub fn with_waker(settings: &Settings, waker: Waker) -> io::Result<Self> {
        Ok(Self {
            poll: Poll::new(waker)?,
            gap: Gap::at(clock::now()),
            flows: Flows::new(settings.trust.clone()),
            media: Media::new(&settings.media_ports),
            found: Found::default(),
        })
    }

    /// Ends a wait from another thread.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.poll.waker()
    }

    /// Both clocks; a step of the wall clock is taken into account for receive stamps.
    pub fn now(&mut self) -> Now {
        let now = clock::now();
        self.gap.observe(now);
        now
    }

    /// A fault of our own that was seen since the last call.
    pub fn take_fault(&mut self) -> Option<Failure> {
        self.found.take_fault()
    }

    /// How late media left since the last call: packets, and the 99th percentile.
    pub fn take_lateness(&mut self) -> (u64, Duration) {
        self.media.take_lateness()
    }

    /// Does what `Calls` asks; gives back what is not for the network.
    pub fn perform(&mut self, now: Now, output: Output) -> Option<Told> {
        let (poll, found) = (&self.poll, &mut self.found);
        match output {
            Output::OpenFlow {
                flow,
                transport,
                local,
                peer,
                server_name,
                exclusive,
            } => {
                let opening = Opening {
                    transport,
                    local,
                    peer,
                    server_name,
                    exclusive,
                };
                self.flows.open(poll, now, flow, opening, found);
            }
            Output::CloseFlow { flow } => self.flows.close(poll, flow, found),
            Output::Send { flow, to, message } => {
                self.flows.send(poll, flow, (to, message), found);
            }
            Output::OpenMedia { media, ip } => self.media.open(poll, now, media, ip, found),
            Output::CloseMedia { media } => self.media.close(now, media),
            Output::SendMedia {
                media,
                component,
                to,
                packet,
                due,
            } => self.media.push(Outgoing {
                media,
                component,
                to,
                packet,
                due,
            }),
            Output::Done { job, observed } => return Some(Told::Done { job, observed }),
            Output::Live { job, live } => return Some(Told::Live { job, live }),
        }
        None
    }

    /// Sends everything that is queued and due. To be called when `Calls` has no more outputs.
    pub fn flush(&mut self) {
        self.flows.flush(&self.poll, &mut self.found);
        self.media.send_due(&mut self.found);
    }

    /// The buffer of a message that has left, to be used again.
    pub(super) fn take_sent(&mut self) -> Option<Vec<u8>> {
        self.flows.take_sent()
    }

    /// Whether `deliver` has something to tell without waiting.
    #[must_use]
    pub fn has_news(&self) -> bool {
        self.found.has_news()
    }

    /// Waits until a socket is ready, the waker is used, or the deadline (or an own one) has come.
    ///
    /// # Errors
    /// None in a sound process; `EBADF` and the like would make the thread spin, so they end it.
    pub fn wait(&mut self, deadline: Option<Instant>) -> io::Result<()> {
        let deadline = [deadline, self.media.deadline(), self.flows.deadline()]
            .into_iter()
            .flatten()
            .min();
        self.poll.wait(deadline, self.found.has_news())
    }

    /// Sleeps although something may arrive, which `wait` and `deliver` then find all together. The
    /// waker does not end it.
    pub(super) fn sleep_until(&self, until: Instant) {
        clock::sleep_until(until);
    }

    /// Hands in what has happened, with the time at which it is handed in.
    pub fn deliver(&mut self, sink: &mut impl FnMut(Now, Input<'_>)) {
        let now = self.now();
        self.tell_news(now, sink);
        for index in 0..self.poll.take_ready() {
            let (poll, gap, found) = (&self.poll, &self.gap, &mut self.found);
            match poll.ready(index) {
                (Token::Alarm, _) => {}
                (Token::Flow(id), events) => {
                    self.flows.turn(poll, (now, gap), (id, events), found, sink);
                }
                (Token::Media(id, component), _) => {
                    self.media.receive(now, gap, id, component, found, sink);
                }
            }
        }
        self.flows.expire(&self.poll, now, &mut self.found);
        self.tell_news(now, sink);
    }

    fn tell_news(&mut self, now: Now, sink: &mut impl FnMut(Now, Input<'_>)) {
        while let Some(news) = self.found.take_news() {
            sink(now, news.as_input());
        }
    }
}
