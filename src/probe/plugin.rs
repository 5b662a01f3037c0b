//! The `plugin` probe: any check plug-in of the Nagios family, judged by its exit code alone.
//!
//! The text only explains, and the performance figures become measures. What is not one of the four
//! codes of the contract (126, 127, a signal, our own time-out) is a fault of ours, never an outage:
//! Nagios calls it critical, and pages at night for a missing library. `io::prober::plugin` runs it.

use std::path::PathBuf;

/// What to ask.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Absolute path of the program; started without a shell.
    pub command: PathBuf,
    pub arguments: Vec<String>,
    /// Added to the otherwise empty environment (`LC_ALL=C` and `PATH` are always set).
    pub environment: Vec<(String, String)>,
}

impl Settings {
    #[must_use]
    pub fn new(command: impl Into<PathBuf>) -> Self {
        Self {
            command: command.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
        }
    }
}
