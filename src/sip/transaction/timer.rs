//! The timer values of RFC 3261 §17.1.1.1 and table 4, and the doubling they share.

use std::time::Duration;

use crate::sip::Transport;
use crate::time::Instant;

/// Estimate of the round trip (§17.1.1.1).
pub const T1: Duration = Duration::from_millis(500);
/// The longest interval between retransmissions of non-INVITE requests and INVITE responses.
pub const T2: Duration = Duration::from_secs(4);
/// How long a message may stay in the network.
pub const T4: Duration = Duration::from_secs(5);
/// Timers B, F, H, J, L and M: 64 · T1. Timer D asks for at least 32 s, which is the same.
pub const GIVE_UP: Duration = Duration::from_secs(32);
/// A server says 100 to an INVITE if it knows that nothing else comes within this time (§17.2.1).
pub const TRYING: Duration = Duration::from_millis(200);
/// When timer E of a client has grown to T2: 0.5 + 1 + 2 s. RFC 4320 §4.1 lets nobody say 100 to a
/// non-INVITE over UDP before, and makes them say it then.
pub const TRYING_NON_INVITE: Duration = Duration::from_millis(3500);

/// A retransmission to come, and the interval that led to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resend {
    pub at: Instant,
    pub interval: Duration,
}

impl Resend {
    /// The first retransmission after T1; none where the transport is reliable (§17.1.1.2).
    #[must_use]
    pub fn first(now: Instant, transport: Transport) -> Option<Self> {
        Self::after(T1, now, transport)
    }

    /// One after `interval`; none where the transport is reliable.
    #[must_use]
    pub fn after(interval: Duration, now: Instant, transport: Transport) -> Option<Self> {
        (!transport.is_reliable()).then(|| Self {
            at: now + interval,
            interval,
        })
    }

    /// The next one after twice the interval, without a cap (timer A).
    #[must_use]
    pub fn doubled(self) -> Self {
        let interval = self.interval * 2;
        Self {
            at: self.at + interval,
            interval,
        }
    }

    /// The next one after twice the interval, at most T2 (timers E and G).
    #[must_use]
    pub fn doubled_to_t2(self) -> Self {
        let interval = (self.interval * 2).min(T2);
        Self {
            at: self.at + interval,
            interval,
        }
    }
}

/// How long a transaction absorbs what still comes: `time` over UDP, nothing over reliable transports.
#[must_use]
pub fn absorbing(time: Duration, transport: Transport) -> Option<Duration> {
    (!transport.is_reliable()).then_some(time)
}
