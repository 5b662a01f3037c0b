//! Asks one name server one question, for `probe::dns`: UDP, and TCP when the answer was cut.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use hickory_resolver::proto::op::{Message, MessageType, Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UdpSocket;

use super::Deadline;
use crate::io::leave;
use crate::probe::dns::{Code, Record, Seen, Settings};
use crate::probe::socket::SocketFault;

/// A lost datagram is asked for again after this; a dead server stays silent for all of them.
const RETRY: Duration = Duration::from_millis(500);

pub(super) async fn fetch(settings: &Settings, timeout: Duration, local: Option<IpAddr>) -> Seen {
    let deadline = Deadline::after(timeout);
    let name = match Name::from_str(&settings.name) {
        Ok(mut name) => {
            name.set_fqdn(true);
            name
        }
        Err(error) => {
            return Seen::BadName {
                words: error.to_string(),
            };
        }
    };
    let mut question = Message::query();
    question.metadata.recursion_desired = true;
    question.add_query(Query::query(name, record_type(settings.record)));
    let bytes = match question.to_vec() {
        Ok(bytes) => bytes,
        Err(error) => {
            return Seen::BadName {
                words: error.to_string(),
            };
        }
    };
    let asked = Asked {
        question,
        bytes,
        server: settings.server,
        local,
        deadline,
    };
    match asked.answer().await {
        Ok(answer) => read(&answer, settings.record, deadline.elapsed()),
        Err(Trouble::Socket(fault)) => Seen::Failed {
            fault,
            after: deadline.elapsed(),
        },
        Err(Trouble::Garbage(words)) => Seen::Garbage { words },
    }
}

enum Trouble {
    Socket(SocketFault),
    Garbage(String),
}

impl From<SocketFault> for Trouble {
    fn from(fault: SocketFault) -> Self {
        Self::Socket(fault)
    }
}

struct Asked {
    question: Message,
    bytes: Vec<u8>,
    server: SocketAddr,
    local: Option<IpAddr>,
    deadline: Deadline,
}

impl Asked {
    async fn answer(&self) -> Result<Message, Trouble> {
        let answer = self.by_udp().await?;
        if answer.metadata.truncation {
            return self.by_tcp().await;
        }
        Ok(answer)
    }

    async fn by_udp(&self) -> Result<Message, Trouble> {
        let own = self.local.unwrap_or(match self.server {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        });
        let socket = self.deadline.io(UdpSocket::bind((own, 0))).await?;
        // Connected: only this server is heard, and its host's refusal too.
        self.deadline.io(socket.connect(self.server)).await?;
        let mut bytes = vec![0; 65_535];
        let mut garbage = None;
        loop {
            self.deadline.io(socket.send(&self.bytes)).await?;
            let again = tokio::time::Instant::now() + RETRY;
            while let Ok(received) =
                tokio::time::timeout_at(again.min(self.deadline.end), socket.recv(&mut bytes)).await
            {
                let count = received.map_err(|error| SocketFault::of(&error))?;
                match self.read(bytes.get(..count).unwrap_or(&bytes)) {
                    Ok(Some(answer)) => return Ok(answer),
                    Ok(None) => {}
                    Err(words) => garbage = Some(words),
                }
            }
            if tokio::time::Instant::now() >= self.deadline.end {
                return Err(
                    garbage.map_or(Trouble::Socket(SocketFault::TimedOut), Trouble::Garbage)
                );
            }
        }
    }

    async fn by_tcp(&self) -> Result<Message, Trouble> {
        let connecting = leave::connect(self.local, self.server);
        let mut stream = self.deadline.io(connecting).await?;
        let length = u16::try_from(self.bytes.len()).expect("one question is far below 64 KiB");
        let mut framed = length.to_be_bytes().to_vec();
        framed.extend_from_slice(&self.bytes);
        self.deadline.io(stream.write_all(&framed)).await?;
        let length = self.deadline.io(stream.read_u16()).await?;
        let mut bytes = vec![0; usize::from(length)];
        self.deadline.io(stream.read_exact(&mut bytes)).await?;
        self.read(&bytes)
            .map_err(Trouble::Garbage)?
            .ok_or_else(|| Trouble::Garbage("an answer to another question".to_owned()))
    }

