//! The verbs of the command line (stub).

use std::process::ExitCode;

/// Reads the arguments and runs the verb they name.
#[must_use]
pub fn main() -> ExitCode {
    ExitCode::from(3)
}
