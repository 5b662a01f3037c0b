//! The pages, the API and the metrics: readers of the published [`View`], and nothing else.
//! Beats of others come in by the same door and go to `io::beats`.
//!
//! They never see the engine's own state and decide nothing. Every page tells the age of what it shows;
//! a view that stops coming turns the answer into *on ne sait pas*, since a stale "oui" is a lie.

mod api;
pub mod ask;
mod beat;
mod board;
mod demo;
mod live;
mod metrics;
mod router;
mod usage;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::board::view::View;
use crate::io::beats::Beats;
use crate::io::clock;
use crate::time::{Now, Utc};

pub use demo::LabControl;
pub use router::{Error, serve};

/// Views come every second; three missed in a row and a slow machine's grace make a stale page.
const FRESH: Duration = Duration::from_secs(5);

/// What every handler may read.
#[derive(Clone, Debug)]
pub struct Pages {
    view: watch::Receiver<Arc<View>>,
    lab: Option<LabControl>,
    /// Where the plant is watched from.
    vantage: Arc<str>,
    /// Who says that he lives says it here.
    beats: Beats,
}

impl Pages {
    /// `vantage`: where the plant is watched from. `lab` adds the demo page with its fault buttons; a real service has none.
    #[must_use]
    pub fn new(view: watch::Receiver<Arc<View>>, vantage: &str, lab: Option<LabControl>) -> Self {
        Self {
            view,
            lab,
            vantage: vantage.into(),
            beats: Beats::default(),
        }
    }

    /// The same, hearing beats for these.
    #[must_use]
    pub fn hearing(self, beats: Beats) -> Self {
        Self { beats, ..self }
    }

    fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.borrow())
    }
}

/// How old a view is now, and whether it may still be believed.
struct Age {
    now: Utc,
    seconds: Duration,
}

impl Age {
    fn of(view: &View) -> Self {
        Self::at(view, clock::now())
    }

    /// By boot time: a wall clock that is set back must not make a dead service young.
    fn at(view: &View, now: Now) -> Self {
        Self {
            now: now.utc,
            seconds: now.instant.since(view.made),
        }
    }

    fn is_stale(&self) -> bool {
        self.seconds > FRESH
    }
}
