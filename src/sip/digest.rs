//! Digest authentication: RFC 2617 as old PBXs speak it, RFC 7616 and RFC 8760 as new ones do.
//!
//! Both sides: [`Session`] answers challenges for the UAC and the registration, [`Guard`] makes and checks
//! them for the embedded lab. No randomness here: nonces and cnonces come from the caller's generator.

use std::fmt::Write as _;

use md5::Md5;
use sha2::{Digest, Sha256, Sha512_256};

use super::header::auth::{Algorithm, Challenge, Credentials, Qop};
use crate::secret::Secret;

/// Who we say we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub username: Box<str>,
    pub secret: Secret,
}

impl Account {
    #[must_use]
    pub fn new(username: &str, secret: Secret) -> Self {
        Self {
            username: username.into(),
            secret,
        }
    }
}

/// The parts of a request that the digest covers.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    pub method: &'a str,
    /// The Request-URI as written in the request.
    pub uri: &'a str,
    pub body: &'a [u8],
}

/// Answers under one nonce; the count rises with each (RFC 7616 §3.4).
#[derive(Clone, Debug)]
pub struct Session {
    challenge: Challenge,
    answers: u32,
    /// `-sess` hashes the secret with the cnonce of the first answer, so it is kept.
    cnonce: Option<Box<str>>,
}

impl Session {
    #[must_use]
    pub const fn new(challenge: Challenge) -> Self {
        Self {
            challenge,
            answers: 0,
            cnonce: None,
        }
    }

    #[must_use]
    pub const fn challenge(&self) -> &Challenge {
        &self.challenge
    }

    /// Whether a challenge that came in spite of our answer is to be answered again: only if it says that
    /// the nonce was too old and gives another. Everything else means that the secret is wrong, and trying
    /// on would get us banned.
    #[must_use]
    pub fn may_answer_again(&self, challenge: &Challenge) -> bool {
        challenge.stale && challenge.nonce != self.challenge.nonce
    }

    /// The next answer. `cnonce` is fresh and hard to guess.
    pub fn answer(&mut self, account: &Account, signed: Signed<'_>, cnonce: &str) -> Credentials {
        self.answers += 1;
        let algorithm = self.challenge.algorithm_or_default();
        let cnonce: Box<str> = if algorithm.is_session() {
            self.cnonce.get_or_insert_with(|| cnonce.into()).clone()
        } else {
            cnonce.into()
        };
        let qop = self.challenge.chosen_qop().map(|qop| (qop, self.answers));
        let mut credentials = Credentials {
            username: account.username.clone(),
            realm: self.challenge.realm.clone(),
            nonce: self.challenge.nonce.clone(),
            uri: signed.uri.into(),
            response: "".into(),
            algorithm: self.challenge.algorithm,
            // RFC 2617 §3.2.2: without a quality of protection there is no cnonce, but -sess needs one.
            cnonce: (qop.is_some() || algorithm.is_session()).then_some(cnonce),
            opaque: self.challenge.opaque.clone(),
            qop,
        };
        credentials.response = response(&credentials, &account.secret, signed).into();
        credentials
    }
}

/// What a server says to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    Granted,
    /// No answer, or one to an old nonce: challenge (again), with `stale` set for the second.
    Challenge {
        stale: bool,
    },
    /// Another user, or a response that does not fit: the secret is wrong.
    Wrong,
}

/// The server side: one challenge and who may pass it.
#[derive(Clone, Debug)]
pub struct Guard {
    challenge: Challenge,
    /// The highest count seen; a lower or equal one is a replay.
    counted: u32,
}

impl Guard {
    #[must_use]
    pub const fn new(challenge: Challenge) -> Self {
        Self {
            challenge,
            counted: 0,
        }
    }

    #[must_use]
    pub const fn challenge(&self) -> &Challenge {
        &self.challenge
    }

    /// A new nonce: answers to the old one are stale from now on.
    pub fn renew(&mut self, nonce: &str) {
        self.challenge.nonce = nonce.into();
        self.counted = 0;
    }

    /// Judges the answer that came with a request.
    pub fn admit(
        &mut self,
        credentials: Option<&Credentials>,
        account: &Account,
        signed: Signed<'_>,
    ) -> Admission {
        let Some(credentials) = credentials else {
            return Admission::Challenge { stale: false };
        };
        if credentials.realm != self.challenge.realm {
            return Admission::Challenge { stale: false };
        }
        let as_challenged = credentials.username == account.username
            && credentials.algorithm.unwrap_or(Algorithm::Md5)
                == self.challenge.algorithm_or_default()
            && credentials.qop.is_some() != self.challenge.qop.is_empty()
            && *credentials.uri == *signed.uri;
        let expected = response(credentials, &account.secret, signed);
        if !as_challenged || !expected.eq_ignore_ascii_case(&credentials.response) {
            return Admission::Wrong;
        }
        if credentials.nonce != self.challenge.nonce {
            return Admission::Challenge { stale: true };
        }
        if let Some((_, count)) = credentials.qop {
            if count <= self.counted {
                return Admission::Challenge { stale: true };
            }
            self.counted = count;
        }
        Admission::Granted
    }
}

