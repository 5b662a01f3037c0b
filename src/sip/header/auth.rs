//! WWW-Authenticate, Proxy-Authenticate and their answers (RFC 3261 §22, RFC 7616 §3.3 and §3.4, RFC 8760).
//!
//! Reads and prints; what is hashed is in `sip::digest`.

use std::borrow::Cow;
use std::fmt;

use super::{HeaderError, elements, quoted, trim, unquoted};

/// How the digest is made. Ordered by strength.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    Md5,
    Md5Sess,
    Sha256,
    Sha256Sess,
    Sha512Slash256,
    Sha512Slash256Sess,
}

impl Algorithm {
    const ALL: [Self; 6] = [
        Self::Md5,
        Self::Md5Sess,
        Self::Sha256,
        Self::Sha256Sess,
        Self::Sha512Slash256,
        Self::Sha512Slash256Sess,
    ];

    /// Names compare without regard to case.
    #[must_use]
    pub fn read(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| name.eq_ignore_ascii_case(algorithm.as_str()))
    }

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Md5Sess => "MD5-sess",
            Self::Sha256 => "SHA-256",
            Self::Sha256Sess => "SHA-256-sess",
            Self::Sha512Slash256 => "SHA-512-256",
            Self::Sha512Slash256Sess => "SHA-512-256-sess",
        }
    }

    /// Whether the secret is hashed with the first nonce and cnonce once more (RFC 7616 §3.4.2).
    #[must_use]
    pub const fn is_session(self) -> bool {
        match self {
            Self::Md5Sess | Self::Sha256Sess | Self::Sha512Slash256Sess => true,
            Self::Md5 | Self::Sha256 | Self::Sha512Slash256 => false,
        }
    }
}

/// What the digest protects besides the nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qop {
    Auth,
    /// The body too.
    AuthInt,
}

impl Qop {
    #[must_use]
    pub fn read(name: &str) -> Option<Self> {
        [Self::Auth, Self::AuthInt]
            .into_iter()
            .find(|qop| name.eq_ignore_ascii_case(qop.as_str()))
    }

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::AuthInt => "auth-int",
        }
    }
}

/// One Digest challenge that we can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    pub realm: Box<str>,
    pub nonce: Box<str>,
    pub opaque: Option<Box<str>>,
    /// MD5 if not given (RFC 7616 §3.3); it is then not named in the answer either.
    pub algorithm: Option<Algorithm>,
    /// What is offered. Empty: the form of RFC 2069, still spoken by `chan_sip`.
    pub qop: Vec<Qop>,
    /// The secret was right, only the nonce is too old.
    pub stale: bool,
}

impl Challenge {
    /// The Digest challenges of one line that we can answer. Other schemes, unknown algorithms and unknown
    /// qualities of protection are left out.
    ///
    /// # Errors
    /// When a Digest challenge lacks its realm or nonce, or quotes do not close.
    pub fn list(text: &str) -> Result<Vec<Self>, HeaderError> {
        let mut challenges = Vec::new();
        for (scheme, fields) in schemes(text)? {
            if scheme.eq_ignore_ascii_case("Digest") {
                challenges.extend(Self::of(&fields)?);
            }
        }
        Ok(challenges)
    }

    /// The strongest of several; of two alike the first, which the server prefers (RFC 8760 §2.4).
    #[must_use]
    pub fn strongest(challenges: impl IntoIterator<Item = Self>) -> Option<Self> {
        challenges.into_iter().reduce(|best, next| {
            if next.algorithm_or_default() > best.algorithm_or_default() {
                next
            } else {
                best
            }
        })
    }

    #[must_use]
    pub fn algorithm_or_default(&self) -> Algorithm {
        self.algorithm.unwrap_or(Algorithm::Md5)
    }

    /// What we choose of the offer: `auth`, unless only `auth-int` is there.
    #[must_use]
    pub fn chosen_qop(&self) -> Option<Qop> {
        if self.qop.contains(&Qop::Auth) {
            Some(Qop::Auth)
        } else {
            self.qop.first().copied()
        }
    }

