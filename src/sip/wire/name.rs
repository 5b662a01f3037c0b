//! The header fields this stack has an interest in, their long and compact names (RFC 3261 §7.3.3).

use std::fmt;

macro_rules! header_names {
    ($($name:ident $long:literal $($compact:literal)?;)*) => {
        /// A header field name, whatever case or compact form it came in.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum HeaderName {
            $($name,)*
            /// Any other; its own bytes are with the [`Header`](super::Header).
            Other,
        }

        impl HeaderName {
            /// The long form, as we write it; empty for [`HeaderName::Other`].
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $long,)*
                    Self::Other => "",
                }
            }

            /// Every known name, in alphabetical order.
            pub const KNOWN: &'static [Self] = &[$(Self::$name,)*];

            /// Their long forms, at the same places.
            const LONG: &'static [&'static str] = &[$($long,)*];

            const fn compact(self) -> Option<u8> {
                match self {
                    $($(Self::$name => Some($compact),)?)*
                    _ => None,
                }
            }
        }
    };
}

header_names! {
    Accept "Accept";
    AcceptEncoding "Accept-Encoding";
    AcceptLanguage "Accept-Language";
    AlertInfo "Alert-Info";
    Allow "Allow";
    AllowEvents "Allow-Events" b'u';
    AuthenticationInfo "Authentication-Info";
    Authorization "Authorization";
    CallId "Call-ID" b'i';
    CallInfo "Call-Info";
    Contact "Contact" b'm';
    ContentDisposition "Content-Disposition";
    ContentEncoding "Content-Encoding" b'e';
    ContentLength "Content-Length" b'l';
    ContentType "Content-Type" b'c';
    CSeq "CSeq";
    Date "Date";
    Diversion "Diversion";
    ErrorInfo "Error-Info";
    Event "Event" b'o';
    Expires "Expires";
    From "From" b'f';
    HistoryInfo "History-Info";
    MaxForwards "Max-Forwards";
    MimeVersion "MIME-Version";
    MinExpires "Min-Expires";
    MinSe "Min-SE";
    Organization "Organization";
    PAssertedIdentity "P-Asserted-Identity";
    PPreferredIdentity "P-Preferred-Identity";
    Path "Path";
    Privacy "Privacy";
    ProxyAuthenticate "Proxy-Authenticate";
    ProxyAuthorization "Proxy-Authorization";
    ProxyRequire "Proxy-Require";
    RAck "RAck";
    Reason "Reason";
    RecordRoute "Record-Route";
    ReferTo "Refer-To" b'r';
    ReferredBy "Referred-By" b'b';
    RemotePartyId "Remote-Party-ID";
    Replaces "Replaces";
    Require "Require";
    RetryAfter "Retry-After";
    Route "Route";
    RSeq "RSeq";
    Server "Server";
    ServiceRoute "Service-Route";
    SessionExpires "Session-Expires" b'x';
    Subject "Subject" b's';
    SubscriptionState "Subscription-State";
    Supported "Supported" b'k';
    Timestamp "Timestamp";
    To "To" b't';
    Unsupported "Unsupported";
    UserAgent "User-Agent";
    Via "Via" b'v';
    Warning "Warning";
    WwwAuthenticate "WWW-Authenticate";
}

/// Known names by length and first letter, so that a lookup compares one or two strings.
static BY_SHAPE: [[u8; SAME_SHAPE_MAX]; LENGTHS * LETTERS] = shapes();
static COMPACT: [u8; LETTERS] = compacts();
/// Names of 1 to 20 letters; the longest known one is `P-Preferred-Identity`.
const LENGTHS: usize = 21;
const LETTERS: usize = 26;
const SAME_SHAPE_MAX: usize = 3;
const NONE: u8 = u8::MAX;

impl HeaderName {
    /// The field that `bytes` name, in long or compact form, in any case.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Self {
        let [first, ..] = bytes else {
            return Self::Other;
        };
        let letter = usize::from(first.to_ascii_lowercase().wrapping_sub(b'a'));
        if letter >= LETTERS || bytes.len() >= LENGTHS {
            return Self::Other;
        }
        if bytes.len() == 1 {
            return Self::KNOWN
                .get(usize::from(COMPACT[letter]))
                .map_or(Self::Other, |name| *name);
        }
        for number in &BY_SHAPE[bytes.len() * LETTERS + letter] {
            let number = usize::from(*number);
            let Some(long) = Self::LONG.get(number) else {
                break;
            };
            // Nearly everybody writes the customary case; comparing for it first is cheaper.
            if bytes == long.as_bytes() || bytes.eq_ignore_ascii_case(long.as_bytes()) {
                return Self::KNOWN[number];
            }
        }
        Self::Other
    }
}

const fn shapes() -> [[u8; SAME_SHAPE_MAX]; LENGTHS * LETTERS] {
    let mut table = [[NONE; SAME_SHAPE_MAX]; LENGTHS * LETTERS];
    let mut number = 0;
    while number < HeaderName::KNOWN.len() {
        let long = HeaderName::KNOWN[number].as_str().as_bytes();
        let row = long.len() * LETTERS + (long[0].to_ascii_lowercase() - b'a') as usize;
        let mut place = 0;
        // A fourth name of one shape stops the build here: raise SAME_SHAPE_MAX then.
        while table[row][place] != NONE {
            place += 1;
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "fewer than 255 names are known"
        )]
        {
            table[row][place] = number as u8;
        }
        number += 1;
    }
    table
}

const fn compacts() -> [u8; LETTERS] {
    let mut table = [NONE; LETTERS];
    let mut number = 0;
    while number < HeaderName::KNOWN.len() {
        if let Some(letter) = HeaderName::KNOWN[number].compact() {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "fewer than 255 names are known"
            )]
            {
                table[(letter - b'a') as usize] = number as u8;
            }
        }
        number += 1;
    }
    table
}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_in_any_case_and_in_compact_form() {
        for name in HeaderName::KNOWN.iter().copied() {
            let long = name.as_str();
            for spelling in [long.to_owned(), long.to_uppercase(), long.to_lowercase()] {
                assert_eq!(HeaderName::read(spelling.as_bytes()), name, "{spelling}");
            }
            if let Some(letter) = name.compact() {
                assert_eq!(HeaderName::read(&[letter]), name);
                assert_eq!(HeaderName::read(&[letter.to_ascii_uppercase()]), name);
            }
        }
    }

    #[test]
    fn anything_else_is_other() {
        for odd in [
            "",
            "X-Foo",
            "z",
            "1",
            "Vi",
            "C%6Fntact",
            "Fromm",
            "an-uncommonly-long-name",
        ] {
            assert_eq!(HeaderName::read(odd.as_bytes()), HeaderName::Other, "{odd}");
        }
    }
}
