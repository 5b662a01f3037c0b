//! NRDP: a form with a token, and an answer whose body says whether it was taken; its status is 200 either way.

use hyper::Method;
use serde_json::Value;
use url::form_urlencoded;

use super::post::Post;
use super::{Senders, quoted, secret};
use crate::alert::message::nagios::body;
use crate::alert::outbox::Outgoing;
use crate::alert::record::Failure;
use crate::alert::settings::Nagios;

impl Senders {
    pub(super) async fn nagios(
        &self,
        settings: &Nagios,
        outgoing: &Outgoing,
    ) -> Result<(), Failure> {
        let token = secret(&settings.token)?;
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("token", token.reveal())
            .append_pair("cmd", "submitcheck")
            // The name that NRDP of every version knows.
            .append_pair("JSONDATA", &body(outgoing, &settings.host))
            .finish();
        let answer = self
            .post(Post {
                method: Method::POST,
                url: &settings.url,
                headers: vec![(
                    "content-type",
                    "application/x-www-form-urlencoded".to_owned(),
                )],
                body: form,
                timeout: outgoing.channel.timeout,
            })
            .await?;
        judge(&answer)
    }
}

/// `{"result":{"status":0,…}}`, or the same in XML from NRDP that answers in that.
fn judge(answer: &str) -> Result<(), Failure> {
    let json: Option<Value> = serde_json::from_str(answer).ok();
    let is_taken = match json.as_ref().map(|json| &json["result"]["status"]) {
        Some(Value::Number(status)) => status.as_i64() == Some(0),
        Some(Value::String(status)) => status == "0",
        Some(_) => false,
        None => answer.contains("<status>0</status>"),
    };
    if is_taken {
        Ok(())
    } else {
        Err(Failure::refused(format!(
            "NRDP did not take it: {}",
            quoted(answer)
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_status_0_is_taken() {
        for (answer, expected) in [
            (r#"{"result":{"status":0,"message":"OK"}}"#, true),
            (r#"{"result":{"status":"0","message":"OK"}}"#, true),
            (
                "<?xml version='1.0'?><result><status>0</status></result>",
                true,
            ),
            (r#"{"result":{"status":-1,"message":"BAD TOKEN"}}"#, false),
            ("<result><status>-1</status></result>", false),
            ("", false),
            ("<html>Welcome</html>", false),
        ] {
            assert_eq!(judge(answer).is_ok(), expected, "{answer}");
        }
    }
}
