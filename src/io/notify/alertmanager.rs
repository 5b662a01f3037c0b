//! What Alertmanager would send.

use hyper::Method;

use super::post::Post;
use super::{Senders, bearer_of};
use crate::alert::message::alertmanager::body;
use crate::alert::outbox::Outgoing;
use crate::alert::record::Failure;
use crate::alert::settings::Alertmanager;

impl Senders {
    pub(super) async fn alertmanager(
        &self,
        settings: &Alertmanager,
        outgoing: &Outgoing,
    ) -> Result<(), Failure> {
        let mut headers = vec![("content-type", "application/json".to_owned())];
        if let Some(bearer) = &settings.bearer {
            headers.push(("authorization", bearer_of(bearer)?));
        }
        self.post(Post {
            method: Method::POST,
            url: &settings.url,
            headers,
            body: body(outgoing),
            timeout: outgoing.channel.timeout,
        })
        .await
        .map(drop)
    }
}