    /// `None` for an answer to another question (a late one, or a forged one).
    fn read(&self, bytes: &[u8]) -> Result<Option<Message>, String> {
        answer_to(self.question.metadata.id, bytes)
    }
}

/// What a reply says, from its bytes alone. `None` if it answers another question.
///
/// # Errors
/// When it is no DNS message.
pub fn reply(id: u16, record: Record, bytes: &[u8]) -> Result<Option<Seen>, String> {
    let answer = answer_to(id, bytes)?;
    Ok(answer.map(|answer| read(&answer, record, Duration::ZERO)))
}

fn answer_to(id: u16, bytes: &[u8]) -> Result<Option<Message>, String> {
    let answer = Message::from_vec(bytes).map_err(|error| error.to_string())?;
    let ours = answer.metadata.id == id && answer.metadata.message_type == MessageType::Response;
    Ok(ours.then_some(answer))
}

fn read(answer: &Message, record: Record, after: Duration) -> Seen {
    let wanted = record_type(record);
    Seen::Answered {
        after,
        code: code(answer.metadata.response_code),
        records: answer
            .answers
            .iter()
            .filter(|record| record.record_type() == wanted)
            .map(|record| record.data.to_string())
            .collect(),
    }
}

/// Administrators know the two usual errors by their short names.
fn code(code: ResponseCode) -> Code {
    if code == ResponseCode::NoError {
        Code::NoError
    } else if code == ResponseCode::NXDomain {
        Code::NxDomain
    } else if code == ResponseCode::ServFail {
        Code::Other("SERVFAIL".to_owned())
    } else if code == ResponseCode::Refused {
        Code::Other("REFUSED".to_owned())
    } else {
        Code::Other(code.to_string())
    }
}

