//! A simulated TDX platform: quotes as Intel's quoting enclave writes them, under a root of its own.

mod authority;
mod documents;
mod event_log;
mod files;
mod machine;
mod quote;
mod quoting_enclave;

use std::path::Path;

use dcap_qvl::config::CryptoProvider as _;
use dcap_qvl::quote::TDReport10;
use duckblind_protocol::ids::Digest;
use duckblind_protocol::key_statement::Tee;

pub(crate) use authority::Authority;
pub(crate) use documents::Documents;
use event_log::EventLog;
pub(super) use files::{create, root};
pub(crate) use machine::Machine;
use quoting_enclave::QuotingEnclave;

use super::SimulatorError;
use crate::attester::{AttestError, Attester, RawEvidence};
use crate::evidence::{Endorsements, TdxCollateral};
use crate::measurement::Measurement;
use crate::tdx::crypto::AwsLc;

/// Versions of the TDX module and its loader: module 1.5, version 6 of its updates.
const TEE_TCB_SVN: [u8; 16] = [6, 1, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// `SEPT_VE_DISABLE`: the host cannot take memory away unseen.
const TD_ATTRIBUTES: u64 = 1 << 28;
/// Processor state that the guest may have, as on real machines.
const XFAM: u64 = 0x602e7;

/// The platform as a guest sees it.
pub struct SimulatedTdx {
    root_der: Vec<u8>,
    collateral: TdxCollateral,
    quoting_enclave: QuotingEnclave,
    event_log: EventLog,
    measurement: Measurement,
}

impl SimulatedTdx {
    /// The platform that [`create`](super::create) made in `dir`. Measures the running program.
    pub fn open(dir: &Path) -> Result<Self, SimulatorError> {
        Self::boot(files::load(dir)?, super::measure_self()?)
    }

    fn boot(platform: files::Platform, measurement: Measurement) -> Result<Self, SimulatorError> {
        Ok(Self {
            quoting_enclave: QuotingEnclave::certified_by(&platform.pck, &platform.pck_chain)?,
            root_der: platform.root_der,
            collateral: platform.collateral,
            event_log: EventLog::of_a_boot()?,
            measurement,
        })
    }

    /// A platform that is nowhere on disk, with Intel's word on it as given.
    #[cfg(test)]
    pub(crate) fn made_by(
        authority: &Authority,
        machine: &Machine,
        documents: &Documents,
        measurement: Measurement,
    ) -> Result<Self, SimulatorError> {
        let platform = files::in_memory(authority, machine, documents)?;
        Self::boot(platform, measurement)
    }

    /// The report that an honest platform would give.
    pub(crate) fn report(&self, report_data: &[u8; 64]) -> TDReport10 {
        let [rt_mr0, rt_mr1, rt_mr2, rt_mr3] = self.event_log.rtmrs.map(|rtmr| *rtmr.as_bytes());
        TDReport10 {
            tee_tcb_svn: TEE_TCB_SVN,
            mr_seam: AwsLc::sha384(b"simulated TDX module"),
            mr_signer_seam: [0; 48],
            seam_attributes: [0; 8],
            td_attributes: TD_ATTRIBUTES.to_le_bytes(),
            xfam: XFAM.to_le_bytes(),
            mr_td: *self.measurement.as_bytes(),
            mr_config_id: [0; 48],
            mr_owner: [0; 48],
            mr_owner_config: [0; 48],
            rt_mr0,
            rt_mr1,
            rt_mr2,
            rt_mr3,
            report_data: *report_data,
        }
    }

    /// Signs `report` as it is, whatever it says.
    pub(crate) fn sign(&self, report: &TDReport10) -> Result<RawEvidence, AttestError> {
        let quote = self.quoting_enclave.quote(report);
        Ok(RawEvidence {
            report: quote.map_err(|_| duckblind_protocol::ids::RandomError)?,
            endorsements: Endorsements {
                tdx: Some(self.collateral.clone()),
                ..Endorsements::default()
            },
            event_log: Some(self.event_log.bytes.clone()),
        })
    }

    /// SHA-256 of its root certificate.
    pub fn root(&self) -> Digest {
        Digest::of(&self.root_der)
    }

    /// Its root certificate, DER.
    pub fn root_der(&self) -> &[u8] {
        &self.root_der
    }

    /// What it measured.
    pub const fn measurement(&self) -> Measurement {
        self.measurement
    }

    /// Its runtime measurement registers 0 to 3. They are the same for all simulated guests: what
    /// firmware and kernel would measure is nowhere here.
    pub const fn rtmrs(&self) -> [Measurement; 4] {
        self.event_log.rtmrs
    }
}

impl Attester for SimulatedTdx {
    fn tee(&self) -> Tee {
        Tee::Tdx
    }

    fn attest(&self, report_data: &[u8; 64]) -> Result<RawEvidence, AttestError> {
        self.sign(&self.report(report_data))
    }
}

impl std::fmt::Debug for SimulatedTdx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimulatedTdx")
            .field("root", &self.root())
            .field("measurement", &self.measurement)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
