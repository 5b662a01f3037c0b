//! Fetches the configuration file and the secrets it refers to. What is right or wrong in it is decided
//! by `config`.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

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

/// The whole of a regular file; a pipe or a device would hold up the service or never end.
fn fetch(path: &Path, bytes_max: u64) -> Result<Vec<u8>, String> {
    let metadata = std::fs::metadata(path).map_err(|error| explain(&error))?;
    if metadata.is_dir() {
        return Err("is a folder; name the file in it".to_owned());
    }
    if !metadata.is_file() {
        return Err("is no regular file".to_owned());
    }
    let file = std::fs::File::open(path).map_err(|error| explain(&error))?;
    let mut bytes = Vec::new();
    // One more than allowed, whatever the size was a moment ago.
    file.take(bytes_max + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| explain(&error))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > bytes_max) {
        return Err(format!(
            "is longer than {bytes_max} bytes; is it the right file?"
        ));
    }
    Ok(bytes)
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
    for referred in &loaded.references {
        let (words, blind) = match look(&referred.reference) {
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
fn look(reference: &Reference) -> Result<Option<String>, String> {
    match reference {
        Reference::Secret(secret) => {
            resolve(secret)?;
            Ok(open_to_all(secret))
        }
        Reference::Readable(path) => match std::fs::File::open(path) {
            Ok(_) => Ok(None),
            Err(error) => Err(format!("{}: {}", path.display(), explain(&error))),
        },
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
