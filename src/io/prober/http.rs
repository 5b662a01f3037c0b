//! Fetches one page, for `probe::http`: own name resolution, connection, TLS and request, one after the
//! other, so that each phase has its time and its culprit.

use std::error::Error as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::Deadline;
use crate::io::dns::{self, Resolver};
use crate::io::http::{self, Target};
use crate::io::trust;
use crate::probe::http::{Certificate, Outcome, Phases, Seen, Settings, follow};
use crate::probe::socket::SocketFault;
use crate::probe::tcp::holds;

pub(super) async fn fetch(
    settings: &Settings,
    timeout: Duration,
    local: Option<IpAddr>,
    resolver: &Resolver,
    trust: &trust::Store,
) -> Seen {
    let mut fetching = Fetching {
        settings,
        local,
        resolver,
        trust,
        deadline: Deadline::after(timeout),
        peer: settings.url.clone(),
        phases: Phases::default(),
        certificate: None,
    };
    let outcome = match fetching.pages().await {
        Ok(outcome) | Err(outcome) => outcome,
    };
    fetching.phases.total = fetching.deadline.elapsed();
    Seen {
        peer: fetching.peer,
        phases: fetching.phases,
        certificate: fetching.certificate,
        outcome,
    }
}

struct Fetching<'a> {
    settings: &'a Settings,
    local: Option<IpAddr>,
    resolver: &'a Resolver,
    trust: &'a trust::Store,
    deadline: Deadline,
    peer: String,
    phases: Phases,
    certificate: Option<Certificate>,
}

