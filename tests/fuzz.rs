//! No bytes from outside make a parser panic, and what a parser accepts keeps its promises.
//!
//! One table: a name, what to do with the bytes, and where good ones are to be had. Good ones are mutated
//! from a seed, so a failure repeats. Without `VIGIE_FUZZ_SECONDS` a fixed number of inputs runs; with it,
//! that many seconds are shared by all parsers. SIP is asked here, what comes with a call in `media`, the rest
//! of the plant and what people write in `plant`; a new parser joins by one line in `PARSERS`.

mod capture;
mod media;
mod plant;

use std::fmt::{Debug, Display};
use std::panic::catch_unwind;
use std::time::{Duration, Instant};

use fastrand::Rng;
use vigie::secret::Secret;
use vigie::sip::digest::{Account, Admission, Guard, Session, Signed};
use vigie::sip::header::{
    Address, CSeq, Challenge, Contacts, Credentials, HeaderError, MinSe, Params, RAck, RSeq,
    Reason, Route, SessionExpires, Uri, Via,
};
use vigie::sip::wire::framing::{Frame, Framer};
use vigie::sip::wire::writer::MessageWriter;
use vigie::sip::wire::{Index, StatusCode, index, message};

/// Inputs per parser when no time is given: about a second for the whole table in a debug build.
const INPUTS: u64 = 1500;
const SEED: u64 = 119;

/// A name, what is done with each input, and what good inputs look like.
type Parser = (&'static str, fn(&[u8]), fn() -> Vec<Vec<u8>>);

const PARSERS: &[Parser] = &[
    ("sip message", message_keeps_its_promises, messages),
    ("sip message through rsip", message_through_rsip, messages),
    ("sip stream", stream_is_cut_alike_in_any_pieces, messages),
    ("sip answer", answer_is_one_message, messages),
    ("uri", uri_prints_as_it_came, uris),
    (
        "from and to",
        |bytes| same_again(bytes, Address::read),
        values,
    ),
    ("contact", |bytes| same_again(bytes, Contacts::read), values),
    ("route", |bytes| list_same_again(bytes, Route::list), values),
    ("via", |bytes| list_same_again(bytes, Via::list), values),
    (
        "reason",
        |bytes| list_same_again(bytes, Reason::list),
        values,
    ),
    (
        "parameters",
        |bytes| same_again(bytes, Params::read),
        values,
    ),
    (
        "session expires",
        |bytes| same_again(bytes, SessionExpires::read),
        values,
    ),
    ("min se", |bytes| same_again(bytes, MinSe::read), values),
    ("rseq", |bytes| same_again(bytes, RSeq::read), values),
    ("cseq and rack", cseq_and_rack, values),
    ("challenge", challenge_can_be_answered, challenges),
    (
        "credentials",
        credentials_print_as_they_were_read,
        challenges,
    ),
    ("sdp", media::offer_and_answer, media::descriptions),
    ("rtp", media::rtp_packets, media::packets),
    ("stream", media::streams, media::arrivals),
    ("rtcp", media::reports, media::compounds),
    ("capture", capture::explained, capture::captures),
    ("telephone events", media::events, media::digits),
    ("wav", media::sound_files, media::recordings),
    ("dns reply", plant::dns_reply, plant::dns_replies),
    ("naptr and srv", plant::records, plant::zones),
    ("http redirect", plant::redirect, plant::redirects),
    ("x.509", plant::certificate, plant::certificates),
    ("icmp", plant::pings, media::digits),
    ("tcp banner", plant::banner, plant::banners),
    (
        "plug-in output",
        plant::plugin_output,
        plant::plugin_outputs,
    ),
    ("emergency number", plant::emergency, plant::numbers),
    ("durations and references", plant::words, plant::durations),
    ("stored fact", plant::stored_fact, plant::facts),
    (CONFIGURATION, plant::configuration, plant::configurations),
];

/// A whole file takes as long to read as a hundred header fields.
const CONFIGURATION: &str = "configuration";

#[test]
fn no_bytes_make_a_parser_panic() {
    let seconds: Option<f64> = std::env::var("VIGIE_FUZZ_SECONDS").ok().map(|text| {
        text.parse()
            .expect("VIGIE_FUZZ_SECONDS is a number of seconds")
    });
    let share = seconds.map(|all| Duration::from_secs_f64(all).div_f64(count(PARSERS)));
    for (name, parse, corpus) in PARSERS {
        let corpus = corpus();
        for good in &corpus {
            run(name, *parse, good);
        }
        let mut rng = Rng::with_seed(SEED);
        let inputs_max = if *name == CONFIGURATION {
            INPUTS / 10
        } else {
            INPUTS
        };
        let mut inputs = 0;
        let started = now();
        while share.map_or(inputs < inputs_max, |share| now() - started < share) {
            run(name, *parse, &mutated(&mut rng, &corpus));
            inputs += 1;
        }
    }
}

fn run(name: &str, parse: fn(&[u8]), input: &[u8]) {
    let survived = catch_unwind(|| parse(input)).is_ok();
    assert!(survived, "{name} on b\"{}\"", input.escape_ascii());
}

#[expect(
    clippy::disallowed_methods,
    reason = "a run that is given seconds must count them"
)]
fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::cast_precision_loss, reason = "there are few parsers")]
fn count(parsers: &[Parser]) -> f64 {
    parsers.len() as f64
}

