//! What phones, gateways and old PBXs really send is read right.
//!
//! Messages written after known habits of devices. Each case changes one thing in a plain message and says
//! what must come out of it.

use std::net::IpAddr;

use vigie::sip::Transport;
use vigie::sip::header::auth::{Algorithm, Qop};
use vigie::sip::header::{Address, Challenge, Contacts, Params, Route, Scheme, Uri, Via};
use vigie::sip::wire::{HeaderName, Index, Method, StatusCode, WireError, index, message};

/// A request with everything in it; `fields` are added, the body stands behind them.
fn request(method: &str, uri: &str, fields: &str, body: &str) -> Vec<u8> {
    format!(
        "{method} {uri} SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.30:5062;branch=z9hG4bKhabit;rport\r\n\
         From: <sip:4001@192.0.2.30>;tag=ours\r\n\
         To: <sip:0199001199@192.0.2.10>\r\n\
         Call-ID: habit@192.0.2.30\r\n\
         CSeq: 7 {method}\r\n\
         Contact: <sip:4001@192.0.2.30:5062>\r\n\
         Max-Forwards: 70\r\n\
         {fields}\r\n{body}"
    )
    .into_bytes()
}

/// A response with the Via, From and To that are given.
fn response(line: &str, via: &str, from: &str, to: &str, fields: &str) -> Vec<u8> {
    format!(
        "SIP/2.0 {line}\r\nVia: {via}\r\nFrom: {from}\r\nTo: {to}\r\n\
         Call-ID: habit@192.0.2.30\r\nCSeq: 7 REGISTER\r\n{fields}Content-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

const VIA: &str = "SIP/2.0/UDP 192.0.2.30:5062;branch=z9hG4bKhabit;rport=5062";
const FROM: &str = "<sip:4001@192.0.2.30>;tag=ours";
const TO: &str = "<sip:4001@192.0.2.10>;tag=theirs";

fn ok(via: &str, from: &str, to: &str, fields: &str) -> Vec<u8> {
    response("200 OK", via, from, to, fields)
}

fn challenged(by: &str) -> Vec<u8> {
    response(
        "401 Unauthorized",
        VIA,
        FROM,
        TO,
        &format!("WWW-Authenticate: {by}\r\n"),
    )
}

fn text(message: &Index<'_>, name: HeaderName) -> String {
    let header = message.first(name).expect("the field is there");
    header.text().into_owned()
}

fn uri(message: &Index<'_>) -> Uri {
    let vigie::sip::wire::StartLine::Request { uri, .. } = message.start() else {
        panic!("a request");
    };
    Uri::read(std::str::from_utf8(uri).expect("the sample can be read"))
        .expect("the sample can be read")
}

fn from(message: &Index<'_>) -> Address {
    Address::read(&text(message, HeaderName::From)).expect("the sample can be read")
}

fn challenge(message: &Index<'_>) -> Challenge {
    let listed = Challenge::list(&text(message, HeaderName::WwwAuthenticate))
        .expect("the sample can be read");
    Challenge::strongest(listed).expect("a challenge that we can answer")
}

fn contacts(message: &Index<'_>) -> Contacts {
    Contacts::read(&text(message, HeaderName::Contact)).expect("the sample can be read")
}

fn vias(message: &Index<'_>) -> Vec<Via> {
    Via::list(&text(message, HeaderName::Via)).expect("the sample can be read")
}

/// A name, the message, and what must be read in it.
type Case = (&'static str, Vec<u8>, fn(&Index<'_>));

fn requests() -> Vec<Case> {
    let callee = "sip:0199001199@192.0.2.10";
    let invite = |fields: &str, body: &str| request("INVITE", callee, fields, body);
    let to_uri = |uri: &str| request("INVITE", uri, "l: 0\r\n", "");
    let with_from = |from: &str| {
        format!(
            "INVITE {callee} SIP/2.0\r\nVia: {VIA}\r\nFrom: {from}\r\nTo: <{callee}>\r\n\
             Call-ID: habit@192.0.2.30\r\nCSeq: 7 INVITE\r\nContent-Length: 0\r\n\r\n"
        )
        .into_bytes()
    };
    let mut latin_1 = invite("P-Asserted-Identity: \"Andr?\" <sip:a@b>\r\nl: 0\r\n", "");
    *latin_1
        .iter_mut()
        .rfind(|byte| **byte == b'?')
        .expect("the sample can be read") = 0xe9;
    let mut after_keep_alives = b"\r\n\r\n".to_vec();
    after_keep_alives.extend(request("OPTIONS", callee, "Content-Length: 0\r\n", ""));
    let bare_lf = request("OPTIONS", callee, "Content-Length: 0\r\n", "")
        .into_iter()
        .filter(|byte| *byte != b'\r')
        .collect();
    vec![
        ("plain", invite("Content-Length: 0\r\n", ""), |seen| {
            assert_eq!(seen.top_branch(), Some(&b"z9hG4bKhabit"[..]));
            assert_eq!(seen.cseq(), Some((7, Method::Invite)));
            assert_eq!(seen.call_id(), Some(&b"habit@192.0.2.30"[..]));
            assert_eq!((seen.from_tag(), seen.to_tag()), (Some(&b"ours"[..]), None));
        }),
        (
            "every header compact",
            format!(
                "INVITE {callee} SIP/2.0\r\nv: SIP/2.0/UDP 192.0.2.30;branch=z9hG4bKshort\r\n\
                 f: <sip:4001@192.0.2.30>;tag=ours\r\nt: <{callee}>\r\ni: short@192.0.2.30\r\n\
                 CSeq: 7 INVITE\r\nm: <sip:4001@192.0.2.30>\r\nc: text/plain\r\nl: 2\r\n\r\nok"
            )
            .into_bytes(),
            |seen| {
                assert_eq!(seen.top_branch(), Some(&b"z9hG4bKshort"[..]));
                assert_eq!(seen.call_id(), Some(&b"short@192.0.2.30"[..]));
                assert_eq!(seen.from_tag(), Some(&b"ours"[..]));
                assert_eq!(text(seen, HeaderName::ContentType), "text/plain");
                assert_eq!(seen.body(), b"ok");
            },
        ),
        (
            "folded Subject",
            invite("Subject: un appel\r\n  d'essai\r\nl: 0\r\n", ""),
            |seen| {
                assert_eq!(text(seen, HeaderName::Subject), "un appel d'essai");
            },
        ),
        (
            "blank before the colon",
            invite("Subject : essai\r\nl : 0\r\n", ""),
            |seen| {
                assert_eq!(text(seen, HeaderName::Subject), "essai");
            },
        ),
        (
            "two Record-Routes in one line",
            invite(
                "Record-Route: <sip:192.0.2.5;lr>, <sip:192.0.2.6;lr=on>\r\nl: 0\r\n",
                "",
            ),
            |seen| {
                let routes = Route::list(&text(seen, HeaderName::RecordRoute))
                    .expect("the sample can be read");
                assert_eq!(routes.len(), 2);
                assert!(routes.iter().all(Route::is_loose));
            },
        ),
        (
            "Record-Route with parameters of its own",
            invite(
                "Record-Route: <sip:192.0.2.5;lr>;un=deux,<sip:192.0.2.6;lr>\r\nl: 0\r\n",
                "",
            ),
            |seen| {
                let routes = Route::list(&text(seen, HeaderName::RecordRoute))
                    .expect("the sample can be read");
                assert_eq!(
                    routes[0].address.params.value("un").as_deref(),
                    Some("deux")
                );
                assert_eq!(routes[1].address.uri.host(), Some("192.0.2.6"));
            },
        ),
        (
            "angle brackets in a display name",
            with_from("\"Accueil <Paris>\" <sip:4001@192.0.2.30>;tag=ours"),
            |seen| {
                assert_eq!(from(seen).display.as_deref(), Some("Accueil <Paris>"));
                assert_eq!(seen.from_tag(), Some(&b"ours"[..]));
            },
        ),
        (
            "comma, semicolon and quotes in a display name",
            with_from("\"Martin, Eve; \\\"EM\\\"\" <sip:4001@192.0.2.30>;tag=ours"),
            |seen| {
                assert_eq!(from(seen).display.as_deref(), Some("Martin, Eve; \"EM\""));
                assert_eq!(seen.from_tag(), Some(&b"ours"[..]));
            },
        ),
        (
            "UTF-8 display name",
            invite(
                "P-Asserted-Identity: \"Andr\u{e9}\" <sip:a@b>\r\nl: 0\r\n",
                "",
            ),
            |seen| {
                let identity = Address::read(&text(seen, HeaderName::PAssertedIdentity))
                    .expect("the sample can be read");
                assert_eq!(identity.display.as_deref(), Some("Andr\u{e9}"));
            },
        ),
        ("Latin-1 display name", latin_1, |seen| {
            let identity = Address::read(&text(seen, HeaderName::PAssertedIdentity))
                .expect("the sample can be read");
            assert_eq!(identity.display.as_deref(), Some("Andr\u{e9}"));
            assert_eq!(seen.body(), b"");
        }),
        (
            "no Content-Length",
            invite("c: application/sdp\r\n", "v=0\r\n"),
            |seen| {
                assert_eq!(seen.body(), b"v=0\r\n");
            },
        ),
        (
            "Content-Length shorter than the datagram",
            invite("Content-Length: 5\r\n", "v=0\r\nRESTE"),
            |seen| {
                assert_eq!(seen.body(), b"v=0\r\n");
                assert_eq!(seen.trailing_bytes(), 5);
            },
        ),
        (
            "tel: Request-URI",
            to_uri("tel:+33-1-99-00-11-99"),
            |seen| {
                assert_eq!(uri(seen).scheme(), Scheme::Tel);
                assert_eq!(uri(seen).number(), Some("+33-1-99-00-11-99"));
                assert_eq!(uri(seen).host(), None);
            },
        ),
        (
            "tel: From",
            with_from("<tel:+33199001100>;tag=ours"),
            |seen| {
                assert_eq!(from(seen).uri.number(), Some("+33199001100"));
                assert_eq!(from(seen).tag().as_deref(), Some("ours"));
            },
        ),
        (
            "dot in the user part",
            to_uri("sip:eve.martin@192.0.2.10"),
            |seen| {
                assert_eq!(uri(seen).user(), Some("eve.martin"));
                assert_eq!(uri(seen).host(), Some("192.0.2.10"));
            },
        ),
        (
            "ported number",
            to_uri("sip:+33199;npdi;rn=33600@192.0.2.10"),
            |seen| {
                assert_eq!(uri(seen).number(), Some("+33199"));
                assert_eq!(uri(seen).user(), Some("+33199;npdi;rn=33600"));
                assert_eq!(uri(seen).host(), Some("192.0.2.10"));
            },
        ),
        (
            "REFER with headers in a URI",
            request(
                "REFER",
                callee,
                "r: <sip:c@192.0.2.3?Replaces=abc%3Bto-tag%3D1>\r\n",
                "",
            ),
            |seen| {
                let target = Address::read(&text(seen, HeaderName::ReferTo))
                    .expect("the sample can be read");
                assert_eq!(target.uri.host(), Some("192.0.2.3"));
                assert_eq!(target.uri.headers(), Some("Replaces=abc%3Bto-tag%3D1"));
                assert_eq!(target.uri.as_request_uri(), "sip:c@192.0.2.3");
            },
        ),
        (
            "unknown method",
            request("KDMQ", callee, "l: 0\r\n", ""),
            |seen| {
                assert_eq!(seen.method(), Some(Method::Other("KDMQ")));
                assert_eq!(seen.cseq(), Some((7, Method::Other("KDMQ"))));
            },
        ),
        (
            "IPv6 Request-URI",
            to_uri("sip:b@[2001:db8::1]:5070;transport=tcp"),
            |seen| {
                assert_eq!(uri(seen).address(), "2001:db8::1".parse::<IpAddr>().ok());
                assert_eq!(uri(seen).port(), Some(5070));
                assert_eq!(uri(seen).transport(), Some(Transport::Tcp));
                assert_eq!(
                    uri(seen).to_string(),
                    "sip:b@[2001:db8::1]:5070;transport=tcp"
                );
            },
        ),
        ("sips: Request-URI", to_uri("sips:b@192.0.2.10"), |seen| {
            assert_eq!(uri(seen).scheme(), Scheme::Sips);
            assert_eq!(uri(seen).transport(), Some(Transport::Tls));
        }),
        ("leading line ends", after_keep_alives, |seen| {
            assert_eq!(seen.method(), Some(Method::Options));
        }),
        ("bare LF", bare_lf, |seen| {
            assert_eq!(seen.method(), Some(Method::Options));
            assert_eq!(text(seen, HeaderName::To), "<sip:0199001199@192.0.2.10>");
        }),
        (
            "removal of every binding",
            request("REGISTER", "sip:192.0.2.10", "Expires: 0\r\nl: 0\r\n", "")
                .utf8_chunks()
                .map(|chunk| chunk.valid().replace("<sip:4001@192.0.2.30:5062>", "*"))
                .collect::<String>()
                .into_bytes(),
            |seen| assert_eq!(contacts(seen), Contacts::Every),
        ),
        (
            "odd header names and an empty value",
            invite("X_Odd: oui\r\nX-Empty:\r\nContent-Length: 0\r\n", ""),
            |seen| {
                let extensions: Vec<String> = seen
                    .all(HeaderName::Other)
                    .map(|header| format!("{header:?}"))
                    .collect();
                assert_eq!(extensions, ["X_Odd: oui", "X-Empty: "]);
            },
        ),
        (
            "message waiting",
            request(
                "NOTIFY",
                callee,
                "o: message-summary\r\nSubscription-State: active\r\nl: 0\r\n",
                "",
            ),
            |seen| {
                assert_eq!(text(seen, HeaderName::Event), "message-summary");
                assert_eq!(text(seen, HeaderName::SubscriptionState), "active");
            },
        ),
    ]
}

fn responses() -> Vec<Case> {
    vec![
        (
            "two Vias in one line",
            ok(
                "SIP/2.0/UDP 192.0.2.30:5062;branch=z9hG4bKone, SIP/2.0/TCP 192.0.2.9;branch=z9hG4bKtwo",
                FROM,
                TO,
                "",
            ),
            |seen| {
                assert_eq!(seen.top_branch(), Some(&b"z9hG4bKone"[..]));
                assert_eq!(vias(seen)[1].branch().as_deref(), Some("z9hG4bKtwo"));
            },
        ),
        (
            "IPv6 Via",
            ok(
                "SIP/2.0/UDP [2001:db8::9]:5070;branch=z9hG4bKsix;received=2001:db8::8",
                FROM,
                TO,
                "",
            ),
            |seen| {
                let via = &vias(seen)[0];
                assert_eq!(via.address(), "2001:db8::9".parse::<IpAddr>().ok());
                assert_eq!(via.received(), "2001:db8::8".parse::<IpAddr>().ok());
                assert_eq!(via.port, Some(5070));
            },
        ),
        (
            "blanks around Via parameters and the tag",
            ok(
                "SIP/2.0/UDP 192.0.2.30:5062 ; branch=z9hG4bKblank ; received=192.0.2.4",
                FROM,
                "<sip:b@192.0.2.2> ; tag=theirs",
                "",
            ),
            |seen| {
                assert_eq!(seen.top_branch(), Some(&b"z9hG4bKblank"[..]));
                assert_eq!(vias(seen)[0].received(), "192.0.2.4".parse::<IpAddr>().ok());
                assert_eq!(seen.to_tag(), Some(&b"theirs"[..]));
            },
        ),
        (
            "a transport nobody speaks",
            ok(
                "SIP/2.0/SCTP 192.0.2.30:5062;branch=z9hG4bKsctp",
                FROM,
                TO,
                "",
            ),
            |seen| assert_eq!(&*vias(seen)[0].transport, "SCTP"),
        ),
        (
            "addresses without brackets",
            ok(
                VIA,
                "sip:4001@192.0.2.30;tag=ours",
                "sip:4001@192.0.2.10;tag=theirs",
                "",
            ),
            |seen| {
                assert_eq!(from(seen).uri.to_string(), "sip:4001@192.0.2.30");
                assert_eq!(from(seen).tag().as_deref(), Some("ours"));
                assert_eq!(seen.to_tag(), Some(&b"theirs"[..]));
            },
        ),
        (
            "no reason phrase",
            response("200 ", VIA, FROM, TO, ""),
            |seen| {
                assert_eq!(seen.status(), Some(StatusCode::OK));
            },
        ),
        (
            "no blank after the code",
            response("200", VIA, FROM, TO, ""),
            |seen| {
                assert_eq!(seen.status(), Some(StatusCode::OK));
            },
        ),
        (
            "an uncommon code",
            response("699 Occup\u{e9}", VIA, FROM, TO, ""),
            |seen| {
                assert_eq!(seen.status(), StatusCode::new(699));
            },
        ),
        (
            "folded challenge",
            challenged("Digest realm=\"xivo\",\r\n  nonce=\"12b3\", algorithm=MD5"),
            |seen| {
                assert_eq!(&*challenge(seen).nonce, "12b3");
                assert_eq!(challenge(seen).algorithm, Some(Algorithm::Md5));
            },
        ),
        (
            "chan_sip challenge",
            challenged("Digest algorithm=MD5, realm=\"xivo\", nonce=\"12b3deee\""),
            |seen| assert_eq!(challenge(seen).chosen_qop(), None),
        ),
        (
            "chan_pjsip challenge",
            challenged(
                "Digest realm=\"xivo\",nonce=\"1764/ab\",opaque=\"50f9\",algorithm=MD5,qop=\"auth\"",
            ),
            |seen| {
                assert_eq!(challenge(seen).opaque.as_deref(), Some("50f9"));
                assert_eq!(challenge(seen).chosen_qop(), Some(Qop::Auth));
            },
        ),
        (
            "both qualities of protection",
            challenged("Digest realm=\"x\", nonce=\"n\", algorithm=md5, qop=\"auth-int,auth\""),
            |seen| {
                assert_eq!(challenge(seen).qop, [Qop::AuthInt, Qop::Auth]);
                assert_eq!(challenge(seen).chosen_qop(), Some(Qop::Auth));
            },
        ),
        (
            "SHA-256",
            challenged("Digest realm=\"x\",nonce=\"n\",algorithm=SHA-256,qop=\"auth\""),
            |seen| assert_eq!(challenge(seen).algorithm, Some(Algorithm::Sha256)),
        ),
        (
            "stale nonce",
            challenged("Digest algorithm=MD5, realm=\"x\", nonce=\"14c3\", stale=TRUE"),
            |seen| assert!(challenge(seen).stale),
        ),
        (
            "bindings of a registration",
            ok(
                VIA,
                FROM,
                TO,
                "Contact: <sip:a@192.0.2.1:2048;line=q1>;reg-id=1;q=0.7;\
                 +sip.instance=\"<urn:uuid:0c67,446e>\";expires=3600,<sip:a@192.0.2.2>;expires=20\r\n",
            ),
            |seen| {
                let Contacts::Listed(listed) = contacts(seen) else {
                    panic!("two bindings");
                };
                assert_eq!(listed.len(), 2);
                assert_eq!(
                    listed[0].instance().as_deref(),
                    Some("<urn:uuid:0c67,446e>")
                );
                assert_eq!(listed[0].address.uri.param("line"), Some("q1"));
                assert_eq!(listed[0].q_thousandths(), 700);
                let seconds: Vec<u64> = listed
                    .iter()
                    .filter_map(|contact| contact.expires())
                    .map(|expires| expires.as_secs())
                    .collect();
                assert_eq!(seconds, [3600, 20]);
            },
        ),
    ]
}

#[test]
fn every_habit_is_read_right() {
    for (name, bytes, reads) in requests().into_iter().chain(responses()) {
        let seen = index(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        seen.check()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let right =
            std::panic::catch_unwind(|| reads(&index(&bytes).expect("the sample can be read")));
        assert!(right.is_ok(), "{name} is misread");
        message::read(&seen).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn a_datagram_that_ends_before_its_body_does_is_refused() {
    let cut = request(
        "INVITE",
        "sip:b@192.0.2.2",
        "Content-Length: 50\r\n",
        "v=0\r\n",
    );
    let expected = WireError::BodyCut {
        declared: 50,
        present: 5,
    };
    assert_eq!(index(&cut).err(), Some(expected));
    assert_eq!(expected.answer(), StatusCode::BAD_REQUEST);
}

#[test]
fn parameters_keep_their_spelling() {
    // Some registrars hash the Contact as they got it: `transport=tls` must not come back as `TLS`.
    let contact = "<sip:4001@192.0.2.30:5061;transport=tls;ob>;+sip.instance=\"<urn:uuid:1>\"";
    let read = Address::read(contact).expect("the sample can be read");
    assert_eq!(read.to_string(), contact);
    assert_eq!(
        read.params,
        Params::read(";+sip.instance=\"<urn:uuid:1>\"").expect("the sample can be read")
    );
}
