//! What the tests stand on.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use duckblind_protocol::frames::{
    ChallengeRequest, HEADER_LEN, Header, HostCode, HostSays, Kind, frame,
};
use duckblind_protocol::handshake::VERSION;
use duckblind_protocol::ids::{Digest, Nonce, PublicKey};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{
    Connection, ConnectionError, Endpoint, ReadError, ReadToEndError, RecvStream, SendStream,
    VarInt,
};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs;
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::challenge_rate::ChallengeRate;
use crate::config::Config;
use crate::enclave_link::EnclaveLink;
use crate::front::Front;
use crate::metrics::Metrics;
use crate::node_key::NodeKey;
use crate::relay::Relay;
use crate::usage_log::UsageLog;
use crate::{tls, transport};

/// Nothing in these tests takes longer, unless it is broken.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// A host agent's front, with the enclave's socket in the test's hands.
pub(super) struct Rig {
    pub(super) dir: TempDir,
    pub(super) metrics: Arc<Metrics>,
    pub(super) stop: watch::Sender<bool>,
    pub(super) front: JoinHandle<()>,
    pub(super) enclave: Option<UnixListener>,
    address: std::net::SocketAddr,
    host: PublicKey,
}

pub(crate) fn config(dir: &Path) -> Config {
    let text = format!(
        "listen = \"127.0.0.1:0\"\nenclave = \"unix:{0}/enclave.sock\"\n\
         verifier = \"http://127.0.0.1:1\"\nnode_key = \"{0}/node.key\"\nclass = \"l2\"\n\
         audience = \"{1}\"\npeers = \"open\"\nusage_log = \"{0}/usage.jsonl\"\n",
        dir.display(),
        "00".repeat(32),
    );
    Config::parse(&text, Path::new("host.toml")).unwrap()
}

impl Rig {
    pub(super) fn start(change: impl FnOnce(&mut Config)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = config(dir.path());
        change(&mut config);
        let key = NodeKey::generate().unwrap();
        let metrics = Arc::new(Metrics::default());
        let (stop, stopped) = watch::channel(false);
        let usage = UsageLog::open(config.usage_log.as_ref().unwrap(), 1 << 20).unwrap();
        let relay = Relay {
            link: EnclaveLink::new(config.enclave.clone(), config.timeouts.enclave_connect),
            timeouts: config.timeouts,
            challenges: ChallengeRate::new(
                config.limits.challenges_per_minute_per_peer,
                config.limits.challenges_per_minute_per_address,
            ),
            metrics: Arc::clone(&metrics),
            usage: Some(Arc::new(usage)),
        };
        let front = Front::bind(&config, &key, relay, stopped).unwrap();
        let address = front.address();
        Self {
            enclave: Some(UnixListener::bind(dir.path().join("enclave.sock")).unwrap()),
            dir,
            metrics,
            stop,
            front: tokio::spawn(front.run()),
            address,
            host: key.public(),
        }
    }

    /// Connects as the holder of `key`.
    pub(super) async fn connect(&self, key: &NodeKey) -> Result<Connection, ConnectionError> {
        let mut endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
        endpoint.set_default_client_config(client_config(key, self.host));
        let connection = endpoint.connect(self.address, "duckblind").unwrap().await?;
        // In TLS 1.3 the client is done before the server has judged its certificate.
        match tokio::time::timeout(Duration::from_millis(50), connection.closed()).await {
            Ok(closed) => Err(closed),
            Err(_) => Ok(connection),
        }
    }

    pub(super) async fn connect_anew(&self) -> Connection {
        self.connect(&NodeKey::generate().unwrap()).await.unwrap()
    }

    /// The agent's next connection to the enclave.
    pub(super) async fn dialled(&self) -> UnixStream {
        let accept = self.enclave.as_ref().unwrap().accept();
        tokio::time::timeout(PATIENCE, accept)
            .await
            .unwrap()
            .unwrap()
            .0
    }