    fn of(fields: &Fields<'_>) -> Result<Option<Self>, HeaderError> {
        let required = |name| fields.value(name).ok_or(HeaderError::Missing(name));
        let realm = required("realm")?;
        let nonce = required("nonce")?;
        let algorithm = match fields.value("algorithm") {
            None => None,
            Some(name) => match Algorithm::read(&name) {
                Some(known) => Some(known),
                None => return Ok(None),
            },
        };
        let offered = fields.value("qop");
        let qop: Vec<Qop> = offered
            .as_deref()
            .map(|list| list.split(',').map(trim).filter_map(Qop::read).collect())
            .unwrap_or_default();
        if qop.is_empty() && offered.is_some_and(|list| !trim(&list).is_empty()) {
            return Ok(None);
        }
        Ok(Some(Self {
            realm: realm.into(),
            nonce: nonce.into(),
            opaque: fields.value("opaque").map(Into::into),
            algorithm,
            qop,
            stale: fields
                .value("stale")
                .is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
        }))
    }
}

impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (realm, nonce) = (quoted(&self.realm), quoted(&self.nonce));
        write!(f, "Digest realm={realm}, nonce={nonce}")?;
        if let Some(opaque) = &self.opaque {
            write!(f, ", opaque={}", quoted(opaque))?;
        }
        if self.stale {
            f.write_str(", stale=true")?;
        }
        if let Some(algorithm) = self.algorithm {
            write!(f, ", algorithm={}", algorithm.as_str())?;
        }
        if !self.qop.is_empty() {
            let names: Vec<&str> = self.qop.iter().map(|qop| qop.as_str()).collect();
            write!(f, ", qop=\"{}\"", names.join(","))?;
        }
        Ok(())
    }
}

/// The answer to a challenge: the value of Authorization or Proxy-Authorization.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub username: Box<str>,
    pub realm: Box<str>,
    pub nonce: Box<str>,
    /// As it stands in the request line, or did when the request left.
    pub uri: Box<str>,
    /// Lower-case hex.
    pub response: Box<str>,
    pub algorithm: Option<Algorithm>,
    pub cnonce: Option<Box<str>>,
    pub opaque: Option<Box<str>>,
    /// With the count of requests under this nonce, from 1.
    pub qop: Option<(Qop, u32)>,
}

impl Credentials {
    /// Reads the value of Authorization or Proxy-Authorization; `None` for another scheme than Digest.
    ///
    /// # Errors
    /// When a required part is missing, or a name or number cannot be understood.
    pub fn read(text: &str) -> Result<Option<Self>, HeaderError> {
        let Some((_, fields)) = schemes(text)?
            .into_iter()
            .find(|(scheme, _)| scheme.eq_ignore_ascii_case("Digest"))
        else {
            return Ok(None);
        };
        let required = |name| fields.value(name).ok_or(HeaderError::Missing(name));
        let algorithm = match fields.value("algorithm") {
            None => None,
            Some(name) => Some(Algorithm::read(&name).ok_or(HeaderError::Token)?),
        };
        let qop = match fields.value("qop") {
            None => None,
            Some(name) => {
                let qop = Qop::read(&name).ok_or(HeaderError::Token)?;
                Some((qop, nonce_count(&required("nc")?)?))
            }
        };
        let response = required("response")?;
        if !response.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(HeaderError::Token);
        }
        Ok(Some(Self {
            username: required("username")?.into(),
            realm: required("realm")?.into(),
            nonce: required("nonce")?.into(),
            uri: required("uri")?.into(),
            response: response.into(),
            algorithm,
            cnonce: fields.value("cnonce").map(Into::into),
            opaque: fields.value("opaque").map(Into::into),
            qop,
        }))
    }
}

/// Eight hex digits (RFC 7616 §3.4).
fn nonce_count(text: &str) -> Result<u32, HeaderError> {
    if text.is_empty() || text.len() > 8 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(HeaderError::Number);
    }
    u32::from_str_radix(text, 16).map_err(|_| HeaderError::Number)
}

impl fmt::Display for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest username={}", quoted(&self.username))?;
        write!(f, ", realm={}", quoted(&self.realm))?;
        write!(f, ", nonce={}", quoted(&self.nonce))?;
        write!(f, ", uri={}", quoted(&self.uri))?;
        write!(f, ", response=\"{}\"", self.response)?;
        if let Some(algorithm) = self.algorithm {
            write!(f, ", algorithm={}", algorithm.as_str())?;
        }
        if let Some(cnonce) = &self.cnonce {
            write!(f, ", cnonce={}", quoted(cnonce))?;
        }
        if let Some(opaque) = &self.opaque {
            write!(f, ", opaque={}", quoted(opaque))?;
        }
        if let Some((qop, count)) = self.qop {
            // §3.4: both without quotes; some servers refuse them quoted.
            write!(f, ", qop={}, nc={count:08x}", qop.as_str())?;
        }
        Ok(())
    }
}

