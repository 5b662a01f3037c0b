//! The 49 situations of RFC 4475: what is valid is read right, what is not is refused or survived.
//!
//! `testdata/rfc4475` holds messages of our own for the same situations. With `VIGIE_RFC4475_DIR` naming a
//! folder that holds the bytes of the RFC itself, the same table runs over those too; so the expectations
//! below speak of what each message is about, not of the names in it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use vigie::sip::header::{Address, Contacts, Credentials, HeaderError, Route, Scheme, Uri, Via};
use vigie::sip::wire::{
    HeaderName, Index, Method, StartLine, StatusCode, WireError, index, message,
};

/// What a user agent that reads everything makes of a message.
struct Understood<'a> {
    message: Index<'a>,
    /// Of a request.
    uri: Option<Uri>,
    vias: Vec<Via>,
    from: Address,
    to: Address,
    contacts: Vec<Address>,
}

#[derive(Debug, PartialEq)]
enum Refusal {
    /// Content-Length says more than there is; how much is the sample's affair.
    Cut,
    Wire(WireError),
    Header(HeaderName, HeaderError),
}

fn understand(bytes: &[u8]) -> Result<Understood<'_>, Refusal> {
    let message = index(bytes).map_err(|error| {
        if matches!(error, WireError::BodyCut { .. }) {
            Cut
        } else {
            Wire(error)
        }
    })?;
    message.check().map_err(Wire)?;
    let in_field = |name| move |error| Header(name, error);
    let mut vias = Vec::new();
    for line in message.all(HeaderName::Via) {
        vias.extend(Via::list(&line.text()).map_err(in_field(HeaderName::Via))?);
    }
    let address = |name| {
        let header = message.first(name).expect("check has seen it");
        Address::read(&header.text()).map_err(in_field(name))
    };
    let mut contacts = Vec::new();
    for line in message.all(HeaderName::Contact) {
        match Contacts::read(&line.text()).map_err(in_field(HeaderName::Contact))? {
            Contacts::Every => {}
            Contacts::Listed(listed) => {
                contacts.extend(listed.into_iter().map(|contact| contact.address));
            }
        }
    }
    let uri = match message.start() {
        StartLine::Request { uri, .. } => Some(
            Uri::read(std::str::from_utf8(uri).expect("no sample has another"))
                .map_err(|_| Wire(WireError::RequestUri))?,
        ),
        StartLine::Response { .. } => None,
    };
    Ok(Understood {
        uri,
        vias,
        from: address(HeaderName::From)?,
        to: address(HeaderName::To)?,
        contacts,
        message,
    })
}

impl Understood<'_> {
    fn uri(&self) -> &Uri {
        self.uri.as_ref().expect("a request")
    }

    fn text(&self, name: HeaderName) -> String {
        let header = self.message.first(name).expect("the field is there");
        header.text().into_owned()
    }

    fn extension(&self, written: &str) -> Option<String> {
        self.message
            .headers()
            .find(|header| header.written_name == written.as_bytes())
            .map(|header| header.text().into_owned())
    }
}

