//! Whom this requester trusts, and what follows from it. The only module of the project that names
//! raw sealing (`protocol::hazmat::seal`).
//!
//! A [`Trust`] is parsed from a trust file. [`judge`] takes evidence and attestation result as a
//! verifier or host offered them, appraises the evidence itself, checks the result against pinned
//! keys, and compares the two. What passed can become an [`UnloggedKey`], and only such a key can
//! be given to [`seal_sensitive`].

mod admit_error;
mod ear;
mod error;
mod file;
pub mod floors;
mod judge;
mod target;

pub mod setup;

pub use admit_error::AdmitError;
pub use ear::{VerifiedEar, verify_ear};
pub use error::TrustError;
pub(crate) use file::is_loopback;
pub use file::{
    AcceptedPolicy, DevelopmentTrust, HostPinning, PolicyEntry, SignerEntry, Trust, TrustFile,
    VERSION, VerifierAddress, VerifierEntry,
};
pub use judge::{Judged, Offer, judge};
pub use target::{SealTarget, SensitiveJob, UnloggedKey, seal_sensitive};
