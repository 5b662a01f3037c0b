//! URIs as SIP uses them: `sip:`, `sips:` (RFC 3261 §19.1), `tel:` (RFC 3966), and any other, kept as text.
//!
//! A URI prints exactly as it came. rsip's own reader is not used: it takes `jean.dupont@h` for a host.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

use super::{HeaderError, separated};
use crate::sip::Transport;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    Sip,
    Sips,
    Tel,
    /// We can print it and nothing more; a server answers 416.
    Other,
}

/// A URI and where its parts are. Two are equal when they are written alike; see [`Uri::is_equivalent`].
#[derive(Clone)]
pub struct Uri {
    text: Arc<str>,
    scheme: Scheme,
    /// User part of `sip:`, number of `tel:`.
    user: Option<Range<usize>>,
    password: Option<Range<usize>>,
    /// With the brackets of an IPv6 address; empty for `tel:` and others.
    host: Range<usize>,
    port: Option<u16>,
    /// From the first semicolon on.
    params: Range<usize>,
    /// Behind the question mark.
    headers: Range<usize>,
}

impl Uri {
    /// Reads one URI and nothing around it.
    ///
    /// # Errors
    /// When there is no scheme, no host, a bad port, or a byte that no URI may hold.
    pub fn read(text: &str) -> Result<Self, HeaderError> {
        if text
            .bytes()
            .any(|byte| matches!(byte, 0..=b' ' | b'<' | b'>' | b'"' | 0x7f))
        {
            return Err(HeaderError::Uri);
        }
        let (scheme_name, rest) = text.split_once(':').ok_or(HeaderError::Uri)?;
        let scheme = scheme_of(scheme_name)?;
        if rest.is_empty() {
            return Err(HeaderError::Uri);
        }
        let start = scheme_name.len() + 1;
        match scheme {
            Scheme::Sip | Scheme::Sips => Self::read_sip(text, scheme, start),
            Scheme::Tel => Self::read_tel(text, start),
            Scheme::Other => Ok(Self::bare(text, Scheme::Other)),
        }
    }

    fn bare(text: &str, scheme: Scheme) -> Self {
        let end = text.len()..text.len();
        Self {
            text: text.into(),
            scheme,
            user: None,
            password: None,
            host: end.clone(),
            port: None,
            params: end.clone(),
            headers: end,
        }
    }

    fn read_sip(text: &str, scheme: Scheme, start: usize) -> Result<Self, HeaderError> {
        let mut uri = Self::bare(text, scheme);
        // §25.1: `;`, `?` and `,` may stand in the user part, `@` may not; so the first `@` ends it. But a
        // `@` in URI headers, unescaped against the rules, is only there if host and `?` came before.
        let host_start = match text[start..].find('@') {
            Some(at) => {
                let userinfo = start..start + at;
                let colon = text[userinfo.clone()].find(':');
                let user_end = colon.map_or(userinfo.end, |colon| start + colon);
                if user_end == start {
                    return Err(HeaderError::Uri);
                }
                uri.user = Some(start..user_end);
                uri.password = colon.map(|_| user_end + 1..userinfo.end);
                userinfo.end + 1
            }
            None => start,
        };
        let tail = &text[host_start..];
        let host_end = host_start + host_length(tail)?;
        uri.host = host_start..host_end;
        let mut at = host_end;
        if let Some(port) = text[at..].strip_prefix(':') {
            let digits = port.bytes().take_while(u8::is_ascii_digit).count();
            uri.port = Some(super::number(&port[..digits]).map_err(|_| HeaderError::Port)?);
            at += 1 + digits;
        }
        let headers_at = text[at..].find('?').map(|question| at + question);
        let params_end = headers_at.unwrap_or(text.len());
        if at < params_end && !text[at..].starts_with(';') {
            return Err(HeaderError::Host);
        }
        uri.params = at..params_end;
        if let Some(headers_at) = headers_at {
            uri.headers = headers_at + 1..text.len();
        }
        Ok(uri)
    }

