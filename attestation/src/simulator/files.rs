//! The platform on disk: made once per directory, readable by its owner only.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair};
use duckblind_protocol::ids::{Digest, random_bytes};
use zeroize::Zeroizing;

use super::{Chip, SimulatorError, TCB, certificates::Authority};
use crate::evidence::Endorsements;
use crate::snp::certificate::Certificate;
use crate::snp::vek::VekClaims;

const ARK: &str = "ark.der";
const ASK: &str = "ask.der";
const VCEK: &str = "vcek.der";
/// Written last: where it is, the platform is complete.
const VCEK_KEY: &str = "vcek.key";
const LOCK: &str = ".lock";
/// Bytes that any of the files may have.
const MAX_FILE: u64 = 16 * 1024;

/// A platform read from its directory.
pub(super) struct Platform {
    pub(super) endorsements: Endorsements,
    pub(super) key: EcdsaKeyPair,
    pub(super) chip: Chip,
}

/// Makes a platform in `dir` unless there is one, and returns its root's digest. Several processes
/// may do so at once: one makes it, the others wait.
pub fn create(dir: &Path) -> Result<Digest, SimulatorError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|e| SimulatorError::io(dir, e))?;
    let path = dir.join(LOCK);
    let lock = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(|e| SimulatorError::io(&path, e))?;
    lock.lock().map_err(|e| SimulatorError::io(&path, e))?;
    if !dir.join(VCEK_KEY).exists() {
        let authority = Authority::generate()?;
        let chip_key = authority.chip_key(&Chip::random(TCB)?)?;
        write(dir, ARK, &authority.ark_der)?;
        write(dir, ASK, &authority.ask_der)?;
        write(dir, VCEK, &chip_key.certificate)?;
        write(dir, VCEK_KEY, &chip_key.pkcs8)?;
    }
    root_digest(dir)
}

/// SHA-256 of the root certificate in `dir`: what a development policy pins.
pub fn root_digest(dir: &Path) -> Result<Digest, SimulatorError> {
    Ok(Digest::of(&read(dir, ARK)?))
}

pub(super) fn load(dir: &Path) -> Result<Platform, SimulatorError> {
    let key = read(dir, VCEK_KEY)?;
    let vek = read(dir, VCEK)?;
    let damaged = |name: &str| SimulatorError::Damaged(dir.join(name));
    let certificate = Certificate::from_der(&vek).map_err(|_| damaged(VCEK))?;
    let claims = VekClaims::read(&certificate).map_err(|_| damaged(VCEK))?;
    let id = claims
        .hw_id
        .as_slice()
        .try_into()
        .map_err(|_| damaged(VCEK))?;
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &key)
        .map_err(|_| damaged(VCEK_KEY))?;
    Ok(Platform {
        endorsements: Endorsements {
            vek: Some(vek.to_vec()),
            ask: Some(read(dir, ASK)?.to_vec()),
            ark: Some(read(dir, ARK)?.to_vec()),
            ..Endorsements::default()
        },
        key,
        chip: Chip {
            id,
            tcb: claims.tcb,
        },
    })
}

#[cfg(test)]
pub(super) fn in_memory(
    authority: &Authority,
    chip: Chip,
    extensions: Vec<x509_cert::ext::Extension>,
) -> Result<Platform, SimulatorError> {
    let chip_key = authority.chip_key_with(extensions)?;
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &chip_key.pkcs8);
    Ok(Platform {
        endorsements: Endorsements {
            vek: Some(chip_key.certificate),
            ask: Some(authority.ask_der.clone()),
            ark: Some(authority.ark_der.clone()),
            ..Endorsements::default()
        },
        key: key.map_err(|_| SimulatorError::Crypto)?,
        chip,
    })
}

/// A new file under another name, then renamed: half a file is never seen.
fn write(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), SimulatorError> {
    let mut random = [0; 8];
    random_bytes(&mut random)?;
    let temporary = dir.join(format!(".{name}.{}", hex::encode(random)));
    let written =
        write_new(&temporary, bytes).and_then(|()| fs::rename(&temporary, dir.join(name)));
    written.map_err(|e| {
        let _ = fs::remove_file(&temporary);
        SimulatorError::io(&temporary, e)
    })
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn read(dir: &Path, name: &str) -> Result<Zeroizing<Vec<u8>>, SimulatorError> {
    let path = dir.join(name);
    let failed = |path: &PathBuf, e: io::Error| match e.kind() {
        io::ErrorKind::NotFound => SimulatorError::Missing(dir.to_owned()),
        _ => SimulatorError::io(path, e),
    };
    let link = fs::symlink_metadata(&path).map_err(|e| failed(&path, e))?;
    if !link.is_file() {
        return Err(SimulatorError::Permissions(path));
    }
    let file = File::open(&path).map_err(|e| failed(&path, e))?;
    let metadata = file.metadata().map_err(|e| failed(&path, e))?;
    if metadata.mode() & 0o077 != 0 {
        return Err(SimulatorError::Permissions(path));
    }
    if metadata.len() > MAX_FILE {
        return Err(SimulatorError::Damaged(path));
    }
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(MAX_FILE)
        .read_to_end(&mut bytes)
        .map_err(|e| failed(&path, e))?;
    Ok(bytes)
}
