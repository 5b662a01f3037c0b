//! Session-Expires and Min-SE (RFC 4028 §4, §5): how long a dialog lives without a refresh, and who refreshes.

use std::fmt;
use std::time::Duration;

use super::{HeaderError, Params, number, trim};

/// The shortest session interval that may be asked for (RFC 4028 §5).
pub const MIN_SE: Duration = Duration::from_secs(90);

/// The side that sends the refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresher {
    Uac,
    Uas,
}

/// The session interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionExpires {
    pub interval: Duration,
    pub refresher: Option<Refresher>,
}

/// The shortest interval that is accepted; never below 90 s (§5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MinSe(pub Duration);

impl SessionExpires {
    /// `600;refresher=uas`.
    ///
    /// # Errors
    /// When the interval is no number of 32 bits. An unknown refresher is as none.
    pub fn read(text: &str) -> Result<Self, HeaderError> {
        let (seconds, params) = seconds_and_params(text)?;
        let refresher = params.value("refresher").and_then(|side| {
            [Refresher::Uac, Refresher::Uas]
                .into_iter()
                .find(|known| side.eq_ignore_ascii_case(known.as_str()))
        });
        Ok(Self {
            interval: Duration::from_secs(u64::from(seconds)),
            refresher,
        })
    }
}

impl MinSe {
    /// # Errors
    /// When it is no number of 32 bits.
    pub fn read(text: &str) -> Result<Self, HeaderError> {
        let (seconds, _) = seconds_and_params(text)?;
        Ok(Self(Duration::from_secs(u64::from(seconds))))
    }
}

fn seconds_and_params(text: &str) -> Result<(u32, Params), HeaderError> {
    let text = trim(text);
    let end = text.find(';').unwrap_or(text.len());
    Ok((number(trim(&text[..end]))?, Params::read(&text[end..])?))
}

impl Refresher {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Uac => "uac",
            Self::Uas => "uas",
        }
    }
}

impl fmt::Display for SessionExpires {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.interval.as_secs())?;
        match self.refresher {
            Some(side) => write!(f, ";refresher={}", side.as_str()),
            None => Ok(()),
        }
    }
}

impl fmt::Display for MinSe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.as_secs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interval_and_refresher_are_read() {
        for (text, seconds, refresher) in [
            ("600;refresher=uas", 600, Some(Refresher::Uas)),
            ("1800 ; Refresher = UAC", 1800, Some(Refresher::Uac)),
            ("90", 90, None),
            ("90;refresher=nobody;x", 90, None),
        ] {
            let read = SessionExpires::read(text).unwrap();
            assert_eq!(
                (read.interval.as_secs(), read.refresher),
                (seconds, refresher),
                "{text}"
            );
        }
        for text in ["", "-1", "4294967296", "ten", "90;;"] {
            assert!(SessionExpires::read(text).is_err(), "{text}");
            assert!(MinSe::read(text).is_err(), "{text}");
        }
    }
}
