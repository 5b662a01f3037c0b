//! RSeq and RAck (RFC 3262 §7): provisional responses that are acknowledged.

use std::fmt;

use super::{CSeq, HeaderError, number, trim};

/// The number of a reliable provisional response: 1 to 2^31 - 1 in the first one (§7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RSeq(pub u32);

/// What a PRACK acknowledges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RAck<'a> {
    pub rseq: RSeq,
    /// The request that the provisional response answered.
    pub cseq: CSeq<'a>,
}

impl RSeq {
    /// # Errors
    /// When it is no number of 32 bits.
    pub fn read(text: &str) -> Result<Self, HeaderError> {
        number(trim(text)).map(Self)
    }
}

impl<'a> RAck<'a> {
    /// `776656 1 INVITE`.
    ///
    /// # Errors
    /// When it is not two numbers and a method.
    pub fn read(text: &'a str) -> Result<Self, HeaderError> {
        let (rseq, cseq) = trim(text)
            .split_once([' ', '\t', '\r', '\n'])
            .ok_or(HeaderError::Token)?;
        Ok(Self {
            rseq: RSeq::read(rseq)?,
            cseq: CSeq::read(cseq)?,
        })
    }
}

impl fmt::Display for RSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for RAck<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.rseq, self.cseq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_numbers_are_read() {
        let rack = RAck::read("776656  1 INVITE").unwrap();
        assert_eq!((rack.rseq, rack.cseq.number), (RSeq(776_656), 1));
        for text in [
            "",
            "1",
            "1 2",
            "1 INVITE",
            "x 1 INVITE",
            "4294967296 1 INVITE",
        ] {
            assert!(RAck::read(text).is_err(), "{text}");
        }
    }
}
