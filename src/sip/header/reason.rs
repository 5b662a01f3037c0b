//! Reason (RFC 3326): why a request or response was sent, most often the Q.850 cause of the ISDN side.

use std::fmt;

use super::{HeaderError, Params, elements, trim};

/// One element of a Reason field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// `Q.850`, `SIP`, or another, as written.
    pub protocol: Box<str>,
    pub params: Params,
}

impl Reason {
    /// Every element of one line.
    ///
    /// # Errors
    /// When an element does not start with a protocol.
    pub fn list(text: &str) -> Result<Vec<Self>, HeaderError> {
        elements(text).map(Self::read).collect()
    }

    fn read(text: &str) -> Result<Self, HeaderError> {
        let end = text.find(';').unwrap_or(text.len());
        let protocol = trim(&text[..end]);
        if !crate::sip::wire::is_token(protocol.as_bytes()) {
            return Err(HeaderError::Token);
        }
        Ok(Self {
            protocol: protocol.into(),
            params: Params::read(&text[end..])?,
        })
    }

    /// The ISDN cause (1 to 127) if the protocol is Q.850.
    #[must_use]
    pub fn q850(&self) -> Option<u8> {
        if !self.protocol.eq_ignore_ascii_case("Q.850") {
            return None;
        }
        let cause = self.params.value("cause")?.parse().ok()?;
        (1..=127).contains(&cause).then_some(cause)
    }

    /// The SIP status if the protocol is SIP (a call completed elsewhere comes with 200).
    #[must_use]
    pub fn sip_status(&self) -> Option<u16> {
        if !self.protocol.eq_ignore_ascii_case("SIP") {
            return None;
        }
        self.params.value("cause")?.parse().ok()
    }

    #[must_use]
    pub fn text(&self) -> Option<String> {
        self.params.value("text").map(Into::into)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.protocol, self.params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_read_by_their_protocol() {
        let line = "Q.850;cause=31;text=\"Normal, unspecified\", SIP;cause=600, q.850;cause=200";
        let reasons = Reason::list(line).unwrap();
        assert_eq!(reasons[0].q850(), Some(31));
        assert_eq!(reasons[0].text().as_deref(), Some("Normal, unspecified"));
        assert_eq!(
            (reasons[1].q850(), reasons[1].sip_status()),
            (None, Some(600))
        );
        assert_eq!(reasons[2].q850(), None, "Q.850 ends at 127");
    }
}
