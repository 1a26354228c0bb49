//! The way to verifier, host and enclave.
//!
//! * [`Session`]: connect once, run many jobs; a [`RunningJob`] hands out rows as they come
//! * what to run: [`JobRequest`] over [`TableInput`]s
//! * the pieces: [`verifier`] (HTTP), [`transport`] and [`link`] (QUIC), [`attested`] (evidence)

pub mod attested;
pub mod identity;
pub mod link;
pub mod transport;
pub mod verifier;

mod decode;
mod error;
mod failure;
mod find;
mod job;
mod known_hosts;
mod pin;
mod request;
mod session;

pub use attested::{Attested, Presented};
pub use decode::Event;
pub use error::ClientError;
pub use failure::JobFailure;
pub use find::Target;
pub use identity::Identity;
pub use job::{Canceller, Finished, RunningJob, Unfinished};
pub use request::{JobRequest, LimitsWanted, TableInput};
pub use session::{ConnectOptions, Session};
pub use verifier::VerifierClient;