    fn read_tel(text: &str, start: usize) -> Result<Self, HeaderError> {
        let end = text[start..].find(';').map_or(text.len(), |at| start + at);
        let number = &text[start..end];
        // RFC 3966 §3: digits, visual separators, `*`, `#`, hex letters of local numbers.
        let allowed = |byte: u8| byte.is_ascii_hexdigit() || b"+-.()*#".contains(&byte);
        if number.is_empty() || !number.bytes().all(allowed) {
            return Err(HeaderError::Uri);
        }
        let mut uri = Self::bare(text, Scheme::Tel);
        uri.user = Some(start..end);
        uri.params = end..text.len();
        Ok(uri)
    }

    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The user part as it is written, escapes and parameters such as `;npdi` included; the number of `tel:`.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.clone().map(|user| &self.text[user])
    }

    /// The user part with its escapes resolved (§19.1.2).
    #[must_use]
    pub fn user_unescaped(&self) -> Option<Cow<'_, str>> {
        self.user().map(unescaped)
    }

    /// The user part without its telephone parameters (`+3315566;npdi` → `+3315566`).
    #[must_use]
    pub fn number(&self) -> Option<&str> {
        self.user()
            .map(|user| user.split(';').next().unwrap_or(user))
    }

    #[must_use]
    pub fn password(&self) -> Option<&str> {
        self.password.clone().map(|password| &self.text[password])
    }

    /// Name or address as written, IPv6 with its brackets; `None` for `tel:` and unknown schemes.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        Some(&self.text[self.host.clone()]).filter(|host| !host.is_empty())
    }

    /// The host if it is an address and needs no DNS.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        host_address(self.host()?)
    }

    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// The value of a URI parameter; empty for one without value (`lr`).
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params()
            .find(|(known, _)| unescaped(known).eq_ignore_ascii_case(name))
            .map(|(_, value)| value.unwrap_or_default())
    }

    /// Parameters in their order.
    pub fn params(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        separated(&self.text[self.params.clone()], b';')
            .filter(|param| !param.is_empty())
            .map(|param| {
                param
                    .split_once('=')
                    .map_or((param, None), |(name, value)| (name, Some(value)))
            })
    }

    /// What stands behind `?`: header fields for the request that this URI forms (§19.1.1).
    #[must_use]
    pub fn headers(&self) -> Option<&str> {
        Some(&self.text[self.headers.clone()]).filter(|headers| !headers.is_empty())
    }

    /// Whether the router of this URI follows §16.12 (`;lr`, also `;lr=on` as some write it).
    #[must_use]
    pub fn is_loose_router(&self) -> bool {
        self.param("lr").is_some()
    }

    /// The transport the URI asks for: its parameter, or TLS for `sips:` (§26.2.2).
    #[must_use]
    pub fn transport(&self) -> Option<Transport> {
        if self.scheme == Scheme::Sips {
            return Some(Transport::Tls);
        }
        let asked = self.param("transport")?;
        [Transport::Udp, Transport::Tcp, Transport::Tls]
            .into_iter()
            .find(|transport| asked.eq_ignore_ascii_case(transport.via_token()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// As a Request-URI: without the header fields (§19.1.1 forbids them there).
    #[must_use]
    pub fn as_request_uri(&self) -> &str {
        if self.headers.is_empty() {
            &self.text
        } else {
            &self.text[..self.headers.start - 1]
        }
    }

    /// Whether both name the same resource (§19.1.4).
    #[must_use]
    pub fn is_equivalent(&self, other: &Self) -> bool {
        if self == other {
            return true;
        }
        if self.scheme != other.scheme {
            return false;
        }
        match self.scheme {
            Scheme::Other => self.text == other.text,
            Scheme::Tel => {
                bare_number(self.user()) == bare_number(other.user()) && same_params(self, other)
            }
            Scheme::Sip | Scheme::Sips => {
                self.user_unescaped() == other.user_unescaped()
                    && self.password().map(unescaped) == other.password().map(unescaped)
                    && same_host(self, other)
                    && self.port == other.port
                    && same_params(self, other)
                    && self.headers() == other.headers()
            }
        }
    }
}

fn scheme_of(name: &str) -> Result<Scheme, HeaderError> {
    let valid = name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    if !valid {
        return Err(HeaderError::Uri);
    }
    Ok(if name.eq_ignore_ascii_case("sip") {
        Scheme::Sip
    } else if name.eq_ignore_ascii_case("sips") {
        Scheme::Sips
    } else if name.eq_ignore_ascii_case("tel") {
        Scheme::Tel
    } else {
        Scheme::Other
    })
}

/// How far the host at the start of `text` goes: a name, an IPv4 address, or an IPv6 address in brackets.
pub(crate) fn host_length(text: &str) -> Result<usize, HeaderError> {
    if text.starts_with('[') {
        let end = text.find(']').ok_or(HeaderError::Host)?;
        Ipv6Addr::from_str(&text[1..end]).map_err(|_| HeaderError::Host)?;
        return Ok(end + 1);
    }
    // Underscores are no host name characters, but Windows machines have them.
    let length = text
        .bytes()
        .take_while(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(byte))
        .count();
    if length == 0 {
        return Err(HeaderError::Host);
    }
    Ok(length)
}

/// A host that is an address.
pub(crate) fn host_address(host: &str) -> Option<IpAddr> {
    if let Some(inside) = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
    {
        return Ipv6Addr::from_str(inside).ok().map(IpAddr::V6);
    }
    Ipv4Addr::from_str(host).ok().map(IpAddr::V4)
}

/// `%41` becomes `A`; what is no escape stays; bytes that are not UTF-8 are taken as Latin-1.
pub(crate) fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return text.into();
    }
    let bytes = text.as_bytes();
    let digit = |at: usize| {
        bytes
            .get(at)
            .and_then(|byte| char::from(*byte).to_digit(16))
    };
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                plain.push(u8::try_from(high * 16 + low).unwrap_or_default());
                at += 3;
            }
            (byte, _, _) => {
                plain.push(byte);
                at += 1;
            }
        }
    }
    Cow::Owned(crate::sip::wire::index::text_of(&plain).into_owned())
}

