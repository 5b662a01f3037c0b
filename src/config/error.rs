//! What is wrong with a configuration file, where, and what to write instead.

use std::fmt;

/// One mistake. Its text never repeats a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file as the user named it.
    pub file: String,
    /// Line and column, from 1, the column in characters; `None` when the file as a whole is meant.
    pub at: Option<(usize, usize)>,
    /// What is wrong and what to do, in one line.
    pub words: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some((line, column)) => {
                write!(f, "{}:{line}:{column}: {}", self.file, self.words)
            }
            None => write!(f, "{}: {}", self.file, self.words),
        }
    }
}

impl std::error::Error for ConfigError {}
