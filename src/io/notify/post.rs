//! One HTTP request with a body. A redirect is refused: what is signed or carries a token goes where it was told to
//! go, and nowhere else.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use super::{Senders, quoted};
use crate::alert::record::Failure;
use crate::io::http::{self, Target};

/// Nobody answers an alert with more; what is longer is somebody else's page.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// One request.
#[derive(Debug)]
pub(super) struct Post<'a> {
    pub(super) method: Method,
    pub(super) url: &'a str,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
    pub(super) timeout: Duration,
}

impl Senders {
    /// The body of an answer that says yes (2xx).
    ///
    /// # Errors
    /// Any other answer, or none. The words name the host, never the rest of the URL: many hold a token.
    pub(super) async fn post(&self, post: Post<'_>) -> Result<String, Failure> {
        let target = Target::of(post.url)
            .map_err(|why| Failure::refused(format!("the url cannot be used: {why}")))?;
        let end = Instant::now() + post.timeout;
        let addresses = self.addresses(&target).await?;
        let mut tried = addresses[0];
        let stream = http::connect(&addresses, None, end, |address| tried = address)
            .await
            .map_err(|fault| {
                Failure::passing(fault.failure(&tried.to_string(), post.timeout).words)
            })?;
        let host = target.authority.clone();
        let (status, body) = if target.tls {
            let name = ServerName::try_from(target.host.clone()).map_err(|_| {
                Failure::refused(format!("{host} is no name that a certificate can carry"))
            })?;
            let config = self.trust.strict().map_err(Failure::passing)?;
            let stream = TlsConnector::from(Arc::new(config))
                .connect(name, stream)
                .await
                .map_err(|error| Failure::passing(format!("{host}: TLS: {error}")))?;
            exchange(&target, post, stream).await?
        } else {
            exchange(&target, post, stream).await?
        };
        judge(&host, status, body)
    }

    async fn addresses(&self, target: &Target) -> Result<Vec<SocketAddr>, Failure> {
        if let Ok(ip) = target.host.parse() {
            return Ok(vec![SocketAddr::new(ip, target.port)]);
        }
        let found = self.resolver.addresses(&target.host).await;
        let addresses: Vec<SocketAddr> = found
            .map_err(|failure| Failure::passing(failure.words))?
            .into_iter()
            .map(|ip| SocketAddr::new(ip, target.port))
            .collect();
        if addresses.is_empty() {
            return Err(Failure::passing(format!("{} has no address", target.host)));
        }
        Ok(addresses)
    }
}

async fn exchange<S>(
    target: &Target,
    post: Post<'_>,
    stream: S,
) -> Result<(StatusCode, String), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let host = &target.authority;
    let failed = |error: &dyn std::fmt::Display| Failure::passing(format!("{host}: {error}"));
    let mut request = Request::builder()
        .method(post.method)
        .uri(&target.path)
        .header("host", host)
        .header("user-agent", concat!("vigie/", env!("CARGO_PKG_VERSION")))
        .header("connection", "close");
    for (name, value) in post.headers {
        // `from_str` refuses what would begin another header. The value may be a token: it is not repeated.
        let value = HeaderValue::from_str(&value).map_err(|_| {
            Failure::refused(format!(
                "the value of {name} has characters no header may have"
            ))
        })?;
        request = request.header(HeaderName::from_static(name), value);
    }
    let request = request
        .body(Full::new(Bytes::from(post.body)))
        .map_err(|error| failed(&error))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| failed(&error))?;
    // It ends with the body, or when the response is dropped.
    tokio::spawn(connection);
    let response = sender
        .send_request(request)
        .await
        .map_err(|error| failed(&error))?;
    let status = response.status();
    // The status is the answer; a body that breaks off takes nothing back.
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX)
        .collect()
        .await
        .map(|body| String::from_utf8_lossy(&body.to_bytes()).into_owned())
        .unwrap_or_default();
    Ok((status, body))
}

fn judge(host: &str, status: StatusCode, body: String) -> Result<String, Failure> {
    if status.is_success() {
        return Ok(body);
    }
    if status.is_redirection() {
        return Err(Failure::refused(format!(
            "{host} answered {status}: redirects are not followed; write the url it leads to"
        )));
    }
    let words = format!("{host} answered {status} {}", quoted(&body));
    // Both say: later (RFC 9110 §15.5.9, RFC 6585 §4).
    let is_passing = status.is_server_error()
        || status == StatusCode::REQUEST_TIMEOUT
        || status == StatusCode::TOO_MANY_REQUESTS;
    Err(Failure {
        words,
        refused: !is_passing,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_will_be_refused_again_is_told_from_what_passes() {
        for (status, expected) in [
            (200, None),
            (204, None),
            (302, Some(true)),
            (400, Some(true)),
            (401, Some(true)),
            (404, Some(true)),
            (408, Some(false)),
            (429, Some(false)),
            (500, Some(false)),
            (503, Some(false)),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let outcome = judge("h", status, "x\ny".to_owned()).err();
            assert_eq!(outcome.map(|failure| failure.refused), expected, "{status}");
        }
    }
}
