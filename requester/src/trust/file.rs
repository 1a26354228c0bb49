//! The trust file: the one place where a requester says whom it trusts.
//!
//! Nothing that a verifier or host serves is ever added to it by itself.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use duckblind_attestation::policy::Policy;
use duckblind_protocol::ids::{Digest, PublicKey};
use duckblind_protocol::key_file::parse_public;
use serde::{Deserialize, Serialize};

use super::error::TrustError;
use crate::files::{self, FileError};

/// The one version of the format.
pub const VERSION: u32 = 1;

/// How a host's transport key is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HostPinning {
    /// It must be the key in the verifier's registry.
    Registry,
    /// The first key seen at an address is kept and must not change. Development only.
    Tofu,
}

/// The file as it is written; what it says is checked by [`Trust::parse`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustFile {
    /// Always [`VERSION`].
    pub version: u32,
    /// Allows what must never happen with real data: unlogged keys, simulator, `tofu`.
    #[serde(default)]
    pub development: bool,
    /// Accepts evidence of a simulated platform, if a policy pins its root.
    #[serde(default)]
    pub simulator: bool,
    /// How host keys are known.
    pub hosts: HostPinning,
    /// Where the verifier is.
    pub verifier: VerifierEntry,
    /// Keys whose attestation results are believed.
    #[serde(default)]
    pub ear_signers: Vec<SignerEntry>,
    /// Appraisal policies that are accepted.
    #[serde(default)]
    pub policies: Vec<PolicyEntry>,
}

/// Where the verifier is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerifierEntry {
    /// `https://…`, or `http://` on loopback.
    pub url: String,
    /// PEM file with the one authority that its certificate must come from; relative to the trust
    /// file. Without it: the system's authorities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
}

/// One EAR signer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignerEntry {
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `ed25519:<hex>`.
    pub key: String,
}

/// One accepted policy.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyEntry {
    /// Relative to the trust file.
    pub path: PathBuf,
    /// SHA-256 of the file's bytes.
    pub sha256: Digest,
}

/// Proof that a trust file says `development = true`. Made by [`Trust::parse`] only.
#[derive(Debug)]
pub struct DevelopmentTrust(());

/// One policy, read and parsed; its bytes have the digest that the trust file accepts.
#[derive(Debug)]
pub struct AcceptedPolicy {
    /// Where it was read.
    pub path: PathBuf,
    /// The file's text.
    pub text: String,
    /// SHA-256 of the text.
    pub digest: Digest,
    /// Parsed.
    pub policy: Policy,
}

/// Where the verifier is, checked.
#[derive(Clone, Debug)]
pub struct VerifierAddress {
    /// `https`, or `http` on loopback.
    pub url: reqwest::Url,
    /// PEM bytes of the pinned authority.
    pub ca_pem: Option<Vec<u8>>,
}

/// A trust file, parsed, with everything it names read and checked. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Trust(Arc<Parsed>);

#[derive(Debug)]
struct Parsed {
    path: PathBuf,
    development: Option<DevelopmentTrust>,
    simulator: bool,
    hosts: HostPinning,
    verifier: VerifierAddress,
    ear_signers: Vec<PublicKey>,
    policies: Vec<AcceptedPolicy>,
}

impl Trust {
    /// Reads a trust file and what it names.
    pub fn load(path: &Path) -> Result<Self, TrustError> {
        let text = match files::read_text(path) {
            Err(FileError::Read { source, .. })
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                return Err(TrustError::Missing(path.into()));
            }
            other => other?,
        };
        Self::parse(&text, path)
    }

    /// From the text of a trust file at `path`; what it names is read relative to that.
    pub fn parse(text: &str, path: &Path) -> Result<Self, TrustError> {
        let file = TrustFile::parse(text)?;
        let base = path.parent().unwrap_or(Path::new(""));
        if file.version != VERSION {
            return Err(TrustError::Version(file.version));
        }
        let development = file.development.then_some(DevelopmentTrust(()));
        if development.is_none() {
            if file.simulator {
                return Err(TrustError::DevelopmentOnly("`simulator = true`"));
            }
            if file.hosts == HostPinning::Tofu {
                return Err(TrustError::DevelopmentOnly("`hosts = \"tofu\"`"));
            }
        }
        if file.simulator && !cfg!(feature = "simulator") {
            return Err(TrustError::NoSimulator);
        }
        Ok(Self(Arc::new(Parsed {
            path: path.into(),
            development,
            simulator: file.simulator,
            hosts: file.hosts,
            verifier: verifier(&file.verifier, base)?,
            ear_signers: signers(&file.ear_signers)?,
            policies: policies(&file.policies, base)?,
        })))
    }

    /// Where it was read.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Present if the file says `development = true`.
    pub fn development(&self) -> Option<&DevelopmentTrust> {
        self.0.development.as_ref()
    }

    /// Whether evidence of a simulated platform may be accepted.
    pub fn simulator(&self) -> bool {
        self.0.simulator
    }

    /// How host keys are known.
    pub fn hosts(&self) -> HostPinning {
        self.0.hosts
    }

    /// Where the verifier is.
    pub fn verifier(&self) -> &VerifierAddress {
        &self.0.verifier
    }

    /// The pinned EAR signers; never empty.
    pub fn ear_signers(&self) -> &[PublicKey] {
        &self.0.ear_signers
    }

    /// The accepted policies; never empty.
    pub fn policies(&self) -> &[AcceptedPolicy] {
        &self.0.policies
    }

    /// The accepted policy of this digest.
    pub fn policy(&self, digest: &Digest) -> Option<&AcceptedPolicy> {
        self.0.policies.iter().find(|p| p.digest.ct_eq(digest))
    }
}

