//! Fetches the configuration file and the secrets it refers to. What is right or wrong in it is decided
//! by `config`.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::file::{explain, fetch};
use super::prompts::Shelf;
use crate::config::{self, ConfigError, Loaded, Reference, Referred};
use crate::secret::{Secret, SecretRef};

/// Larger is no configuration: somebody named the wrong file.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Longer is no password: somebody named the wrong file.
const SECRET_BYTES_MAX: u64 = 4096;

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
    let bytes = fetch(path, FILE_BYTES_MAX).map_err(&fault)?;
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
                fetch(path, SECRET_BYTES_MAX).map_err(|words| format!("{reference}: {words}"))?;
            String::from_utf8(bytes).map_err(|_| format!("{reference}: is not UTF-8 text"))?
        }
    };
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err(format!("{reference}: is empty"));
    }
    Ok(Secret::new(secret.to_owned()))
}

/// Something outside the file that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub error: ConfigError,
    /// Something will stay blind; otherwise it is only unwise.
    pub blind: bool,
}

/// Looks whether all that the file refers to is there. What is missing makes its probes blind, and is no
/// reason to stop watching the rest.
#[must_use]
pub fn follow(path: &Path, loaded: &Loaded) -> Vec<Finding> {
    let mut findings = Vec::new();
    let shelf = Shelf::new(loaded.settings.prompt_directory());
    for referred in &loaded.references {
        let (words, blind) = match look(&referred.reference, &shelf) {
            Ok(None) => continue,
            Ok(Some(unwise)) => (unwise, false),
            Err(missing) => (concerning(referred, &missing), true),
        };
        findings.push(Finding {
            error: ConfigError {
                file: path.display().to_string(),
                at: Some(referred.at),
                words,
            },
            blind,
        });
    }
    findings
}

fn concerning(referred: &Referred, missing: &str) -> String {
    match &referred.probe {
        Some(probe) => format!("{missing} ({probe} will be blind)"),
        None => missing.to_owned(),
    }
}

/// `Ok` with what is unwise about it, `Err` with why it is of no use.
fn look(reference: &Reference, shelf: &Shelf) -> Result<Option<String>, String> {
    match reference {
        Reference::Secret(secret) => {
            resolve(secret)?;
            Ok(open_to_all(secret))
        }
        Reference::Readable(path) => match std::fs::File::open(path) {
            Ok(_) => Ok(None),
            Err(error) => Err(format!("{}: {}", path.display(), explain(&error))),
        },
        Reference::Prompt(name) => shelf.approved(name).map(|_| None),
        Reference::Program(path) => {
            let found = std::fs::metadata(path)
                .map_err(|error| format!("{}: {}", path.display(), explain(&error)))?;
            if found.is_file() && found.permissions().mode() & 0o111 != 0 {
                Ok(None)
            } else {
                Err(format!("{}: is no program (chmod +x?)", path.display()))
            }
        }
    }
}

/// A secret that others on this machine may read.
fn open_to_all(secret: &SecretRef) -> Option<String> {
    let SecretRef::File(path) = secret else {
        return None;
    };
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o777;
    (mode & 0o007 != 0).then(|| {
        format!("{secret}: everybody on this machine may read it (mode {mode:o}); chmod 0400")
    })
}
