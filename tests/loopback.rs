//! The sockets of a shard on loopback: refusals are heard, connections are kept, certificates are
//! checked, receive stamps tell the truth, and media leaves in the order in which it is due.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use vigie::calls::{Component, FlowFault, Input, MediaId, Output};
use vigie::io::clock;
use vigie::io::shard::{MediaPorts, Settings, Sockets, Trust};
use vigie::sip::{FlowId, Transport};
use vigie::time::{Instant, Now};

use crate::support::certificate::Certificate;

/// Far longer than anything takes here; ends a test whose event never comes.
const PATIENCE: Duration = Duration::from_secs(20);

const FLOW: FlowId = FlowId(1);
const MEDIA: MediaId = MediaId(1);

/// What was delivered, owned.
#[derive(Debug, PartialEq)]
enum Seen {
    Opened(SocketAddr),
    Failed(FlowFault),
    Signal {
        from: SocketAddr,
        text: String,
        stamp: Instant,
        delivered: Instant,
    },
    MediaOpened(SocketAddr),
    MediaFailed(String),
    MediaSent,
    Media {
        component: Component,
        packet: Vec<u8>,
        stamp: Instant,
        delivered: Instant,
    },
}

struct Shard {
    sockets: Sockets,
    seen: std::collections::VecDeque<Seen>,
}

impl Shard {
    fn new(ports: std::ops::RangeInclusive<u16>, trust: Trust) -> Self {
        let sockets = Sockets::new(&Settings {
            media_ports: MediaPorts {
                range: ports,
                rest: Duration::from_secs(5),
                ..MediaPorts::default()
            },
            trust,
            ..Settings::default()
        })
        .expect("descriptors");
        Self {
            sockets,
            seen: std::collections::VecDeque::new(),
        }
    }

    fn signalling() -> Self {
        Self::new(31_000..=31_001, Trust::System)
    }

    fn perform(&mut self, output: Output) {
        let now = self.sockets.now();
        assert!(self.sockets.perform(now, output).is_none());
        self.sockets.flush();
    }

    fn open(
        &mut self,
        transport: Transport,
        peer: SocketAddr,
        exclusive: bool,
        name: Option<&str>,
    ) {
        self.perform(Output::OpenFlow {
            flow: FLOW,
            transport,
            local: ([127, 0, 0, 1], 0).into(),
            peer,
            server_name: name.map(str::to_owned),
            exclusive,
        });
    }

    fn send(&mut self, to: SocketAddr, text: &str) {
        self.perform(Output::Send {
            flow: FLOW,
            to,
            message: text.as_bytes().to_vec(),
        });
    }

    /// The next thing that happens.
    fn next(&mut self) -> Seen {
        let give_up = clock::instant() + PATIENCE;
        loop {
            if let Some(seen) = self.seen.pop_front() {
                return seen;
            }
            assert!(clock::instant() < give_up, "nothing happened");
            self.sockets.flush();
            self.sockets.wait(Some(give_up)).expect("waits");
            let seen = &mut self.seen;
            self.sockets
                .deliver(&mut |now, input| seen.extend(own(now, input)));
        }
    }

    fn opened(&mut self) -> SocketAddr {
        match self.next() {
            Seen::Opened(local) => local,
            other => panic!("not opened: {other:?}"),
        }
    }

    fn fault(&mut self) -> FlowFault {
        match self.next() {
            Seen::Failed(fault) => fault,
            other => panic!("no fault: {other:?}"),
        }
    }
}

fn own(now: Now, input: Input<'_>) -> Option<Seen> {
    Some(match input {
        Input::FlowOpened { local, .. } => Seen::Opened(local),
        Input::FlowFailed { fault, .. } => Seen::Failed(fault),
        Input::Signal {
            from,
            stamp,
            message,
            ..
        } => Seen::Signal {
            from,
            text: String::from_utf8_lossy(message).into_owned(),
            stamp,
            delivered: now.instant,
        },
        Input::MediaOpened { local, .. } => Seen::MediaOpened(local),
        Input::MediaFailed { words, .. } => Seen::MediaFailed(words),
        Input::MediaSent { .. } => Seen::MediaSent,
        Input::Media {
            component,
            stamp,
            packet,
            ..
        } => Seen::Media {
            component,
            packet: packet.to_vec(),
            stamp,
            delivered: now.instant,
        },
        Input::Start { .. } | Input::Abort { .. } | Input::Wake => return None,
    })
}

/// A loopback address of this process alone, so that ranges of ports clash with nobody.
fn own_ip() -> IpAddr {
    let [.., high, low] = std::process::id().to_be_bytes();
    [127, 77, high, low].into()
}

