//! Writes the head of our own requests line by line, by copying bytes: the hot half of sending.
//!
//! Nothing here checks for control bytes: the parts are our own tokens, URIs that were parsed, numbers, and
//! values of received messages with their line ends taken out.

use std::net::{IpAddr, SocketAddr};

/// One request on its way into a buffer.
pub(in crate::sip) struct Lines<'b> {
    out: &'b mut Vec<u8>,
}

impl<'b> Lines<'b> {
    pub(in crate::sip) fn request(out: &'b mut Vec<u8>, method: &str, uri: &str) -> Self {
        out.clear();
        out.reserve(1024);
        for part in [method, " ", uri, " SIP/2.0\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
        Self { out }
    }

    /// `name: ` and the parts one after the other.
    pub(in crate::sip) fn line(&mut self, name: &str, parts: &[&[u8]]) -> &mut Self {
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b": ");
        for part in parts {
            self.out.extend_from_slice(part);
        }
        self.out.extend_from_slice(b"\r\n");
        self
    }

    /// Whole lines with their line ends.
    pub(in crate::sip) fn lines(&mut self, lines: &[u8]) -> &mut Self {
        self.out.extend_from_slice(lines);
        self
    }

    /// `name: number rest`.
    pub(in crate::sip) fn number(&mut self, name: &str, number: u32, rest: &str) -> &mut Self {
        let mut digits = [0_u8; 10];
        let digits = decimal(number, &mut digits);
        self.line(name, &[digits, rest.as_bytes()])
    }

    /// Content-Length, the empty line and the body.
    pub(in crate::sip) fn finish(&mut self, body: &[u8]) {
        self.number(
            "Content-Length",
            u32::try_from(body.len()).unwrap_or(u32::MAX),
            "\r\n",
        );
        self.out.extend_from_slice(body);
    }
}

/// Decimal digits without going through a formatter.
pub(in crate::sip) fn decimal(mut number: u32, digits: &mut [u8; 10]) -> &[u8] {
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
        if number == 0 {
            return &digits[at..];
        }
    }
}

/// An address as a `hostport` (RFC 3261 §25.1): IPv6 in brackets, without scope.
pub(in crate::sip) fn host_port(address: SocketAddr) -> String {
    match address.ip() {
        IpAddr::V4(ip) => format!("{ip}:{}", address.port()),
        IpAddr::V6(ip) => format!("[{ip}]:{}", address.port()),
    }
}