impl TrustFile {
    /// The file's shape, nothing read or judged yet.
    pub fn parse(text: &str) -> Result<Self, TrustError> {
        toml::from_str(text).map_err(|e| TrustError::Parse(one_line(e.message())))
    }

    /// The file, with comments.
    pub fn render(&self) -> Result<String, TrustError> {
        let body = toml::to_string(self).map_err(|e| TrustError::Parse(e.to_string()))?;
        Ok(format!(
            "# Whom this requester trusts. `duckblind trust show` explains it, `duckblind trust lint` checks it.\n\
             # Paths are relative to this file. A key that a verifier serves is never a root of trust.\n\n{body}"
        ))
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn verifier(entry: &VerifierEntry, base: &Path) -> Result<VerifierAddress, TrustError> {
    let invalid = || TrustError::Value {
        key: "verifier.url",
        expected: "an https:// address (http:// on loopback only) without path or user",
        got: entry.url.clone(),
    };
    let url: reqwest::Url = entry.url.parse().map_err(|_| invalid())?;
    let secure = match url.scheme() {
        "https" => true,
        "http" => is_loopback(&url),
        _ => false,
    };
    let plain = url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    if !secure || !plain || url.host_str().is_none() {
        return Err(invalid());
    }
    let ca_pem = match &entry.ca {
        Some(path) => Some(files::read_bytes(&base.join(path), files::MAX_TEXT)?),
        None => None,
    };
    Ok(VerifierAddress { url, ca_pem })
}

/// Whether the address is this machine, without asking a resolver.
pub(crate) fn is_loopback(url: &reqwest::Url) -> bool {
    let Some(host) = url.host_str() else {
        return false;
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost"
        || bare
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

fn signers(entries: &[SignerEntry]) -> Result<Vec<PublicKey>, TrustError> {
    let mut keys = Vec::with_capacity(entries.len());
    for entry in entries {
        let key = parse_public(&entry.key).map_err(|_| TrustError::Value {
            key: "ear_signers.key",
            expected: "ed25519:<64 hex digits>",
            got: entry.key.clone(),
        })?;
        if keys.contains(&key) {
            return Err(TrustError::Twice("EAR signer"));
        }
        keys.push(key);
    }
    if keys.is_empty() {
        return Err(TrustError::Empty("EAR signer ([[ear_signers]])"));
    }
    Ok(keys)
}

fn policies(entries: &[PolicyEntry], base: &Path) -> Result<Vec<AcceptedPolicy>, TrustError> {
    let mut seen = BTreeSet::new();
    let mut accepted = Vec::with_capacity(entries.len());
    for entry in entries {
        let path = base.join(&entry.path);
        let text = files::read_text(&path)?;
        let digest = Digest::of(text.as_bytes());
        if !digest.ct_eq(&entry.sha256) {
            return Err(TrustError::PolicyDigest {
                path,
                accepted: entry.sha256,
                found: digest,
            });
        }
        if !seen.insert(digest) {
            return Err(TrustError::Twice("policy"));
        }
        let policy = Policy::parse(&text)?;
        accepted.push(AcceptedPolicy {
            path,
            text,
            digest,
            policy,
        });
    }
    if accepted.is_empty() {
        return Err(TrustError::Empty("policy ([[policies]])"));
    }
    Ok(accepted)
}

#[cfg(all(test, feature = "simulator"))]
#[path = "file_tests.rs"]
mod tests;
