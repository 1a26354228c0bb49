//! What can go wrong between a query and its answer. Every kind has its own enum; this one only
//! says which.

use duckblind_attestation::release::ReleaseError;
use duckblind_lake::keys::KeyError;
use duckblind_protocol::coded::{Coded, Exit};
use duckblind_protocol::hazmat::SealError;

use crate::client::{ClientError, JobFailure, Unfinished};
use crate::files::FileError;
use crate::output::OutputError;
use crate::receipt::SavedError;
use crate::table::InputError;
use crate::trust::{AdmitError, TrustError};

/// Any error of this library.
#[derive(Debug, thiserror::Error)]
pub enum RequesterError {
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The trust file.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// Evidence or attestation result.
    #[error(transparent)]
    Admit(#[from] AdmitError),
    /// Verifier or host.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The tables of a job.
    #[error(transparent)]
    Input(#[from] InputError),
    /// Keys at rest.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Sealing.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The job itself.
    #[error(transparent)]
    Job(#[from] JobFailure),
    /// The job itself, with a receipt of its failure.
    #[error(transparent)]
    Unfinished(#[from] Box<Unfinished>),
    /// Writing the result.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// A saved receipt.
    #[error(transparent)]
    Saved(#[from] SavedError),
    /// A release manifest.
    #[error(transparent)]
    Release(#[from] ReleaseError),
    /// The simulated platform.
    #[cfg(feature = "simulator")]
    #[error(transparent)]
    Simulator(#[from] duckblind_attestation::simulator::SimulatorError),
}

impl RequesterError {
    fn inner(&self) -> &dyn Coded {
        match self {
            Self::File(e) => e,
            Self::Trust(e) => e,
            Self::Admit(e) => e,
            Self::Client(e) => e,
            Self::Input(e) => e,
            Self::Key(e) => e,
            Self::Seal(e) => e,
            Self::Job(e) => e,
            Self::Unfinished(e) => e.as_ref(),
            Self::Output(e) => e,
            Self::Saved(e) => e,
            Self::Release(e) => e,
            #[cfg(feature = "simulator")]
            Self::Simulator(e) => e,
        }
    }

    /// When the other side asks to come back, if it said so.
    pub fn retry_after_ms(&self) -> Option<u32> {
        match self {
            Self::Client(e) => e.retry_after_ms(),
            Self::Job(JobFailure::Refused { retry_after_ms, .. }) => *retry_after_ms,
            _ => None,
        }
    }
}

impl Coded for RequesterError {
    fn code(&self) -> &'static str {
        self.inner().code()
    }
    fn exit(&self) -> Exit {
        self.inner().exit()
    }
    fn expected(&self) -> Option<String> {
        self.inner().expected()
    }
    fn got(&self) -> Option<String> {
        self.inner().got()
    }
    fn hint(&self) -> Option<String> {
        self.inner().hint()
    }
}
