//! What the machine's QUIC stack moves by itself: raw bytes between two processes, same library, same transport
//! settings, mutual TLS 1.3. The relay is measured against it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use duckblind::client::transport::{MAX_UDP_PAYLOAD, SOCKET_BUFFER};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, Connection, Endpoint, EndpointConfig, ServerConfig, TokioRuntime};
use rcgen::{CertificateParams, KeyPair, PKCS_ED25519};
use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_send_buffer_size};
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// Bytes written at a time: one data frame of the relay.
const CHUNK: usize = 1 << 20;

/// A self-signed identity that both sides share: what is measured is speed, not trust.
struct Identity {
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

impl Identity {
    fn generate() -> Result<Self> {
        let key = KeyPair::generate_for(&PKCS_ED25519)?;
        let certificate = CertificateParams::new(vec!["raw".to_owned()])?.self_signed(&key)?;
        Ok(Self {
            certificate: certificate.der().clone(),
            key: key.serialize_der(),
        })
    }

    fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.clone()))
    }

    fn roots(&self) -> Result<Arc<RootCertStore>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone())?;
        Ok(Arc::new(roots))
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// A UDP socket as the product's.
fn endpoint(server: Option<ServerConfig>) -> Result<Endpoint> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    set_socket_recv_buffer_size(&socket, SOCKET_BUFFER)?;
    set_socket_send_buffer_size(&socket, SOCKET_BUFFER)?;
    let mut config = EndpointConfig::default();
    config.max_udp_payload_size(MAX_UDP_PAYLOAD)?;
    Ok(Endpoint::new(
        config,
        server,
        socket,
        Arc::new(TokioRuntime),
    )?)
}

/// The sending process: prints its port, reads the client's identity from stdin, then sends as many bytes as
/// the client's stream asks for, over and over.
pub async fn serve() -> Result<()> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    let (certificate, key) = line.trim().split_once(' ').context("identity")?;
    let identity = Identity {
        certificate: CertificateDer::from(hex::decode(certificate)?),
        key: hex::decode(key)?,
    };
    let verifier =
        WebPkiClientVerifier::builder_with_provider(identity.roots()?, provider()).build()?;
    let tls = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![identity.certificate.clone()], identity.key())?;
    let mut config = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
    config.transport_config(Arc::new(super::transport()));
    let endpoint = endpoint(Some(config))?;
    println!("{}", endpoint.local_addr()?.port());
    std::io::stdout().flush()?;
    let connection = endpoint.accept().await.context("closed")?.await?;
    let chunk = bytes::Bytes::from(vec![0xa5; CHUNK]);
    while let Ok((mut send, mut receive)) = connection.accept_bi().await {
        let mut wanted = [0; 8];
        receive.read_exact(&mut wanted).await?;
        let mut left = usize::try_from(u64::from_be_bytes(wanted))?;
        while left > 0 {
            let now = left.min(CHUNK);
            send.write_chunk(chunk.slice(..now)).await?;
            left -= now;
        }
        send.finish()?;
    }
    Ok(())
}

/// The receiving side, with its sending process.
pub struct RawQuic {
    child: Child,
    connection: Connection,
    _endpoint: Endpoint,
}

impl RawQuic {
    /// Starts the sending process (this very program) and connects.
    pub async fn start() -> Result<Self> {
        let identity = Identity::generate()?;
        let mut child = Command::new(std::env::current_exe()?)
            .arg("raw-server")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut stdin = child.stdin.take().context("stdin")?;
        writeln!(
            stdin,
            "{} {}",
            hex::encode(&identity.certificate),
            hex::encode(&identity.key)
        )?;
        let mut port = String::new();
        BufReader::new(child.stdout.take().context("stdout")?).read_line(&mut port)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.trim().parse()?));
        let tls = rustls::ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(identity.roots()?)
            .with_client_auth_cert(vec![identity.certificate.clone()], identity.key())?;
        let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
        config.transport_config(Arc::new(super::transport()));
        let mut endpoint = endpoint(None)?;
        endpoint.set_default_client_config(config);
        let connection = endpoint.connect(address, "raw")?.await?;
        Ok(Self {
            child,
            connection,
            _endpoint: endpoint,
        })
    }

    /// The sending process.
    pub fn sender(&self) -> u32 {
        self.child.id()
    }

    /// Moves `bytes` and says how long that took.
    pub async fn pull(&self, bytes: u64) -> Result<Duration> {
        let begin = Instant::now();
        let (mut send, mut receive) = self.connection.open_bi().await?;
        send.write_all(&bytes.to_be_bytes()).await?;
        send.finish()?;
        let mut got = 0;
        while let Some(chunk) = receive.read_chunk(usize::MAX, true).await? {
            got += chunk.bytes.len() as u64;
        }
        ensure!(got == bytes, "{got} of {bytes} bytes came");
        Ok(begin.elapsed())
    }
}

impl Drop for RawQuic {
    fn drop(&mut self) {
        self.connection.close(0u32.into(), b"");
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
