use std::net::SocketAddr;

use super::*;
use crate::audio::g711::Law;
use crate::audio::tone;
use crate::capture::{self, Writer};
use crate::quality::media_state::MediaState;
use crate::rtp::packet::{self, Packet};
use crate::rtp::rtcp;

const CALLER: &str = "192.0.2.1:5060";
const PBX: &str = "192.0.2.10:5060";

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn ms(ms: i64) -> Utc {
    Utc(1_700_000_000_000_000_000 + ms * 1_000_000)
}

fn sdp(ip: &str, port: u16) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 8 101\r\n\
         a=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
    )
}

fn request(method: &str, cseq: u32, body: &str) -> String {
    format!(
        "{method} sip:0199001199@192.0.2.10 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{method}{cseq}\r\n\
         From: \"Jeanne\" <sip:0612345678@192.0.2.1>;tag=a\r\nTo: <sip:0199001199@192.0.2.10>\r\nCall-ID: c1\r\n\
         CSeq: {cseq} {method}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn answer(status: &str, body: &str) -> String {
    format!(
        "SIP/2.0 {status}\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKINVITE1\r\nFrom: <sip:0612345678@192.0.2.1>;tag=a\r\n\
         To: <sip:0199001199@192.0.2.10>;tag=b\r\nCall-ID: c1\r\nCSeq: 1 INVITE\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// One packet of a 1000 Hz tone.
fn rtp(ssrc: u32, n: u16, payload_type: u8) -> Vec<u8> {
    let sound: Vec<u8> = (0..160).map(|at| Law::A.encode(tone::sample(at))).collect();
    packet::write(Packet {
        marker: n == 0,
        payload_type,
        sequence_number: 1000 + n,
        timestamp: u32::from(n) * 160,
        ssrc,
        payload: &sound,
    })
}

fn explained(writer: Writer, options: &Options) -> Analysis {
    let bytes = writer.into_bytes();
    analyse(&capture::read(&bytes).unwrap(), options)
}

/// A call of two seconds with sound towards the caller, and a BYE.
fn a_call(sound: impl Fn(u16) -> bool) -> Writer {
    let mut writer = Writer::new();
    let (caller, pbx) = (address(CALLER), address(PBX));
    let invite = request("INVITE", 1, &sdp("192.0.2.1", 20_000));
    writer.datagram(ms(0), caller, pbx, invite.as_bytes());
    writer.datagram(ms(500), caller, pbx, invite.as_bytes());
    writer.datagram(ms(510), pbx, caller, answer("180 Ringing", "").as_bytes());
    let ok = answer("200 OK", &sdp("192.0.2.10", 10_000));
    writer.datagram(ms(1000), pbx, caller, ok.as_bytes());
    for n in (0..100).filter(|n| sound(*n)) {
        let (from, to) = (address("192.0.2.10:10000"), address("192.0.2.1:20000"));
        writer.datagram(ms(1040 + 20 * i64::from(n)), from, to, &rtp(7, n, 8));
    }
    writer.datagram(ms(3050), caller, pbx, request("BYE", 2, "").as_bytes());
    writer
}

#[test]
fn sip_sets_up_the_streams_and_the_ladder_tells_the_call() {
    let analysis = explained(a_call(|n| n % 20 != 10), &Options::default());
    let [dialog] = analysis.dialogs.as_slice() else {
        panic!("{:?}", analysis.dialogs);
    };
    let rungs: Vec<(String, u32)> = dialog
        .ladder
        .iter()
        .map(|rung| (rung.what.clone(), rung.repeat))
        .collect();
    assert_eq!(
        rungs,
        [
            ("INVITE sip:…99@192.0.2.10".to_owned(), 0),
            ("INVITE sip:…99@192.0.2.10".to_owned(), 1),
            ("180 Ringing".to_owned(), 0),
            ("200 OK".to_owned(), 0),
            ("BYE sip:…99@192.0.2.10".to_owned(), 0),
        ]
    );
    assert_eq!(
        (dialog.answered_ms, dialog.ended_ms),
        (Some(1000.0), Some(3050.0))
    );
    // Nobody spoke towards the PBX.
    assert_eq!(dialog.silent, [address("192.0.2.10:10000")]);
    let [row] = analysis.streams.as_slice() else {
        panic!("{:?}", analysis.streams);
    };
    let stream = row.report.stream.as_ref().unwrap();
    assert_eq!((stream.counts.packets, stream.counts.lost), (95, 5));
    assert_eq!(row.encodings, ["PCMA"]);
    assert_eq!(row.report.media_state, MediaState::Ok);
    assert_eq!(row.report.first_media_ms, Some(40.0));
    assert_eq!(row.dialog, Some(0));
    assert_eq!(row.breaches[0].metric.key(), "loss_percent");
    assert!(!row.is_fine());
}

#[test]
fn a_source_that_another_takes_over_from_has_not_stopped() {
    // The PBX has a new SSRC after four seconds, and a new port after eight; then it hangs up.
    let mut writer = Writer::new();
    let (caller, pbx) = (address(CALLER), address(PBX));
    let invite = request("INVITE", 1, &sdp("192.0.2.1", 20_000));
    writer.datagram(ms(0), caller, pbx, invite.as_bytes());
    let ok = answer("200 OK", &sdp("192.0.2.10", 10_000));
    writer.datagram(ms(1000), pbx, caller, ok.as_bytes());
    for n in 0..600_u16 {
        let from = if n < 400 {
            "192.0.2.10:10000"
        } else {
            "192.0.2.10:10002"
        };
        let ssrc = if n < 200 { 7 } else { 8 };
        let at = ms(1040 + 20 * i64::from(n));
        let sound = rtp(ssrc, n, 8);
        writer.datagram(at, address(from), address("192.0.2.1:20000"), &sound);
    }
    let bye = |at| (at, request("BYE", 2, ""));
    let ended = |mut writer: Writer, (at, bye): (i64, String)| {
        writer.datagram(ms(at), caller, pbx, bye.as_bytes());
        let streams = explained(writer, &Options::default()).streams;
        streams
            .iter()
            .map(|row| row.report.media_state)
            .collect::<Vec<_>>()
    };
    assert_eq!(ended(writer.clone(), bye(13_060)), [MediaState::Ok; 3]);
    // The last one is nobody's forerunner.
    assert_eq!(
        ended(writer, bye(20_000)),
        [MediaState::Ok, MediaState::Ok, MediaState::Stopped]
    );
}

#[test]
fn no_number_and_no_name_is_printed_unless_asked_for() {
    let hidden = explained(a_call(|_| true), &Options::default());
    let text = serde_json::to_string(&hidden.dialogs).unwrap();
    assert!(
        !text.contains("0612345678") && !text.contains("0199001199"),
        "{text}"
    );
    let options = Options {
        show_numbers: true,
        ..Options::default()
    };
    let shown = explained(a_call(|_| true), &options);
    let text = serde_json::to_string(&shown.dialogs).unwrap();
    assert!(
        text.contains("0612345678") && text.contains("0199001199"),
        "{text}"
    );
    assert!(!text.contains("Jeanne"), "{text}");
}

#[test]
fn without_sip_a_named_port_or_a_run_of_packets_is_rtp() {
    let (from, to) = (address("192.0.2.10:10000"), address("192.0.2.1:20000"));
    let with_packets = |count: u16, payload_type| {
        let mut writer = Writer::new();
        for n in 0..count {
            writer.datagram(ms(20 * i64::from(n)), from, to, &rtp(9, n, payload_type));
        }
        writer
    };
    let named = Options {
        rtp_ports: vec![20_000],
        ..Options::default()
    };
    for (name, count, payload_type, options, packets) in [
        ("a run", 50, 8, Options::default(), Some(50)),
        ("three", 3, 8, Options::default(), None),
        ("three, on a named port", 3, 8, named, Some(3)),
        ("what looks like RTCP", 50, 72, Options::default(), None),
    ] {
        let streams = explained(with_packets(count, payload_type), &options).streams;
        let found = streams
            .first()
            .and_then(|row| row.report.stream.as_ref())
            .map(|stream| stream.counts.packets);
        assert_eq!(found, packets, "{name}");
    }
}

#[test]
fn the_receiver_tells_what_arrived_and_how_far_it_is() {
    let mut writer = a_call(|_| true);
    let (pbx, caller) = (address("192.0.2.10:10001"), address("192.0.2.1:20001"));
    let ntp = rtcp::ntp(ms(2000));
    let sent = rtcp::write(&rtcp::Report {
        ssrc: 7,
        sender: Some(rtcp::SenderInfo {
            ntp,
            packets: 48,
            ..rtcp::SenderInfo::default()
        }),
        ..rtcp::Report::default()
    });
    let received = rtcp::write(&rtcp::Report {
        ssrc: 8,
        blocks: vec![rtcp::Block {
            ssrc: 7,
            fraction_lost: 64,
            lost: 12,
            last_sr: rtcp::middle(ntp),
            // Half a second.
            delay_since_last_sr: 32_768,
            ..rtcp::Block::default()
        }],
        ..rtcp::Report::default()
    });
    writer.datagram(ms(2000), pbx, caller, &sent);
    writer.datagram(ms(2540), caller, pbx, &received);
    let streams = explained(writer, &Options::default()).streams;
    assert_eq!(streams.len(), 1, "RTCP is no stream");
    let far = streams[0].far_end.as_ref().unwrap();
    assert_eq!((far.lost_packets, far.fraction_lost_percent), (12, 25.0));
    assert_eq!(streams[0].round_trip_ms, Some(40.0));
}

#[test]
fn an_empty_capture_has_nothing_in_it() {
    let analysis = explained(Writer::new(), &Options::default());
    assert!(analysis.dialogs.is_empty() && analysis.streams.is_empty());
}