/// One of the corpus with a few changes, or now and then nothing but chance.
fn mutated(rng: &mut Rng, corpus: &[Vec<u8>]) -> Vec<u8> {
    /// Bytes with a meaning somewhere in our grammars.
    const MEANING: &[u8] = b"\r\n \t:;,=<>\"\\@%?/.*[](){}0123456789-+&|~\0\x7f\x80\xc3\xa9\xff";
    if rng.u8(..) < 8 {
        let length = rng.usize(..64);
        return (0..length).map(|_| rng.u8(..)).collect();
    }
    let mut input = corpus[rng.usize(..corpus.len())].clone();
    for _ in 0..rng.usize(1..6) {
        let at = rng.usize(..=input.len());
        let end = rng.usize(at..=input.len().min(at + 12));
        match rng.u8(..6) {
            0 => drop(input.drain(at..end)),
            1 => input.insert(at, MEANING[rng.usize(..MEANING.len())]),
            2 => input.truncate(at),
            3 if at < input.len() => input[at] = rng.u8(..),
            4 => {
                let twice = input[at..end].to_vec();
                input.splice(at..at, twice);
            }
            _ => {
                let other = &corpus[rng.usize(..corpus.len())];
                let from = rng.usize(..=other.len());
                let to = rng.usize(from..=other.len().min(from + 30));
                input.splice(at..end, other[from..to].iter().copied());
            }
        }
    }
    input
}

// The corpora.

fn messages() -> Vec<Vec<u8>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/testdata/rfc4475");
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .expect("the samples are part of the tree")
        .map(|entry| entry.expect("a name").path())
        .collect();
    names.sort();
    names
        .iter()
        .map(|path| std::fs::read(path).expect("a sample"))
        .collect()
}

/// Every header value of the messages, and some of what they lack.
fn values() -> Vec<Vec<u8>> {
    let mut values: Vec<Vec<u8>> = messages()
        .iter()
        .filter_map(|bytes| index(bytes).ok())
        .flat_map(|seen| {
            let lines = seen.headers().map(|header| header.unfolded().into_owned());
            lines.collect::<Vec<_>>()
        })
        .collect();
    values.extend(
        [
            "Q.850;cause=31;text=\"Normal, unspecified\", SIP ;cause=600",
            "600;refresher=uas",
            "776656 1 INVITE",
            "*",
            "SIP/2.0/UDP [2001:db8::9]:5070;received=2001:db8::8;rport",
            "<sip:a@192.0.2.1;line=q1>;+sip.instance=\"<urn:uuid:0c,67>\";expires=20,<sip:b>;q=.5",
        ]
        .map(|text| text.as_bytes().to_vec()),
    );
    values
}

