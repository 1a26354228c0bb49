//! The configuration file `host.toml`, parsed into what the agent needs and nothing else.
//!
//! An unknown key is an error. Secrets are named by file, never written here.

mod address;
mod file;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use duckblind_protocol::ids::Digest;

pub use address::{EnclaveAddress, VerifierUrl};
pub use duckblind_protocol::order::Class;

use crate::error::HostError;
use crate::peers::PeerPolicy;

/// A checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// UDP address of the QUIC front; port 0 takes any.
    pub listen: SocketAddr,
    /// `host:port` told to the registry; none: the address listened on.
    pub advertise: Option<String>,
    /// Where the enclave listens.
    pub enclave: EnclaveAddress,
    /// The verifier this node is enrolled at.
    pub verifier: VerifierUrl,
    /// The only CA trusted for the verifier's certificate (PEM).
    pub verifier_ca: Option<PathBuf>,
    /// The node's Ed25519 key file.
    pub node_key: PathBuf,
    /// `l0` or `l2`.
    pub class: Class,
    /// SHA-256 of the EAR signer's public key information, which challenges name.
    pub audience: Digest,
    /// File with the operator's enrolment token.
    pub enrol_token_file: Option<PathBuf>,
    /// Who may connect.
    pub peers: PeerPolicy,
    /// Loopback address of the metrics page.
    pub metrics: SocketAddr,
    /// Where usage records are kept; none: they are counted only.
    pub usage_log: Option<PathBuf>,
    /// Size at which the usage log is set aside as `FILE.1`, in bytes.
    pub usage_log_max_bytes: u64,
    /// How much at a time.
    pub limits: Limits,
    /// How long.
    pub timeouts: Timeouts,
}

/// Upper bounds on what is open at one time or asked for in one minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections in all, and handshakes under way.
    pub connections: usize,
    /// Connections of one key.
    pub connections_per_peer: usize,
    /// Connections from one address (IPv6: one /64).
    pub connections_per_address: usize,
    /// Streams in all. An enclave takes 1024 connections, one for each stream; what is left of
    /// them carries the agent's own challenges and its watch.
    pub streams: usize,
    /// Streams of one key.
    pub streams_per_peer: usize,
    /// Challenges of one key that reach the enclave, per minute and at once.
    pub challenges_per_minute_per_peer: u32,
    /// Challenges from one address (IPv6: one /64), likewise.
    pub challenges_per_minute_per_address: u32,
}

/// Times after which the agent gives up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// The whole TLS handshake.
    pub handshake: Duration,
    /// From a stream's opening to its first whole frame.
    pub first_frame: Duration,
    /// From a frame's first byte to its last.
    pub frame: Duration,
    /// A stream on which no byte moves either way.
    pub idle: Duration,
    /// A requester that takes no byte of a waiting answer.
    pub stall: Duration,
    /// A connection without any open stream.
    pub connection_idle: Duration,
    /// Reaching the enclave's socket.
    pub enclave_connect: Duration,
    /// The enclave's answer to a challenge.
    pub evidence: Duration,
    /// Open streams after SIGTERM.
    pub drain: Duration,
    /// Between two heartbeats.
    pub heartbeat: Duration,
    /// One request to the verifier.
    pub verifier: Duration,
}

impl Config {
    /// Reads and checks the file.
    pub fn load(path: &Path) -> Result<Self, HostError> {
        let text = crate::files::read_small(path, "the configuration", 256 << 10)?;
        let text = String::from_utf8(text).map_err(|_| HostError::ConfigSyntax {
            path: path.to_owned(),
            detail: "it is not UTF-8".to_owned(),
        })?;
        Self::parse(&text, path)
    }