fn far_udp() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.set_read_timeout(Some(PATIENCE)).expect("set");
    let address = socket.local_addr().expect("bound");
    (socket, address)
}

/// A port where nobody listens: it was free a moment ago and is in nobody's range.
fn closed_port(transport: Transport) -> SocketAddr {
    match transport {
        Transport::Udp => UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()),
        Transport::Tcp | Transport::Tls => {
            TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr())
        }
    }
    .expect("a port")
}

fn message(number: u32) -> String {
    format!("OPTIONS sip:a@b SIP/2.0\r\nCSeq: {number} OPTIONS\r\nContent-Length: 0\r\n\r\n")
}

#[test]
fn a_closed_udp_port_is_a_refusal_at_once() {
    for exclusive in [false, true] {
        let peer = closed_port(Transport::Udp);
        let mut shard = Shard::signalling();
        shard.open(Transport::Udp, peer, exclusive, None);
        shard.opened();
        shard.send(peer, &message(1));
        assert_eq!(
            shard.fault(),
            FlowFault::Refused { peer },
            "exclusive: {exclusive}"
        );
    }
}

#[test]
fn one_dead_peer_of_a_shared_flow_does_not_silence_the_others() {
    let (far, alive) = far_udp();
    let dead = closed_port(Transport::Udp);
    let mut shard = Shard::signalling();
    shard.open(Transport::Udp, alive, false, None);
    shard.opened();
    for number in 0..100 {
        shard.send(dead, &message(number));
        shard.send(alive, &message(number));
    }
    assert_eq!(shard.fault(), FlowFault::Refused { peer: dead });
    let mut buffer = [0; 1500];
    for number in 0..100 {
        let count = far.recv(&mut buffer).expect("each message arrives");
        assert_eq!(buffer[..count], *message(number).as_bytes());
    }
}

#[test]
fn receive_stamps_rise_and_lie_between_sending_and_reading() {
    let (far, peer) = far_udp();
    let mut shard = Shard::signalling();
    shard.open(Transport::Udp, peer, false, None);
    let local = shard.opened();
    let before = clock::instant();
    for number in 0..100 {
        far.send_to(message(number).as_bytes(), local)
            .expect("sent");
    }
    let mut last = before;
    for number in 0..100 {
        let Seen::Signal {
            from,
            text,
            stamp,
            delivered,
        } = shard.next()
        else {
            panic!("no signal");
        };
        assert_eq!((from, text), (peer, message(number)));
        // The two clocks are read one after the other: a millisecond of doubt at the edges.
        assert!(
            stamp + Duration::from_millis(1) > last,
            "stamp {number} goes back"
        );
        assert!(stamp <= delivered, "stamp {number} lies in the future");
        last = stamp;
    }
}

#[test]
fn an_unspecified_local_address_becomes_the_one_that_routes_to_the_peer() {
    let (_far, peer) = far_udp();
    for transport in [Transport::Udp, Transport::Tcp] {
        let listener = TcpListener::bind(peer).expect("the same port over TCP");
        let mut shard = Shard::signalling();
        shard.perform(Output::OpenFlow {
            flow: FLOW,
            transport,
            local: ([0, 0, 0, 0], 0).into(),
            peer,
            server_name: None,
            exclusive: false,
        });
        let local = shard.opened();
        assert!(local.ip().is_loopback() && local.port() != 0, "{local}");
        drop(listener);
    }
}

#[test]
fn an_address_that_is_not_ours_is_our_own_fault() {
    let (_far, peer) = far_udp();
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut shard = Shard::signalling();
        shard.perform(Output::OpenFlow {
            flow: FLOW,
            transport,
            local: ([192, 0, 2, 77], 0).into(),
            peer,
            server_name: None,
            exclusive: false,
        });
        let FlowFault::Ours { words } = shard.fault() else {
            panic!("not ours");
        };
        assert!(words.contains("on no interface of this machine"), "{words}");
    }
}

