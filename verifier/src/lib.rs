//! The verifier: it hands out single-use nonces, appraises evidence against its policies, signs
//! what it found (refusals too) and keeps the registry of nodes.
//!
//! It answers and never dials. A requester trusts nothing it says blindly: the signed result is
//! checked against a pinned key, and the evidence is appraised again on the requester's side.
//!
//! * what is kept: [`store`]
//! * what is judged and signed: [`appraisal`], [`ear_key`]
//! * what is served: [`api`], behind [`net`]
//! * how it is run: [`cli`], [`config`], [`serve`]
#![forbid(unsafe_code)]

pub mod api;
pub mod appraisal;
pub mod cli;
pub mod clock;
pub mod config;
pub mod ear_key;
pub mod endorser;
pub mod error;
pub mod files;
pub mod logging;
pub mod metrics;
pub mod net;
pub mod serve;
pub mod state;
pub mod store;
pub mod token;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod testing;
