//! Asks the pages of a running vigie, for the verbs `status` and `lab`.

use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// A page on this machine answers in milliseconds; beyond this it hangs.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    #[error("nothing answers at {at}: {words}; is vigie running, and does --at name its page?")]
    Unreachable { at: String, words: String },
    #[error("{at} took more than {PATIENCE:?} to answer; look at the journal of vigie")]
    Silent { at: String },
}

/// Status code and text of `GET path` at `at` (`ADDR:PORT`).
///
/// # Errors
/// When nobody answers there in time.
pub async fn get(at: &str, path: &str) -> Result<(u16, String), AskError> {
    ask(at, Request::get(path), String::new()).await
}

/// The same for a form sent with POST; `form` is already encoded (`name=value&…`).
///
/// # Errors
/// When nobody answers there in time.
pub async fn post(at: &str, path: &str, form: String) -> Result<(u16, String), AskError> {
    let request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
    ask(at, request, form).await
}

async fn ask(
    at: &str,
    request: hyper::http::request::Builder,
    body: String,
) -> Result<(u16, String), AskError> {
    let unreachable = |words: String| AskError::Unreachable {
        at: at.to_owned(),
        words,
    };
    let request = request
        .header("host", at)
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| unreachable(error.to_string()))?;
    let exchange = async {
        let stream = TcpStream::connect(at)
            .await
            .map_err(|error| unreachable(error.to_string()))?;
        let broken = |error: hyper::Error| unreachable(error.to_string());
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        let driven = tokio::spawn(connection);
        let reply = sender.send_request(request).await.map_err(broken)?;
        let status = reply.status().as_u16();
        let body = reply
            .into_body()
            .collect()
            .await
            .map_err(broken)?
            .to_bytes();
        driven.abort();
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    };
    tokio::time::timeout(PATIENCE, exchange)
        .await
        .unwrap_or_else(|_| Err(AskError::Silent { at: at.to_owned() }))
}
