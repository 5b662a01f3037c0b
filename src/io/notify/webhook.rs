//! Our own JSON, signed at the moment it leaves.

use hyper::Method;

use super::post::Post;
use super::{Senders, secret};
use crate::alert::message::webhook::{ID, SIGNATURE, TIMESTAMP, body, sign};
use crate::alert::outbox::Outgoing;
use crate::alert::record::Failure;
use crate::alert::settings::Webhook;
use crate::io::clock;

impl Senders {
    pub(super) async fn webhook(
        &self,
        settings: &Webhook,
        outgoing: &Outgoing,
    ) -> Result<(), Failure> {
        let body = body(outgoing);
        let timestamp = clock::now().utc.0 / 1_000_000_000;
        let signature = sign(&secret(&settings.secret)?, timestamp, &body);
        self.post(Post {
            method: Method::POST,
            url: &settings.url,
            headers: vec![
                ("content-type", "application/json".to_owned()),
                (TIMESTAMP, timestamp.to_string()),
                (SIGNATURE, signature),
                (ID, outgoing.key()),
            ],
            body,
            timeout: outgoing.channel.timeout,
        })
        .await
        .map(drop)
    }
}
