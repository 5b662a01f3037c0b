//! How well we see one probe's target: a hiccup of our own is looked past, a lasting fault of ours is told.
//!
//! It counts blind runs in a row, beside the states of `state`: a blind run moves nothing towards down, and
//! neither may it hold a confirmation up until the next regular run, nor leave an old word standing for long.

/// What is seen of late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    Clear,
    /// One blind run; it was asked again at once.
    Blurred,
    /// That one was blind too; the next regular run decides.
    Dim,
    /// Three blind runs in a row, over one whole interval: the fault is ours and lasts. One fewer, and two
    /// seconds without a resolver turn the page grey; one more, and it says OUI for another interval while
    /// nobody looks.
    Lost,
}

/// What a run told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Run {
    /// Whatever leads somewhere by itself: an answer, a silence, a refused account.
    Conclusive,
    Blind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) sight: Sight,
    pub(super) ask_again: bool,
}

impl Sight {
    /// The table.
    pub(super) const fn step(self, run: Run) -> Step {
        let (sight, ask_again) = match (self, run) {
            (Self::Clear | Self::Blurred | Self::Dim | Self::Lost, Run::Conclusive) => {
                (Self::Clear, false)
            }
            (Self::Clear, Run::Blind) => (Self::Blurred, true),
            (Self::Blurred, Run::Blind) => (Self::Dim, false),
            (Self::Dim | Self::Lost, Run::Blind) => (Self::Lost, false),
        };
        Step { sight, ask_again }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    #[test]
    fn the_table() {
        let mut table = format!("{:10}| Conclusive | Blind", "");
        for sight in [Sight::Clear, Sight::Blurred, Sight::Dim, Sight::Lost] {
            let cell = |run| {
                let step = sight.step(run);
                let again = if step.ask_again { " +" } else { "" };
                format!("{:?}{again}", step.sight)
            };
            let (conclusive, blind) = (cell(Run::Conclusive), cell(Run::Blind));
            write!(
                table,
                "\n{:10}| {conclusive:10} | {blind}",
                format!("{sight:?}")
            )
            .unwrap();
        }
        insta::assert_snapshot!(table);
    }
}
