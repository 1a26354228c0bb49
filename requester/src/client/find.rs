//! Which host to use, and how its key is known.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use duckblind_protocol::coded::Coded as _;
use duckblind_protocol::http::NodeInfo;
use duckblind_protocol::ids::{NodeId, random_bytes};
use duckblind_protocol::order::Class;
use quinn::Connection;

use super::attested::{self, Attested};
use super::error::ClientError;
use super::known_hosts;
use super::session::ConnectOptions;
use super::transport::Transport;
use super::verifier::VerifierClient;
use crate::clock;
use crate::error::RequesterError;
use crate::trust::{HostPinning, Trust, TrustError};

/// Hosts that are tried before giving up.
const MAX_TRIES: usize = 3;

/// Which host.
#[derive(Clone, Debug)]
pub enum Target {
    /// Any host of the registry with a current attestation.
    Any,
    /// This one.
    Node(NodeId),
    /// Whoever answers at this `host:port`, with the key kept in a file of known hosts. Needs
    /// `hosts = "tofu"`.
    Address {
        /// Where.
        address: String,
        /// Keys seen before.
        known_hosts: PathBuf,
    },
}

/// A host, connected and attested.
pub(super) struct Found {
    pub(super) transport: Transport,
    pub(super) connection: Connection,
    pub(super) node: NodeId,
    pub(super) address: SocketAddr,
    pub(super) attested: Attested,
}

/// Finds a host as the options say.
pub(super) async fn host(
    trust: &Trust,
    verifier: &VerifierClient,
    options: &ConnectOptions,
) -> Result<Found, RequesterError> {
    // Said before anything is dialled: without a log, only development trust may go on.
    if trust.development().is_none() {
        return Err(TrustError::NoLog.into());
    }
    match &options.target {
        Target::Any => any(trust, verifier, options).await,
        Target::Node(node) => {
            let nodes = verifier.nodes(Class::L2).await?;
            let node = nodes
                .iter()
                .find(|info| info.id == *node)
                .ok_or(ClientError::UnknownHost(*node))?;
            registered(trust, verifier, options, node).await
        }
        Target::Address {
            address,
            known_hosts,
        } => {
            if trust.hosts() != HostPinning::Tofu {
                return Err(TrustError::Value {
                    key: "hosts",
                    expected: "\"tofu\", to reach a host by its address",
                    got: "\"registry\"".into(),
                }
                .into());
            }
            let resolved = resolve(address).await?;
            let transport = Transport::new(Arc::clone(&options.identity), resolved)?;
            let pinned = known_hosts::lookup(known_hosts, address)?;
            let (connection, node) = transport.connect(resolved, pinned).await?;
            let presented = attested::fresh(verifier, trust, &connection).await?;
            let attested = presented.admit(trust)?;
            // Kept only after its enclave was found good.
            if pinned.is_none() {
                known_hosts::remember(known_hosts, address, &node)?;
            }
            Ok(Found {
                transport,
                connection,
                node,
                address: resolved,
                attested,
            })
        }
    }
}

async fn any(
    trust: &Trust,
    verifier: &VerifierClient,
    options: &ConnectOptions,
) -> Result<Found, RequesterError> {
    let now = clock::now().0;
    let mut nodes: Vec<NodeInfo> = verifier.nodes(Class::L2).await?;
    nodes.retain(|node| node.attested_until.is_some_and(|until| until > now));
    if !nodes.is_empty() {
        // Load is spread by chance; the registry's order is not ours to trust.
        let mut random = [0; 8];
        random_bytes(&mut random).map_err(|e| ClientError::Tls(e.to_string()))?;
        let start = u64::from_le_bytes(random) % (nodes.len() as u64);
        nodes.rotate_left(usize::try_from(start).unwrap_or(0));
    }
    let mut first = None;
    for node in nodes.iter().take(MAX_TRIES) {
        match registered(trust, verifier, options, node).await {
            Ok(found) => return Ok(found),
            Err(error) => {
                tracing::warn!(node = %node.id, code = error.code(), "host passed over");
                first.get_or_insert(error);
            }
        }
    }
    Err(first.unwrap_or_else(|| ClientError::NoHost.into()))
}

/// A host of the registry: its key must be the registry's.
async fn registered(
    trust: &Trust,
    verifier: &VerifierClient,
    options: &ConnectOptions,
    node: &NodeInfo,
) -> Result<Found, RequesterError> {
    if NodeId::of_key(&node.node_key) != node.id {
        return Err(ClientError::VerifierAnswer("a host id that is not its key's").into());
    }
    let address = resolve(&node.address).await?;
    let transport = Transport::new(Arc::clone(&options.identity), address)?;
    let connect =
        async { Ok::<_, RequesterError>(transport.connect(address, Some(node.id)).await?.0) };
    let (connection, attested) = if options.fresh {
        let connection = connect.await?;
        let presented = attested::fresh(verifier, trust, &connection).await?;
        (connection, presented.admit(trust)?)
    } else {
        let appraise = async { attested::stored(verifier, &node.id).await?.1.admit(trust) };
        tokio::try_join!(connect, appraise)?
    };
    Ok(Found {
        transport,
        connection,
        node: node.id,
        address,
        attested,
    })
}

async fn resolve(address: &str) -> Result<SocketAddr, ClientError> {
    if let Ok(address) = address.parse() {
        return Ok(address);
    }
    let invalid = || ClientError::Address(super::verifier::printable(address));
    tokio::net::lookup_host(address)
        .await
        .map_err(|_| invalid())?
        .next()
        .ok_or_else(invalid)
}
