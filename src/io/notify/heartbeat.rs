//! The dead-man's switch: as long as the watchdog lives, somebody else hears so; when he hears nothing, he rings.
//!
//! A beat proves that probes are judged and facts written, not that a timer runs: when the last news of the engine
//! is old, nothing is sent.

use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use tokio::sync::watch;
use url::form_urlencoded;

use super::post::Post;
use super::{Senders, bearer_of, within};
use crate::alert::record::Failure;
use crate::alert::settings::Heartbeat;
use crate::io::clock;
use crate::time::Utc;

/// The engine tells of itself every second; older than this it hangs, and saying nothing is the truth.
const NEWS_MAX: Duration = Duration::from_secs(30);

/// A beat that nobody heard is tried again so often in the time of one: a lost packet must not make the switch ring.
/// More would knock at the door of a server that just starts.
const TRIES: u32 = 6;

/// What is told of the engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Beat {
    /// Number of the last fact on disk.
    pub fact: u64,
    /// Verdicts since the start.
    pub verdicts: u64,
    /// When the engine said so.
    pub at: Utc,
}

impl Senders {
    /// Tells once.
    ///
    /// # Errors
    /// Why nobody heard it.
    pub async fn beat(&self, settings: &Heartbeat, beat: Beat) -> Result<(), Failure> {
        let at = beat.at.rfc3339();
        let (method, url, mut headers, body) = if settings.post {
            let body = serde_json::json!({"fact": beat.fact, "verdicts": beat.verdicts, "at": at});
            let headers = vec![("content-type", "application/json".to_owned())];
            (
                Method::POST,
                settings.url.clone(),
                headers,
                body.to_string(),
            )
        } else {
            let query = form_urlencoded::Serializer::new(String::new())
                .append_pair("fact", &beat.fact.to_string())
                .append_pair("verdicts", &beat.verdicts.to_string())
                .append_pair("at", &at)
                .finish();
            let separator = if settings.url.contains('?') { '&' } else { '?' };
            let url = format!("{}{separator}{query}", settings.url);
            (Method::GET, url, Vec::new(), String::new())
        };
        if let Some(bearer) = &settings.bearer {
            headers.push(("authorization", bearer_of(bearer)?));
        }
        let sending = self.post(Post {
            method,
            url: &url,
            headers,
            body,
            timeout: settings.timeout,
        });
        within(settings.timeout, async {
            Box::pin(sending).await.map(drop)
        })
        .await
    }
}

/// Beats for ever; ends with the last sender of news.
pub async fn run(senders: Arc<Senders>, settings: Heartbeat, mut news: watch::Receiver<Beat>) {
    // Before the engine has spoken there is nothing to tell.
    if news.changed().await.is_err() {
        return;
    }
    let mut was_heard = true;
    let mut pause = Duration::ZERO;
    loop {
        tokio::time::sleep(pause).await;
        pause = settings.every;
        if news.has_changed().is_err() {
            return;
        }
        let beat = *news.borrow();
        if clock::now().utc.since(beat.at) > NEWS_MAX {
            tracing::error!("no heartbeat is sent: the engine says nothing of itself");
            continue;
        }
        match senders.beat(&settings, beat).await {
            Ok(()) if !was_heard => {
                tracing::info!("the heartbeat is heard again");
                was_heard = true;
            }
            Ok(()) => {}
            Err(failure) => {
                pause = settings.every / TRIES;
                if was_heard {
                    tracing::warn!(%failure, "the heartbeat is not heard; it is tried again until it is");
                    was_heard = false;
                }
            }
        }
    }
}
