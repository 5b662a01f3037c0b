//! What a load test is asked to do.

use std::time::Duration;

/// How many calls, how fast.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// Calls started per second once the ramp is over.
    pub calls_per_second: f64,
    /// The rate grows evenly from nothing for this long; a plant that meets the full rate at once
    /// fails for reasons that no real traffic has.
    pub ramp: Duration,
    /// From the first call to the last start.
    pub lasts: Duration,
    /// Calls at the same time. What is due beyond this is withheld and counted, never made up for:
    /// a far end that slows down must not be met with a burst.
    pub in_flight_max: u32,
}
