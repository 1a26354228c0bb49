//! The simulated SNP platform's files.

use std::path::Path;

use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair};
use duckblind_protocol::ids::Digest;

use super::super::disk::{read, write_once};
use super::{Authority, Chip, Signer, SimulatorError, TCB};
#[cfg(test)]
use super::{CloudAuthority, certificates::ChipKey};
use crate::evidence::Endorsements;
use crate::snp::certificate::Certificate;
use crate::snp::vek::VekClaims;

const ARK: &str = "ark.der";
const ASK: &str = "ask.der";
const CRL: &str = "crl.der";
const VCEK: &str = "vcek.der";
const VCEK_KEY: &str = "vcek.key";

/// A platform read from its directory.
pub(super) struct Platform {
    pub(super) endorsements: Endorsements,
    pub(super) key: EcdsaKeyPair,
    pub(super) signer: Signer,
}

/// Makes a platform in `dir` unless there is one.
pub(in crate::simulator) fn create(dir: &Path) -> Result<(), SimulatorError> {
    write_once(dir, [ARK, ASK, CRL, VCEK, VCEK_KEY], || {
        let authority = Authority::generate()?;
        let crl = authority.crl(&Authority::first_list()?)?;
        let chip_key = authority.chip_key(&Chip::random(TCB)?)?;
        Ok([
            authority.ark_der.into(),
            authority.ask_der.into(),
            crl.into(),
            chip_key.certificate.into(),
            chip_key.pkcs8,
        ])
    })
}

/// SHA-256 of the root certificate in `dir`.
pub(in crate::simulator) fn root(dir: &Path) -> Result<Digest, SimulatorError> {
    Ok(Digest::of(&read(dir, ARK)?))
}

pub(super) fn load(dir: &Path) -> Result<Platform, SimulatorError> {
    let key = read(dir, VCEK_KEY)?;
    let vek = read(dir, VCEK)?;
    let damaged = |name: &str| SimulatorError::Damaged(dir.join(name));
    let certificate = Certificate::from_der(&vek).map_err(|_| damaged(VCEK))?;
    let claims = VekClaims::read(&certificate).map_err(|_| damaged(VCEK))?;
    let id = claims.hw_id().and_then(|id| id.try_into().ok());
    let id = id.ok_or_else(|| damaged(VCEK))?;
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &key)
        .map_err(|_| damaged(VCEK_KEY))?;
    Ok(Platform {
        endorsements: Endorsements {
            vek: Some(vek.to_vec()),
            ask: Some(read(dir, ASK)?.to_vec()),
            ark: Some(read(dir, ARK)?.to_vec()),
            crl: Some(read(dir, CRL)?.to_vec()),
            tdx: None,
        },
        key,
        signer: Signer::Chip(Chip {
            id,
            tcb: claims.tcb,
        }),
    })
}

#[cfg(test)]
pub(super) fn in_memory(
    authority: &Authority,
    chip: Chip,
    extensions: Vec<x509_cert::ext::Extension>,
) -> Result<Platform, SimulatorError> {
    let key = authority.chip_key_with(extensions)?;
    unwritten(authority, &authority.ask_der, key, Signer::Chip(chip))
}

#[cfg(test)]
pub(super) fn in_memory_of_cloud(
    authority: &Authority,
    cloud: &CloudAuthority,
    csp_id: &str,
) -> Result<Platform, SimulatorError> {
    let key = cloud.key(csp_id, TCB)?;
    unwritten(authority, &cloud.asvk_der, key, Signer::Cloud(TCB))
}

#[cfg(test)]
fn unwritten(
    authority: &Authority,
    ask_der: &[u8],
    key: ChipKey,
    signer: Signer,
) -> Result<Platform, SimulatorError> {
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &key.pkcs8);
    Ok(Platform {
        endorsements: Endorsements {
            vek: Some(key.certificate),
            ask: Some(ask_der.to_vec()),
            ark: Some(authority.ark_der.clone()),
            crl: Some(authority.crl(&Authority::first_list()?)?),
            tdx: None,
        },
        key: pair.map_err(|_| SimulatorError::Crypto)?,
        signer,
    })
}
