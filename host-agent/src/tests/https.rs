//! The verifier over HTTPS: the configured CA alone is trusted.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::rig::PATIENCE;
use crate::config::VerifierUrl;
use crate::error::HostError;
use crate::node_key::NodeKey;
use crate::verifier_client::VerifierClient;

fn authority() -> (rcgen::Certificate, Issuer<'static, KeyPair>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap();
    (certificate, Issuer::new(params, key))
}

/// Answers every request on the socket with an empty 200, over TLS.
fn serve(issuer: &Issuer<'static, KeyPair>) -> SocketAddr {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()])
        .unwrap()
        .signed_by(&key, issuer)
        .unwrap();
    let secret = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config =
        rustls::ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], secret)
            .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = rustls::StreamOwned::new(connection, socket.unwrap());
            let mut request = [0; 4096];
            // A client that does not trust us ends here.
            if stream.read(&mut request).is_ok() {
                let _ = stream.write_all(
                    b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\
                      date: Sun, 06 Nov 1994 08:49:37 GMT\r\nconnection: close\r\n\r\n",
                );
                let _ = stream.flush();
            }
        }
    });
    address
}

async fn ask(address: SocketAddr, ca: &Path) -> Result<Option<String>, HostError> {
    let url = VerifierUrl::parse(&format!("https://{address}")).unwrap();
    let key = Arc::new(NodeKey::generate().unwrap());
    VerifierClient::new(url, Some(ca), key, PATIENCE)?
        .health()
        .await
}

#[tokio::test]
async fn only_the_configured_authority_is_trusted() {
    let dir = tempfile::tempdir().unwrap();
    let ((right, issuer), (wrong, _)) = (authority(), authority());
    let address = serve(&issuer);
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, right.pem()).unwrap();
    let date = ask(address, &ca).await.unwrap();
    assert_eq!(date.as_deref(), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
    std::fs::write(&ca, wrong.pem()).unwrap();
    let refused = ask(address, &ca).await;
    assert!(
        matches!(&refused, Err(HostError::VerifierDown(text)) if text.contains("certificate")),
        "{refused:?}"
    );
}
