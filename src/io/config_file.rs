//! Fetches the configuration file and the secrets it refers to. What is right or wrong in it is decided
//! by `config`.

use std::path::Path;

use crate::config::{self, ConfigError, Loaded};
use crate::secret::{Secret, SecretRef};

/// Larger is no configuration: somebody named the wrong file.
const FILE_BYTES_MAX: usize = 4 << 20;

/// Longer is no password: somebody named the wrong file.
const SECRET_BYTES_MAX: usize = 4096;

/// Reads and checks a configuration file. The caller keeps what it had when this fails.
///
/// # Errors
/// Every mistake of the file, in its order; or the one reason why it cannot be read.
pub fn load(path: &Path) -> Result<Loaded, Vec<ConfigError>> {
    let file = path.display().to_string();
    let fault = |words: String| {
        vec![ConfigError {
            file: file.clone(),
            at: None,
            words,
        }]
    };
    if path.is_dir() {
        return Err(fault("is a folder; name the file in it".to_owned()));
    }
    let bytes = std::fs::read(path).map_err(|error| fault(explain(&error)))?;
    if bytes.len() > FILE_BYTES_MAX {
        return Err(fault(format!(
            "has {} bytes; a configuration has less than {FILE_BYTES_MAX}",
            bytes.len()
        )));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        fault(format!(
            "is not UTF-8 text (byte {}); save it as UTF-8",
            error.utf8_error().valid_up_to() + 1
        ))
    })?;
    config::read(&file, &text)
}

/// Fetches one secret.
///
/// # Errors
/// Why it cannot be had, in words that name the reference and never the content.
pub fn resolve(reference: &SecretRef) -> Result<Secret, String> {
    let text = match reference {
        SecretRef::Env(name) => std::env::var(name).map_err(|error| match error {
            std::env::VarError::NotPresent => format!("{reference}: the variable is not set"),
            std::env::VarError::NotUnicode(_) => format!("{reference}: the value is not UTF-8"),
        })?,
        SecretRef::File(path) => {
            let bytes =
                std::fs::read(path).map_err(|error| format!("{reference}: {}", explain(&error)))?;
            if bytes.len() > SECRET_BYTES_MAX {
                return Err(format!("{reference}: too long for a secret"));
            }
            String::from_utf8(bytes).map_err(|_| format!("{reference}: is not UTF-8 text"))?
        }
    };
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err(format!("{reference}: is empty"));
    }
    Ok(Secret::new(secret.to_owned()))
}

/// The usual reasons in words that say what to do.
fn explain(error: &std::io::Error) -> String {
    if error.kind() == std::io::ErrorKind::NotFound {
        "no such file".to_owned()
    } else if error.kind() == std::io::ErrorKind::PermissionDenied {
        "may not be read by this user; check its owner and mode".to_owned()
    } else {
        error.to_string()
    }
}
