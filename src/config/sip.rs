//! `[sip]`: what all calls of a plant share, and the words that SIP probes share with it.

use super::reader::Section;
use crate::sip::Transport;

/// `[sip]`: what all calls of this plant share.
#[derive(Debug)]
pub(super) struct Sip {
    /// User part of From where no account says otherwise.
    pub(super) caller: String,
    pub(super) transport: Transport,
}

impl Default for Sip {
    fn default() -> Self {
        Self {
            caller: "vigie".to_owned(),
            transport: Transport::Udp,
        }
    }
}

pub(super) const TRANSPORTS: [(&str, Transport); 3] = [
    ("udp", Transport::Udp),
    ("tcp", Transport::Tcp),
    ("tls", Transport::Tls),
];

pub(super) fn read_sip(section: &Section<'_>) -> Sip {
    let usual = Sip::default();
    let caller = section.read("caller", user_part);
    let transport = section.choice("transport", &TRANSPORTS);
    section.finish();
    Sip {
        caller: caller.map_or(usual.caller, |at| at.value),
        transport: transport.unwrap_or(usual.transport),
    }
}

/// What may stand before the @ of a SIP URI without escapes (RFC 3261 §25.1).
pub(super) fn user_part(text: &str) -> Result<String, String> {
    let fine = |c: char| c.is_ascii_alphanumeric() || "-_.!~*'()&=+$,;?/#".contains(c);
    if !text.is_empty() && text.len() <= 64 && text.chars().all(fine) {
        Ok(text.to_owned())
    } else {
        Err("only digits, letters and - _ . + * # may stand here".to_owned())
    }
}
