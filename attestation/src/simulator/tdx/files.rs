//! The simulated TDX platform's files.

use std::path::Path;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use duckblind_protocol::cbor;
use duckblind_protocol::ids::Digest;

use super::super::disk::{read, write_once};
use super::{Authority, Documents, Machine, SimulatorError};
use crate::evidence::{MAX_COLLATERAL, TdxCollateral};

const ROOT: &str = "tdx-root.der";
const PCK_CHAIN: &str = "tdx-pck-chain.pem";
const COLLATERAL: &str = "tdx-collateral.cbor";
const PCK_KEY: &str = "tdx-pck.key";

/// A platform read from its directory.
pub(super) struct Platform {
    pub(super) root_der: Vec<u8>,
    pub(super) pck_chain: String,
    pub(super) pck: EcdsaKeyPair,
    pub(super) collateral: TdxCollateral,
}

/// Makes a platform in `dir` unless there is one.
pub(in crate::simulator) fn create(dir: &Path) -> Result<(), SimulatorError> {
    write_once(dir, [ROOT, PCK_CHAIN, COLLATERAL, PCK_KEY], || {
        let authority = Authority::generate()?;
        let machine = Machine::random()?;
        let key = authority.machine_key(&machine)?;
        let collateral = authority.collateral(&Documents::up_to_date(&machine)?)?;
        Ok([
            authority.root_der.into(),
            key.chain.into_bytes().into(),
            cbor::encode(&collateral).into(),
            key.pkcs8,
        ])
    })
}

/// SHA-256 of the root certificate in `dir`.
pub(in crate::simulator) fn root(dir: &Path) -> Result<Digest, SimulatorError> {
    Ok(Digest::of(&read(dir, ROOT)?))
}

pub(super) fn load(dir: &Path) -> Result<Platform, SimulatorError> {
    let key = read(dir, PCK_KEY)?;
    let damaged = |name: &str| SimulatorError::Damaged(dir.join(name));
    let chain = read(dir, PCK_CHAIN)?.to_vec();
    Ok(Platform {
        root_der: read(dir, ROOT)?.to_vec(),
        pck_chain: String::from_utf8(chain).map_err(|_| damaged(PCK_CHAIN))?,
        pck: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &key)
            .map_err(|_| damaged(PCK_KEY))?,
        collateral: cbor::decode(&read(dir, COLLATERAL)?, MAX_COLLATERAL)
            .map_err(|_| damaged(COLLATERAL))?,
    })
}

#[cfg(test)]
pub(super) fn in_memory(
    authority: &Authority,
    machine: &Machine,
    documents: &Documents,
) -> Result<Platform, SimulatorError> {
    let key = authority.machine_key(machine)?;
    let pck = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &key.pkcs8);
    Ok(Platform {
        root_der: authority.root_der.clone(),
        pck_chain: key.chain,
        pck: pck.map_err(|_| SimulatorError::Crypto)?,
        collateral: authority.collateral(documents)?,
    })
}
