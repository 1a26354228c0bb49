//! The library and command line of requesters and auditors.
//!
//! * whom to trust, and what may be sealed to: [`trust`]
//! * connect to an attested enclave, run jobs: [`client`], mainly [`Session`]
//! * sealed tables and the keys that a query needs: [`table`]
//! * write results: [`output`]; keep and check what proves them: [`receipt`]
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use duckblind::client::{ConnectOptions, Event, Identity, JobRequest, LimitsWanted, Target};
//! # let keys = duckblind_lake::keys::KeyProvider::new(None);
//! # let order_key = ed25519_dalek::SigningKey::from_bytes(&[0; 32]);
//!
//! let trust = duckblind::trust::Trust::load("trust.toml".as_ref())?;
//! let session = duckblind::Session::connect(
//!     &trust,
//!     ConnectOptions {
//!         identity: Identity::at("identity.key".as_ref())?.into(),
//!         order_key,
//!         target: Target::Any,
//!         fresh: false,
//!     },
//! )
//! .await?;
//! let request = JobRequest::new("select 1".into(), &[], &keys, LimitsWanted::default())?;
//! let mut job = session.run(&request).await?;
//! while let Some(event) = job.next().await {
//!     if let Event::Batch(batch) = event {
//!         println!("{} rows, provisional", batch.num_rows());
//!     }
//! }
//! let finished = job.finish().await?;
//! println!("{} rows, whole", finished.rows);
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

pub mod cli;
pub mod client;
pub mod clock;
pub mod files;
pub mod output;
pub mod receipt;
pub mod table;
pub mod trust;

mod error;
mod local;

#[cfg(all(test, feature = "simulator"))]
mod testing;

pub use client::Session;
pub use error::RequesterError;
