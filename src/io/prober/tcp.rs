//! Connects and listens for a banner, for `probe::tcp`.

use std::net::IpAddr;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::Deadline;
use crate::io::leave;
use crate::probe::socket::SocketFault;
use crate::probe::tcp::{BANNER_BYTES_MAX, Ended, Seen, Settings, holds};

pub(super) async fn fetch(settings: &Settings, timeout: Duration, local: Option<IpAddr>) -> Seen {
    let deadline = Deadline::after(timeout);
    let mut stream = match deadline.io(leave::connect(local, settings.peer)).await {
        Ok(stream) => stream,
        Err(fault) => {
            return Seen::Failed {
                fault,
                after: deadline.elapsed(),
            };
        }
    };
    let connect = deadline.elapsed();
    let mut heard = Vec::new();
    let ended = match &settings.banner {
        None => Ended::Enough,
        Some(banner) => listen(&mut stream, banner, &mut heard, &deadline).await,
    };
    Seen::Connected {
        connect,
        heard,
        after: deadline.elapsed(),
        ended,
    }
}

async fn listen(
    stream: &mut TcpStream,
    banner: &str,
    heard: &mut Vec<u8>,
    deadline: &Deadline,
) -> Ended {
    let mut part = [0; 512];
    loop {
        if holds(heard, banner) {
            return Ended::Enough;
        }
        if heard.len() >= BANNER_BYTES_MAX {
            return Ended::TooMuch;
        }
        match deadline.io(stream.read(&mut part)).await {
            Ok(0) => return Ended::Broke(SocketFault::Closed),
            Ok(count) => heard.extend_from_slice(part.get(..count).unwrap_or(&part)),
            Err(fault) => return Ended::Broke(fault),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;
    use crate::probe::tcp::judge;
    use crate::probe::{Verdict, Word};

    const LONG: Duration = Duration::from_secs(20);

    /// Asks a server that says `parts` one by one, then closes, or holds the line for ever.
    async fn ask(parts: &'static [&'static str], hold: bool, timeout: Duration) -> Verdict {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let settings = Settings {
            banner: Some("SSH-2.0-".to_owned()),
            ..Settings::new(listener.local_addr().unwrap())
        };
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            for part in parts {
                stream.write_all(part.as_bytes()).await.unwrap();
                stream.flush().await.unwrap();
            }
            if hold {
                std::future::pending::<()>().await;
            }
        });
        let verdict = judge(&settings, &fetch(&settings, timeout, None).await);
        server.abort();
        verdict
    }

    fn code(verdict: &Verdict) -> &str {
        verdict.failure.as_ref().map_or("", |failure| &failure.code)
    }

    #[tokio::test]
    async fn a_banner_in_pieces_is_heard() {
        let verdict = ask(&["SSH-", "2.0-OpenSSH\r\n"], true, LONG).await;
        assert_eq!(verdict.word, Word::Good, "{verdict:?}");
    }

    #[tokio::test]
    async fn another_greeting_misbehaves() {
        assert_eq!(
            code(&ask(&["421 busy\r\n"], false, LONG).await),
            "wrong_banner"
        );
    }

    #[tokio::test]
    async fn an_open_port_that_hangs_is_silent() {
        let verdict = ask(&[], true, Duration::from_millis(50)).await;
        assert_eq!(code(&verdict), "no_banner");
    }

    #[tokio::test]
    async fn a_closed_port_refuses() {
        let closed = TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap();
        let settings = Settings::new(closed);
        let verdict = judge(&settings, &fetch(&settings, LONG, None).await);
        assert_eq!(code(&verdict), "connection_refused");
    }

    #[tokio::test]
    async fn it_leaves_from_the_address_of_its_place() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let settings = Settings::new(listener.local_addr().unwrap());
        let place = IpAddr::from([127, 0, 0, 9]);
        let seen = fetch(&settings, LONG, Some(place)).await;
        let (_, from) = listener.accept().await.unwrap();
        assert_eq!(from.ip(), place);
        assert_eq!(judge(&settings, &seen).word, Word::Good);
    }

    #[tokio::test]
    async fn a_place_whose_address_is_gone_is_blind_and_asks_by_no_other_way() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let settings = Settings::new(listener.local_addr().unwrap());
        // Of RFC 5737: nobody's, so not ours.
        let place = IpAddr::from([192, 0, 2, 9]);
        let verdict = judge(&settings, &fetch(&settings, LONG, Some(place)).await);
        assert_eq!(verdict.word, Word::Blind, "{verdict:?}");
    }

    #[tokio::test]
    async fn no_route_of_ours_is_blind() {
        // The broadcast address cannot be connected to: the kernel refuses at once, nothing is sent.
        let settings = Settings::new(SocketAddr::from(([255, 255, 255, 255], 9)));
        let verdict = judge(&settings, &fetch(&settings, LONG, None).await);
        assert_eq!(verdict.word, Word::Blind, "{verdict:?}");
    }
}
