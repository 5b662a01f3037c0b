//! All routes in one list, with the headers that every answer carries.

use std::future::Future;
use std::net::SocketAddr;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use tokio::net::TcpListener;

use super::{Pages, api, beat, board, demo, live, metrics};

/// Why the pages cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "cannot listen on {listen}: {words}; end what listens there (another vigie?) or choose another \
         address: --listen of the demo, `listen` of the configuration"
    )]
    Listen { listen: SocketAddr, words: String },
    #[error("the page server ended: {0}")]
    Serve(std::io::Error),
}

/// Binds `listen` and returns the address it got and the future that serves until `stop` ends.
///
/// # Errors
/// When the address cannot be bound.
pub async fn serve(
    listen: SocketAddr,
    pages: Pages,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(SocketAddr, impl Future<Output = Result<(), Error>>), Error> {
    let refused = |error: std::io::Error| Error::Listen {
        listen,
        words: error.to_string(),
    };
    let listener = TcpListener::bind(listen).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    let (closing, closed) = tokio::sync::watch::channel(false);
    let router = routes(pages, closed);
    let served = async move {
        axum::serve(listener, router)
            .with_graceful_shutdown(async move {
                stop.await;
                // Live streams have no end of their own; without this word they would hold the stop.
                let _ = closing.send(true);
            })
            .await
            .map_err(Error::Serve)
    };
    Ok((address, served))
}

fn routes(pages: Pages, closed: tokio::sync::watch::Receiver<bool>) -> Router {
    let mut router = Router::new()
        .route("/", get(board::page))
        .route("/fragment", get(board::fragment))
        .route("/live", get(live::stream))
        .route("/static/board.css", get(board::style))
        .route("/static/board.js", get(board::script))
        .route("/static/icon.svg", get(board::icon))
        .route("/healthz", get(api::health))
        .route("/api/v1/status", get(api::status))
        .route("/api/v1/incidents", get(api::incidents))
        .route(
            "/api/v1/beat/{*probe}",
            post(beat::receive).layer(DefaultBodyLimit::max(beat::BODY_BYTES_MAX)),
        )
        .route("/metrics", get(metrics::scrape));
    if pages.lab.is_some() {
        router = router
            .route("/demo", get(demo::page))
            .route("/demo/fault", post(demo::fault));
    }
    router
        .layer(axum::Extension(live::Closed(closed)))
        .layer(middleware::from_fn(guard))
        .with_state(pages)
}

/// No script but our own, no frame around us, no copy in a cache.
async fn guard(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'self'; frame-ancestors 'none'; form-action 'self'; base-uri 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
