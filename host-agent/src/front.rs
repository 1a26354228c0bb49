//! The QUIC front: who comes in, how many streams they get, and how it all ends.
//!
//! Refusals before the handshake are QUIC's own (connection refused); afterwards they carry the
//! codes of [`says::error_code`] on closed connections and a `HostSays` frame on streams.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use duckblind_protocol::frames::HostCode;
use duckblind_protocol::ids::NodeId;
use quinn::{Connection, Endpoint, Incoming, RecvStream, SendStream};
use rustls_pki_types::CertificateDer;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::config::{Config, Limits, Timeouts};
use crate::error::HostError;
use crate::metrics::Metrics;
use crate::node_key::NodeKey;
use crate::peers::{Slot, Slots, address_key};
use crate::relay::{Peer, Relay};
use crate::{says, tls, transport};

/// Streams beyond its limit that a peer may open at a time to be told so.
const TOLD: usize = 16;
/// How long closing packets may take to leave.
const GOODBYE: Duration = Duration::from_secs(1);

/// A bound front.
#[derive(Debug)]
pub struct Front {
    endpoint: Endpoint,
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    relay: Relay,
    metrics: Arc<Metrics>,
    limits: Limits,
    timeouts: Timeouts,
    connections: Arc<Semaphore>,
    by_address: Arc<Slots<IpAddr>>,
    by_peer: Arc<Slots<NodeId>>,
    streams: Arc<Semaphore>,
    streams_by_peer: Arc<Slots<NodeId>>,
    draining: watch::Receiver<bool>,
}

impl Front {
    /// Binds the UDP socket. `draining` turns true when no new work is to be taken.
    pub fn bind(
        config: &Config,
        key: &NodeKey,
        relay: Relay,
        draining: watch::Receiver<bool>,
    ) -> Result<Self, HostError> {
        let limits = config.limits;
        let mut server = quinn::ServerConfig::with_crypto(Arc::new(tls::server_config(
            key,
            config.peers.clone(),
        )?));
        let streams = u32::try_from(limits.streams_per_peer + TOLD).unwrap_or(u32::MAX);
        server
            .transport_config(Arc::new(transport::config(streams)))
            .max_incoming(limits.connections)
            .migration(false);
        let endpoint = bind(config.listen, server).map_err(|source| HostError::Listen {
            address: config.listen.to_string(),
            source,
        })?;
        let address = endpoint.local_addr().map_err(|source| HostError::Listen {
            address: config.listen.to_string(),
            source,
        })?;
        Ok(Self {
            endpoint,
            address,
            shared: Arc::new(Shared {
                metrics: Arc::clone(&relay.metrics),
                relay,
                limits,
                timeouts: config.timeouts,
                connections: Arc::new(Semaphore::new(limits.connections)),
                by_address: Slots::new(limits.connections_per_address),
                by_peer: Slots::new(limits.connections_per_peer),
                streams: Arc::new(Semaphore::new(limits.streams)),
                streams_by_peer: Slots::new(limits.streams_per_peer),
                draining,
            }),
        })
    }

    /// The address that is really listened on.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until draining, then until the open streams have ended or their time is up.
    pub async fn run(self) {
        let mut draining = self.shared.draining.clone();
        loop {
            tokio::select! {
                incoming = self.endpoint.accept() => match incoming {
                    Some(incoming) => self.admit(incoming),
                    None => break,
                },
                _ = draining.wait_for(|draining| *draining) => break,
            }
        }
        let all = u32::try_from(self.shared.limits.streams).unwrap_or(u32::MAX);
        let ended = timeout(
            self.shared.timeouts.drain,
            self.shared.streams.acquire_many(all),
        );
        tokio::select! {
            ended = ended => tracing::info!(in_time = ended.is_ok(), "streams ended"),
            () = self.turn_away_all() => {}
        }
        let code = says::error_code(HostCode::Draining);
        self.endpoint
            .close(code, HostCode::Draining.name().as_bytes());
        let _ = timeout(GOODBYE, self.endpoint.wait_idle()).await;
    }

    /// Refuses new connections, so that their peers go elsewhere at once.
    async fn turn_away_all(&self) {
        while let Some(incoming) = self.endpoint.accept().await {
            self.shared.metrics.refused(HostCode::Draining);
            incoming.refuse();
        }
    }

