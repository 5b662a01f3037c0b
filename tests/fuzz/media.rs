//! SDP, RTP, RTCP and digits: what comes with every call, and what is made of it; and sound from files.

use std::net::{IpAddr, Ipv4Addr};

use vigie::audio::{dtmf, wav};
use vigie::quality::codec::Codec;
use vigie::quality::hearing::Hearing;
use vigie::quality::leg::{Report, Situation};
use vigie::quality::voice_report::voip_metrics;
use vigie::rtp::sender::Sender;
use vigie::rtp::stream::Stream;
use vigie::rtp::{Content, Session, packet, rtcp};
use vigie::sdp::{self, Direction, Local};
use vigie::time::{Instant, Now, Utc};

const OWN: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 50));

const NOW: Now = Now {
    instant: Instant(5_000_000_000),
    utc: Utc(1_700_000_000_000_000_000),
};

/// An offer that can be answered is answered by as many streams, in words that the far end can read.
pub(super) fn offer_and_answer(bytes: &[u8]) {
    let Ok(description) = sdp::parse(bytes) else {
        return;
    };
    let _ = sdp::accept_answer(&description);
    let mut local = Local::new(OWN, 20_000, 119);
    let offer = local.offer(Direction::SendRecv);
    assert!(sdp::parse(offer.as_bytes()).is_ok());
    if let Ok((text, agreed)) = sdp::answer(&description, &mut local) {
        let answer = sdp::parse(text.as_bytes()).expect("an answer of ours can be read");
        assert_eq!(answer.streams.len(), description.streams.len(), "{text}");
        assert!(agreed.ptime_ms > 0, "a packet without time would never end");
        let _ = agreed.send_to();
    }
}

