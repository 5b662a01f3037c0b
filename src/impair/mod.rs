//! A bad network on purpose, from a seed, that writes down the fate of every packet.
//!
//! One [`Impairment`] is one direction: datagrams in with the moment they came, datagrams out with the
//! moment they are due, and for each that came exactly one [`Record`] of what became of it. It decides;
//! `io::impair` moves the packets. `vigie impair` and tests use it.

mod change;
mod delay;
mod fate;
mod loss;
mod machine;
mod rate;
mod settings;

pub use change::{Change, Rtp};
pub use fate::{Cause, Fate, Record, Tally};
pub use machine::{Departing, Impairment, Input, Output};
pub use settings::{
    Duplicate, Gain, Header, Jitter, Jump, Level, Loss, Noise, Rate, Reorder, Replace, Settings,
    Shape, Sound, Span, Stall, Unusable,
};
