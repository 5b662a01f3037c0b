//! Loss in bursts: the two states of Gilbert and Elliott.

use fastrand::Rng;

use super::settings::Loss;

/// The state after the last packet.
#[derive(Debug)]
pub(super) struct Chain {
    random: Rng,
    bad: bool,
}

impl Chain {
    /// Begins good.
    pub(super) const fn new(random: Rng) -> Self {
        Self { random, bad: false }
    }

    /// Whether the next packet is lost. Takes two numbers from the seed whatever they decide.
    pub(super) fn loses(&mut self, loss: Option<Loss>) -> bool {
        let (turn, fall) = (self.random.f64(), self.random.f64());
        let Some(loss) = loss else { return false };
        let change = if self.bad { loss.r } else { loss.p };
        if turn < change {
            self.bad = !self.bad;
        }
        fall < if self.bad { loss.bad } else { loss.good }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lost packets and runs of losses among a million.
    fn million(loss: Loss, seed: u64) -> (u32, u32) {
        let mut chain = Chain::new(Rng::with_seed(seed));
        let (mut lost, mut runs, mut before) = (0, 0, false);
        for _ in 0..1_000_000 {
            let now = chain.loses(Some(loss));
            lost += u32::from(now);
            runs += u32::from(now && !before);
            before = now;
        }
        (lost, runs)
    }

    #[test]
    fn the_share_and_the_mean_run_are_those_of_the_theory() {
        let (p, r) = (0.02, 0.4);
        for seed in 0..5 {
            let loss = Loss {
                p,
                r,
                bad: 1.0,
                good: 0.0,
            };
            let (lost, runs) = million(loss, seed);
            // p / (p + r) of all, 1 / r in a row; five standard deviations of such a count.
            let share = f64::from(lost) / 1e6;
            assert!((share - p / (p + r)).abs() < 0.002, "seed {seed}: {share}");
            let run = f64::from(lost) / f64::from(runs);
            assert!((run - 1.0 / r).abs() < 0.06, "seed {seed}: {run}");
        }
    }

    #[test]
    fn the_ends_of_the_scale_are_certain() {
        for (loss, expected) in [
            ((0.0, 0.0, 1.0, 0.0), 0),
            ((1.0, 0.0, 1.0, 0.0), 1_000_000),
            ((0.0, 0.0, 0.0, 1.0), 1_000_000),
            // One good packet, one bad, and so on.
            ((1.0, 1.0, 1.0, 0.0), 500_000),
        ] {
            let (p, r, bad, good) = loss;
            let loss = Loss { p, r, bad, good };
            assert_eq!(million(loss, 1).0, expected, "{loss:?}");
        }
    }
}