impl Fetching<'_> {
    /// Follows redirects to the last page. `Err` is an outcome as well: the one that ends it early.
    async fn pages(&mut self) -> Result<Outcome, Outcome> {
        let mut url = self.settings.url.clone();
        for _ in 0..=self.settings.redirects_max {
            let response = self.page(&url).await?;
            let status = response.status().as_u16();
            let location = response
                .headers()
                .get("location")
                .and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
            let next = match location {
                Some(location)
                    if (300..400).contains(&status) && !self.settings.status.contains(&status) =>
                {
                    next_page(&url, location)?
                }
                Some(_) | None => return self.read(response).await,
            };
            url = next;
        }
        Err(Outcome::TooManyRedirects { to: url })
    }

    /// One request on a connection of its own.
    async fn page(&mut self, url: &str) -> Result<Response<Incoming>, Outcome> {
        let target = read(url)?;
        let stream = self.connect(&target).await?;
        if target.tls {
            let stream = self.secure(&target, stream).await?;
            self.request(&target, stream).await
        } else {
            self.request(&target, stream).await
        }
    }

    async fn connect(&mut self, target: &Target) -> Result<TcpStream, Outcome> {
        let addresses = self.addresses(target).await?;
        let before = self.deadline.elapsed();
        let peer = &mut self.peer;
        let connected = http::connect(&addresses, self.local, self.deadline.end, |address| {
            *peer = address.to_string();
        });
        let stream = connected.await.map_err(Outcome::Failed)?;
        self.phases.connect = Some(self.deadline.elapsed().saturating_sub(before));
        Ok(stream)
    }

    async fn addresses(&mut self, target: &Target) -> Result<Vec<SocketAddr>, Outcome> {
        if let Some(ip) = target.host.parse().ok().or(self.given(target)?) {
            return Ok(vec![SocketAddr::new(ip, target.port)]);
        }
        let before = self.deadline.elapsed();
        let lookup = self.resolver.addresses(&target.host);
        let addresses = match self.deadline.wait(lookup).await {
            Some(Ok(addresses)) => addresses,
            Some(Err(failure)) => return Err(Outcome::NoAddress(failure)),
            None => return Err(Outcome::NoAddress(dns::no_answer_in_time(&target.host))),
        };
        self.phases.name = Some(self.deadline.elapsed().saturating_sub(before));
        Ok(addresses
            .into_iter()
            .map(|ip| SocketAddr::new(ip, target.port))
            .collect())
    }

    /// The machine that the settings name for this host.
    fn given(&self, target: &Target) -> Result<Option<IpAddr>, Outcome> {
        let asked = read(&self.settings.url)?;
        let is_asked = asked.host.eq_ignore_ascii_case(&target.host);
        Ok(self.settings.connect_to.filter(|_| is_asked))
    }

    async fn secure(
        &mut self,
        target: &Target,
        stream: TcpStream,
    ) -> Result<tokio_rustls::client::TlsStream<TcpStream>, Outcome> {
        let ours = |words| Outcome::Ours {
            code: "tls_settings",
            words,
        };
        let (config, recorder) = self.trust.client(&self.settings.trust).map_err(ours)?;
        let name = ServerName::try_from(target.host.clone()).map_err(|_| {
            ours(format!(
                "'{}' is no name that a certificate can carry",
                target.host
            ))
        })?;
        let before = self.deadline.elapsed();
        let connector = TlsConnector::from(Arc::new(config));
        let secured = self.deadline.wait(connector.connect(name, stream)).await;
        self.certificate = recorder.certificate();
        self.phases.tls = Some(self.deadline.elapsed().saturating_sub(before));
        match secured {
            Some(Ok(stream)) => Ok(stream),
            Some(Err(error)) => Err(match error.get_ref() {
                Some(inner) if inner.is::<rustls::Error>() => Outcome::TlsFailed {
                    words: inner.to_string(),
                },
                Some(_) | None => Outcome::Failed(SocketFault::of(&error)),
            }),
            None => Err(Outcome::Failed(SocketFault::TimedOut)),
        }
    }

    async fn request<S>(
        &mut self,
        target: &Target,
        stream: S,
    ) -> Result<Response<Incoming>, Outcome>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let request = Request::get(&target.path)
            .header("host", &target.authority)
            .header("user-agent", concat!("vigie/", env!("CARGO_PKG_VERSION")))
            .header("accept", "*/*")
            .header("connection", "close")
            .body(Empty::<Bytes>::new())
            .map_err(|error| bad_url(&target.path, &error.to_string()))?;
        let before = self.deadline.elapsed();
        let exchange = async {
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
            // It ends with the body, or when the response is dropped.
            tokio::spawn(connection);
            sender.send_request(request).await
        };
        let response = match self.deadline.wait(exchange).await {
            Some(Ok(response)) => response,
            Some(Err(error)) => return Err(read_error(&error)),
            None => return Err(Outcome::Failed(SocketFault::TimedOut)),
        };
        self.phases.first_byte = Some(self.deadline.elapsed().saturating_sub(before));
        Ok(response)
    }

    /// Reads the body as far as the wanted text, if one is wanted.
    async fn read(&self, response: Response<Incoming>) -> Result<Outcome, Outcome> {
        let status = response.status().as_u16();
        let found = match &self.settings.contains {
            None => None,
            Some(text) => Some(self.find(text, response.into_body()).await?),
        };
        Ok(Outcome::Answered { status, found })
    }

    async fn find(&self, text: &str, mut body: Incoming) -> Result<bool, Outcome> {
        let mut read = Vec::new();
        while read.len() < self.settings.body_bytes_max {
            let frame = match self.deadline.wait(body.frame()).await {
                None => return Err(Outcome::Failed(SocketFault::TimedOut)),
                Some(None) => break,
                Some(Some(Err(error))) => return Err(read_error(&error)),
                Some(Some(Ok(frame))) => frame,
            };
            let Some(part) = frame.data_ref() else {
                continue;
            };
            // The text may lie across two parts: look again from a little before this one.
            let from = read.len().saturating_sub(text.len());
            let room = self.settings.body_bytes_max - read.len();
            read.extend_from_slice(part.get(..room).unwrap_or(part));
            if holds(read.get(from..).unwrap_or(&[]), text) {
                return Ok(true);
            }
        }
        Ok(text.is_empty())
    }
}

/// Where a redirect leads. A place from which no page can be fetched is their mistake, not ours.
pub fn next_page(url: &str, location: &str) -> Result<String, Outcome> {
    follow(url, location).ok_or_else(|| Outcome::BadRedirect {
        to: location.to_owned(),
    })
}

fn read(url: &str) -> Result<Target, Outcome> {
    Target::of(url).map_err(|why| bad_url(url, &why))
}

fn bad_url(url: &str, why: &str) -> Outcome {
    Outcome::Ours {
        code: "bad_url",
        words: format!("'{url}' cannot be fetched: {why}"),
    }
}

