//! The file as written, and its checks.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use duckblind_protocol::ids::{Digest, NodeId};
use serde::Deserialize;

use super::{Class, Config, EnclaveAddress, Limits, Timeouts, VerifierUrl};
use crate::error::HostError;
use crate::peers::PeerPolicy;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "named as its users write them")]
pub(super) struct File {
    listen: SocketAddr,
    advertise: Option<String>,
    enclave: String,
    verifier: String,
    verifier_ca: Option<PathBuf>,
    node_key: PathBuf,
    class: Class,
    audience: Option<String>,
    ear_signer: Option<PathBuf>,
    enrol_token_file: Option<PathBuf>,
    peers: Peers,
    metrics: Option<SocketAddr>,
    usage_log: Option<PathBuf>,
    usage_log_max_bytes: Option<u64>,
    #[serde(default)]
    limits: FileLimits,
    #[serde(default)]
    timeouts: FileTimeouts,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Peers {
    Word(String),
    List(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct FileLimits {
    connections: usize,
    connections_per_peer: usize,
    connections_per_address: usize,
    streams: usize,
    streams_per_peer: usize,
    challenges_per_minute_per_peer: u32,
    challenges_per_minute_per_address: u32,
}

impl Default for FileLimits {
    fn default() -> Self {
        Self {
            connections: 1024,
            connections_per_peer: 16,
            connections_per_address: 64,
            streams: 512,
            streams_per_peer: 64,
            challenges_per_minute_per_peer: 120,
            challenges_per_minute_per_address: 600,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_field_names, reason = "every number says its unit")]
struct FileTimeouts {
    handshake_ms: u64,
    first_frame_ms: u64,
    frame_ms: u64,
    idle_ms: u64,
    stall_ms: u64,
    connection_idle_ms: u64,
    enclave_connect_ms: u64,
    evidence_ms: u64,
    drain_ms: u64,
    heartbeat_ms: u64,
    verifier_ms: u64,
}

impl Default for FileTimeouts {
    fn default() -> Self {
        Self {
            handshake_ms: 10_000,
            first_frame_ms: 10_000,
            frame_ms: 30_000,
            idle_ms: 120_000,
            stall_ms: 60_000,
            connection_idle_ms: 300_000,
            enclave_connect_ms: 2_000,
            evidence_ms: 30_000,
            drain_ms: 30_000,
            heartbeat_ms: 30_000,
            verifier_ms: 20_000,
        }
    }
}

fn value(key: &'static str, reason: impl Into<String>) -> HostError {
    HostError::ConfigValue {
        key,
        reason: reason.into(),
    }
}

impl File {
    pub(super) fn check(self) -> Result<Config, HostError> {
        let metrics = self
            .metrics
            .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
        if !metrics.ip().is_loopback() {
            return Err(value("metrics", "only a loopback address is served"));
        }
        if let Some(advertise) = &self.advertise {
            check_advertised(advertise)?;
        }
        Ok(Config {
            listen: self.listen,
            advertise: self.advertise,
            enclave: EnclaveAddress::parse(&self.enclave)?,
            verifier: VerifierUrl::parse(&self.verifier)?,
            verifier_ca: self.verifier_ca,
            node_key: self.node_key,
            class: self.class,
            audience: audience(self.audience, self.ear_signer)?,
            enrol_token_file: self.enrol_token_file,
            peers: self.peers.check()?,
            metrics,
            usage_log: self.usage_log,
            usage_log_max_bytes: self.usage_log_max_bytes.unwrap_or(16 << 20),
            limits: self.limits.check()?,
            timeouts: self.timeouts.check()?,
        })
    }
}

/// `host:port`, as the registry will hand it to requesters.
fn check_advertised(text: &str) -> Result<(), HostError> {
    let fine = text.len() <= 253
        && text.rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0)
        });
    if fine {
        Ok(())
    } else {
        Err(value("advertise", "it is written host:port"))
    }
}

fn audience(text: Option<String>, signer: Option<PathBuf>) -> Result<Digest, HostError> {
    match (text, signer) {
        (Some(text), None) => text
            .parse()
            .map_err(|_| value("audience", "it has 64 hex digits")),
        (None, Some(path)) => crate::node_key::ear_audience(&path),
        _ => Err(value(
            "audience",
            "give exactly one of `audience` and `ear_signer`",
        )),
    }
}

impl Peers {
    fn check(self) -> Result<PeerPolicy, HostError> {
        let nodes = match self {
            Self::Word(word) if word == "open" => return Ok(PeerPolicy::Open),
            Self::Word(_) => {
                return Err(value("peers", "it is \"open\" or a list of node ids"));
            }
            Self::List(nodes) => nodes,
        };
        let nodes = nodes
            .iter()
            .map(|text| text.parse::<NodeId>())
            .collect::<Result<BTreeSet<_>, _>>()
            .map_err(|_| value("peers", "a node id has 64 hex digits"))?;
        if nodes.is_empty() {
            return Err(value("peers", "an empty list admits nobody"));
        }
        Ok(PeerPolicy::Allow(nodes))
    }
}

/// More than this of anything at one time or in one minute is a slip of the pen.
const MOST: usize = 65_536;

impl FileLimits {
    fn check(self) -> Result<Limits, HostError> {
        for (key, number) in [
            ("limits.connections", self.connections),
            ("limits.connections_per_peer", self.connections_per_peer),
            (
                "limits.connections_per_address",
                self.connections_per_address,
            ),
            ("limits.streams", self.streams),
            ("limits.streams_per_peer", self.streams_per_peer),
            (
                "limits.challenges_per_minute_per_peer",
                self.challenges_per_minute_per_peer as usize,
            ),
            (
                "limits.challenges_per_minute_per_address",
                self.challenges_per_minute_per_address as usize,
            ),
        ] {
            if !(1..=MOST).contains(&number) {
                return Err(value(key, format!("it is between 1 and {MOST}")));
            }
        }
        Ok(Limits {
            connections: self.connections,
            connections_per_peer: self.connections_per_peer,
            connections_per_address: self.connections_per_address,
            streams: self.streams,
            streams_per_peer: self.streams_per_peer,
            challenges_per_minute_per_peer: self.challenges_per_minute_per_peer,
            challenges_per_minute_per_address: self.challenges_per_minute_per_address,
        })
    }
}

/// One day, in milliseconds.
const LONGEST_MS: u64 = 86_400_000;

fn millis(key: &'static str, number: u64) -> Result<Duration, HostError> {
    if (1..=LONGEST_MS).contains(&number) {
        Ok(Duration::from_millis(number))
    } else {
        Err(value(key, format!("it is between 1 and {LONGEST_MS} ms")))
    }
}

impl FileTimeouts {
    fn check(self) -> Result<Timeouts, HostError> {
        Ok(Timeouts {
            handshake: millis("timeouts.handshake_ms", self.handshake_ms)?,
            first_frame: millis("timeouts.first_frame_ms", self.first_frame_ms)?,
            frame: millis("timeouts.frame_ms", self.frame_ms)?,
            idle: millis("timeouts.idle_ms", self.idle_ms)?,
            stall: millis("timeouts.stall_ms", self.stall_ms)?,
            connection_idle: millis("timeouts.connection_idle_ms", self.connection_idle_ms)?,
            enclave_connect: millis("timeouts.enclave_connect_ms", self.enclave_connect_ms)?,
            evidence: millis("timeouts.evidence_ms", self.evidence_ms)?,
            drain: millis("timeouts.drain_ms", self.drain_ms)?,
            heartbeat: millis("timeouts.heartbeat_ms", self.heartbeat_ms)?,
            verifier: millis("timeouts.verifier_ms", self.verifier_ms)?,
        })
    }
}