pub(super) fn descriptions() -> Vec<Vec<u8>> {
    [
        "v=0\r\no=- 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n\
         m=audio 4000 RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n\
         a=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n",
        "v=0\no=MxSIP 0 56 IN IP4 192.0.2.10\ns=SIP Call\nc=IN IP4 192.0.2.10\nm=audio 5004 RTP/AVP 0 8 13\n\
         a=fmtp:101 0-16\nm=video 0 RTP/AVP 34\n",
        "v=0\r\no=- 1 2 IN IP6 2001:db8::1\r\ns=-\r\nt=0 0\r\nm=image 0 udptl t38\r\n\
         m=audio 65535 RTP/SAVP 8\r\nc=IN IP6 2001:db8::1\r\na=rtcp:4001 IN IP6 2001:db8::2\r\n\
         a=inactive\r\na=maxptime:0\r\na=ptime:255\r\n",
        "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\nm=audio 9 RTP/AVP 96 97\r\n\
         a=rtpmap:96 PCMU/8000/1\r\na=rtpmap:97 telephone-event/16000\r\na=sendonly\r\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}

/// Every packet that can be read prints as one that reads the same; a session takes it in its stride.
pub(super) fn rtp_packets(bytes: &[u8]) {
    let mut session = Session::new(Sender::new(1, 2, 3, NOW.instant, 20));
    let mut at = NOW.instant;
    // As much as one datagram holds, then what follows it as the next.
    for piece in [bytes, &bytes[bytes.len() / 2..]] {
        let Ok(read) = packet::parse(piece) else {
            continue;
        };
        let written = packet::write(read);
        assert_eq!(packet::parse(&written).as_ref(), Ok(&read));
        for _ in 0..2 {
            session.hear(at, &read, Content::Sound);
            at = Instant(at.0.wrapping_add(u64::from(read.timestamp)));
        }
    }
    let _ = (session.counts(), session.report(NOW, true, None));
}

/// A stream of any packets at any times, by any clock, whatever they carry, has figures that can be.
pub(super) fn streams(bytes: &[u8]) {
    let mut bytes = bytes.iter().copied();
    let clock_rate = u32::from_be_bytes(take(&mut bytes));
    let mut stream = Stream::new(1, clock_rate);
    let mut hearing = Hearing::default();
    while bytes.len() > 0 {
        let at = Instant(u64::from_be_bytes(take(&mut bytes)));
        let [kind, payload_type] = take(&mut bytes);
        let packet = packet::Packet {
            marker: kind & 4 != 0,
            payload_type: payload_type & 0x7f,
            sequence_number: u16::from_be_bytes(take(&mut bytes)),
            timestamp: u32::from_be_bytes(take(&mut bytes)),
            ssrc: 1,
            payload: &[payload_type; 4],
        };
        match kind & 3 {
            0 => {
                let arrival = stream.hear(at, &packet, Content::ComfortNoise);
                hearing.comfort_noise(at, arrival, &packet);
            }
            1 => {
                let arrival = stream.hear(at, &packet, Content::Event);
                hearing.event(at, arrival, &packet);
            }
            _ => {
                let arrival = stream.hear(at, &packet, Content::Sound);
                let loud = i16::from(payload_type) * 100;
                hearing.sound(at, arrival, &packet, &[loud; 160]);
            }
        }
    }
    let situation = Situation {
        from: NOW.instant,
        to: Instant(u64::MAX),
        codec: Codec::named("PCMA", 8000, None),
        ..Situation::default()
    };
    let report = Report::of([&stream], &hearing, &situation);
    let _ = (report.measured(), voip_metrics(&report, None));
    let figures = report.stream.expect("a stream was given");
    let opinion = report.opinion.expect("its codec is known");
    assert!(figures.counts.missing <= figures.counts.expected);
    let percents = figures.playout.map(|playout| playout.loss_percent);
    for percent in percents.into_iter().chain([figures.loss_percent]) {
        assert!((0.0..=100.0).contains(&percent), "{percent}");
    }
    for mos in [opinion.mos_cq, opinion.mos_lq, opinion.mos_cq_bare] {
        assert!((1.0..=4.5).contains(&mos), "{mos}");
    }
    assert!(opinion.r().is_finite());
}

/// The next octets; zeros when there are no more.
fn take<const N: usize>(bytes: &mut impl Iterator<Item = u8>) -> [u8; N] {
    std::array::from_fn(|_| bytes.next().unwrap_or(0))
}

pub(super) fn arrivals() -> Vec<Vec<u8>> {
    let stream = |clock_rate: u32, times: &[u64]| {
        let mut bytes = clock_rate.to_be_bytes().to_vec();
        for (n, at) in (0_u16..).zip(times) {
            bytes.extend(at.to_be_bytes());
            bytes.extend([2, 8]);
            bytes.extend(n.to_be_bytes());
            bytes.extend((u32::from(n) * 160).to_be_bytes());
        }
        bytes
    };
    let in_step: Vec<u64> = (0..60).map(|n| n * 20_000_000).collect();
    let extremes = [0, u64::MAX, i64::MAX as u64, 1 << 63, 1, u64::MAX - 1, 0];
    vec![
        stream(8000, &in_step),
        stream(8000, &extremes),
        stream(0, &extremes),
        stream(u32::MAX, &extremes),
    ]
}

pub(super) fn packets() -> Vec<Vec<u8>> {
    let sound = packet::write(packet::Packet {
        marker: true,
        payload_type: 8,
        sequence_number: 65_535,
        timestamp: u32::MAX,
        ssrc: 119,
        payload: &[0xd5; 160],
    });
    // One contributing source and a header extension of one word.
    let extended =
        b"\x91\x08\x00\x01\x00\x00\x00\xa0\0\0\0w\0\0\0\x01\xbe\xde\0\x01\x10\xff\0\0\xd5\xd5";
    // The last byte counts the padding.
    let padded = b"\xa0\x08\x00\x02\x00\x00\x01\x40\0\0\0w\xd5\xd5\0\0\0\x04";
    vec![sound, extended.to_vec(), padded.to_vec()]
}

/// A report that can be read says the same when it is written again; a session takes it in its stride.
pub(super) fn reports(bytes: &[u8]) {
    let mut session = Session::new(Sender::new(1, 2, 3, NOW.instant, 20));
    let _ = session.hear_report(NOW, NOW.instant, bytes);
    let _ = (session.round_trip(), session.report(NOW, false, None));
    if let Ok(report) = rtcp::parse(bytes)
        && report.blocks.len() <= 31
        && report.extended.voip_metrics.len() <= 31
    {
        let again = rtcp::parse(&rtcp::write(&report)).expect("a report of ours can be read");
        assert_eq!(again.sender, report.sender);
        assert_eq!(again.bye, report.bye);
        assert_eq!(again.extended.voip_metrics, report.extended.voip_metrics);
        for block in &report.blocks {
            let _ = rtcp::round_trip(u32::MAX, block);
        }
    }
}

pub(super) fn compounds() -> Vec<Vec<u8>> {
    let block = rtcp::Block {
        ssrc: 119,
        fraction_lost: 255,
        lost: -1,
        extended_max: u32::MAX,
        jitter: 160,
        last_sr: 1,
        delay_since_last_sr: u32::MAX,
    };
    let sender = rtcp::SenderInfo {
        ntp: u64::MAX,
        rtp_timestamp: 1,
        packets: 2,
        octets: 320,
    };
    let extended = rtcp::Extended {
        reference_time: Some(u64::MAX),
        delays: vec![rtcp::Delay::default(); 2],
        voip_metrics: vec![rtcp::VoipMetrics::default()],
    };
    [(Some(sender), true), (None, false)]
        .map(|(sender, bye)| {
            rtcp::write(&rtcp::Report {
                ssrc: 7,
                sender,
                blocks: vec![block],
                extended: extended.clone(),
                bye,
            })
        })
        .into()
}

/// Four bytes are an event, whatever follows; a digit is heard once however often it comes.
pub(super) fn events(bytes: &[u8]) {
    let mut receiver = dtmf::Receiver::default();
    for (at, payload) in (0_u32..).zip(bytes.chunks(4)) {
        let Some(event) = dtmf::Event::parse(payload) else {
            continue;
        };
        let first = receiver.hear(at.wrapping_mul(160), event);
        assert_eq!(
            receiver.hear(at.wrapping_mul(160), event),
            None,
            "{first:?}"
        );
    }
}

pub(super) fn digits() -> Vec<Vec<u8>> {
    let event = |code, end| {
        dtmf::Event {
            code,
            end,
            volume: 10,
            duration: 800,
        }
        .to_bytes()
    };
    vec![
        [
            event(10, false),
            event(10, true),
            event(1, true),
            event(11, true),
        ]
        .concat(),
        [event(255, false), event(16, true), event(15, true)].concat(),
    ]
}

/// A file that can be read is written as one that reads the same.
pub(super) fn sound_files(bytes: &[u8]) {
    if let Ok(samples) = wav::read(bytes) {
        assert!(
            samples.len() <= bytes.len() / 2,
            "sound comes from the file"
        );
        let again = wav::read(&wav::write(&samples)).expect("a file of ours can be read");
        assert_eq!(again, samples);
    }
}

pub(super) fn recordings() -> Vec<Vec<u8>> {
    let plain = wav::write(&[1, -1, i16::MAX, i16::MIN, 8, 8]);
    // The same with a comment before the sound, and in the extensible form.
    let mut commented = plain.clone();
    commented.splice(36..36, *b"LIST\x04\0\0\0INFO");
    let mut extensible = plain.clone();
    extensible.splice(
        16..36,
        *b"\x28\0\0\0\xfe\xff\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0\x16\0\x10\0\x04\0\0\0\
           \x01\0\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71",
    );
    vec![plain, commented, extensible]
}
