//! TLS for web pages. For `probe::http` it takes every certificate, writes down what a browser would say about it,
//! and leaves the judging to the probe: so an expired or wrong certificate still tells its date. For alerts, which
//! carry secrets, it is as strict as a browser.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::io::shard::rests_on_dates;
use crate::io::{authorities, clock};
use crate::probe::http::{Certificate, Objection, Trust};
use crate::time::{Instant, Utc};

/// The authorities, read when first needed.
#[derive(Debug)]
pub(super) struct Store {
    provider: Arc<CryptoProvider>,
    /// Trusted in addition to the system's.
    authorities: Option<PathBuf>,
    system: Mutex<Option<(Instant, Arc<WebPkiServerVerifier>)>>,
}

impl Store {
    pub(super) fn new(authorities: Option<PathBuf>) -> Self {
        Self {
            provider: Arc::new(rustls::crypto::ring::default_provider()),
            authorities,
            system: Mutex::new(None),
        }
    }

    /// A client configuration for one connection, and where its certificate will be written down.
    pub(super) fn client(&self, trust: &Trust) -> Result<(ClientConfig, Arc<Recorder>), String> {
        let verifier = match trust {
            Trust::System => Some(self.system()?),
            Trust::File(path) => {
                let mut roots = RootCertStore::empty();
                authorities::add_file(&mut roots, path)?;
                Some(self.verifier(roots)?)
            }
            Trust::Any => None,
        };
        let recorder = Arc::new(Recorder {
            provider: Arc::clone(&self.provider),
            verifier,
            certificate: Mutex::new(None),
        });
        let config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&recorder) as Arc<dyn ServerCertVerifier>)
            .with_no_client_auth();
        Ok((config, recorder))
    }

    /// A client configuration that believes the authorities of the system and the one of ours, and nobody else.
    pub(super) fn strict(&self) -> Result<ClientConfig, String> {
        let verifier: Arc<dyn ServerCertVerifier> = self.system()?;
        Ok(
            ClientConfig::builder_with_provider(Arc::clone(&self.provider))
                .with_safe_default_protocol_versions()
                .map_err(|error| error.to_string())?
                .dangerous()
                // webpki's own verifier, shared and read anew once a day.
                .with_custom_certificate_verifier(verifier)
                .with_no_client_auth(),
        )
    }

    fn system(&self) -> Result<Arc<WebPkiServerVerifier>, String> {
        let mut system = self.system.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock::instant();
        if let Some((read, verifier)) = &*system
            && now.since(*read) < authorities::REFRESH
        {
            return Ok(Arc::clone(verifier));
        }
        let mut roots = authorities::of_system();
        if let Some(path) = &self.authorities {
            authorities::add_file(&mut roots, path)?;
        }
        if roots.is_empty() {
            return Err(
                "this system trusts no certificate authority: install ca-certificates, or name \
                        a PEM file of your authority"
                    .to_owned(),
            );
        }
        let verifier = self.verifier(roots)?;
        *system = Some((now, Arc::clone(&verifier)));
        Ok(verifier)
    }

    fn verifier(&self, roots: RootCertStore) -> Result<Arc<WebPkiServerVerifier>, String> {
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider))
            .build()
            .map_err(|error| error.to_string())
    }
}

/// When a certificate ends, from its bytes (DER); `None` if they are none.
#[must_use]
pub fn not_after(certificate: &[u8]) -> Option<Utc> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let seconds = parsed.validity().not_after.timestamp();
    Some(Utc(seconds.saturating_mul(1_000_000_000)))
}

/// Accepts whatever comes and writes down what a browser would say.
#[derive(Debug)]
pub(super) struct Recorder {
    provider: Arc<CryptoProvider>,
    /// `None`: anybody is trusted.
    verifier: Option<Arc<WebPkiServerVerifier>>,
    certificate: Mutex<Option<Certificate>>,
}

impl Recorder {
    pub(super) fn certificate(&self) -> Option<Certificate> {
        self.certificate
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let not_after = not_after(end_entity).ok_or(rustls::Error::InvalidCertificate(
            rustls::CertificateError::BadEncoding,
        ))?;
        let objection = self.verifier.as_ref().and_then(|verifier| {
            verifier
                .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
                .err()
                .map(|error| {
                    let words = error.to_string();
                    if rests_on_dates(&error) {
                        Objection::Dates(words)
                    } else {
                        Objection::Other(words)
                    }
                })
        });
        let certificate = Certificate {
            not_after,
            objection,
        };
        *self
            .certificate
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(certificate);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if self.verifier.is_none() {
            // Appliances have certificates that webpki cannot even read; nothing secret goes to them.
            return Ok(HandshakeSignatureValid::assertion());
        }
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if self.verifier.is_none() {
            return Ok(HandshakeSignatureValid::assertion());
        }
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