/// RFC 3966 §4: visual separators do not count.
fn bare_number(number: Option<&str>) -> String {
    number
        .unwrap_or_default()
        .chars()
        .filter(|digit| !matches!(digit, '-' | '.' | '(' | ')'))
        .map(|digit| digit.to_ascii_lowercase())
        .collect()
}

fn same_host(one: &Uri, other: &Uri) -> bool {
    match (one.address(), other.address()) {
        (Some(one), Some(other)) => one == other,
        (None, None) => match (one.host(), other.host()) {
            (Some(one), Some(other)) => one.eq_ignore_ascii_case(other),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        },
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// §19.1.4: parameters in both must match; these must match even if only one has them.
fn same_params(one: &Uri, other: &Uri) -> bool {
    const NEVER_IGNORED: [&str; 5] = ["user", "ttl", "method", "maddr", "transport"];
    let agrees = |from: &Uri, with: &Uri| {
        from.params()
            .all(|(name, value)| match with.param(&unescaped(name)) {
                Some(there) => {
                    unescaped(there).eq_ignore_ascii_case(&unescaped(value.unwrap_or_default()))
                }
                None => !NEVER_IGNORED
                    .iter()
                    .any(|kept| name.eq_ignore_ascii_case(kept)),
            })
    };
    agrees(one, other) && agrees(other, one)
}

impl FromStr for Uri {
    type Err = HeaderError;
    fn from_str(text: &str) -> Result<Self, HeaderError> {
        Self::read(text)
    }
}

impl PartialEq for Uri {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Uri {}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found() {
        let uri = Uri::read("sip:eve.martin;x=1:pw@[2001:db8::1]:5070;lr;transport=tcp?Subject=a")
            .unwrap();
        assert_eq!(uri.user(), Some("eve.martin;x=1"));
        assert_eq!(uri.password(), Some("pw"));
        assert_eq!(uri.host(), Some("[2001:db8::1]"));
        assert_eq!(uri.port(), Some(5070));
        assert!(uri.is_loose_router());
        assert_eq!(uri.transport(), Some(Transport::Tcp));
        assert_eq!(uri.headers(), Some("Subject=a"));
    }

    #[test]
    fn what_is_no_uri_is_refused() {
        for (text, expected) in [
            ("", HeaderError::Uri),
            ("sip:", HeaderError::Uri),
            ("a@b", HeaderError::Uri),
            ("sip:@h", HeaderError::Uri),
            ("sip:a b@h", HeaderError::Uri),
            ("sip:a@h\r\nEvil: 1", HeaderError::Uri),
            ("<sip:a@h>", HeaderError::Uri),
            ("tel:", HeaderError::Uri),
            ("tel:allo", HeaderError::Uri),
            ("sip:a@", HeaderError::Host),
            ("sip:a@h]", HeaderError::Host),
            ("sip:a@[::1", HeaderError::Host),
            ("sip:a@[::x]", HeaderError::Host),
            ("sip:a@h:", HeaderError::Port),
            ("sip:a@h:65536", HeaderError::Port),
        ] {
            assert_eq!(Uri::read(text), Err(expected), "{text:?}");
        }
    }

    /// The rules of §19.1.4 and of RFC 3966 §4.
    #[test]
    fn spelling_and_meaning_differ() {
        for (one, other, alike) in [
            (
                "sip:%61lice@h;transport=TCP",
                "sip:alice@H;Transport=tcp",
                true,
            ),
            ("sip:a@h;new=1", "sip:a@h", true),
            ("sip:a@[2001:db8::1]", "sip:a@[2001:DB8:0::1]", true),
            ("sip:ALICE@h", "sip:alice@h", false),
            ("sip:a@h", "sip:a@h:5060", false),
            ("sip:a@h", "sip:a@h;transport=udp", false),
            ("sip:a@h;new=1", "sip:a@h;new=2", false),
            ("sip:a@h?Subject=1", "sip:a@h", false),
            ("sip:a@h", "sips:a@h", false),
            ("tel:+33-1.99(00)", "tel:+3319900", true),
            ("tel:+33199", "tel:+33198", false),
        ] {
            let (first, second) = (Uri::read(one).unwrap(), Uri::read(other).unwrap());
            assert_eq!(first.is_equivalent(&second), alike, "{one} and {other}");
            assert_eq!(second.is_equivalent(&first), alike, "{other} and {one}");
        }
    }
}
