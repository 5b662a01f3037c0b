//! The far end's clock as its timestamps tell it: how long each packet was on its way, against the first one,
//! and when the clock was set anew, so that what came before and after cannot be compared.

use crate::time::Instant;

/// One source's clock; `stream` tells it each packet of sound.
#[derive(Clone, Debug, Default)]
pub(super) struct Clock {
    last: Option<Tick>,
    epoch: u16,
    /// Place of the first packet of this epoch; zero in the first one, which may have been overtaken.
    begins: u32,
    jumps: u32,
    /// A long wait, of which it is not yet known who is to blame.
    held: Option<Held>,
    /// The step that more than half of the packets show, if one does (majority vote of Boyer and Moore).
    step: i32,
    votes: u32,
}

/// A packet of sound as the clock needs it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tick {
    pub(super) at: Instant,
    pub(super) timestamp: u32,
    /// Place in the stream.
    pub(super) number: u32,
    pub(super) marker: bool,
    /// Timestamp units per second.
    pub(super) rate: u32,
    /// Of the clock; zero when it is told.
    pub(super) transit_ns: i64,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) at: Instant,
    pub(super) number: u32,
    pub(super) transit_ns: i64,
}

/// What the clock says of a packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub(super) transit_ns: i64,
    pub(super) epoch: u16,
    /// The first one of its epoch.
    pub(super) fresh: bool,
    /// The sender paused, as is only known by now: from that packet on all belong to this epoch.
    pub(super) paused: Option<Held>,
}

/// A timestamp that leaves the wall's time by more than this within one step has jumped, unless the step is
/// that of the packets between and no marker says that the sender paused. Smaller ones are late packets.
const JUMP_NS: u64 = 200_000_000;

/// A packet held for longer may also come from a sender that paused and let its timestamps stand still.
const HELD_NS: i64 = 1_000_000_000;
/// A queue has drained visibly by then: those who waited behind the first wait less.
const DRAINED_AFTER_NS: u64 = 500_000_000;
const DRAINED_NS: i64 = 100_000_000;

/// A day: stamps that are forged stay within what sums can hold.
const TRANSIT_NS_MAX: i64 = 86_400_000_000_000;

impl Clock {
    /// `None` for a packet that was overtaken by a change of the clock: nobody knows when it was spoken.
    pub(super) fn hear(&mut self, mut tick: Tick) -> Option<Reading> {
        let Some(last) = self.last else {
            self.last = Some(tick);
            return Some(self.reading(tick, true));
        };
        let step = tick.timestamp.wrapping_sub(last.timestamp).cast_signed();
        let waited = tick
            .at
            .0
            .cast_signed()
            .saturating_sub(last.at.0.cast_signed());
        let difference = waited.saturating_sub(nanos(step.into(), tick.rate));
        tick.transit_ns = last
            .transit_ns
            .saturating_add(difference)
            .clamp(-TRANSIT_NS_MAX, TRANSIT_NS_MAX);
        if tick.number <= last.number {
            let same = tick.number >= self.begins && tick.rate == last.rate;
            return same.then(|| self.reading(tick, false));
        }
        let steps = tick.number - last.number;
        let expected = i64::from(self.step) * i64::from(steps);
        let odd = nanos(i64::from(step) - expected, tick.rate).unsigned_abs() > JUMP_NS / 2;
        let pause = tick.marker && difference > 0;
        let jumped = (odd || pause) && difference.unsigned_abs() > JUMP_NS;
        let other_rate = tick.rate != last.rate;
        if jumped || other_rate {
            if other_rate {
                // Told by the payload type, and counted there.
                (self.step, self.votes) = (0, 0);
            } else {
                self.jumps += 1;
            }
            self.begin(tick.number);
            tick.transit_ns = 0;
            self.last = Some(tick);
            return Some(self.reading(tick, true));
        }
        if steps == 1 {
            self.vote(step);
        }
        if difference > HELD_NS {
            self.held = Some(Held {
                at: tick.at,
                number: tick.number,
                transit_ns: tick.transit_ns,
            });
        }
        let paused = self.paused(tick);
        if let Some(held) = paused {
            self.jumps += 1;
            self.begin(held.number);
            tick.transit_ns -= held.transit_ns;
        }
        self.last = Some(tick);
        Some(Reading {
            paused,
            ..self.reading(tick, false)
        })
    }

    fn reading(&self, tick: Tick, fresh: bool) -> Reading {
        Reading {
            transit_ns: tick.transit_ns,
            epoch: self.epoch,
            fresh,
            paused: None,
        }
    }

    fn begin(&mut self, number: u32) {
        self.epoch = self.epoch.saturating_add(1);
        self.begins = number;
        self.held = None;
    }

    /// The packet that waited so long, once those behind it came no sooner: then no queue held it.
    fn paused(&mut self, tick: Tick) -> Option<Held> {
        let held = self.held?;
        if held.transit_ns - tick.transit_ns > DRAINED_NS {
            self.held = None;
        }
        self.held
            .filter(|held| tick.at.0.saturating_sub(held.at.0) >= DRAINED_AFTER_NS)
    }

    const fn vote(&mut self, step: i32) {
        if self.votes == 0 {
            self.step = step;
        }
        if self.step == step {
            self.votes += 1;
        } else {
            self.votes -= 1;
        }
    }

    /// Times that the far end set its clock, though nothing told us.
    pub(super) const fn jumps(&self) -> u32 {
        self.jumps
    }

    pub(super) fn ptime_ns(&self) -> Option<i64> {
        let rate = self.last?.rate;
        (self.step > 0).then(|| nanos(self.step.into(), rate))
    }
}

/// Timestamp units as time.
fn nanos(units: i64, rate: u32) -> i64 {
    units.saturating_mul(1_000_000_000) / i64::from(rate.max(1))
}
