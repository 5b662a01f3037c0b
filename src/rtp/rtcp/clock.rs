//! The wall clock as reports write it (RFC 3550 §4): NTP, its middle bits, and delays.

use crate::time::{Instant, Utc};

/// Seconds between 1900 and 1970.
const NTP_EPOCH: u64 = 2_208_988_800;

/// Wall clock as NTP writes it (§4): 32.32 fixed point seconds since 1900.
#[must_use]
pub fn ntp(utc: Utc) -> u64 {
    let nanos = u64::try_from(utc.0).unwrap_or(0);
    let (seconds, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    ((seconds + NTP_EPOCH) << 32) | ((rest << 32) / 1_000_000_000)
}

/// The middle 32 bits of an NTP time (§6.4.1, LSR).
#[must_use]
pub const fn middle(ntp: u64) -> u32 {
    ((ntp >> 16) & 0xffff_ffff) as u32
}

/// Time since the SR came, in 1/65536 s (§6.4.1, DLSR).
#[must_use]
pub fn delay(since: Instant, now: Instant) -> u32 {
    let units = now.since(since).as_nanos() * 65_536 / 1_000_000_000;
    u32::try_from(units).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_clock_and_delay_in_the_units_of_the_standard() {
        assert_eq!(ntp(Utc(500_000_000)), (NTP_EPOCH << 32) | 0x8000_0000);
        assert_eq!(delay(Instant(0), Instant(5_250_000_000)), 0x0005_4000);
    }
}
