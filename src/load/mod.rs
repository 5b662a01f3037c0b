//! Load tests: how many calls, how fast, and what came of them all.
//!
//! Pure: `io::shard` asks when the next call may start and hands in each result. A load test is never
//! a verdict on the line; it says what a plant can carry before it has to.

mod plan;
mod ramp;
mod result;

pub use plan::Plan;
pub use ramp::Ramp;
pub use result::Tally;