#[test]
fn a_tcp_connection_is_used_again_and_answers_keep_alives() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let peer = listener.local_addr().expect("bound");
    let mut shard = Shard::signalling();
    shard.open(Transport::Tcp, peer, true, None);
    let (mut far, from) = listener.accept().expect("one connection");
    far.set_read_timeout(Some(PATIENCE)).expect("set");
    assert_eq!(shard.opened(), from);

    for number in 0..3 {
        shard.send(peer, &message(number));
        let mut buffer = vec![0; message(number).len()];
        far.read_exact(&mut buffer).expect("on the same connection");
        assert_eq!(buffer, message(number).as_bytes());
    }
    // Two messages in three pieces, with a ping between them.
    let stream = format!("{}\r\n\r\n{}", message(7), message(8));
    for piece in stream.as_bytes().chunks(stream.len() / 3 + 1) {
        far.write_all(piece).expect("written");
    }
    for number in [7, 8] {
        match shard.next() {
            Seen::Signal { from, text, .. } => assert_eq!((from, text), (peer, message(number))),
            other => panic!("no signal: {other:?}"),
        }
    }
    let mut pong = [0; 2];
    far.read_exact(&mut pong).expect("a pong");
    assert_eq!(pong, *b"\r\n");

    drop(far);
    assert_eq!(shard.fault(), FlowFault::Closed);
}

#[test]
fn a_closed_tcp_port_is_a_refusal_at_once() {
    let peer = closed_port(Transport::Tcp);
    let mut shard = Shard::signalling();
    shard.open(Transport::Tcp, peer, true, None);
    assert_eq!(shard.fault(), FlowFault::Refused { peer });
}

/// An authority, and a far end with a certificate of it for `name` that ends in `year`.
fn certificate(authority_name: &str, name: &str, year: i32) -> (String, rustls::ServerConfig) {
    let made = Certificate::signed_by(authority_name, name, year);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.der()], made.key())
        .expect("key and certificate fit");
    (made.authority, config)
}

/// Answers one TLS connection: echoes the first `len` bytes, then ends.
fn tls_far_end(
    config: rustls::ServerConfig,
    len: usize,
) -> (SocketAddr, std::thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let thread = std::thread::spawn(move || {
        let (tcp, _) = listener.accept().expect("one connection");
        tcp.set_read_timeout(Some(PATIENCE)).expect("set");
        let session = rustls::ServerConnection::new(Arc::new(config)).expect("a session");
        let mut stream = rustls::StreamOwned::<_, TcpStream>::new(session, tcp);
        let mut buffer = vec![0; len];
        // A refused handshake ends here, which is what the other tests want.
        if stream.read_exact(&mut buffer).is_ok() {
            stream.write_all(&buffer).expect("echoed");
            stream.flush().expect("sent");
        }
    });
    (address, thread)
}

#[test]
fn tls_believes_a_good_certificate_and_says_what_is_wrong_with_a_bad_one() {
    let folder = tempfile::tempdir().expect("a folder");
    // What the case is, name in the certificate, its last year, name we want, the authority that we
    // know (an own one of this name was made for us), and what is said (nothing: all is well).
    let cases = [
        ("good", "pbx.test", 2099, Some("pbx.test"), None, None),
        ("by address", "127.0.0.1", 2099, None, None, None),
        (
            "expired",
            "pbx.test",
            2021,
            Some("pbx.test"),
            None,
            Some("has expired"),
        ),
        (
            "wrong name",
            "other.test",
            2099,
            Some("pbx.test"),
            None,
            Some("for another name"),
        ),
        (
            "stranger",
            "pbx.test",
            2099,
            Some("pbx.test"),
            Some("other"),
            Some("nobody we trust"),
        ),
        (
            "made anew",
            "pbx.test",
            2099,
            Some("pbx.test"),
            Some("plant"),
            Some("made anew"),
        ),
    ];
    for (case, name, year, wanted, other_authority, expected) in cases {
        let (authority, config) = certificate("plant", name, year);
        let authority = match other_authority {
            None => authority,
            Some(other) => certificate(other, name, year).0,
        };
        let file = folder.path().join(format!("{case}.pem"));
        std::fs::write(&file, authority).expect("written");
        let (peer, far) = tls_far_end(config, message(1).len());

        let mut shard = Shard::new(31_000..=31_001, Trust::Besides(file));
        shard.open(Transport::Tls, peer, true, wanted);
        match expected {
            None => {
                shard.opened();
                shard.send(peer, &message(1));
                match shard.next() {
                    Seen::Signal { text, .. } => assert_eq!(text, message(1), "{case}"),
                    other => panic!("{case}: {other:?}"),
                }
            }
            Some(words) => match shard.fault() {
                FlowFault::Dates { words: said } => {
                    assert_eq!((case, said.contains(words)), ("expired", true), "{said}");
                }
                FlowFault::Tls { words: said } => {
                    assert!(said.contains(words), "{case}: {said}");
                    assert_ne!(case, "expired");
                }
                other => panic!("{case}: {other:?}"),
            },
        }
        drop(shard);
        far.join().expect("the far end ends");
    }
}

