//! HTTPS: TLS 1.3 only, by rustls with aws-lc-rs; and certificates for those who have none.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use crate::clock::Clock;
use crate::error::VerifierError;
use crate::files;

/// How long certificates that we make are valid.
const VALID: Duration = Duration::from_hours(397 * 24);
/// They are valid a little before they are made, for clocks that are behind.
const BACKDATED: Duration = Duration::from_hours(24);

/// Reads certificate chain and key (PEM; the key's file mode 0600).
pub fn server_config(cert: &Path, key: &Path) -> Result<Arc<ServerConfig>, VerifierError> {
    let cert_text = files::read_text(cert)?;
    let key_text = files::read_secret(key)?;
    let chain = CertificateDer::pem_slice_iter(cert_text.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| VerifierError::Tls(format!("{}: {error}", cert.display())))?;
    // The parser's error could quote the file: only its name is passed on.
    let key = PrivateKeyDer::from_pem_slice(key_text.as_bytes())
        .map_err(|_| VerifierError::Tls(format!("{} holds no PEM key", key.display())))?;

    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| VerifierError::Tls(error.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Makes a certificate for `name` (a DNS name or an IP address) under a CA of its own, and writes
/// `ca.pem`, `cert.pem` and `key.pem` (0600). The CA's key is not kept: nothing else can ever be
/// issued under it.
pub fn create(dir: &Path, name: &str) -> Result<(), VerifierError> {
    let failed = |error: rcgen::Error| VerifierError::Tls(error.to_string());
    let ca_key = KeyPair::generate().map_err(failed)?;
    let mut ca = dated(Vec::new())?;
    ca.distinguished_name.push(
        DnType::CommonName,
        format!("Duckblind verifier CA of {name}"),
    );
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let ca_cert = ca.self_signed(&ca_key).map_err(failed)?;

    let key = KeyPair::generate().map_err(failed)?;
    let mut leaf = dated(vec![name.to_owned()])?;
    leaf.distinguished_name.push(DnType::CommonName, name);
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true;
    let cert = leaf
        .signed_by(&key, &Issuer::from_params(&ca, &ca_key))
        .map_err(failed)?;

    files::create_dir(dir)?;
    let key_pem = Zeroizing::new(key.serialize_pem());
    files::create_new(&dir.join("key.pem"), 0o600, key_pem.as_bytes())?;
    files::create_new(&dir.join("cert.pem"), 0o644, cert.pem().as_bytes())?;
    files::create_new(&dir.join("ca.pem"), 0o644, ca_cert.pem().as_bytes())
}

fn dated(names: Vec<String>) -> Result<CertificateParams, VerifierError> {
    let mut params =
        CertificateParams::new(names).map_err(|error| VerifierError::Tls(error.to_string()))?;
    let now = Duration::from_secs(u64::try_from(Clock::System.now().0).unwrap_or(0));
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + now.saturating_sub(BACKDATED);
    params.not_after = epoch + now + VALID;
    Ok(params)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use duckblind_protocol::coded::Coded as _;

    #[test]
    fn made_certificates_load_and_nothing_is_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        create(dir.path(), "localhost").unwrap();
        let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
        let config = server_config(&cert, &key).unwrap();
        assert_eq!(config.alpn_protocols, [b"http/1.1".to_vec()]);
        assert_eq!(
            create(dir.path(), "localhost").unwrap_err().code(),
            "DB-VER-003"
        );
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        create(one.path(), "127.0.0.1").unwrap();
        create(two.path(), "127.0.0.1").unwrap();
        let refused =
            server_config(&one.path().join("cert.pem"), &two.path().join("key.pem")).unwrap_err();
        assert_eq!(refused.code(), "DB-VER-011");
        let no_key =
            server_config(&one.path().join("cert.pem"), &one.path().join("cert.pem")).unwrap_err();
        assert_eq!(no_key.code(), "DB-VER-004");
    }
}
