//! Secrets, and the references by which everything else speaks of them.
//!
//! The configuration, the plant and the facts only ever hold a [`SecretRef`]; the shell turns it into a
//! [`Secret`] where a digest is computed. Neither prints the secret, whatever asks.

use std::fmt;
use std::path::PathBuf;

/// Where a secret is kept. Safe to print: it names the place, not the content.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SecretRef {
    /// An environment variable of the service.
    Env(String),
    /// A file of its own, holding the secret and perhaps one line end.
    File(PathBuf),
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

/// Why a text is not a reference. Never repeats the text: it may be the secret itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAReference {
    #[error("a secret may not stand here; write \"env:NAME\" or \"file:/path\"")]
    Literal,
    #[error(
        "\"env:\" needs the name of a variable: letters, digits and _, not starting with a digit"
    )]
    VariableName,
    #[error(
        "\"file:\" needs an absolute path, such as \"file:/run/credentials/vigie.service/xivo1\""
    )]
    RelativePath,
}

impl std::str::FromStr for SecretRef {
    type Err = NotAReference;

    fn from_str(text: &str) -> Result<Self, NotAReference> {
        if let Some(name) = text.strip_prefix("env:") {
            let mut bytes = name.bytes();
            let starts_well = bytes
                .next()
                .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
            return if starts_well && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                Ok(Self::Env(name.to_owned()))
            } else {
                Err(NotAReference::VariableName)
            };
        }
        if let Some(path) = text.strip_prefix("file:") {
            let path = PathBuf::from(path);
            return if path.is_absolute() && !path.to_string_lossy().contains('\0') {
                Ok(Self::File(path))
            } else {
                Err(NotAReference::RelativePath)
            };
        }
        Err(NotAReference::Literal)
    }
}

/// A secret in memory. There is no `Display` and no `Serialize`; `Debug` shows that there is one.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    #[must_use]
    pub const fn new(secret: String) -> Self {
        Self(secret)
    }

    /// The secret itself, for the one line that computes with it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_prints_as_it_was_written() {
        for text in [
            "env:XIVO1_SECRET",
            "env:_a1",
            "file:/etc/vigie/secrets/xivo1",
        ] {
            let parsed: SecretRef = text.parse().unwrap();
            assert_eq!(parsed.to_string(), text);
        }
    }

    #[test]
    fn anything_else_is_refused_without_being_repeated() {
        for (text, why) in [
            ("hunter2", NotAReference::Literal),
            ("", NotAReference::Literal),
            ("ENV:HUNTER2", NotAReference::Literal),
            ("env:", NotAReference::VariableName),
            ("env:1HUNTER", NotAReference::VariableName),
            ("env:HUN TER", NotAReference::VariableName),
            ("env:HUNTÉR", NotAReference::VariableName),
            ("file:hunter2", NotAReference::RelativePath),
            ("file:", NotAReference::RelativePath),
        ] {
            let refused = text.parse::<SecretRef>().unwrap_err();
            assert_eq!(refused, why, "{text}");
            assert!(
                !refused.to_string().to_lowercase().contains("hunt"),
                "{text}"
            );
        }
    }

    #[test]
    fn debug_hides_the_secret() {
        assert_eq!(
            format!("{:?}", Secret::new("hunter2".into())),
            "Secret(hidden)"
        );
    }
}
