//! QUIC as this house speaks it. The values must be the host's own, else one end brakes the other;
//! `host-agent/src/transport.rs` says why they are what they are.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use duckblind_protocol::ids::NodeId;
use quinn::congestion::CubicConfig;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{
    AckFrequencyConfig, ClientConfig, Connection, ConnectionError, Endpoint, EndpointConfig,
    IdleTimeout, MtuDiscoveryConfig, TransportConfig, VarInt,
};
use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_send_buffer_size};
use rustls_pki_types::CertificateDer;

use super::error::ClientError;
use super::identity::Identity;
use super::pin::{PinnedServer, key_of};

/// The application protocol, as named in the TLS handshake.
pub const ALPN: &[u8] = b"duckblind/1";
/// How long a host may take for the handshake.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Accepted and probed for, in bytes.
pub const MAX_UDP_PAYLOAD: u16 = 6500;
/// Of the UDP socket, each way, in bytes.
pub const SOCKET_BUFFER: usize = 4 << 20;
const STREAM_RECEIVE_WINDOW: u32 = 8 << 20;
const RECEIVE_WINDOW: u32 = 16 << 20;
const SEND_WINDOW: u64 = 8 << 20;
const INITIAL_WINDOW: u64 = 256 << 10;
const IDLE_MS: u32 = 30_000;
const PING: Duration = Duration::from_secs(10);

/// The values common to both ends, as seen by the requester.
pub fn transport_config() -> TransportConfig {
    let mut discovery = MtuDiscoveryConfig::default();
    discovery.upper_bound(MAX_UDP_PAYLOAD);
    let mut congestion = CubicConfig::default();
    congestion.initial_window(INITIAL_WINDOW);
    let mut acknowledgements = AckFrequencyConfig::default();
    acknowledgements
        .ack_eliciting_threshold(VarInt::from_u32(8))
        .max_ack_delay(Some(Duration::from_millis(5)));
    let mut config = TransportConfig::default();
    config
        // The host opens no stream.
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(IDLE_MS))))
        .keep_alive_interval(Some(PING))
        .stream_receive_window(VarInt::from_u32(STREAM_RECEIVE_WINDOW))
        .receive_window(VarInt::from_u32(RECEIVE_WINDOW))
        .send_window(SEND_WINDOW)
        .initial_rtt(Duration::from_millis(100))
        .mtu_discovery_config(Some(discovery))
        .ack_frequency_config(Some(acknowledgements))
        .congestion_controller_factory(Arc::new(congestion))
        .enable_segmentation_offload(true);
    config
}

/// The requester's side of QUIC: one UDP socket, one identity.
pub struct Transport {
    endpoint: Endpoint,
    identity: Arc<Identity>,
}

impl Transport {
    /// A socket of the family that `towards` needs. Call within a tokio runtime.
    pub fn new(identity: Arc<Identity>, towards: SocketAddr) -> Result<Self, ClientError> {
        let local: SocketAddr = if towards.is_ipv4() {
            (Ipv4Addr::UNSPECIFIED, 0).into()
        } else {
            (Ipv6Addr::UNSPECIFIED, 0).into()
        };
        let failed = |e: std::io::Error| ClientError::Tls(format!("UDP socket: {e}"));
        let socket = std::net::UdpSocket::bind(local).map_err(failed)?;
        // The system may give less, which costs speed only.
        let _ = set_socket_recv_buffer_size(&socket, SOCKET_BUFFER);
        let _ = set_socket_send_buffer_size(&socket, SOCKET_BUFFER);
        let mut config = EndpointConfig::default();
        // Refused only below 1,200.
        let _ = config.max_udp_payload_size(MAX_UDP_PAYLOAD);
        let endpoint =
            Endpoint::new(config, None, socket, Arc::new(quinn::TokioRuntime)).map_err(failed)?;
        Ok(Self { endpoint, identity })
    }

    /// Connects; with `expected`, only to that node. Also tells which node answered.
    pub async fn connect(
        &self,
        address: SocketAddr,
        expected: Option<NodeId>,
    ) -> Result<(Connection, NodeId), ClientError> {
        let config = self.client_config(expected)?;
        let unreachable = |reason: String| ClientError::HostUnreachable {
            address: address.to_string(),
            reason,
        };
        let connecting = self
            .endpoint
            .connect_with(config, address, "duckblind")
            .map_err(|e| unreachable(e.to_string()))?;
        let connection = match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Err(_) => return Err(unreachable("no answer".into())),
            Ok(Err(e)) => return Err(refused(address, expected, &e)),
            Ok(Ok(connection)) => connection,
        };
        let wrong = |expected| ClientError::HostKey {
            address: address.to_string(),
            expected,
            got: None,
        };
        let node = peer(&connection)
            .ok_or_else(|| wrong(expected.unwrap_or(NodeId::from_bytes([0; 32]))))?;
        Ok((connection, node))
    }

    fn client_config(&self, expected: Option<NodeId>) -> Result<ClientConfig, ClientError> {
        let tls = |e: &dyn std::fmt::Display| ClientError::Tls(e.to_string());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let pinned = PinnedServer::new(expected, Arc::clone(&provider));
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|e| tls(&e))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(pinned))
            .with_client_auth_cert(vec![self.identity.certificate()], self.identity.key())
            .map_err(|e| tls(&e))?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        // A resumed session would skip the check of the certificate.
        config.resumption = rustls::client::Resumption::disabled();
        let quic = QuicClientConfig::try_from(config).map_err(|e| tls(&e))?;
        let mut client = ClientConfig::new(Arc::new(quic));
        client.transport_config(Arc::new(transport_config()));
        Ok(client)
    }
}

impl Drop for Transport {
    fn drop(&mut self) {
        self.endpoint.close(VarInt::from_u32(0), b"");
    }
}

/// The node at the other end.
fn peer(connection: &Connection) -> Option<NodeId> {
    let identity = connection.peer_identity()?;
    let chain = identity.downcast_ref::<Vec<CertificateDer<'static>>>()?;
    chain
        .first()
        .and_then(key_of)
        .map(|key| NodeId::of_key(&key))
}

fn refused(address: SocketAddr, expected: Option<NodeId>, error: &ConnectionError) -> ClientError {
    // Our own refusal of the certificate is a QUIC crypto error: 0x100 + TLS alert 42 (bad
    // certificate), 48 (unknown authority), 49 (access denied), 50 (does not decode). An alert of
    // the other side comes as `ConnectionClosed`.
    let certificate = matches!(
        error,
        ConnectionError::TransportError(e)
            if matches!(u64::from(e.code), 0x12a | 0x130 | 0x131 | 0x132)
    );
    match expected {
        Some(expected) if certificate => ClientError::HostKey {
            address: address.to_string(),
            expected,
            got: None,
        },
        _ => ClientError::HostUnreachable {
            address: address.to_string(),
            reason: error.to_string(),
        },
    }
}
