//! Contact (RFC 3261 §20.10): where somebody can be reached, with how much preference and for how long.

use std::fmt;
use std::time::Duration;

use super::{Address, HeaderError, elements};

/// One element of a Contact field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    pub address: Address,
}

/// All of a Contact line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contacts {
    /// `*`: every binding there is, to be removed (§10.2.2).
    Every,
    Listed(Vec<Contact>),
}

impl Contacts {
    /// Reads one line; an empty one is an empty list.
    ///
    /// # Errors
    /// When an element is no address.
    pub fn read(text: &str) -> Result<Self, HeaderError> {
        if super::trim(text) == "*" {
            return Ok(Self::Every);
        }
        elements(text)
            .map(|element| Address::read(element).map(|address| Contact { address }))
            .collect::<Result<_, _>>()
            .map(Self::Listed)
    }

    #[must_use]
    pub fn first(&self) -> Option<&Contact> {
        match self {
            Self::Every => None,
            Self::Listed(contacts) => contacts.first(),
        }
    }
}

impl Contact {
    /// How long the binding lives. A value that is no number counts as 3600 s (§10.2.1.1), one too large
    /// for 32 bits as their largest.
    #[must_use]
    pub fn expires(&self) -> Option<Duration> {
        let text = self.address.params.value("expires")?;
        let seconds = if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
            text.parse().unwrap_or(u32::MAX)
        } else {
            3600
        };
        Some(Duration::from_secs(u64::from(seconds)))
    }

    /// Preference in thousandths, 1000 if not given (§20.10).
    #[must_use]
    pub fn q_thousandths(&self) -> u16 {
        self.address
            .params
            .value("q")
            .and_then(|q| q.parse::<f32>().ok())
            .filter(|q| (0.0..=1.0).contains(q))
            .map_or(1000, thousandths)
    }

    /// The instance of RFC 5626 §4.1, with its angle brackets.
    #[must_use]
    pub fn instance(&self) -> Option<String> {
        self.address.params.value("+sip.instance").map(Into::into)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "q is between 0 and 1"
)]
fn thousandths(q: f32) -> u16 {
    (q * 1000.0).round() as u16
}

impl fmt::Display for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

impl fmt::Display for Contacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every => f.write_str("*"),
            Self::Listed(contacts) => {
                for (number, contact) in contacts.iter().enumerate() {
                    let comma = if number == 0 { "" } else { ", " };
                    write!(f, "{comma}{contact}")?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_values_have_one_meaning() {
        for (params, expires, q) in [
            ("", None, 1000),
            (";expires=300;q=0.05", Some(300), 50),
            (";expires=\"300\";q=1", Some(300), 1000),
            (";expires=soon;q=high", Some(3600), 1000),
            (";expires=99999999999;q=7", Some(u64::from(u32::MAX)), 1000),
            (";q=NaN;expires", Some(3600), 1000),
        ] {
            let Contacts::Listed(listed) = Contacts::read(&format!("<sip:a@h>{params}")).unwrap()
            else {
                panic!("one contact");
            };
            let seconds = listed[0].expires().map(|expires| expires.as_secs());
            assert_eq!(
                (seconds, listed[0].q_thousandths()),
                (expires, q),
                "{params}"
            );
        }
        assert_eq!(Contacts::read(" , "), Ok(Contacts::Listed(Vec::new())));
    }
}
