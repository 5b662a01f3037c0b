//! CSeq (RFC 3261 §20.16): the number of a request in its dialog, and its method.

use std::fmt;

use super::{HeaderError, number, trim};
use crate::sip::wire::Method;

/// Number and method of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CSeq<'a> {
    /// Less than 2^31 (§8.1.1.5).
    pub number: u32,
    pub method: Method<'a>,
}

impl<'a> CSeq<'a> {
    /// `314159 INVITE`.
    ///
    /// # Errors
    /// When the number is missing or too large, or no method follows it.
    pub fn read(text: &'a str) -> Result<Self, HeaderError> {
        let text = trim(text);
        let (digits, method) = text
            .split_once([' ', '\t', '\r', '\n'])
            .ok_or(HeaderError::Token)?;
        let number = number::<u32>(digits)?;
        if number > 0x7fff_ffff {
            return Err(HeaderError::Number);
        }
        let method = Method::read(trim(method).as_bytes()).ok_or(HeaderError::Token)?;
        Ok(Self { number, method })
    }
}

impl fmt::Display for CSeq<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.method)
    }
}