const fn record_type(record: Record) -> RecordType {
    match record {
        Record::A => RecordType::A,
        Record::Aaaa => RecordType::AAAA,
        Record::Cname => RecordType::CNAME,
        Record::Mx => RecordType::MX,
        Record::Ns => RecordType::NS,
        Record::Ptr => RecordType::PTR,
        Record::Soa => RecordType::SOA,
        Record::Srv => RecordType::SRV,
        Record::Txt => RecordType::TXT,
    }
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::rr::rdata::{A, SRV};
    use hickory_resolver::proto::rr::{RData, Record as Answer};
    use tokio::net::TcpListener;

    use super::*;
    use crate::probe::dns::judge;
    use crate::probe::{Verdict, Word};

    const LONG: Duration = Duration::from_secs(20);

    /// What the server of a test does.
    #[derive(Clone, Copy)]
    enum Server {
        Answers,
        Cuts,
        Refuses,
        NoSuchName,
        Babbles,
        Silent,
        LosesTheFirst,
    }

    fn answer(question: &Message, server: Server) -> Vec<u8> {
        let mut answer = question.clone().into_response();
        let query = question.queries[0].clone();
        let code = match server {
            Server::Refuses => ResponseCode::Refused,
            Server::NoSuchName => ResponseCode::NXDomain,
            Server::Answers
            | Server::Cuts
            | Server::Babbles
            | Server::Silent
            | Server::LosesTheFirst => ResponseCode::NoError,
        };
        answer.metadata.response_code = code;
        answer.metadata.truncation = matches!(server, Server::Cuts);
        if code == ResponseCode::NoError && !answer.metadata.truncation {
            let data = if query.query_type() == RecordType::SRV {
                RData::SRV(SRV::new(
                    0,
                    100,
                    389,
                    Name::from_str("dc1.example.org.").unwrap(),
                ))
            } else {
                RData::A(A::new(127, 0, 0, 7))
            };
            answer.add_answer(Answer::from_rdata(query.name().clone(), 60, data));
        }
        answer.to_vec().unwrap()
    }

    async fn serve(udp: UdpSocket, tcp: TcpListener, server: Server) {
        let mut bytes = [0; 1500];
        let mut asked = 0;
        loop {
            tokio::select! {
                received = udp.recv_from(&mut bytes) => {
                    let (count, from) = received.unwrap();
                    asked += 1;
                    let question = Message::from_vec(&bytes[..count]).unwrap();
                    let reply = match server {
                        Server::Silent => continue,
                        Server::LosesTheFirst if asked == 1 => continue,
                        Server::Babbles => b"SSH-2.0-OpenSSH".to_vec(),
                        Server::Answers | Server::Cuts | Server::Refuses | Server::NoSuchName | Server::LosesTheFirst => answer(&question, server),
                    };
                    udp.send_to(&reply, from).await.unwrap();
                }
                accepted = tcp.accept() => {
                    let (mut stream, _) = accepted.unwrap();
                    let count = stream.read_u16().await.unwrap();
                    let mut bytes = vec![0; usize::from(count)];
                    stream.read_exact(&mut bytes).await.unwrap();
                    let reply = answer(&Message::from_vec(&bytes).unwrap(), Server::Answers);
                    stream.write_u16(u16::try_from(reply.len()).unwrap()).await.unwrap();
                    stream.write_all(&reply).await.unwrap();
                }
            }
        }
    }

    async fn ask(server: Server, record: Record, expect: &str, timeout: Duration) -> Verdict {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = tcp.local_addr().unwrap();
        let udp = UdpSocket::bind(address).await.unwrap();
        let settings = Settings {
            expect: vec![expect.to_owned()],
            ..Settings::new(address, "_ldap._tcp.example.org", record)
        };
        let server = tokio::spawn(serve(udp, tcp, server));
        let verdict = judge(&settings, &fetch(&settings, timeout, None).await);
        server.abort();
        verdict
    }

    fn code(verdict: &Verdict) -> &str {
        verdict.failure.as_ref().map_or("", |failure| &failure.code)
    }

    #[tokio::test]
    async fn good_answers_are_read() {
        for (server, record, expect) in [
            (Server::Answers, Record::A, "127.0.0.7"),
            (Server::Answers, Record::Srv, "0 100 389 dc1.example.org."),
            (Server::Cuts, Record::A, "127.0.0.7"),
            (Server::LosesTheFirst, Record::A, "127.0.0.7"),
        ] {
            let verdict = ask(server, record, expect, LONG).await;
            assert_eq!(verdict.word, Word::Good, "{verdict:?}");
        }
    }

    #[tokio::test]
    async fn bad_answers_are_named() {
        let short = Duration::from_millis(50);
        for (server, expect, timeout, expected) in [
            (Server::Answers, "127.0.0.9", LONG, "wrong_answer"),
            (Server::Refuses, "", LONG, "dns_error"),
            (Server::NoSuchName, "", LONG, "nxdomain"),
            (Server::Babbles, "", short, "malformed_answer"),
            (Server::Silent, "", short, "no_answer"),
        ] {
            let verdict = ask(server, Record::A, expect, timeout).await;
            assert_eq!(code(&verdict), expected, "{verdict:?}");
            assert_eq!(verdict.word, Word::Down);
        }
    }

    #[tokio::test]
    async fn nobody_there_is_a_refusal_and_a_bad_name_is_ours() {
        let closed = UdpSocket::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap();
        let settings = Settings::new(closed, "example.org", Record::A);
        let verdict = judge(&settings, &fetch(&settings, LONG, None).await);
        assert_eq!(code(&verdict), "connection_refused");
        let settings = Settings::new(closed, "a..b", Record::A);
        let verdict = judge(&settings, &fetch(&settings, LONG, None).await);
        assert_eq!(verdict.word, Word::Blind);
    }
}