/// The response is a hash that a guess can be tried against, so it stays out of logs.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("username", &self.username)
            .field("realm", &self.realm)
            .field("uri", &self.uri)
            .field("algorithm", &self.algorithm)
            .field("qop", &self.qop)
            .finish_non_exhaustive()
    }
}

/// `name=value` pairs of one challenge.
struct Fields<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Fields<'a> {
    fn value(&self, name: &str) -> Option<Cow<'a, str>> {
        self.0
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| unquoted(value))
    }
}

/// The schemes of a line with their fields. Commas separate both fields and schemes: a new scheme is where
/// a token is followed by another one instead of an equals sign.
fn schemes(text: &str) -> Result<Vec<(&str, Fields<'_>)>, HeaderError> {
    let mut schemes: Vec<(&str, Fields<'_>)> = Vec::new();
    for element in elements(text) {
        let (scheme, field) = scheme_and_field(element);
        if let Some(scheme) = scheme {
            schemes.push((scheme, Fields(Vec::new())));
        }
        let (_, fields) = schemes.last_mut().ok_or(HeaderError::Token)?;
        if let Some((name, value)) = field.split_once('=') {
            let value = trim(value);
            if value.starts_with('"') && (value.len() < 2 || !value.ends_with('"')) {
                return Err(HeaderError::Unclosed);
            }
            fields.0.push((trim(name), value));
        }
    }
    if schemes.is_empty() {
        return Err(HeaderError::Empty);
    }
    Ok(schemes)
}

fn scheme_and_field(element: &str) -> (Option<&str>, &str) {
    let Some(end) = element.find([' ', '\t', '=', '"']) else {
        return (Some(element), "");
    };
    let rest = trim(&element[end..]);
    if rest.starts_with(['=', '"']) {
        (None, element)
    } else {
        (Some(&element[..end]), rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_that_we_can_answer_is_chosen() {
        let line = "Basic realm=\"a, b\", Digest realm=\"x\", nonce=\"1\", algorithm=MD5, \
                    Digest realm=\"x\", nonce=\"2\", algorithm=\"sha-256\", \
                    Digest realm=\"x\", nonce=\"3\", algorithm=SHA3-512, Negotiate, \
                    Digest realm=\"y\", nonce=\"4\", algorithm=SHA-256, \
                    Digest realm=\"x\", nonce=\"5\", algorithm=SHA-512-256, qop=\"auth-conf\"";
        let listed = Challenge::list(line).unwrap();
        let nonces: Vec<&str> = listed.iter().map(|challenge| &*challenge.nonce).collect();
        assert_eq!(
            nonces,
            ["1", "2", "4"],
            "an unknown algorithm or qop is left out"
        );
        let strongest = Challenge::strongest(listed).unwrap();
        assert_eq!(&*strongest.nonce, "2", "of two alike the first");
    }

    #[test]
    fn what_is_no_challenge_is_refused() {
        for (line, expected) in [
            ("", HeaderError::Empty),
            ("realm=\"x\"", HeaderError::Token),
            ("Digest nonce=\"1\"", HeaderError::Missing("realm")),
            ("Digest realm=\"x\"", HeaderError::Missing("nonce")),
            ("Digest realm=\"x\", nonce=\"1", HeaderError::Unclosed),
        ] {
            assert_eq!(Challenge::list(line), Err(expected), "{line}");
        }
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        const GOOD: &str = "Digest username=\"u\", realm=\"r\", nonce=\"n\", uri=\"sip:a\", \
                            response=\"0f\", qop=auth, nc=0000000a, cnonce=\"c\"";
        let read = Credentials::read(GOOD).unwrap().unwrap();
        assert_eq!(read.qop, Some((Qop::Auth, 10)), "the count is hexadecimal");
        for (from, to, expected) in [
            ("nc=0000000a", "nc=1000000000", HeaderError::Number),
            ("nc=0000000a", "nc=+a", HeaderError::Number),
            (", nc=0000000a", "", HeaderError::Missing("nc")),
            ("qop=auth", "qop=other", HeaderError::Token),
            ("\"0f\"", "\"0x\"", HeaderError::Token),
            ("username=\"u\", ", "", HeaderError::Missing("username")),
        ] {
            let text = GOOD.replace(from, to);
            assert!(Credentials::read(&text) == Err(expected), "{text}");
        }
    }
}
