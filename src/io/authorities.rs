//! Whom we believe about certificates: the authorities of the system, and those of a PEM file. SIP over TLS and
//! web pages read them here, so that the same file means the same to both.

use std::path::Path;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// They are read again after this: a service runs for months, and an authority that was added or renewed
/// meanwhile must not look like a broken site or PBX.
pub(super) const REFRESH: Duration = Duration::from_secs(24 * 3600);

/// The authorities of the system; what cannot be read among them is passed over.
pub(super) fn of_system() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

/// Adds those of a PEM file; every one in it must be readable, and there must be one.
pub(super) fn add_file(roots: &mut RootCertStore, path: &Path) -> Result<(), String> {
    let explain = |why: &dyn std::fmt::Display| {
        format!("cannot use the authorities of {}: {why}", path.display())
    };
    let mut found = false;
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| explain(&error))? {
        let certificate = certificate.map_err(|error| explain(&error))?;
        roots.add(certificate).map_err(|error| explain(&error))?;
        found = true;
    }
    if found {
        Ok(())
    } else {
        Err(explain(&"no certificate in it"))
    }
}
