//! The configuration file: TOML in, settings and plant out, or every mistake at once.
//!
//! Pure: [`read`] takes the text; `io::config_file` fetches it and looks whether secrets resolve. The
//! structs it fills belong to the modules that use them. Called at start, by `vigie check` and on reload.

mod error;
mod settings;

pub use error::ConfigError;
pub use settings::{Settings, Vantage};

use crate::engine::plant::Plant;

/// A file without a mistake.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    pub settings: Settings,
    pub plant: Plant,
    /// Worth a look, but no reason to refuse the file.
    pub warnings: Vec<ConfigError>,
}

/// Reads the text of a configuration; `file` is its name for messages.
///
/// # Errors
/// Every mistake of the file, in its order.
pub fn read(file: &str, _text: &str) -> Result<Loaded, Vec<ConfigError>> {
    Err(vec![ConfigError {
        file: file.to_owned(),
        at: None,
        words: "not built yet".to_owned(),
    }])
}
