//! Where in its interval a probe runs: chance from the seed, so that probes of one cadence do not all
//! leave together and the same seed gives the same day.

use std::time::Duration;

use crate::id::Seed;

/// A moment in `0..within`, the same for the same seed and name, even over all names.
#[must_use]
pub fn offset(seed: Seed, name: &str, within: Duration) -> Duration {
    let span = u64::try_from(within.as_nanos()).unwrap_or(u64::MAX);
    // The upper half of the product scales the hash to the span without the bias of a remainder.
    let scaled = (u128::from(mixed(seed, name)) * u128::from(span)) >> 64;
    Duration::from_nanos(u64::try_from(scaled).expect("a product shifted by 64 bits fits in 64"))
}

/// FNV-1a over the name, then the finaliser of splitmix64: FNV alone leaves the upper bits of short
/// names alike, and those are the bits that `offset` uses.
fn mixed(seed: Seed, name: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325 ^ seed.0;
    for byte in name.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_of_one_cadence_are_spread_evenly() {
        let every = Duration::from_secs(30);
        let mut per_second = [0_u32; 30];
        for number in 0..650 {
            let at = offset(Seed(7), &format!("srv{number}/ping"), every);
            assert!(at < every, "{at:?}");
            per_second[usize::try_from(at.as_secs()).unwrap()] += 1;
        }
        let most = per_second.iter().max().unwrap();
        assert!(*most < 45, "a herd of {most} in one second, 22 expected");
    }

    #[test]
    fn the_same_seed_gives_the_same_moment() {
        let every = Duration::from_secs(5);
        assert_eq!(offset(Seed(1), "a", every), offset(Seed(1), "a", every));
        assert_ne!(offset(Seed(1), "a", every), offset(Seed(2), "a", every));
    }
}
