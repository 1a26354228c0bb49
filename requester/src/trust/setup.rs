//! Making and changing trust files. Everything here writes what the person in front of the
//! terminal named; nothing is fetched.

use std::path::{Path, PathBuf};

use duckblind_attestation::policy::Policy;
use duckblind_protocol::ids::{Digest, PublicKey};
use duckblind_protocol::key_file;

use super::error::TrustError;
use super::file::{
    HostPinning, PolicyEntry, SignerEntry, Trust, TrustFile, VERSION, VerifierEntry,
};
use crate::files::{self, FileError};

/// What a new trust file shall say.
#[derive(Clone, Debug)]
pub struct NewTrust {
    /// Allows unlogged keys.
    pub development: bool,
    /// Accepts a simulated platform.
    pub simulator: bool,
    /// How host keys are known.
    pub hosts: HostPinning,
    /// The verifier's address.
    pub verifier: String,
    /// PEM of its one authority; copied beside the trust file.
    pub verifier_ca: Option<PathBuf>,
    /// Public key files (`ed25519:<hex>`) of EAR signers.
    pub ear_signers: Vec<PathBuf>,
    /// Policy texts with the name of the file that each becomes.
    pub policies: Vec<(String, String)>,
}

/// Reads a public key file, `ed25519:<hex>`.
pub fn read_signer(path: &Path) -> Result<PublicKey, TrustError> {
    key_file::parse_public(&files::read_text(path)?).map_err(|_| {
        FileError::Contents {
            path: path.into(),
            wanted: "a public key file (`ed25519:<hex>`)",
        }
        .into()
    })
}

/// One signer, named after its file.
pub fn signer_entry(path: &Path) -> Result<SignerEntry, TrustError> {
    let key = read_signer(path)?;
    Ok(SignerEntry {
        name: path
            .file_stem()
            .and_then(|name| name.to_str())
            .map(str::to_owned),
        key: key_file::format_public(&key).trim().to_owned(),
    })
}

/// Writes a trust file and what it names into `dir`. Nothing that exists is overwritten.
pub fn create(dir: &Path, new: &NewTrust) -> Result<Trust, TrustError> {
    let path = dir.join("trust.toml");
    if path.exists() {
        return Err(FileError::Exists(path).into());
    }
    let mut file = TrustFile {
        version: VERSION,
        development: new.development,
        simulator: new.simulator,
        hosts: new.hosts,
        verifier: VerifierEntry {
            url: new.verifier.clone(),
            ca: None,
        },
        ear_signers: Vec::new(),
        policies: Vec::new(),
    };
    for signer in &new.ear_signers {
        file.ear_signers.push(signer_entry(signer)?);
    }
    for (_, text) in &new.policies {
        Policy::parse(text)?;
    }
    if let Some(ca) = &new.verifier_ca {
        let pem = files::read_bytes(ca, files::MAX_TEXT)?;
        files::create_new(&dir.join("verifier-ca.pem"), 0o644, &pem)?;
        file.verifier.ca = Some("verifier-ca.pem".into());
    }
    for (name, text) in &new.policies {
        files::create_new(&dir.join(name), 0o644, text.as_bytes())?;
        file.policies.push(PolicyEntry {
            path: name.into(),
            sha256: Digest::of(text.as_bytes()),
        });
    }
    let text = file.render()?;
    let trust = Trust::parse(&text, &path)?;
    files::create_new(&path, 0o644, text.as_bytes())?;
    Ok(trust)
}

/// Changes to a trust file.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Public key files to add.
    pub add_signers: Vec<PathBuf>,
    /// Keys to remove, `ed25519:<hex>`.
    pub remove_signers: Vec<String>,
    /// Policy files to accept as they are now, in place of a former version or anew.
    pub policies: Vec<PathBuf>,
    /// Digests of policies to drop.
    pub remove_policies: Vec<Digest>,
    /// The verifier's new address.
    pub verifier: Option<String>,
    /// PEM of its one authority.
    pub verifier_ca: Option<PathBuf>,
}