/// The `response` that fits `credentials` (RFC 7616 §3.4.1 to §3.4.4).
#[must_use]
pub fn response(credentials: &Credentials, secret: &Secret, signed: Signed<'_>) -> String {
    let algorithm = credentials.algorithm.unwrap_or(Algorithm::Md5);
    let hash = |parts: &[&str]| hash_of(algorithm, parts.join(":").as_bytes());
    let cnonce = credentials.cnonce.as_deref().unwrap_or_default();
    let mut a1 = hash(&[&credentials.username, &credentials.realm, secret.reveal()]);
    if algorithm.is_session() {
        a1 = hash(&[&a1, &credentials.nonce, cnonce]);
    }
    let a2 = match credentials.qop {
        Some((Qop::AuthInt, _)) => hash(&[
            signed.method,
            &credentials.uri,
            &hash_of(algorithm, signed.body),
        ]),
        Some((Qop::Auth, _)) | None => hash(&[signed.method, &credentials.uri]),
    };
    match credentials.qop {
        Some((qop, count)) => hash(&[
            &a1,
            &credentials.nonce,
            &format!("{count:08x}"),
            cnonce,
            qop.as_str(),
            &a2,
        ]),
        None => hash(&[&a1, &credentials.nonce, &a2]),
    }
}

fn hash_of(algorithm: Algorithm, bytes: &[u8]) -> String {
    match algorithm {
        Algorithm::Md5 | Algorithm::Md5Sess => hex(&Md5::digest(bytes)),
        Algorithm::Sha256 | Algorithm::Sha256Sess => hex(&Sha256::digest(bytes)),
        Algorithm::Sha512Slash256 | Algorithm::Sha512Slash256Sess => {
            hex(&Sha512_256::digest(bytes))
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut digits = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(digits, "{byte:02x}").expect("a String takes every digit");
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(text: &str) -> Challenge {
        Challenge::list(text).unwrap().remove(0)
    }

    const fn signed<'a>(method: &'a str, uri: &'a str) -> Signed<'a> {
        Signed {
            method,
            uri,
            body: b"",
        }
    }

    #[test]
    fn the_examples_of_the_standards_come_out() {
        let cases = [
            (
                "RFC 2617 §3.5",
                r#"Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41""#,
                ("Mufasa", "Circle Of Life", "/dir/index.html", "0a4f113b"),
                "6629fae49393a05397450978507c4ef1",
            ),
            (
                "RFC 2069 §2.4 with its erratum",
                r#"Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41""#,
                ("Mufasa", "CircleOfLife", "/dir/index.html", "0a4f113b"),
                "1949323746fe6a43ef61f9606e7febea",
            ),
            (
                "RFC 7616 §3.9.1, MD5",
                r#"Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=MD5, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v""#,
                (
                    "Mufasa",
                    "Circle of Life",
                    "/dir/index.html",
                    "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
                ),
                "8ca523f5e9506fed4657c9700eebdbec",
            ),
            (
                "RFC 7616 §3.9.1, SHA-256",
                r#"Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=SHA-256, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v""#,
                (
                    "Mufasa",
                    "Circle of Life",
                    "/dir/index.html",
                    "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
                ),
                "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
            ),
            (
                "RFC 7616 §3.9.2, SHA-512-256, with its erratum 4897",
                r#"Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256, nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK""#,
                (
                    "J\u{e4}s\u{f8}n Doe",
                    "Secret, or not?",
                    "/doe.json",
                    "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v",
                ),
                "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5",
            ),
        ];
        for (name, text, (username, secret, uri, cnonce), expected) in cases {
            let mut session = Session::new(challenge(text));
            let account = Account::new(username, Secret::new(secret.into()));
            let credentials = session.answer(&account, signed("GET", uri), cnonce);
            assert_eq!(&*credentials.response, expected, "{name}");
        }
    }

    /// Computed with another implementation: no standard has numbers for these.
    #[test]
    fn sessions_hash_the_secret_with_the_first_cnonce() {
        for (algorithm, expected) in [
            ("md5-SESS", "537aaa8fc3c62cb26344f3e0f5862fb3"),
            (
                "SHA-256-sess",
                "34f2fe149ff1d8100be523c0d68495ad674ffde9c49c8660df690cc3479cddf4",
            ),
            (
                "SHA-512-256-sess",
                "79b3c941553e9b655289b483fae894e4459f6216cf0b0a5820034ddf8b85bc83",
            ),
        ] {
            let text = format!("Digest realm=xivo, nonce=n0nce, qop=auth, algorithm={algorithm}");
            let mut session = Session::new(challenge(&text));
            let account = account("s3cret");
            let mut last = None;
            for count in 1..=10 {
                let cnonce = if count == 1 { "cn0nce" } else { "another" };
                last = Some(session.answer(&account, signed("REGISTER", "sip:127.0.1.1"), cnonce));
            }
            let last = last.unwrap();
            assert!(
                last.to_string().contains("nc=0000000a"),
                "ten, as eight hex digits"
            );
            assert_eq!(&*last.response, expected, "{algorithm}");
        }
    }

    #[test]
    fn the_body_is_covered_where_only_auth_int_is_offered() {
        let mut session = Session::new(challenge(
            "Digest realm=xivo, nonce=n0nce, qop=\"auth-int\"",
        ));
        let signed = Signed {
            method: "INVITE",
            uri: "sip:119@127.0.1.1",
            body: b"v=0\r\n",
        };
        let answer = session.answer(&account("s3cret"), signed, "cn0nce");
        assert_eq!(&*answer.response, "9995b5ddaeb579d39c45f37f3c90af03");
    }

    #[test]
    fn a_challenge_without_qop_is_answered_the_old_way() {
        let mut session = Session::new(challenge(
            "Digest algorithm=MD5, realm=\"xivo\", nonce=\"12\"",
        ));
        let text = session
            .answer(&account("s"), signed("REGISTER", "sip:a"), "c")
            .to_string();
        for absent in ["qop", "nc=", "cnonce", "opaque"] {
            assert!(!text.contains(absent), "{text}");
        }
    }

    #[test]
    fn only_a_stale_nonce_is_worth_another_answer() {
        let session = Session::new(challenge("Digest realm=x, nonce=one"));
        for (text, again) in [
            ("Digest realm=x, nonce=two, stale=true", true),
            ("Digest realm=x, nonce=two", false),
            ("Digest realm=x, nonce=one, stale=true", false),
        ] {
            assert_eq!(session.may_answer_again(&challenge(text)), again, "{text}");
        }
    }

    #[test]
    fn a_guard_knows_right_from_wrong_from_late() {
        let ours = account("s3cret");
        let register = signed("REGISTER", "sip:xivo");
        let text = "Digest realm=xivo, nonce=one, qop=auth, algorithm=SHA-256";
        let mut guard = Guard::new(challenge(text));
        let ask = Admission::Challenge { stale: false };
        let late = Admission::Challenge { stale: true };
        assert_eq!(guard.admit(None, &ours, register), ask);

        let mut session = Session::new(challenge(text));
        let first = session.answer(&ours, register, "c");
        assert_eq!(
            guard.admit(Some(&first), &ours, register),
            Admission::Granted
        );
        assert_eq!(guard.admit(Some(&first), &ours, register), late, "a replay");
        let second = session.answer(&ours, register, "c");
        assert_eq!(
            guard.admit(Some(&second), &ours, register),
            Admission::Granted
        );

        let guess = Session::new(challenge(text)).answer(&account("guess"), register, "c");
        assert_eq!(guard.admit(Some(&guess), &ours, register), Admission::Wrong);
        let elsewhere = session.answer(&ours, signed("REGISTER", "sip:other"), "c");
        assert_eq!(
            guard.admit(Some(&elsewhere), &ours, register),
            Admission::Wrong
        );

        guard.renew("two");
        let third = session.answer(&ours, register, "c");
        assert_eq!(guard.admit(Some(&third), &ours, register), late);
        let mut session = Session::new(guard.challenge().clone());
        let fourth = session.answer(&ours, register, "c");
        assert_eq!(
            guard.admit(Some(&fourth), &ours, register),
            Admission::Granted
        );
    }

    #[test]
    fn neither_secret_nor_response_is_printed() {
        let ours = account("s3cret");
        let mut session = Session::new(challenge("Digest realm=x, nonce=one"));
        let answer = session.answer(&ours, signed("REGISTER", "sip:a"), "c");
        let printed = format!("{ours:?} {session:?} {answer:?}");
        assert!(!printed.contains("s3cret") && !printed.contains(&*answer.response));
    }

    fn account(secret: &str) -> Account {
        Account::new("4001", Secret::new(secret.into()))
    }
}
