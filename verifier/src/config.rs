//! The configuration file, and everything it names, loaded and checked before anything listens.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use duckblind_attestation::policy::Policy;
use duckblind_protocol::coded::Coded as _;
use duckblind_protocol::ids::{NodeId, PublicKey};
use serde::Deserialize;

use crate::ear_key::{self, EarKey};
use crate::endorser::{self, Endorser};
use crate::error::VerifierError;
use crate::files;
use crate::net::connection::ConnectionLimits;
use crate::net::listen::Listen;
use crate::net::rate::Rate;
use crate::net::tls;
use crate::token::EnrolToken;

/// Longest life of a signed result, in milliseconds: one hour.
const MAX_EAR_LIFETIME_MS: u64 = 3_600_000;

/// The file as written. An unknown key is an error.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    listen: SocketAddr,
    state: PathBuf,
    ear_key: PathBuf,
    #[serde(default)]
    retired_ear_keys: Vec<PathBuf>,
    policies: Vec<PathBuf>,
    #[serde(default = "ear_lifetime_ms")]
    ear_lifetime_ms: u64,
    #[serde(default = "node_silence_ms")]
    node_silence_ms: u64,
    tls: Option<TlsFiles>,
    collateral: Option<endorser::Section>,
    #[serde(default)]
    enrol: EnrolSection,
    #[serde(default)]
    limits: LimitSection,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TlsFiles {
    cert: PathBuf,
    key: PathBuf,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct EnrolSection {
    token_file: Option<PathBuf>,
    #[serde(default)]
    allow: BTreeSet<NodeId>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LimitSection {
    requests_per_second: u32,
    burst: u32,
    connections: usize,
    connections_per_peer: usize,
    appraisals: usize,
}

impl Default for LimitSection {
    fn default() -> Self {
        Self {
            requests_per_second: 500,
            burst: 1_000,
            connections: 768,
            connections_per_peer: 256,
            appraisals: 16,
        }
    }
}

const fn ear_lifetime_ms() -> u64 {
    600_000
}

const fn node_silence_ms() -> u64 {
    600_000
}

/// Who may enrol.
pub enum Enrolment {
    /// Everybody who reaches the verifier: this machine's users. Loopback only.
    Open,
    /// Who knows the token, or is on the list.
    Guarded {
        /// The operator's token.
        token: Option<EnrolToken>,
        /// Allowed without one.
        allow: BTreeSet<NodeId>,
    },
}

impl Enrolment {
    /// Neither token nor list is open enrolment, and refused off loopback.
    fn new(
        listen: &Listen,
        token: Option<EnrolToken>,
        allow: BTreeSet<NodeId>,
    ) -> Result<Self, VerifierError> {
        if token.is_some() || !allow.is_empty() {
            return Ok(Self::Guarded { token, allow });
        }
        if listen.is_loopback() {
            Ok(Self::Open)
        } else {
            Err(VerifierError::OpenEnrolment(listen.address()))
        }
    }

    /// For the operator, in a few words.
    pub fn describe(&self) -> String {
        match self {
            Self::Open => "open to this machine's users".into(),
            Self::Guarded { token, allow } => format!(
                "{}{} node(s) allowed by id",
                if token.is_some() { "by token; " } else { "" },
                allow.len()
            ),
        }
    }

    /// Whether this node may enrol with what it offers.
    pub fn admits(&self, node: &NodeId, offered: Option<&str>) -> bool {
        match self {
            Self::Open => true,
            Self::Guarded { token, allow } => {
                allow.contains(node)
                    || matches!((token, offered), (Some(token), Some(offered)) if token.admits(offered))
            }
        }
    }
}

/// A configuration that may be served.
pub struct Config {
    /// Where and how to listen.
    pub listen: Listen,
    /// The state file.
    pub state: PathBuf,
    /// What results are signed with.
    pub ear_key: EarKey,
    /// Earlier keys, still served for results that are alive.
    pub retired_ear_keys: Vec<PublicKey>,
    /// Policies in the order in which they are tried; at least one.
    pub policies: Vec<Policy>,
    /// Life of a signed result at most.
    pub ear_lifetime: Duration,
    /// A node silent for longer is not listed.
    pub node_silence: Duration,
    /// Looks up the vendors' documents; without it, evidence must carry all of them.
    pub endorser: Option<Endorser>,
    /// Who may enrol.
    pub enrolment: Enrolment,
    /// Requests of one peer.
    pub rate: Rate,
    /// Connections.
    pub connections: ConnectionLimits,
    /// Appraisals at once.
    pub appraisals: usize,
}

impl Config {
    /// Loads the file at `path`; relative paths in it start at its folder. `listen` replaces the
    /// file's address.
    pub fn load(path: &Path, listen: Option<SocketAddr>) -> Result<Self, VerifierError> {
        let invalid = |detail: String| VerifierError::Config {
            path: path.into(),
            detail,
        };
        let text = files::read_text(path)?;
        let file: File = toml::from_str(&text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start));
            let line = before.map_or(1, |before| before.matches('\n').count() + 1);
            invalid(format!("line {line}: {}", error.message()))
        })?;
        let base = path.parent().unwrap_or(Path::new("."));
        let at = |named: &Path| base.join(named);

        let address = listen.unwrap_or(file.listen);
        let listen = match &file.tls {
            Some(named) => Listen::https(
                address,
                tls::server_config(&at(&named.cert), &at(&named.key))?,
            ),
            None => Listen::plain(address)?,
        };
        let token = file
            .enrol
            .token_file
            .as_deref()
            .map(|named| EnrolToken::read(&at(named)))
            .transpose()?;
        let enrolment = Enrolment::new(&listen, token, file.enrol.allow)?;

        if file.policies.is_empty() {
            return Err(invalid(
                "`policies` is empty: nothing could ever be affirmed".into(),
            ));
        }
        if !(1_000..=MAX_EAR_LIFETIME_MS).contains(&file.ear_lifetime_ms) {
            return Err(invalid(format!(
                "`ear_lifetime_ms` is {}, not within 1000 and {MAX_EAR_LIFETIME_MS}",
                file.ear_lifetime_ms
            )));
        }
        let limits = &file.limits;
        if limits.requests_per_second == 0
            || limits.burst == 0
            || limits.connections == 0
            || limits.connections_per_peer == 0
            || limits.appraisals == 0
        {
            return Err(invalid(
                "a number under [limits] is 0: nobody would be served".into(),
            ));
        }
        Ok(Self {
            listen,
            state: at(&file.state),
            ear_key: EarKey::read(&at(&file.ear_key))?,
            retired_ear_keys: file
                .retired_ear_keys
                .iter()
                .map(|named| ear_key::read_public(&at(named)))
                .collect::<Result<_, _>>()?,
            policies: file
                .policies
                .iter()
                .map(|named| read_policy(&at(named)))
                .collect::<Result<_, _>>()?,
            ear_lifetime: Duration::from_millis(file.ear_lifetime_ms),
            node_silence: Duration::from_millis(file.node_silence_ms),
            endorser: file
                .collateral
                .map(|section| Endorser::new(&section, base))
                .transpose()?,
            enrolment,
            rate: Rate {
                per_second: limits.requests_per_second,
                burst: limits.burst,
            },
            connections: ConnectionLimits {
                total: limits.connections,
                per_peer: limits.connections_per_peer,
                idle: Duration::from_mins(1),
            },
            appraisals: limits.appraisals,
        })
    }
}