enum Outcome {
    /// One of the thirteen that every implementation must accept (§3.1.1).
    Valid(fn(&Understood<'_>)),
    /// Not well-formed, or not to be granted; yet it can be read, and the user agent decides.
    Survived(fn(&Understood<'_>)),
    Refused(Refusal),
}

use Outcome::{Refused, Survived, Valid};
use Refusal::{Cut, Header, Wire};

const CASES: [(&str, Outcome); 49] = [
    // §3.1.1, valid
    ("wsinv", Valid(a_short_tortuous_invite)),
    ("intmeth", Valid(a_wide_range_of_characters)),
    ("esc01", Valid(escapes_in_uris)),
    ("escnull", Valid(escaped_nulls)),
    ("esc02", Valid(percent_signs_that_escape_nothing)),
    ("lwsdisp", Valid(a_display_name_touching_its_bracket)),
    ("longreq", Valid(long_values)),
    ("dblreq", Valid(a_second_message_behind_the_first)),
    ("semiuri", Valid(a_semicolon_in_the_user_part)),
    ("transports", Valid(varied_transports)),
    ("mpart01", Valid(a_binary_body)),
    ("unreason", Valid(a_reason_in_utf_8)),
    ("noreason", Valid(an_empty_reason)),
    // §3.1.2, invalid
    (
        "badinv01",
        Refused(Header(HeaderName::Via, HeaderError::Parameter)),
    ),
    ("clerr", Refused(Cut)),
    ("ncl", Refused(Wire(WireError::ContentLength))),
    (
        "scalar02",
        Refused(Wire(WireError::Unreadable(HeaderName::CSeq))),
    ),
    (
        "scalarlg",
        Refused(Wire(WireError::Unreadable(HeaderName::CSeq))),
    ),
    (
        "quotbal",
        Refused(Wire(WireError::Unreadable(HeaderName::To))),
    ),
    ("ltgtruri", Refused(Wire(WireError::RequestUri))),
    ("lwsruri", Refused(Wire(WireError::RequestUri))),
    ("lwsstart", Survived(blanks_in_the_request_line)),
    ("trws", Survived(blanks_in_the_request_line)),
    (
        "escruri",
        Survived(|seen| {
            assert!(seen.uri().headers().is_some());
            assert!(!seen.uri().as_request_uri().contains('?'));
        }),
    ),
    (
        "baddate",
        Survived(|seen| assert!(seen.text(HeaderName::Date).ends_with("EST"))),
    ),
    (
        "regbadct",
        Refused(Header(HeaderName::Contact, HeaderError::Uri)),
    ),
    (
        "badaspec",
        Survived(|seen| assert_eq!(seen.to.uri.host(), Some("example.org"))),
    ),
    (
        "baddn",
        Survived(|seen| {
            assert!(
                seen.from
                    .display
                    .as_deref()
                    .is_some_and(|name| name.contains(", "))
            );
            assert!(seen.from.tag().is_some());
        }),
    ),
    ("badvers", Refused(Wire(WireError::Version))),
    ("mismatch01", Refused(Wire(WireError::MethodMismatch))),
    ("mismatch02", Refused(Wire(WireError::MethodMismatch))),
    ("bigcode", Refused(Wire(WireError::Status))),
    // §3.2 and §3.3, well-formed, but not to be granted as they are
    (
        "badbranch",
        Survived(|seen| assert_eq!(seen.message.top_branch(), Some(&b"z9hG4bK"[..]))),
    ),
    ("insuf", Refused(Wire(WireError::Missing(HeaderName::From)))),
    (
        "unkscm",
        Survived(|seen| assert_eq!(seen.uri().scheme(), Scheme::Other)),
    ),
    (
        "novelsc",
        Survived(|seen| assert_eq!(seen.uri().scheme(), Scheme::Other)),
    ),
    (
        "unksm2",
        Survived(|seen| {
            for uri in [&seen.to.uri, &seen.from.uri, &seen.contacts[0].uri] {
                assert_eq!(uri.scheme(), Scheme::Other, "{uri}");
            }
        }),
    ),
    (
        "bext01",
        Survived(|seen| {
            assert_eq!(seen.text(HeaderName::Require).split(", ").count(), 2);
            assert_eq!(seen.text(HeaderName::ProxyRequire).split(", ").count(), 2);
        }),
    ),
    (
        "invut",
        Survived(|seen| {
            assert!(
                seen.text(HeaderName::ContentType)
                    .starts_with("application/")
            );
            assert!(seen.message.body().starts_with(b"<"));
        }),
    ),
    (
        "regaut01",
        Survived(|seen| {
            assert_eq!(
                Credentials::read(&seen.text(HeaderName::Authorization)),
                Ok(None)
            );
        }),
    ),
    (
        "multi01",
        Refused(Wire(WireError::Repeated(HeaderName::From))),
    ),
    ("mcl01", Refused(Wire(WireError::ContentLength))),
    (
        "bcast",
        Survived(|seen| {
            assert_eq!(seen.vias.len(), 2);
            assert_eq!(seen.vias[1].address(), Some([255, 255, 255, 255].into()));
        }),
    ),
    (
        "zeromf",
        Survived(|seen| assert_eq!(seen.text(HeaderName::MaxForwards), "0")),
    ),
    (
        "cparam01",
        Survived(|seen| {
            assert!(seen.contacts[0].params.has("unknownparam"));
            assert_eq!(seen.contacts[0].uri.param("unknownparam"), None);
        }),
    ),
    (
        "cparam02",
        Survived(|seen| {
            assert!(!seen.contacts[0].params.has("unknownparam"));
            assert_eq!(seen.contacts[0].uri.param("unknownparam"), Some(""));
        }),
    ),
    (
        "regescrt",
        Survived(|seen| {
            assert!(
                seen.contacts[0]
                    .uri
                    .headers()
                    .is_some_and(|held| held.starts_with("Route="))
            );
        }),
    ),
    (
        "sdp01",
        Survived(|seen| assert!(seen.text(HeaderName::Accept).starts_with("text/"))),
    ),
    // §3.4, a sender of RFC 2543
    (
        "inv2543",
        Survived(|seen| {
            assert_eq!(seen.message.top_branch(), None);
            assert_eq!(seen.message.from_tag(), None);
            assert!(seen.message.body().starts_with(b"v=0"));
            assert!(
                seen.to.params.has("user"),
                "without brackets it is the field's"
            );
        }),
    ),
];

fn a_short_tortuous_invite(seen: &Understood<'_>) {
    assert_eq!(seen.message.cseq(), Some((9, Method::Invite)));
    assert_eq!(seen.text(HeaderName::MaxForwards).parse(), Ok(68));
    assert!(seen.message.to_tag().is_some() && seen.to.tag().is_some());
    assert!(seen.message.from_tag().is_some());
    assert!(
        seen.from
            .display
            .as_deref()
            .is_some_and(|name| name.ends_with('"'))
    );
    assert_eq!(seen.text(HeaderName::Subject), "");
    let transports: Vec<&str> = seen.vias.iter().map(|via| &*via.transport).collect();
    assert_eq!(transports, ["UDP", "TCP", "UDP"]);
    assert_eq!(
        seen.vias[0].branch().as_deref().map(str::as_bytes),
        seen.message.top_branch()
    );
    assert!(
        seen.vias[2]
            .branch()
            .is_some_and(|branch| branch.starts_with("z9hG4bK"))
    );
    let routes = Route::list(&seen.text(HeaderName::Route)).expect("one hop");
    assert!(routes[0].is_loose());
    assert!(
        seen.contacts[0]
            .display
            .as_deref()
            .is_some_and(|name| name.ends_with('"'))
    );
    assert_eq!(seen.contacts[0].params.value("q").as_deref(), Some("0.33"));
    assert!(
        seen.message
            .headers()
            .any(|header| header.folded && header.name == HeaderName::Other)
    );
    assert!(seen.message.body().starts_with(b"v=0\r\n"));
}

fn a_wide_range_of_characters(seen: &Understood<'_>) {
    let method = seen.message.method().expect("a request");
    assert!(matches!(method, Method::Other(name) if name.contains("'") && name.contains('`')));
    assert_eq!(seen.uri().host(), Some("example.com"));
    assert!(
        seen.uri()
            .user()
            .is_some_and(|user| user.contains(['?']) && user.contains(";;"))
    );
    assert!(
        seen.uri()
            .password()
            .is_some_and(|password| password.contains("=1,"))
    );
    let display = seen.to.display.as_deref().expect("a display name");
    for control in ['\u{7}', '\0', '\u{7f}'] {
        assert!(display.contains(control), "{display:?}");
    }
    assert!(seen.from.tag().is_some_and(|tag| tag.ends_with("'+`*%!-.")));
    assert_eq!(
        seen.message.from_tag().map(<[u8]>::to_vec),
        seen.from.tag().map(Into::into)
    );
    let foreign = seen
        .message
        .headers()
        .filter(|header| header.name == HeaderName::Other);
    assert!(foreign.into_iter().any(|header| !header.text().is_ascii()));
}

fn escapes_in_uris(seen: &Understood<'_>) {
    assert!(
        seen.uri()
            .user_unescaped()
            .is_some_and(|user| user.starts_with("sips:"))
    );
    assert!(seen.uri().user().is_some_and(|user| user.contains("%40")));
    assert!(
        seen.uri()
            .host()
            .is_some_and(|host| host.contains("example"))
    );
    assert!(
        seen.to
            .uri
            .user_unescaped()
            .is_some_and(|user| !user.contains('%'))
    );
    assert!(
        seen.from
            .uri
            .user_unescaped()
            .is_some_and(|user| user.contains(' '))
    );
    let contact = &seen.contacts[0].uri;
    assert!(contact.is_loose_router());
    assert_eq!(contact.param("name"), Some("v%61lue%25%34%31"));
}

fn escaped_nulls(seen: &Understood<'_>) {
    assert!(
        seen.to
            .uri
            .user_unescaped()
            .is_some_and(|user| user.contains("-\0-"))
    );
    assert!(
        seen.to
            .uri
            .user()
            .is_some_and(|user| user.contains("-%00-"))
    );
    assert_eq!(seen.contacts.len(), 2);
    assert!(!seen.contacts[0].uri.is_equivalent(&seen.contacts[1].uri));
}

fn percent_signs_that_escape_nothing(seen: &Understood<'_>) {
    let method = seen.message.method().expect("a request");
    assert!(matches!(method, Method::Other(name) if name.contains('%')));
    assert!(
        seen.to
            .display
            .as_deref()
            .is_some_and(|name| name.starts_with('%'))
    );
    assert_eq!(seen.contacts.len(), 2, "C%6Fntact is another field");
    assert!(seen.extension("C%6Fntact").is_some());
    assert!(
        seen.vias[0]
            .branch()
            .is_some_and(|branch| branch.contains('%'))
    );
}

fn a_display_name_touching_its_bracket(seen: &Understood<'_>) {
    assert_eq!(seen.from.display.as_deref(), Some("caller"));
    assert!(seen.from.tag().is_some());
}

fn long_values(seen: &Understood<'_>) {
    assert_eq!(seen.vias.len(), 34);
    assert!(
        seen.vias[33]
            .branch()
            .is_some_and(|branch| branch.len() > 200)
    );
    assert!(seen.from.uri.user().is_some_and(|user| user.len() > 100));
    assert!(seen.from.tag().is_some_and(|tag| tag.len() > 100));
    assert!(
        seen.to
            .display
            .as_deref()
            .is_some_and(|name| name.len() > 100)
    );
    assert_eq!(seen.to.uri.port(), Some(6000));
    assert_eq!(seen.to.uri.params().count(), 3);
    assert!(
        seen.message
            .headers()
            .any(|header| header.written_name.len() > 80)
    );
}

fn a_second_message_behind_the_first(seen: &Understood<'_>) {
    assert_eq!(seen.message.method(), Some(Method::Register));
    assert!(seen.message.call_id().is_some());
    assert_eq!(seen.message.body(), b"");
    let bytes = seen.message.bytes();
    let second = &bytes[bytes.len() - seen.message.trailing_bytes()..];
    let second = understand(second).expect("an INVITE behind leading line ends");
    assert_eq!(second.message.method(), Some(Method::Invite));
}

fn a_semicolon_in_the_user_part(seen: &Understood<'_>) {
    assert_eq!(seen.uri().user(), Some("user;par=u%40example.net"));
    assert_eq!(
        seen.uri().user_unescaped().as_deref(),
        Some("user;par=u@example.net")
    );
    assert_eq!(seen.uri().host(), Some("example.com"));
    assert_eq!(
        seen.text(HeaderName::Accept).split(',').count(),
        6,
        "it is folded"
    );
}

fn varied_transports(seen: &Understood<'_>) {
    let transports: Vec<&str> = seen.vias.iter().map(|via| &*via.transport).collect();
    assert_eq!(transports, ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]);
}

fn a_binary_body(seen: &Understood<'_>) {
    let body = seen.message.body();
    assert_eq!(seen.message.content_length(), Ok(Some(body.len())));
    assert!(body.contains(&0) && body.iter().any(|byte| *byte > 0x7f));
    assert!(body.trim_ascii_end().ends_with(b"--"));
    assert_eq!(seen.message.trailing_bytes(), 0);
}

fn a_reason_in_utf_8(seen: &Understood<'_>) {
    let StartLine::Response { status, reason } = seen.message.start() else {
        panic!("a response");
    };
    assert_eq!(status, StatusCode::OK);
    assert!(reason.starts_with(b"= ") && std::str::from_utf8(reason).is_ok());
}

fn an_empty_reason(seen: &Understood<'_>) {
    let expected = StartLine::Response {
        status: StatusCode::TRYING,
        reason: b"",
    };
    assert_eq!(seen.message.start(), expected);
}

fn blanks_in_the_request_line(seen: &Understood<'_>) {
    assert!(!seen.uri().as_str().contains(' '));
    assert_eq!(seen.uri().scheme(), Scheme::Sip);
}

#[test]
fn our_own_messages_for_the_situations_of_rfc_4475() {
    run_over(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/testdata/rfc4475"));
}

#[test]
fn the_bytes_of_rfc_4475_where_they_are_at_hand() {
    if let Some(folder) = std::env::var_os("VIGIE_RFC4475_DIR") {
        run_over(&PathBuf::from(folder));
    }
}

fn run_over(folder: &Path) {
    for (name, outcome) in &CASES {
        let path = folder.join(format!("{name}.dat"));
        let bytes = std::fs::read(&path)
            .unwrap_or_else(|error| panic!("{name}: {}: {error}", path.display()));
        let understood = understand(&bytes);
        match (outcome, understood) {
            (Valid(check) | Survived(check), Ok(seen)) => {
                let right = catch_unwind(AssertUnwindSafe(|| check(&seen)));
                assert!(right.is_ok(), "{name} is misread");
                message::read(&seen.message).unwrap_or_else(|error| panic!("{name}: {error}"));
            }
            (Valid(_) | Survived(_), Err(refusal)) => panic!("{name} is refused: {refusal:?}"),
            (Refused(expected), Err(refusal)) => assert_eq!(&refusal, expected, "{name}"),
            (Refused(expected), Ok(_)) => panic!("{name} is accepted and not {expected:?}"),
        }
    }
}