    /// Checks the text of a configuration; `path` is for the errors.
    pub fn parse(text: &str, path: &Path) -> Result<Self, HostError> {
        let file: file::File = toml::from_str(text).map_err(|error| HostError::ConfigSyntax {
            path: path.to_owned(),
            detail: error.to_string().trim_end().to_owned(),
        })?;
        file.check()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use duckblind_protocol::coded::Coded as _;
    use duckblind_protocol::ids::NodeId;

    const GOOD: &str = r#"
        listen = "127.0.0.1:0"
        enclave = "unix:/run/duckblind/enclave.sock"
        verifier = "http://127.0.0.1:9000"
        node_key = "node.key"
        class = "l2"
        audience = "0000000000000000000000000000000000000000000000000000000000000001"
        peers = "open"
    "#;

    fn parse(text: &str) -> Result<Config, HostError> {
        Config::parse(text, Path::new("host.toml"))
    }

    #[test]
    fn the_example_is_whole_and_says_the_defaults() {
        // Its signer's key file is not on this machine; an audience says the same.
        let example = include_str!("../host.example.toml").replace(
            "ear_signer = \"/etc/duckblind/ear.pub\"",
            &format!("audience = \"{}\"", "01".repeat(32)),
        );
        let given = parse(&example).unwrap();
        let least = parse(GOOD).unwrap();
        assert_eq!(format!("{:?}", given.limits), format!("{:?}", least.limits));
        assert_eq!(
            format!("{:?}", given.timeouts),
            format!("{:?}", least.timeouts)
        );
        assert_eq!(given.usage_log_max_bytes, least.usage_log_max_bytes);
    }

    fn refused(text: &str) -> String {
        let error = parse(text).expect_err("must be refused");
        assert_eq!(error.exit(), duckblind_protocol::coded::Exit::Usage);
        error.to_string()
    }

    #[test]
    fn a_short_file_is_enough() {
        let config = parse(GOOD).unwrap();
        assert_eq!(config.class, Class::L2);
        assert_eq!(config.peers, PeerPolicy::Open);
        assert_eq!(config.timeouts.heartbeat, Duration::from_secs(30));
        assert!(config.metrics.ip().is_loopback());
    }

    #[test]
    fn an_unknown_key_is_named() {
        let text = format!("{GOOD}\nlisten_adress = \"x\"");
        assert!(refused(&text).contains("listen_adress"));
        let text = format!("{GOOD}\n[limits]\nstream = 1");
        assert!(refused(&text).contains("stream"));
    }

    #[test]
    fn peers_are_open_or_listed_never_empty() {
        let id = "ab".repeat(32);
        let listed = GOOD.replace("\"open\"", &format!("[\"{id}\"]"));
        let node: NodeId = id.parse().unwrap();
        assert_eq!(
            parse(&listed).unwrap().peers,
            PeerPolicy::Allow([node].into())
        );
        assert!(refused(&GOOD.replace("\"open\"", "[]")).contains("peers"));
        assert!(refused(&GOOD.replace("\"open\"", "\"opne\"")).contains("peers"));
        assert!(refused(&GOOD.replace("\"open\"", "[\"zz\"]")).contains("peers"));
    }

    #[test]
    fn plain_http_stays_on_loopback() {
        let text = GOOD.replace("http://127.0.0.1:9000", "http://192.0.2.1:9000");
        assert!(refused(&text).contains("verifier"));
        let text = GOOD.replace("http://127.0.0.1:9000", "ftp://127.0.0.1");
        assert!(refused(&text).contains("verifier"));
        let text = GOOD.replace("http://127.0.0.1:9000", "https://verifier.example");
        assert!(parse(&text).is_ok());
    }

    #[test]
    fn metrics_stay_on_loopback() {
        let text = format!("{GOOD}\nmetrics = \"0.0.0.0:9100\"");
        assert!(refused(&text).contains("metrics"));
    }

    #[test]
    fn exactly_one_source_of_the_audience() {
        let without = GOOD
            .lines()
            .filter(|l| !l.contains("audience"))
            .collect::<Vec<_>>();
        assert!(refused(&without.join("\n")).contains("audience"));
        let both = format!("{GOOD}\near_signer = \"ear.pub\"");
        assert!(refused(&both).contains("audience"));
    }

    #[test]
    fn a_pinned_signer_gives_the_audience() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ear.pub");
        std::fs::write(&file, format!("ed25519:{}\n", "11".repeat(32))).unwrap();
        let text = GOOD
            .lines()
            .map(|line| {
                if line.contains("audience") {
                    format!("ear_signer = {file:?}")
                } else {
                    line.to_owned()
                }
            })
            .collect::<Vec<_>>()
            .join("\n");
        // SHA-256 over the 12 bytes of algorithm identifier and the key, as RFC 8410 writes them.
        let mut spki = hex::decode("302a300506032b6570032100").unwrap();
        spki.extend([0x11; 32]);
        assert_eq!(parse(&text).unwrap().audience, Digest::of(&spki));
        std::fs::write(&file, "ed25519:11").unwrap();
        assert_eq!(parse(&text).expect_err("short key").code(), "DB-HST-010");
    }

    #[test]
    fn zero_limits_and_times_are_refused() {
        assert!(refused(&format!("{GOOD}\n[limits]\nstreams = 0")).contains("limits.streams"));
        assert!(refused(&format!("{GOOD}\n[timeouts]\nidle_ms = 0")).contains("timeouts.idle_ms"));
        for number in ["0", "70000", "-1"] {
            let text = format!("{GOOD}\n[limits]\nchallenges_per_minute_per_peer = {number}");
            assert!(refused(&text).contains("challenges_per_minute_per_peer"));
        }
    }

    #[test]
    fn vsock_is_told_apart_from_nonsense() {
        let text = GOOD.replace("unix:/run/duckblind/enclave.sock", "vsock:3:5000");
        let vsock = EnclaveAddress::Vsock { cid: 3, port: 5000 };
        assert_eq!(parse(&text).unwrap().enclave, vsock);
        let text = GOOD.replace("unix:/run/duckblind/enclave.sock", "tcp:1");
        assert_eq!(parse(&text).expect_err("tcp").code(), "DB-HST-003");
    }
}
