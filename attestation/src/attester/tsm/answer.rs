//! What the kernel answered: believed to be an answer only if it answers the question. Whether it
//! verifies is for others to judge.

use dcap_qvl::quote::Quote;

use crate::attester::{AttestError, RawEvidence, certificate_table};
use crate::evidence::Endorsements;
use crate::snp::report::{ParsedReport, REPORT_LEN};

/// `tee_type` in the header of a TDX guest's quote.
const TEE_TDX: u32 = 0x81;

/// The files of a conversation after the question.
pub(super) struct Answer {
    pub(super) outblob: Vec<u8>,
    pub(super) auxblob: Vec<u8>,
}

impl Answer {
    /// An SNP report with the certificates that the host supplies.
    pub(super) fn snp_report(self, report_data: &[u8; 64]) -> Result<RawEvidence, AttestError> {
        let report = self.outblob()?;
        let parsed = ParsedReport::parse(report).map_err(|size| AttestError::Length {
            expected: REPORT_LEN,
            got: size.0,
        })?;
        same(&parsed.report.report_data, report_data)?;
        let endorsements = if self.auxblob.is_empty() {
            Endorsements::default()
        } else {
            certificate_table::read(&self.auxblob, parsed.report.signing_key())
                .map_err(|_| AttestError::CertificateTable)?
        };
        Ok(RawEvidence {
            report: self.outblob,
            endorsements,
            event_log: None,
        })
    }

    /// A TDX quote. Intel's word on the platform is the host's to add: the kernel has none.
    pub(super) fn tdx_quote(
        self,
        report_data: &[u8; 64],
        event_log: Option<Vec<u8>>,
    ) -> Result<RawEvidence, AttestError> {
        let raw = self.outblob()?;
        let quote = Quote::parse(raw).map_err(|_| AttestError::NotAQuote {
            got: format!("{} bytes that are no quote", raw.len()),
        })?;
        let (version, tee) = (quote.header.version, quote.header.tee_type);
        match quote.report.as_td10() {
            Some(report) if tee == TEE_TDX => same(&report.report_data, report_data)?,
            _ => {
                let got = format!("a quote of version {version} for TEE type {tee:#x}");
                return Err(AttestError::NotAQuote { got });
            }
        }
        Ok(RawEvidence {
            report: self.outblob,
            endorsements: Endorsements::default(),
            event_log,
        })
    }

    /// Hosts whose service is down give nothing and call it success.
    fn outblob(&self) -> Result<&[u8], AttestError> {
        if self.outblob.is_empty() {
            return Err(AttestError::Empty);
        }
        Ok(&self.outblob)
    }
}

fn same(got: &[u8; 64], asked: &[u8; 64]) -> Result<(), AttestError> {
    if got == asked {
        Ok(())
    } else {
        Err(AttestError::OtherData)
    }
}