/// Changes a trust file; it is replaced only if the result holds.
pub fn update(path: &Path, change: &Change) -> Result<Trust, TrustError> {
    let text = match files::read_text(path) {
        Err(FileError::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            return Err(TrustError::Missing(path.into()));
        }
        other => other?,
    };
    let mut file = TrustFile::parse(&text)?;
    for gone in &change.remove_signers {
        let before = file.ear_signers.len();
        file.ear_signers
            .retain(|entry| entry.key.trim() != gone.trim());
        if file.ear_signers.len() == before {
            return Err(TrustError::Value {
                key: "--remove-ear-signer",
                expected: "a key of the trust file",
                got: gone.clone(),
            });
        }
    }
    for signer in &change.add_signers {
        file.ear_signers.push(signer_entry(signer)?);
    }
    for gone in &change.remove_policies {
        let before = file.policies.len();
        file.policies.retain(|entry| entry.sha256 != *gone);
        if file.policies.len() == before {
            return Err(TrustError::Value {
                key: "--remove-policy",
                expected: "the digest of a policy of the trust file",
                got: gone.to_string(),
            });
        }
    }
    let base = path.parent().unwrap_or(Path::new(""));
    for policy in &change.policies {
        accept(&mut file, base, policy)?;
    }
    if let Some(url) = &change.verifier {
        file.verifier.url.clone_from(url);
    }
    if let Some(ca) = &change.verifier_ca {
        file.verifier.ca = Some(absolute(ca)?);
    }
    let text = file.render()?;
    let trust = Trust::parse(&text, path)?;
    files::replace(path, 0o644, text.as_bytes())?;
    Ok(trust)
}

fn accept(file: &mut TrustFile, base: &Path, policy: &Path) -> Result<(), TrustError> {
    let text = files::read_text(policy)?;
    Policy::parse(&text)?;
    let sha256 = Digest::of(text.as_bytes());
    let absolute = absolute(policy)?;
    // A file that is named already is the same policy in a new version.
    let known = file.policies.iter_mut().find(|entry| {
        base.join(&entry.path)
            .canonicalize()
            .is_ok_and(|p| p == absolute)
    });
    match known {
        Some(entry) => entry.sha256 = sha256,
        None => file.policies.push(PolicyEntry {
            path: absolute,
            sha256,
        }),
    }
    Ok(())
}

fn absolute(path: &Path) -> Result<PathBuf, TrustError> {
    Ok(path.canonicalize().map_err(FileError::read(path))?)
}

#[cfg(feature = "simulator")]
pub use simulated::{reference_values, simulated_policy};

#[cfg(feature = "simulator")]
mod simulated {
    use std::fs::File;
    use std::path::Path;

    use duckblind_attestation::measurement::Measurement;
    use duckblind_attestation::policy::fill_development;
    use duckblind_attestation::release::ReleaseManifest;
    use duckblind_attestation::simulator;
    use duckblind_protocol::ids::Digest;

    use crate::error::RequesterError;
    use crate::files::{self, FileError};
    use crate::trust::TrustError;

    const TEMPLATE: &str = include_str!("../../../policies/development.toml");

    /// Measurement and release digest of an enclave binary, computed from the files: what the
    /// simulated platform will say of itself is not asked for.
    pub fn reference_values(
        binary: &Path,
        release: &Path,
    ) -> Result<(Measurement, Digest), RequesterError> {
        let file = File::open(binary).map_err(FileError::read(binary))?;
        let measurement = Measurement::of_binary(file).map_err(FileError::read(binary))?;
        let manifest = ReleaseManifest::from_json(&files::read_text(release)?)
            .map_err(RequesterError::Release)?;
        Ok((measurement, manifest.digest()))
    }

    /// Makes the simulated platform in `dir`, if it is not there, and a policy that trusts it
    /// with exactly this binary and release.
    pub fn simulated_policy(
        dir: &Path,
        binary: &Path,
        release: &Path,
    ) -> Result<String, RequesterError> {
        let (measurement, release) = reference_values(binary, release)?;
        let roots = simulator::create(dir)?;
        Ok(
            fill_development(TEMPLATE, &[roots], &[measurement], &[release])
                .map_err(TrustError::from)?,
        )
    }
}

#[cfg(all(test, feature = "simulator"))]
#[path = "setup_tests.rs"]
mod tests;