    /// Decides on a connection before its handshake.
    fn admit(&self, incoming: Incoming) {
        let shared = &self.shared;
        let Ok(total) = Arc::clone(&shared.connections).try_acquire_owned() else {
            shared.metrics.refused(HostCode::Busy);
            return incoming.refuse();
        };
        // Half full: whoever comes now first shows that its address is its own.
        if !incoming.remote_address_validated()
            && shared.connections.available_permits() < shared.limits.connections / 2
        {
            let _ = incoming.retry();
            return;
        }
        let address = address_key(incoming.remote_address().ip());
        let Some(place) = shared.by_address.take(address) else {
            shared.metrics.refused(HostCode::Limit);
            return incoming.refuse();
        };
        let shared = Arc::clone(shared);
        tokio::spawn(async move {
            // Both are held as long as the connection.
            let _places = (total, place);
            match shared.handshake(incoming).await {
                Some((connection, peer)) => shared.serve(connection, peer).await,
                None => shared.metrics.handshakes_failed.add(1),
            }
        });
    }
}

fn bind(address: SocketAddr, server: quinn::ServerConfig) -> std::io::Result<Endpoint> {
    let socket = std::net::UdpSocket::bind(address)?;
    // Larger kernel buffers if the system grants them: a burst must wait there, not be lost.
    transport::widen(&socket);
    Endpoint::new(
        transport::endpoint_config(),
        Some(server),
        socket,
        Arc::new(quinn::TokioRuntime),
    )
}

impl Shared {
    async fn handshake(&self, incoming: Incoming) -> Option<(Connection, NodeId)> {
        let connection = timeout(self.timeouts.handshake, incoming)
            .await
            .ok()?
            .ok()?;
        let peer = peer_of(&connection)?;
        Some((connection, peer))
    }

    async fn serve(self: Arc<Self>, connection: Connection, peer: NodeId) {
        self.metrics.connections_total.add(1);
        let _open = self.metrics.connections.hold();
        let Some(_place) = self.by_peer.take(peer) else {
            return self.close(&connection, HostCode::Limit);
        };
        tracing::debug!(%peer, "connected");
        // Connections do not migrate: it stays this one.
        let from = Peer {
            node: peer,
            address: connection.remote_address().ip(),
        };
        let mut streams = JoinSet::new();
        loop {
            tokio::select! {
                stream = connection.accept_bi() => match stream {
                    Ok((send, recv)) => {
                        let shared = Arc::clone(&self);
                        match self.place(peer) {
                            Ok(place) => streams.spawn(async move {
                                shared.relay.serve(from, send, recv).await;
                                drop(place);
                            }),
                            Err(code) => streams.spawn(shared.turn_away(send, recv, code)),
                        };
                    }
                    Err(_) => break,
                },
                Some(_) = streams.join_next(), if !streams.is_empty() => {}
                () = tokio::time::sleep(self.timeouts.connection_idle), if streams.is_empty() => {
                    self.close(&connection, HostCode::Idle);
                    break;
                }
            }
        }
        // Sessions see for themselves that the peer is gone, and fetch their usage records.
        while streams.join_next().await.is_some() {}
        tracing::debug!(%peer, "disconnected");
    }

    /// A place for one more stream of `peer`.
    fn place(&self, peer: NodeId) -> Result<(OwnedSemaphorePermit, Slot<NodeId>), HostCode> {
        if *self.draining.borrow() {
            return Err(HostCode::Draining);
        }
        let own = self.streams_by_peer.take(peer).ok_or(HostCode::Limit)?;
        let total = Arc::clone(&self.streams)
            .try_acquire_owned()
            .map_err(|_| HostCode::Busy)?;
        Ok((total, own))
    }

    async fn turn_away(
        self: Arc<Self>,
        mut send: SendStream,
        mut recv: RecvStream,
        code: HostCode,
    ) {
        self.metrics.refused(code);
        says::refuse(&mut send, &mut recv, code.into(), true).await;
    }

    fn close(&self, connection: &Connection, code: HostCode) {
        self.metrics.refused(code);
        connection.close(says::error_code(code), code.name().as_bytes());
    }
}

/// The node id of the key with which the peer signed the handshake.
fn peer_of(connection: &Connection) -> Option<NodeId> {
    let identity = connection.peer_identity()?;
    let chain = identity.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    let key = tls::certified_key(chain.first()?).ok()?;
    Some(NodeId::of_key(&key))
}
