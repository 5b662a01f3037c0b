//! The first moment of a capture, from which everything in it is told.

use crate::time::{Instant, Utc};

/// When the capture began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beginning(pub(super) Utc);

impl Beginning {
    /// Captures may be out of order at their joints: what lies before the beginning is the beginning.
    pub(super) fn instant(self, at: Utc) -> Instant {
        Instant(u64::try_from(at.0.saturating_sub(self.0.0)).unwrap_or(0))
    }

    /// From the beginning, milliseconds.
    pub(super) fn ms(at: Instant) -> f64 {
        at.since(Instant(0)).as_secs_f64() * 1000.0
    }

    pub(super) fn ms_of(self, at: Utc) -> f64 {
        Self::ms(self.instant(at))
    }
}
