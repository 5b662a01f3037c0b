//! The rest of the plant: what is no telephony of `deploy/vigie.toml`, as plain as it can be. Every address
//! of the plant is this machine's; each port says what its kind of server says first.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, SRV};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};

use super::certificate::Certificate;

/// Where the web sites of the customer are hosted.
const WEB: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 200);

/// Ports that stay silent until they are spoken to; an open one is what is asked of them.
const SILENT: [u16; 8] = [389, 88, 445, 3389, 2049, 3260, 4444, 8530];
/// Ports that greet.
const GREETING: [(u16, &str); 2] = [
    (22, "SSH-2.0-OpenSSH_7.4\r\n"),
    (3306, "J\0\0\0\u{a}5.5.5-10.3.39-MariaDB\0"),
];
/// One page for all: it holds what the sample looks for.
const PAGE: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 24\r\n\
                    Connection: close\r\n\r\n<h1>GLPI, 119, PEDRO</h1>";

/// Servers on every address of this network namespace, until the process ends.
pub(crate) fn serve(web: &Certificate) {
    for port in SILENT {
        listen(port, |mut client| drop(client.read(&mut [0; 64])));
    }
    for (port, greeting) in GREETING {
        listen(port, move |mut client| {
            drop(client.write_all(greeting.as_bytes()));
            drop(client.read(&mut [0; 64]));
        });
    }
    listen(80, |client| drop(answer_http(client)));
    let tls = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![web.der()], web.key())
        .expect("a certificate and its key");
    let tls = Arc::new(tls);
    listen(443, move |client| {
        let session = rustls::ServerConnection::new(Arc::clone(&tls)).expect("a TLS session");
        drop(answer_http(rustls::StreamOwned::new(session, client)));
    });
    let dns = UdpSocket::bind(("0.0.0.0", 53)).expect("the port of DNS");
    std::thread::spawn(move || answer_dns(&dns));
}

/// Takes connections on a port of every address, each in a thread of its own.
fn listen(port: u16, serve: impl Fn(TcpStream) + Clone + Send + 'static) {
    let listener = TcpListener::bind(("0.0.0.0", port)).expect("a port of the plant");
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let serve = serve.clone();
            // A client that neither speaks nor leaves must not be kept for ever.
            let limit = client.set_read_timeout(Some(Duration::from_secs(5)));
            std::thread::spawn(move || limit.is_ok().then(|| serve(client)));
        }
    });
}

fn answer_http(client: impl Read + Write) -> std::io::Result<()> {
    let mut client = BufReader::new(client);
    let mut line = String::new();
    while client.read_line(&mut line)? > 2 {
        line.clear();
    }
    client.get_mut().write_all(PAGE.as_bytes())?;
    client.get_mut().flush()
}

/// The domain's records, and the web sites.
fn answer_dns(socket: &UdpSocket) {
    let mut packet = [0; 512];
    while let Ok((length, from)) = socket.recv_from(&mut packet) {
        let Some(answer) = Message::from_vec(&packet[..length])
            .ok()
            .and_then(|query| reply(&query))
        else {
            continue;
        };
        let _ = socket.send_to(&answer, from);
    }
}

fn reply(query: &Message) -> Option<Vec<u8>> {
    let question = query.queries.first()?.clone();
    let name = question.name().clone();
    let data = match question.query_type() {
        RecordType::A => Some(RData::A(A(WEB))),
        RecordType::SRV => Some(RData::SRV(SRV::new(
            0,
            100,
            389,
            Name::from_ascii("srvad1.giped.example.").ok()?,
        ))),
        _ => None,
    };
    let mut answer = Message::new(query.id, MessageType::Response, OpCode::Query);
    answer.add_query(question);
    answer.metadata.response_code = ResponseCode::NoError;
    if let Some(data) = data {
        answer.add_answer(Record::from_rdata(name, 60, data));
    }
    answer.to_vec().ok()
}

/// The address of the plant's own name server.
pub(crate) const NAME_SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 57));