fn read_policy(path: &Path) -> Result<Policy, VerifierError> {
    Policy::parse(&files::read_text(path)?).map_err(|error| VerifierError::Policy {
        path: path.into(),
        detail: error.to_string(),
        hint: error.hint(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::testing::Home;

    fn refusal(home: &Home, listen: &str, more: &str) -> VerifierError {
        Config::load(&home.config(listen, more), None)
            .err()
            .unwrap()
    }

    const TLS: &str = "[tls]\ncert = \"tls/cert.pem\"\nkey = \"tls/key.pem\"\n";

    #[test]
    fn nothing_opens_off_loopback_by_itself() {
        let home = Home::new();
        tls::create(&home.path().join("tls"), "example.org").unwrap();
        let everywhere = "0.0.0.0:0";
        assert_eq!(refusal(&home, everywhere, "").code(), "DB-VER-009");
        let guarded_plain = "[enrol]\ntoken_file = \"token\"";
        assert_eq!(
            refusal(&home, everywhere, guarded_plain).code(),
            "DB-VER-009"
        );
        assert_eq!(refusal(&home, everywhere, TLS).code(), "DB-VER-010");
        let empty_list = format!("{TLS}[enrol]\nallow = []");
        assert_eq!(refusal(&home, everywhere, &empty_list).code(), "DB-VER-010");

        for guard in [
            "token_file = \"token\"".to_owned(),
            format!("allow = [\"{}\"]", "00".repeat(32)),
        ] {
            let path = home.config(everywhere, &format!("{TLS}[enrol]\n{guard}"));
            let config = Config::load(&path, None).unwrap();
            assert!(!config.enrolment.admits(&NodeId::from_bytes([1; 32]), None));
        }
        let overridden = home.config("127.0.0.1:0", "");
        let refused = Config::load(&overridden, Some("0.0.0.0:0".parse().unwrap()));
        assert_eq!(refused.err().unwrap().code(), "DB-VER-009");
    }

    #[test]
    fn the_example_is_complete_and_says_the_defaults() {
        let example = include_str!("../verifier.example.toml");
        let home = Home::new();
        let path = home.path().join("verifier.toml");
        std::fs::write(&path, example).unwrap();
        let config = Config::load(&path, None).unwrap();
        let guarded = "[enrol]\ntoken_file = \"token\"";
        let default = Config::load(&home.config("127.0.0.1:8440", guarded), None).unwrap();
        let numbers = |config: &Config| {
            (
                (config.ear_lifetime, config.node_silence, config.appraisals),
                (config.rate.per_second, config.rate.burst),
                (config.connections.total, config.connections.per_peer),
                (config.enrolment.describe(), config.listen.address()),
            )
        };
        assert_eq!(numbers(&config), numbers(&default));
    }

    #[test]
    fn mistakes_in_the_file_are_named() {
        let home = Home::new();
        let here = "127.0.0.1:0";
        assert!(Config::load(&home.config(here, ""), None).is_ok());
        let unknown = refusal(&home, here, "enrol_token = \"x\"");
        assert_eq!(unknown.code(), "DB-VER-006");
        let got = unknown.got().unwrap();
        assert!(
            got.starts_with("line 5: unknown field `enrol_token`"),
            "{got}"
        );
        for bad in [
            "ear_lifetime_ms = 0",
            "ear_lifetime_ms = 3600001",
            "[limits]\nburst = 0",
        ] {
            assert_eq!(refusal(&home, here, bad).code(), "DB-VER-006", "{bad}");
        }
        std::fs::write(
            home.path().join("policy.toml"),
            "version = 1\nanything = true",
        )
        .unwrap();
        assert_eq!(refusal(&home, here, "").code(), "DB-VER-008");
    }
}
