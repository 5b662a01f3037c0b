//! An authority made for one test, and a certificate that it signed.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// A server's certificate and key, and the authority behind them.
pub(crate) struct Certificate {
    /// The authority's own certificate, in PEM.
    pub authority: String,
    leaf: rcgen::Certificate,
    key: KeyPair,
}

impl Certificate {
    /// A certificate for `name` (a DNS name or an address) that ends with the beginning of `year`, signed
    /// by an authority of that name made for it alone.
    pub(crate) fn signed_by(authority_name: &str, name: &str, year: i32) -> Self {
        Self::for_names(authority_name, &[name], year)
    }

    /// The same for a server of several names.
    pub(crate) fn for_names(authority_name: &str, names: &[&str], year: i32) -> Self {
        let authority_key = KeyPair::generate().expect("a key");
        let mut authority = CertificateParams::new(Vec::new()).expect("no names");
        authority
            .distinguished_name
            .push(DnType::CommonName, authority_name);
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority_certificate = authority.self_signed(&authority_key).expect("signed");
        let issuer = Issuer::new(authority, authority_key);

        let key = KeyPair::generate().expect("a key");
        let mut params =
            CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>())
                .expect("names");
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        Self {
            authority: authority_certificate.pem(),
            leaf: params.signed_by(&key, &issuer).expect("signed"),
            key,
        }
    }

    pub(crate) fn der(&self) -> CertificateDer<'static> {
        self.leaf.der().clone()
    }

    pub(crate) fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.serialize_der()))
    }

    /// Key and certificate in one PEM file, as servers take it.
    pub(crate) fn server_pem(&self) -> String {
        self.key.serialize_pem() + &self.leaf.pem()
    }
}
