//! Mail by SMTP (RFC 5321). The Message-ID is that of every try, and mails of one incident thread together.

use std::error::Error as _;
use std::net::IpAddr;
use std::time::UNIX_EPOCH;

use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Tokio1Executor};

use super::{Senders, quoted, secret};
use crate::alert::message::mail::{Text, text};
use crate::alert::outbox::Outgoing;
use crate::alert::record::Failure;
use crate::alert::settings::{Mail, Starttls};
use crate::io::file;
use crate::time::Utc;

type Transport = AsyncSmtpTransport<Tokio1Executor>;

/// More is no file of authorities.
const AUTHORITIES_BYTES_MAX: u64 = 4 << 20;

impl Senders {
    pub(super) async fn mail(&self, mail: &Mail, outgoing: &Outgoing) -> Result<(), Failure> {
        let from = mailbox(&mail.from)?;
        let to = mail
            .to
            .iter()
            .map(|to| mailbox(to))
            .collect::<Result<Vec<_>, _>>()?;
        let mut failure = Failure::passing(format!("{} has no address", mail.host));
        for address in self.mail_addresses(mail).await? {
            let transport = self.transport(mail, address, &from.email, outgoing)?;
            match self.to_all(&transport, &from, &to, outgoing).await {
                Ok(()) => return Ok(()),
                Err(error) if error.is_response() || error.is_tls() => return Err(judge(&error)),
                Err(error) => failure = judge(&error),
            }
        }
        Err(failure)
    }

    async fn mail_addresses(&self, mail: &Mail) -> Result<Vec<IpAddr>, Failure> {
        if let Ok(ip) = mail.host.parse() {
            return Ok(vec![ip]);
        }
        let found = self.resolver.addresses(&mail.host).await;
        found.map_err(|failure| Failure::passing(failure.words))
    }

    fn transport(
        &self,
        mail: &Mail,
        address: IpAddr,
        from: &Address,
        outgoing: &Outgoing,
    ) -> Result<Transport, Failure> {
        let mut builder = Transport::builder_dangerous(address.to_string())
            .port(mail.port)
            .timeout(Some(outgoing.channel.timeout))
            .hello_name(ClientId::Domain(from.domain().to_owned()))
            .tls(match mail.starttls {
                Starttls::Required => Tls::Required(self.tls(mail)?),
                Starttls::None => Tls::None,
            });
        if let Some(account) = &mail.account {
            let secret = secret(&account.secret)?;
            builder = builder.credentials(Credentials::new(
                account.user.clone(),
                secret.reveal().to_owned(),
            ));
        }
        Ok(builder.build())
    }

    fn tls(&self, mail: &Mail) -> Result<TlsParameters, Failure> {
        let name = mail.tls_name.as_deref().unwrap_or(&mail.host);
        let mut builder = TlsParameters::builder(name.to_owned());
        if let Some(path) = &self.authorities {
            let unusable = |why: &dyn std::fmt::Display| {
                let path = path.display();
                Failure::passing(format!("cannot use the authorities of {path}: {why}"))
            };
            let pem = file::fetch(path, AUTHORITIES_BYTES_MAX).map_err(|why| unusable(&why))?;
            let authorities = Certificate::from_pem(&pem).map_err(|error| unusable(&error))?;
            builder = builder.add_root_certificate(authorities);
        }
        builder.build_rustls().map_err(|error| judge(&error))
    }

    /// One message to all; if the server refuses some of them, those that it takes.
    async fn to_all(
        &self,
        transport: &Transport,
        from: &Mailbox,
        to: &[Mailbox],
        outgoing: &Outgoing,
    ) -> Result<(), smtp::Error> {
        let text = text(outgoing);
        let message = |to: &[Mailbox]| compose(from, to, outgoing, &text);
        let refused = match transport.send(message(to)).await {
            Ok(_) => return Ok(()),
            Err(error) if error.is_permanent() && to.len() > 1 => error,
            Err(error) => return Err(error),
        };
        let mut is_taken = false;
        for one in to {
            match transport.send(message(std::slice::from_ref(one))).await {
                Ok(_) => is_taken = true,
                Err(error) => tracing::warn!(
                    channel = outgoing.channel.name,
                    to = %one.email,
                    "the mail server does not take mail for this address: {}",
                    words(&error)
                ),
            }
        }
        if is_taken { Ok(()) } else { Err(refused) }
    }
}

fn mailbox(text: &str) -> Result<Mailbox, Failure> {
    text.parse()
        .map_err(|error| Failure::refused(format!("{text:?} is no mail address: {error}")))
}

fn compose(from: &Mailbox, to: &[Mailbox], outgoing: &Outgoing, text: &Text) -> Message {
    let domain = from.email.domain();
    let mut builder = Message::builder()
        .from(from.clone())
        .subject(&text.subject)
        .date(UNIX_EPOCH + outgoing.queued.since(Utc(0)))
        .message_id(Some(format!("<{}@{domain}>", outgoing.key())))
        .header(ContentType::TEXT_PLAIN)
        // No out-of-office note comes back (RFC 3834 §5).
        .raw_header(HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".to_owned(),
        ));
    if let Some(notice) = outgoing.notices.first() {
        builder = builder.references(format!("<{}@{domain}>", notice.key));
    }
    for to in to {
        builder = builder.to(to.clone());
    }
    builder
        .body(text.body.clone())
        .expect("there is a sender, a recipient and a text that any encoding can carry")
}

fn judge(error: &smtp::Error) -> Failure {
    Failure {
        words: words(error),
        refused: error.is_permanent(),
    }
}

fn words(error: &smtp::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    let text = quoted(&text);
    text.trim_matches('"').to_owned()
}
