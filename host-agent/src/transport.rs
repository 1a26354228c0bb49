//! The QUIC transport values of this house. No secret, no I/O.
//!
//! Both ends use the same ones, so that neither is the other's brake; a requester that cannot link
//! this crate takes them from here:
//!
//! | value | setting | why |
//! |---|---|---|
//! | ALPN | `duckblind/1` | |
//! | UDP payload accepted | 6,500 bytes | ten of them, which QUIC hands over at a time, fit the kernel's 64 KiB: beyond, offload is refused |
//! | MTU discovery | up to 6,500 bytes, from 1,200 | fewer, larger packets where the path carries them |
//! | socket buffers | 4 MiB each way, less where the system caps them | none lost while a process waits for its turn |
//! | stream receive window | 8 MiB | 8 Gbit/s at 8 ms on one stream |
//! | connection receive window | 16 MiB | two such streams at once |
//! | send window | 8 MiB | bytes kept for retransmission, per connection |
//! | first congestion window | 256 KiB, CUBIC | a small answer leaves in one flight |
//! | initial round trip | 100 ms | first retransmission after 300 ms rather than 1 s |
//! | acknowledgements | every 8th packet, at most 5 ms late | one wake-up for several packets |
//! | segmentation offload | on | one system call for many packets |
//! | idle timeout | 30 s | the requester pings every 10 s; the host never pings |
//! | unidirectional streams, datagrams | none | not part of the protocol |

use std::sync::Arc;
use std::time::Duration;

use quinn::congestion::CubicConfig;
use quinn::{
    AckFrequencyConfig, EndpointConfig, IdleTimeout, MtuDiscoveryConfig, TransportConfig, VarInt,
};
use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_send_buffer_size};

/// The application protocol, as named in the TLS handshake.
pub const ALPN: &[u8] = b"duckblind/1";
/// Largest UDP payload accepted and probed for, in bytes.
pub const MAX_UDP_PAYLOAD: u16 = 6500;
/// Bytes of the socket's buffers, each way.
pub const SOCKET_BUFFER: usize = 4 << 20;
/// Bytes a peer may send on one stream before we have read them.
pub const STREAM_RECEIVE_WINDOW: u32 = 8 << 20;
/// Bytes a peer may send on one connection before we have read them.
pub const RECEIVE_WINDOW: u32 = 16 << 20;
/// Bytes kept until acknowledged, per connection.
pub const SEND_WINDOW: usize = 8 << 20;
/// First congestion window, in bytes.
pub const INITIAL_WINDOW: u64 = 256 << 10;
/// Silence after which a connection is given up, in milliseconds.
pub const IDLE_MS: u32 = 30_000;
/// How often the requester pings, in milliseconds.
pub const KEEP_ALIVE_MS: u32 = 10_000;

/// The values common to both ends. `streams` is how many bidirectional streams the peer may have
/// open at a time.
pub fn config(streams: u32) -> TransportConfig {
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
        .max_concurrent_bidi_streams(VarInt::from_u32(streams))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(IDLE_MS))))
        .stream_receive_window(VarInt::from_u32(STREAM_RECEIVE_WINDOW))
        .receive_window(VarInt::from_u32(RECEIVE_WINDOW))
        .send_window(SEND_WINDOW as u64)
        .initial_rtt(Duration::from_millis(100))
        .mtu_discovery_config(Some(discovery))
        .ack_frequency_config(Some(acknowledgements))
        .congestion_controller_factory(Arc::new(congestion))
        .enable_segmentation_offload(true);
    config
}

/// Asks for room for [`SOCKET_BUFFER`] bytes; the system may give less, which costs speed only.
pub fn widen(socket: &std::net::UdpSocket) {
    let _ = set_socket_recv_buffer_size(socket, SOCKET_BUFFER);
    let _ = set_socket_send_buffer_size(socket, SOCKET_BUFFER);
}

/// The endpoint's own values: it accepts packets as large as [`config`] probes for.
pub fn endpoint_config() -> EndpointConfig {
    let mut config = EndpointConfig::default();
    // Refused only below 1,200.
    let _ = config.max_udp_payload_size(MAX_UDP_PAYLOAD);
    config
}
