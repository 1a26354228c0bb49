//! A hardware report and what came with it, out of whatever holds one.

use std::path::Path;

use duckblind_attestation::evidence::{Endorsements, Evidence};
use duckblind_attestation::snp::Generation;
use duckblind_attestation::snp::certificate::Certificate;
use duckblind_attestation::snp::report::ParsedReport;
use duckblind_attestation::snp::vek::VekClaims;
use duckblind_attestation::tdx::Quote;
use duckblind_attestation::tdx::quote::QuoteError;
use duckblind_protocol::coded::{Coded, Exit};
use duckblind_protocol::key_statement::Tee;

use super::super::failure::Failure;
use super::documents::DocumentArgs;
use super::file::EvidenceFile;
use super::source::SourceArgs;

/// A report, and what came with it.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) tee: Tee,
    pub(super) report: Vec<u8>,
    pub(super) endorsements: Endorsements,
    pub(super) event_log: Option<Vec<u8>>,
}

/// What cannot be looked into.
#[derive(Debug, thiserror::Error)]
pub(super) enum SubjectError {
    /// A bundle has no report.
    #[error("a bundle of certificates has no report in it")]
    NoReport,
    /// Not of the length of a report.
    #[error("this is no SEV-SNP report")]
    Report(usize),
    /// Not a quote of a TDX guest.
    #[error("this is no quote of a TDX guest")]
    Quote(QuoteError),
}

impl Coded for SubjectError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoReport => "DB-REQ-103",
            Self::Report(_) => "DB-REQ-104",
            Self::Quote(_) => "DB-REQ-105",
        }
    }
    fn exit(&self) -> Exit {
        match self {
            Self::NoReport => Exit::Usage,
            Self::Quote(QuoteError::Sgx | QuoteError::Tee(_) | QuoteError::Version(_)) => {
                Exit::Unsupported
            }
            Self::Report(_) | Self::Quote(_) => Exit::Malformed,
        }
    }
    fn expected(&self) -> Option<String> {
        match self {
            Self::NoReport => None,
            Self::Report(_) => Some("1184 bytes".into()),
            Self::Quote(_) => Some("a TDX quote of version 4 or 5, with nothing after it".into()),
        }
    }
    fn got(&self) -> Option<String> {
        match self {
            Self::NoReport => None,
            Self::Report(len) => Some(format!("{len} bytes")),
            Self::Quote(error) => Some(error.to_string()),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::NoReport => Some("name the report; the bundle goes with --endorsements".into()),
            Self::Report(_) => None,
            Self::Quote(QuoteError::Sgx) => Some("SGX enclaves are not supported".into()),
            Self::Quote(_) => Some("was it cut off, or is something around it?".into()),
        }
    }
}

impl Subject {
    /// As the command line names it: of a file or a host, and documents named before its own.
    pub(super) async fn named(
        source: &SourceArgs,
        documents: &DocumentArgs,
        trust: Option<&Path>,
    ) -> Result<Self, Failure> {
        let mut subject = Self::of_file(source.evidence(trust).await?)?;
        subject.add(documents)?;
        Ok(subject)
    }

    /// Documents that are named go before what came along.
    pub(super) fn add(&mut self, documents: &DocumentArgs) -> Result<(), Failure> {
        self.endorsements = documents.read()?.or(&self.endorsements);
        self.event_log = documents.event_log()?.or_else(|| self.event_log.take());
        Ok(())
    }

    /// Out of a file.
    pub(super) fn of_file(file: EvidenceFile) -> Result<Self, Failure> {
        match file {
            EvidenceFile::SnpReport(report) => Ok(Self::bare(Tee::SevSnp, report)),
            EvidenceFile::Quote(report) => Ok(Self::bare(Tee::Tdx, report)),
            EvidenceFile::Envelope(_, evidence) => Ok(Self::of_evidence(*evidence)),
            EvidenceFile::Receipt(saved) => {
                Self::of_file(EvidenceFile::of_presented(&saved.presented()?)?)
            }
            EvidenceFile::Inputs(recorded) => {
                let inputs = recorded.inputs();
                let mut subject = Self::of_evidence(Evidence::decode(inputs.evidence)?);
                subject.endorsements = inputs.endorsements.or(&subject.endorsements);
                Ok(subject)
            }
            EvidenceFile::Bundle(_) => Err(SubjectError::NoReport.into()),
        }
    }

    fn of_evidence(evidence: Evidence) -> Self {
        Self {
            tee: evidence.tee,
            report: evidence.report,
            endorsements: evidence.endorsements,
            event_log: evidence.event_log,
        }
    }

    fn bare(tee: Tee, report: Vec<u8>) -> Self {
        Self {
            tee,
            report,
            endorsements: Endorsements::default(),
            event_log: None,
        }
    }

    /// The report, if it is one of SEV-SNP.
    pub(super) fn snp(&self) -> Result<ParsedReport<'_>, SubjectError> {
        ParsedReport::parse(&self.report).map_err(|wrong| SubjectError::Report(wrong.0))
    }

    /// The quote, if it is one of a TDX guest.
    pub(super) fn tdx(&self) -> Result<Quote<'_>, SubjectError> {
        Quote::parse(&self.report).map_err(SubjectError::Quote)
    }

    /// The generation that the certificate of the signing key names: reports of version 2 do not.
    pub(super) fn certified(&self) -> Option<Generation> {
        let vek = Certificate::from_der(self.endorsements.vek.as_deref()?).ok()?;
        Some(VekClaims::read(&vek).ok()?.generation)
    }
}
