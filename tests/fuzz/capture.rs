//! Captures: a file that somebody sends us, and everything in it.

use vigie::analysis::{Options, analyse};
use vigie::capture::{self, Writer};
use vigie::rtp::packet::{self, Packet};
use vigie::rtp::rtcp;
use vigie::time::Utc;

use crate::support::made::{Family, Link, behind};

/// A capture that can be read has an analysis, which prints; no number of a caller is in it.
pub(super) fn explained(bytes: &[u8]) {
    let Ok(capture) = capture::read(bytes) else {
        return;
    };
    let options = Options {
        rtp_ports: vec![5004],
        ..Options::default()
    };
    let analysis = analyse(&capture, &options);
    assert!(
        analysis.streams.len() <= capture.pieces.len(),
        "a stream has a packet"
    );
    serde_json::to_string(&analysis.streams).expect("streams print");
    serde_json::to_string(&analysis.dialogs).expect("dialogs print");
}

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
     m=audio 4000 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n";

/// A call of a few packets: SIP, voice, a digit, a report.
fn call(host: &str) -> Writer {
    let address = |port: u16| format!("{host}:{port}").parse().expect("an address");
    let mut writer = Writer::new();
    let mut at = Utc(1_700_000_000_000_000_000);
    let mut tell = |from: u16, to: u16, bytes: &[u8]| {
        at = Utc(at.0 + 20_000_000);
        writer.datagram(at, address(from), address(to), bytes);
    };
    for (start, cseq, body) in [
        ("INVITE sip:0199001199@pbx SIP/2.0", "1 INVITE", SDP),
        ("SIP/2.0 200 OK", "1 INVITE", SDP),
        ("BYE sip:0199001199@pbx SIP/2.0", "2 BYE", ""),
    ] {
        let message = format!(
            "{start}\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:0612345678@h>;tag=1\r\n\
             To: <sip:0199001199@pbx>\r\nCall-ID: c\r\nCSeq: {cseq}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        tell(5060, 5061, message.as_bytes());
    }
    for n in 0..8_u16 {
        let sound = [0xd5; 20];
        let event = [1, 0x8a, 3, 0x20];
        let packet = packet::write(Packet {
            marker: n == 0,
            payload_type: if n == 6 { 101 } else { 8 },
            sequence_number: n,
            timestamp: u32::from(n) * 160,
            ssrc: 7,
            payload: if n == 6 { &event } else { &sound },
        });
        tell(5004, 4000, &packet);
    }
    let report = rtcp::Report {
        ssrc: 9,
        sender: Some(rtcp::SenderInfo::default()),
        blocks: vec![rtcp::Block::default()],
        ..rtcp::Report::default()
    };
    tell(4001, 5005, &rtcp::write(&report));
    writer
}

/// The frames of a raw capture as pcapng.
fn pcapng(raw: &[u8]) -> Vec<u8> {
    let block = |kind: u32, body: &[u8]| {
        let length = u32::try_from(body.len() + 12).expect("a short block");
        let length = length.to_le_bytes();
        [&kind.to_le_bytes(), &length, body, &length].concat()
    };
    let section = [&[0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0][..], &[0xff; 8]].concat();
    let nanoseconds = [9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0];
    let interface = [&[101, 0, 0, 0, 0, 0, 4, 0][..], &nanoseconds].concat();
    let mut bytes = [block(0x0a0d_0d0a, &section), block(1, &interface)].concat();
    let mut records = &raw[24..];
    while let Some((head, rest)) = records.split_first_chunk::<16>() {
        let length = u32::from_le_bytes([head[8], head[9], head[10], head[11]]);
        let (frame, rest) = rest.split_at(usize::try_from(length).expect("a short frame"));
        // Interface, time in two halves, both lengths.
        let mut body = [&[0; 8][..], &head[4..8], &head[8..12], &head[8..12], frame].concat();
        body.resize(body.len().next_multiple_of(4), 0);
        bytes.extend(block(6, &body));
        records = rest;
    }
    bytes
}

pub(super) fn captures() -> Vec<Vec<u8>> {
    let four = call("192.0.2.1").into_bytes();
    let six = call("[2001:db8::1]").into_bytes();
    let mut corpus = vec![pcapng(&four), pcapng(&six)];
    for link in Link::ALL {
        corpus.push(behind(link, Family::V4, &four));
        corpus.push(behind(link, Family::V6, &six));
    }
    corpus
}
