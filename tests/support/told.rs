//! Somebody to tell of an outage, and when it reached him: a mail server with one box, and an HTTP receiver.
//!
//! Received is received: a mail counts once Exim has written it into the box, a webhook once its request is whole.

use std::fs;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use vigie::io::clock;
use vigie::time::Utc;

use super::alert_peers::{MailServer, Receiver};
use super::certificate::Certificate;
use super::patience::look_for;

/// What the service needs in its environment for [`Told::channels`].
pub(crate) const SECRETS: [(&str, &str); 2] = [("SMTP", "s3cret-smtp"), ("HOOK", "s3cret-hook")];

/// A real mail server and a real HTTP receiver, in the network of this thread.
#[derive(Debug)]
pub(crate) struct Told {
    mail: MailServer,
    web: Receiver,
    folder: TempDir,
    /// How many mails and requests were looked at.
    mails: usize,
    posts: usize,
}

/// One alert, as both heard of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    /// In the box of the mail server.
    pub mailed: Utc,
    /// At the HTTP receiver.
    pub posted: Utc,
    /// What the message itself says: since when, the fact behind it, and when it was put together.
    pub since: Utc,
    pub decided: Utc,
    pub queued: Utc,
}

/// One alert of a webhook, and the message that brought it.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    /// `X-Vigie-Id`.
    pub id: String,
    pub queued: Utc,
    pub alert: Value,
}

impl Told {
    pub(crate) fn start() -> Self {
        let certificate = Certificate::signed_by("authority of the test", "mail.example.org", 2040);
        let folder = tempfile::tempdir().expect("a folder for the authority");
        fs::write(folder.path().join("ca.pem"), &certificate.authority)
            .expect("to write the authority");
        Self {
            mail: MailServer::start(&certificate.server_pem()),
            web: Receiver::start(8080),
            folder,
            mails: 0,
            posts: 0,
        }
    }

    /// For `[service]`: whom to believe about the mail server.
    pub(crate) fn tls_ca(&self) -> String {
        format!(
            "tls_ca = {:?}\n",
            self.folder.path().join("ca.pem").display().to_string()
        )
    }

    /// Both channels, as an installer would write them: every default holds.
    pub(crate) fn channels(&self) -> String {
        "[alert.astreinte]\nkind = \"mail\"\nserver = \"127.0.0.1:2525\"\ntls_name = \"mail.example.org\"\n\
         from = \"vigie <vigie@example.org>\"\nto = \"astreinte@example.org\"\nuser = \"vigie\"\n\
         secret = \"env:SMTP\"\n\
         [alert.equipe]\nkind = \"webhook\"\nurl = \"http://127.0.0.1:8080/hook\"\nsecret = \"env:HOOK\"\n"
            .to_owned()
    }

    /// Waits until an alert of this status about `subject` has reached both; what came before is passed over.
    pub(crate) fn wait_for(&mut self, status: &str, subject: &str, within: Duration) -> Arrival {
        let (mut posted, mut mailed) = (None, None);
        let arrived = look_for(within, || {
            if posted.is_none() {
                let post = self.new_posts().into_iter().find(|post| {
                    post.alert["status"] == status && post.alert["subject"] == subject
                });
                posted = post.map(|post| (post, clock::now().utc));
            }
            if mailed.is_none() && self.new_mails(status, subject) {
                mailed = Some(clock::now().utc);
            }
            Some((posted.clone()?, mailed?))
        });
        let ((post, posted), mailed) = arrived
            .unwrap_or_else(|| {
                panic!(
                    "{subject} {status}: not within {within:?}; HTTP: {posted:?}, mail: {mailed:?}\n{:#?}\n{:#?}",
                    self.web.requests(),
                    self.mail.box_()
                )
            })
            .0;
        Arrival {
            mailed,
            posted,
            since: time_of(&post.alert["since"]),
            decided: time_of(&post.alert["at"]),
            queued: post.queued,
        }
    }

    /// The alerts that came by webhook since the last look.
    pub(crate) fn new_posts(&mut self) -> Vec<Post> {
        let requests = self.web.requests_after(self.posts);
        self.posts += requests.len();
        requests.iter().flat_map(alerts).collect()
    }

    /// Every alert that ever came by webhook.
    pub(crate) fn all_posts(&self) -> Vec<Post> {
        self.web.requests().iter().flat_map(alerts).collect()
    }

    /// The key of every mail that ever came, from its `Message-ID`.
    pub(crate) fn message_ids(&self) -> Vec<String> {
        let of = |mail: &String| {
            let line = mail.lines().find(|line| line.starts_with("Message-ID: <"));
            let line = line.unwrap_or_else(|| panic!("no Message-ID: {mail}"));
            let id = line.trim_start_matches("Message-ID: <");
            id.split('@').next().unwrap_or_default().to_owned()
        };
        self.mail.box_().iter().map(of).collect()
    }

    fn new_mails(&mut self, status: &str, about: &str) -> bool {
        let mails = self.mail.box_();
        let new: Vec<String> = mails[self.mails.min(mails.len())..]
            .iter()
            .map(|mail| subject(mail))
            .collect();
        self.mails = mails.len();
        new.iter().any(|subject| {
            let begins = subject.contains(&format!("EN PANNE : {about}"))
                || subject.contains(&format!("RECHUTE : {about}"));
            // An end has an accent in its first word, and is encoded (RFC 2047).
            begins == (status == "firing")
        })
    }
}

/// What one request told.
fn alerts(request: &Value) -> Vec<Post> {
    assert_eq!(request["signature_is_right"], true, "{request:#}");
    let body: Value = serde_json::from_str(request["body"].as_str().expect("a body"))
        .expect("JSON of the webhook");
    let list = body["alerts"].as_array().expect("alerts");
    list.iter()
        .map(|alert| Post {
            id: body["id"].as_str().expect("an id").to_owned(),
            queued: time_of(&body["queued"]),
            alert: alert.clone(),
        })
        .collect()
}

fn subject(mail: &str) -> String {
    let lines = mail
        .lines()
        .skip_while(|line| !line.starts_with("Subject: "));
    lines.take(1).collect()
}

/// A time of the API or of a message, which is RFC 3339 with milliseconds.
pub(crate) fn time_of(text: &Value) -> Utc {
    let text = text.as_str().expect("a time");
    let stamp: jiff::Timestamp = text.parse().expect("RFC 3339");
    Utc(i64::try_from(stamp.as_nanosecond()).expect("before 2262"))
}