fn read_error(error: &hyper::Error) -> Outcome {
    if error.is_parse() {
        return Outcome::Malformed {
            words: error.to_string(),
        };
    }
    match error
        .source()
        .and_then(|source| source.downcast_ref::<std::io::Error>())
    {
        Some(io) => Outcome::Failed(SocketFault::of(io)),
        // Closed before the whole response was there.
        None => Outcome::Failed(SocketFault::Closed),
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};
    use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;
    use crate::io::clock;
    use crate::io::dns::tests::resolver;
    use crate::probe::http::{Trust, judge};
    use crate::probe::{Verdict, Word};

    const LONG: Duration = Duration::from_secs(20);

    /// Answers every request with the same bytes; TLS when there is a certificate.
    async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, response: Vec<u8>, hold: bool) {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            match &tls {
                None => answer(stream, &response, hold).await,
                Some(acceptor) => {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        answer(stream, &response, hold).await;
                    }
                }
            }
        }
    }

    async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, response: &[u8], hold: bool) {
        let mut request = Vec::new();
        let mut part = [0; 1024];
        while !request.ends_with(b"\r\n\r\n") {
            let count = stream.read(&mut part).await.unwrap_or(0);
            if count == 0 {
                return;
            }
            request.extend_from_slice(&part[..count]);
        }
        let _ = stream.write_all(response).await;
        let _ = stream.flush().await;
        if hold {
            std::future::pending::<()>().await;
        }
        let _ = stream.shutdown().await;
    }

    struct Site {
        settings: Settings,
        listener: TcpListener,
        tls: Option<TlsAcceptor>,
        // Holds the PEM file of the authority.
        _folder: tempfile::TempDir,
    }

    /// A site on loopback; with the end of its certificate, over TLS, for `name`.
    async fn site(ends: Option<(i32, u8, u8)>, name: &str) -> Site {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let Some((year, month, day)) = ends else {
            let settings = Settings::new(format!("http://{address}/x"));
            return Site {
                settings,
                listener,
                tls: None,
                _folder: folder,
            };
        };
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(year, month, day);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, certificate.pem()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let server = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
            )
            .unwrap();
        let settings = Settings {
            connect_to: Some(address.ip()),
            trust: Trust::File(file),
            ..Settings::new(format!("https://site.example:{}/x", address.port()))
        };
        let tls = Some(TlsAcceptor::from(Arc::new(server)));
        Site {
            settings,
            listener,
            tls,
            _folder: folder,
        }
    }

    impl Site {
        async fn ask(self, response: &str, hold: bool, timeout: Duration) -> Verdict {
            let server = tokio::spawn(serve(
                self.listener,
                self.tls,
                response.as_bytes().to_vec(),
                hold,
            ));
            let resolver = resolver().await;
            let trust = trust::Store::new(None);
            let seen = fetch(&self.settings, timeout, None, &resolver, &trust).await;
            server.abort();
            judge(&self.settings, &seen, clock::now().utc)
        }
    }

    fn code(verdict: &Verdict) -> &str {
        verdict.failure.as_ref().map_or("", |failure| &failure.code)
    }

    const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nBienvenue";

    #[tokio::test]
    async fn plain_answers_are_judged() {
        for (response, contains, expected) in [
            (OK, None, ""),
            (OK, Some("venue"), ""),
            (OK, Some("Maintenance"), "wrong_content"),
            (
                "HTTP/1.1 503 no\r\nContent-Length: 0\r\n\r\n",
                None,
                "http_503",
            ),
            (
                "HTTP/1.1 302 x\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n",
                None,
                "too_many_redirects",
            ),
            ("SSH-2.0-OpenSSH_9.2\r\n", None, "malformed_response"),
            ("", None, "connection_closed"),
        ] {
            let mut site = site(None, "").await;
            site.settings.contains = contains.map(str::to_owned);
            let verdict = site.ask(response, false, LONG).await;
            assert_eq!(code(&verdict), expected, "{response} {verdict:?}");
        }
    }

    #[tokio::test]
    async fn a_server_that_hangs_is_silent_at_any_point() {
        for response in [
            "",
            "HTTP/1.1 200 OK\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nBien",
        ] {
            let mut site = site(None, "").await;
            site.settings.contains = Some("Bienvenue".to_owned());
            let verdict = site.ask(response, true, Duration::from_millis(100)).await;
            assert_eq!(code(&verdict), "no_answer", "{response}");
        }
    }

    #[tokio::test]
    async fn the_body_is_read_no_further_than_its_cap() {
        let mut site = site(None, "").await;
        site.settings.contains = Some("end".to_owned());
        site.settings.body_bytes_max = 1000;
        let response = format!("HTTP/1.1 200 OK\r\n\r\n{}end", "x".repeat(5000));
        assert_eq!(
            code(&site.ask(&response, false, LONG).await),
            "wrong_content"
        );
    }

    #[tokio::test]
    async fn certificates_tell_their_end_even_when_they_are_no_good() {
        for (ends, name, expected, has_days) in [
            ((2999, 1, 1), "site.example", "", true),
            ((2021, 1, 1), "site.example", "certificate_expired", true),
            ((2999, 1, 1), "other.example", "certificate_refused", true),
        ] {
            let verdict = site(Some(ends), name).await.ask(OK, false, LONG).await;
            assert_eq!(code(&verdict), expected, "{verdict:?}");
            let days = verdict
                .measures
                .iter()
                .any(|m| m.name == "certificate_days_left");
            assert_eq!(days, has_days, "{expected}");
        }
    }

    #[tokio::test]
    async fn a_certificate_of_nobody_known_is_refused_unless_anybody_is_trusted() {
        let mut stranger = site(Some((2999, 1, 1)), "site.example").await;
        stranger.settings.trust = Trust::Any;
        assert_eq!(stranger.ask(OK, false, LONG).await.word, Word::Good);
        let known = site(Some((2999, 1, 1)), "site.example").await;
        let mut stranger = site(Some((2999, 1, 1)), "site.example").await;
        stranger.settings.trust = known.settings.trust.clone();
        assert_eq!(
            code(&stranger.ask(OK, false, LONG).await),
            "certificate_refused"
        );
    }

    #[tokio::test]
    async fn our_own_faults_are_blind() {
        let mut no_file = site(Some((2999, 1, 1)), "site.example").await;
        no_file.settings.trust = Trust::File("/nonexistent.pem".into());
        assert_eq!(no_file.ask(OK, false, LONG).await.word, Word::Blind);
        let mut no_url = site(None, "").await;
        no_url.settings.url = "ftp://x/".to_owned();
        assert_eq!(no_url.ask(OK, false, LONG).await.word, Word::Blind);
    }

    #[tokio::test]
    async fn a_name_that_is_gone_is_down_and_a_resolver_that_is_gone_is_blind() {
        for (host, word, expected) in [
            ("nobody.test", Word::Down, "dns_no_such_name"),
            ("refused.test", Word::Blind, "dns_unavailable"),
            ("broken.test", Word::Blind, "dns_unavailable"),
        ] {
            let mut site = site(None, "").await;
            site.settings.url = format!("http://{host}/");
            let verdict = site.ask(OK, false, LONG).await;
            assert_eq!((verdict.word, code(&verdict)), (word, expected), "{host}");
        }
    }

    #[tokio::test]
    async fn a_redirect_keeps_the_machine_and_takes_its_own_port() {
        let secure = site(Some((2999, 1, 1)), "site.example").await;
        let mut plain = site(None, "").await;
        let port = plain.listener.local_addr().unwrap().port();
        plain.settings = Settings {
            url: format!("http://site.example:{port}/"),
            ..secure.settings.clone()
        };
        let response = redirect(&secure.settings.url.replace("site", "SITE"));
        let server = tokio::spawn(serve(secure.listener, secure.tls, OK.into(), false));
        let verdict = plain.ask(&response, false, LONG).await;
        server.abort();
        assert_eq!(verdict.word, Word::Good, "{verdict:?}");
    }

    #[tokio::test]
    async fn a_redirect_elsewhere_goes_where_its_name_leads() {
        for (to, expected) in [
            ("http://nobody.test/", "dns_no_such_name"),
            ("mailto:vigie@site.example", "bad_redirect"),
        ] {
            let mut site = site(None, "").await;
            let address = site.listener.local_addr().unwrap();
            site.settings.connect_to = Some(address.ip());
            site.settings.url = format!("http://site.example:{}/", address.port());
            let verdict = site.ask(&redirect(to), false, LONG).await;
            assert_eq!(code(&verdict), expected, "{to} {verdict:?}");
        }
    }

    fn redirect(to: &str) -> String {
        format!("HTTP/1.1 301 Moved\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n")
    }

    #[tokio::test]
    async fn no_tls_on_a_tls_port_is_named() {
        let mut plain = site(None, "").await;
        let address = plain.listener.local_addr().unwrap();
        plain.settings.connect_to = Some(address.ip());
        plain.settings.url = format!("https://site.example:{}/", address.port());
        plain.settings.trust = Trust::Any;
        // The server reads the hello as a request that never ends, and says what it is at once.
        let listener = plain.listener;
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"220 smtp ready\r\n").await.unwrap();
            std::future::pending::<()>().await;
        });
        let resolver = resolver().await;
        let trust = trust::Store::new(None);
        let seen = fetch(&plain.settings, LONG, None, &resolver, &trust).await;
        server.abort();
        let verdict = judge(&plain.settings, &seen, clock::now().utc);
        assert_eq!(code(&verdict), "tls_failed", "{verdict:?}");
    }
}
