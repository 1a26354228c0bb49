//! What the certificate of a machine's key says of the machine (Intel "SGX PCK Certificate and
//! Certificate Revocation List Profile Specification", section 1.3.5).

use const_oid::ObjectIdentifier;
use der::asn1::{Any, OctetString};
use der::{Encode as _, EncodeValue, Sequence, Tag, Tagged};
use duckblind_protocol::ids::random_bytes;
use x509_cert::ext::Extension;

use super::super::x509::extension;
use super::SimulatorError;

const SGX: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113741.1.13.1");
const PPID: u32 = 1;
const TCB: u32 = 2;
const TCB_PCE_SVN: u32 = 17;
const TCB_CPU_SVN: u32 = 18;
const PCE_ID: u32 = 3;
const FMSPC: u32 = 4;
const SGX_TYPE: u32 = 5;
const PLATFORM_INSTANCE: u32 = 6;
const CONFIGURATION: u32 = 7;
const DYNAMIC_PLATFORM: u32 = 1;
const CACHED_KEYS: u32 = 2;
const SMT: u32 = 3;
/// `sgx_type` of machines with scalable memory protection: all that have TDX.
const SCALABLE: u8 = 1;

/// A machine as Intel knows it.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    /// Names the processor package.
    pub(crate) ppid: [u8; 16],
    /// Names the set of packages.
    pub(crate) instance: [u8; 16],
    /// Its family, model, stepping and more.
    pub(crate) fmspc: [u8; 6],
    /// Versions of its microcode and more.
    pub(crate) cpu_svn: [u8; 16],
    /// Version of its provisioning enclave.
    pub(crate) pce_svn: u16,
    /// Packages may be added.
    pub(crate) dynamic: bool,
    /// Intel keeps its keys.
    pub(crate) cached_keys: bool,
    /// Two threads a core.
    pub(crate) smt: bool,
}

/// One value under its name.
#[derive(Sequence)]
struct Entry {
    name: ObjectIdentifier,
    value: Any,
}

impl Machine {
    /// A machine like no other, configured like those that clouds have.
    pub(crate) fn random() -> Result<Self, SimulatorError> {
        let (mut ppid, mut instance) = ([0; 16], [0; 16]);
        random_bytes(&mut ppid)?;
        random_bytes(&mut instance)?;
        Ok(Self {
            ppid,
            instance,
            fmspc: *b"SIMUL\0",
            cpu_svn: [3, 3, 2, 2, 4, 1, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0],
            pce_svn: 11,
            dynamic: true,
            cached_keys: true,
            smt: true,
        })
    }

    /// The extension of its key's certificate.
    pub(super) fn extension(&self) -> Result<Extension, SimulatorError> {
        let entries = vec![
            entry(SGX, PPID, &bytes(&self.ppid)?)?,
            entry(SGX, TCB, &self.tcb()?)?,
            entry(SGX, PCE_ID, &bytes(&[0; 2])?)?,
            entry(SGX, FMSPC, &bytes(&self.fmspc)?)?,
            entry(SGX, SGX_TYPE, &Any::new(Tag::Enumerated, [SCALABLE])?)?,
            entry(SGX, PLATFORM_INSTANCE, &bytes(&self.instance)?)?,
            entry(SGX, CONFIGURATION, &self.configuration()?)?,
        ];
        extension(SGX, false, entries.to_der()?)
    }

    fn tcb(&self) -> Result<Vec<Entry>, SimulatorError> {
        let tcb = below(SGX, TCB)?;
        let mut entries = Vec::new();
        for (number, svn) in (1..).zip(self.cpu_svn) {
            entries.push(entry(tcb, number, &svn)?);
        }
        entries.push(entry(tcb, TCB_PCE_SVN, &self.pce_svn)?);
        entries.push(entry(tcb, TCB_CPU_SVN, &bytes(&self.cpu_svn)?)?);
        Ok(entries)
    }

    fn configuration(&self) -> Result<Vec<Entry>, SimulatorError> {
        let configuration = below(SGX, CONFIGURATION)?;
        Ok(vec![
            entry(configuration, DYNAMIC_PLATFORM, &self.dynamic)?,
            entry(configuration, CACHED_KEYS, &self.cached_keys)?,
            entry(configuration, SMT, &self.smt)?,
        ])
    }
}

fn bytes(bytes: &[u8]) -> Result<OctetString, SimulatorError> {
    Ok(OctetString::new(bytes)?)
}

fn entry(
    above: ObjectIdentifier,
    number: u32,
    value: &(impl Tagged + EncodeValue),
) -> Result<Entry, SimulatorError> {
    Ok(Entry {
        name: below(above, number)?,
        value: Any::encode_from(value)?,
    })
}

fn below(above: ObjectIdentifier, number: u32) -> der::Result<ObjectIdentifier> {
    Ok(above.push_arc(number)?)
}