fn uris() -> Vec<Vec<u8>> {
    [
        "sip:eve.martin:pw;x=1@[2001:db8::1]:5060;transport=tcp;lr?Route=%3Csip:a%3E&b=c",
        "sip:+33199;npdi;rn=33600@192.0.2.10:5070",
        "sips:example.org",
        "tel:+33-1-99-00-11-99;phone-context=example.org",
        "urn:service:sos",
        "sip:%00%zz%4@h",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}

fn challenges() -> Vec<Vec<u8>> {
    [
        "Digest realm=\"xivo\", nonce=\"1764/ab\", opaque=\"50f9\", algorithm=MD5, qop=\"auth\"",
        "Digest realm=x,nonce=\"a\\\"b\",qop=\"auth-int , auth\", stale=TRUE, algorithm=sha-256-SESS",
        "Basic realm=\"a, b\", Digest realm=\"c\", nonce=\"n\", algorithm=SHA-512-256",
        "Digest username=\"4001\", realm=\"xivo\", nonce=\"n\", uri=\"sip:a\", response=\"0f\", \
         cnonce=\"c\", qop=auth, nc=0000000a, algorithm=MD5-sess, opaque=\"o\"",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}

// What is asked of each.

/// As the header readers get it: unfolded, and Latin-1 if it is not UTF-8.
fn text(bytes: &[u8]) -> String {
    index::text_of(bytes).into_owned()
}

fn message_keeps_its_promises(bytes: &[u8]) {
    let Ok(seen) = index(bytes) else {
        return;
    };
    assert!(seen.body().len() + seen.trailing_bytes() <= bytes.len());
    if let Ok(Some(declared)) = seen.content_length() {
        assert_eq!(seen.body().len(), declared);
    }
    for header in seen.headers() {
        assert!(!header.text().contains(['\n']), "unfolded");
    }
    if seen.check().is_ok() {
        assert!(seen.cseq().is_some() && seen.call_id().is_some());
    }
    let _ = (
        seen.top_branch(),
        seen.from_tag(),
        seen.to_tag(),
        format!("{seen:?}"),
    );
}

fn message_through_rsip(bytes: &[u8]) {
    let Ok(seen) = index(bytes) else {
        return;
    };
    if let Ok(message) = message::read(&seen) {
        assert_eq!(message.fields().count(), seen.headers().count());
        assert_eq!(message.body(), seen.body());
    }
}

fn stream_is_cut_alike_in_any_pieces(bytes: &[u8]) {
    let cut = |piece: usize| {
        let (mut framer, mut messages) = (Framer::new(), Vec::new());
        for received in bytes.chunks(piece) {
            framer.push(received);
            while let Ok(Some(frame)) = framer.pull() {
                if let Frame::Message(message) = frame {
                    messages.push(message.to_vec());
                }
            }
        }
        messages
    };
    assert_eq!(cut(bytes.len().max(1)), cut(7));
}

/// Whatever a request holds, the answer that repeats parts of it has exactly the lines it should have.
fn answer_is_one_message(bytes: &[u8]) {
    let Ok(request) = index(bytes) else {
        return;
    };
    let mut out = Vec::new();
    let from = Some(([192, 0, 2, 1], 5060).into());
    MessageWriter::answer(&mut out, &request, StatusCode::OK, Some("tag"), from)
        .finish(None)
        .expect("copied values cannot break out");
    let answer = index(&out).expect("an answer of ours can be read");
    let repeated = |seen: &Index<'_>| {
        use vigie::sip::wire::HeaderName::{CSeq, CallId, From, To, Via};
        [Via, From, To, CallId, CSeq].map(|name| seen.all(name).count())
    };
    assert_eq!(repeated(&answer), repeated(&request));
    assert_eq!(
        answer.headers().count(),
        repeated(&request).iter().sum::<usize>() + 1
    );
}

fn uri_prints_as_it_came(bytes: &[u8]) {
    let text = text(bytes);
    if let Ok(uri) = Uri::read(&text) {
        assert_eq!(uri.to_string(), text);
        assert!(uri.is_equivalent(&uri));
        assert!(Uri::read(uri.as_request_uri()).is_ok());
        let _ = (
            uri.user_unescaped(),
            uri.number(),
            uri.password(),
            uri.address(),
            uri.port(),
        );
        let _ = (
            uri.is_loose_router(),
            uri.transport(),
            uri.headers(),
            uri.params().count(),
        );
    }
}

/// What was read prints as something that reads the same.
fn same_again<T: Display + Debug + PartialEq>(
    bytes: &[u8],
    read: impl Fn(&str) -> Result<T, HeaderError>,
) {
    if let Ok(value) = read(&text(bytes)) {
        assert_eq!(read(&value.to_string()), Ok(value));
    }
}

fn list_same_again<T: Display + Debug + PartialEq>(
    bytes: &[u8],
    read: impl Fn(&str) -> Result<Vec<T>, HeaderError>,
) {
    if let Ok(list) = read(&text(bytes)) {
        let printed: Vec<String> = list.iter().map(T::to_string).collect();
        assert_eq!(read(&printed.join(", ")), Ok(list));
    }
}

fn cseq_and_rack(bytes: &[u8]) {
    let text = text(bytes);
    if let Ok(cseq) = CSeq::read(&text) {
        assert_eq!(CSeq::read(&cseq.to_string()), Ok(cseq));
    }
    if let Ok(rack) = RAck::read(&text) {
        assert_eq!(RAck::read(&rack.to_string()), Ok(rack));
    }
}

/// Every challenge that is read can be answered, and a guard that asked it lets the answer pass.
fn challenge_can_be_answered(bytes: &[u8]) {
    let account = Account::new("4001", Secret::new("essai".into()));
    let signed = Signed {
        method: "REGISTER",
        uri: "sip:192.0.2.10",
        body: b"",
    };
    for challenge in Challenge::list(&text(bytes)).unwrap_or_default() {
        assert_eq!(
            Challenge::list(&challenge.to_string()),
            Ok(vec![challenge.clone()])
        );
        let mut session = Session::new(challenge.clone());
        let mut guard = Guard::new(challenge);
        for _ in 0..2 {
            let answer = session.answer(&account, signed, "c0ffee").to_string();
            let read = Credentials::read(&answer).expect("an answer of ours can be read");
            assert_eq!(
                guard.admit(read.as_ref(), &account, signed),
                Admission::Granted
            );
        }
    }
}

fn credentials_print_as_they_were_read(bytes: &[u8]) {
    if let Ok(Some(credentials)) = Credentials::read(&text(bytes)) {
        let again = Credentials::read(&credentials.to_string());
        assert!(again == Ok(Some(credentials)));
    }
}