#[test]
fn a_port_that_does_not_speak_tls_is_named_so() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let peer = listener.local_addr().expect("bound");
    let mut shard = Shard::signalling();
    shard.open(Transport::Tls, peer, true, Some("pbx.test"));
    let (mut far, _) = listener.accept().expect("one connection");
    far.write_all(b"SIP/2.0 400 Bad Request\r\n\r\n")
        .expect("written");
    match shard.fault() {
        FlowFault::Tls { words } => assert!(words.contains("does not speak TLS"), "{words}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn media_leaves_in_the_order_of_its_deadlines_and_none_before_its_time() {
    let (far, to) = far_udp();
    let mut shard = Shard::new(31_100..=31_199, Trust::System);
    shard.perform(Output::OpenMedia {
        media: MEDIA,
        ip: own_ip(),
    });
    let Seen::MediaOpened(local) = shard.next() else {
        panic!("no port");
    };
    assert_eq!(local.port() % 2, 0);

    const COUNT: u8 = 20;
    let start = clock::instant() + Duration::from_millis(2);
    let due = |number: u8| start + Duration::from_millis(2) * u32::from(number);
    // Asked for in reverse: only the deadlines make the order.
    for number in (0..COUNT).rev() {
        shard.perform(Output::SendMedia {
            media: MEDIA,
            component: Component::Rtp,
            to,
            packet: vec![number],
            due: due(number),
        });
    }
    for number in 0..COUNT {
        assert_eq!(shard.next(), Seen::MediaSent);
        assert!(
            clock::instant() >= due(number),
            "packet {number} left too early"
        );
    }
    let mut buffer = [0; 16];
    for number in 0..COUNT {
        let (count, from) = far.recv_from(&mut buffer).expect("each packet arrives");
        assert_eq!((&buffer[..count], from), (&[number][..], local));
    }
    let (packets, _) = shard.sockets.take_lateness();
    assert_eq!(packets, u64::from(COUNT));
}

#[test]
fn rtp_and_rtcp_arrive_each_on_its_own_port() {
    let (far, _) = far_udp();
    let mut shard = Shard::new(31_200..=31_299, Trust::System);
    shard.perform(Output::OpenMedia {
        media: MEDIA,
        ip: own_ip(),
    });
    let Seen::MediaOpened(rtp) = shard.next() else {
        panic!("no port");
    };
    let rtcp = SocketAddr::new(rtp.ip(), rtp.port() + 1);
    for (to, expected) in [(rtp, Component::Rtp), (rtcp, Component::Rtcp)] {
        far.send_to(b"packet", to).expect("sent");
        match shard.next() {
            Seen::Media {
                component,
                packet,
                stamp,
                delivered,
            } => {
                assert_eq!((component, &packet[..]), (expected, &b"packet"[..]));
                assert!(stamp <= delivered);
            }
            other => panic!("no media: {other:?}"),
        }
    }
}

#[test]
fn media_ports_of_others_are_passed_over_and_a_full_range_is_our_own_fault() {
    // The whole range but one pair is held by somebody else.
    let range = 31_300..=31_307;
    let held: Vec<UdpSocket> = [31_300, 31_303, 31_306]
        .iter()
        .map(|port| UdpSocket::bind((own_ip(), *port)).expect("free"))
        .collect();
    let mut shard = Shard::new(range, Trust::System);
    let mut open = |media| {
        shard.perform(Output::OpenMedia {
            media: MediaId(media),
            ip: own_ip(),
        });
        shard.next()
    };
    assert_eq!(open(1), Seen::MediaOpened((own_ip(), 31_304).into()));
    match open(2) {
        Seen::MediaFailed(words) => assert!(words.contains("31306"), "{words}"),
        other => panic!("{other:?}"),
    }
    match open(3) {
        Seen::MediaFailed(words) => assert!(words.contains("widen the range"), "{words}"),
        other => panic!("{other:?}"),
    }
    drop(held);
}

#[test]
fn a_waiting_thread_is_woken_from_another() {
    let mut sockets = Sockets::new(&Settings::default()).expect("descriptors");
    let waker = sockets.waker();
    let woken = std::thread::spawn(move || {
        sockets.wait(None).expect("waits");
        sockets
    });
    waker.wake();
    let mut sockets = woken.join().expect("came back");
    // The wake-up is used up: now only the deadline ends the wait.
    sockets.deliver(&mut |_, _| {});
    let deadline = clock::instant() + Duration::from_millis(5);
    sockets.wait(Some(deadline)).expect("waits");
    assert!(clock::instant() >= deadline);
}