    /// A new peer's greeted stream, and what the enclave sees of it: nothing yet but the greeting.
    pub(super) async fn session(&self) -> Session {
        let (send, recv) = greeted(&self.connect_anew().await).await;
        Session {
            send,
            recv,
            enclave: self.dialled().await,
        }
    }
}

/// A stream on its way to the enclave. The peer's connection lives as long as its halves.
pub(super) struct Session {
    pub(super) send: SendStream,
    pub(super) recv: RecvStream,
    pub(super) enclave: UnixStream,
}

/// A new stream with this as its beginning.
pub(super) async fn opened(connection: &Connection, bytes: &[u8]) -> (SendStream, RecvStream) {
    let (mut send, recv) = connection.open_bi().await.unwrap();
    send.write_all(bytes).await.unwrap();
    (send, recv)
}

/// A new stream that begins as most do.
pub(super) async fn greeted(connection: &Connection) -> (SendStream, RecvStream) {
    opened(connection, &frame(Kind::Hello, b"")).await
}

/// A challenge of a requester, or with no nonce of its own one like the host's.
pub(super) fn challenge(own: Option<Nonce>) -> Vec<u8> {
    let request = ChallengeRequest {
        v: VERSION,
        verifier_nonce: Nonce::from_bytes([1; 32]),
        requester_nonce: own,
        audience: Digest::of(b"audience"),
    };
    frame(Kind::Challenge, &request.encode())
}

fn client_config(key: &NodeKey, host: PublicKey) -> quinn::ClientConfig {
    let (certificate, secret) = tls::identity(key).unwrap();
    let mut config =
        rustls::ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(PinnedHost(host)))
            .with_client_auth_cert(vec![certificate], secret)
            .unwrap();
    config.alpn_protocols = vec![transport::ALPN.to_vec()];
    let mut config =
        quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(config).unwrap()));
    config.transport_config(Arc::new(transport::config(0)));
    config
}

#[derive(Debug)]
struct PinnedHost(PublicKey);

impl ServerCertVerifier for PinnedHost {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        assert_eq!(tls::certified_key(end_entity)?, self.0);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        panic!("TLS 1.2 in QUIC");
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

/// The next whole frame.
pub(super) async fn read_frame(from: &mut (impl AsyncRead + Unpin)) -> (Kind, Vec<u8>) {
    let frame = async {
        let mut header = [0; HEADER_LEN];
        from.read_exact(&mut header).await.unwrap();
        let header = Header::parse(header).unwrap();
        let mut payload = vec![0; header.len];
        from.read_exact(&mut payload).await.unwrap();
        (header.kind, payload)
    };
    tokio::time::timeout(PATIENCE, frame).await.unwrap()
}

/// All bytes to the end of the stream.
pub(super) async fn read_all(from: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(PATIENCE, from.read_to_end(&mut bytes));
    read.await.unwrap().unwrap();
    bytes
}

/// Expects the host's word, and nothing after it.
pub(super) async fn host_says(from: &mut RecvStream) -> HostCode {
    host_said(from).await.code
}

/// Likewise, the whole message.
pub(super) async fn host_said(from: &mut RecvStream) -> HostSays {
    let (kind, payload) = read_frame(from).await;
    assert_eq!(kind, Kind::HostSays);
    assert!(read_all(from).await.is_empty());
    HostSays::decode(&payload).unwrap()
}

/// Whether the stream was reset with this code.
pub(super) fn was_reset(cut: &Result<Vec<u8>, ReadToEndError>, code: VarInt) -> bool {
    matches!(cut, Err(ReadToEndError::Read(ReadError::Reset(reset))) if *reset == code)
}

/// Whether the peer was told this code when its connection was closed.
pub(super) fn was_closed(closed: &ConnectionError, code: VarInt) -> bool {
    matches!(closed, ConnectionError::ApplicationClosed(close) if close.error_code == code)
}

/// Waits until `done` is true.
pub(super) async fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let wait = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(
        tokio::time::timeout(PATIENCE, wait).await.is_ok(),
        "never: {what}"
    );
}
