//! What AMD and Intel publish about their platforms: the only place that fetches it.
//!
//! * fetched from allowed hosts only, with caps, bounded patience, and one request for many who ask
//! * used only if it parses as what it should be and its signatures lead to the vendor's root;
//!   whoever appraises checks all of it again
//! * kept on disk: chip certificates for good, lists and levels never past their `nextUpdate`
//! * carried along: evidence brings its own, bundles serve machines without a network
//!
//! [`Collateral`] is the entry. Time is an argument, as in `appraise`.
#![forbid(unsafe_code)]

mod amd;
mod backoff;
mod bundle;
mod cache;
mod client;
mod config;
mod crl;
mod error;
mod files;
mod flights;
mod freshness;
mod gather;
mod intel;
mod item;
mod keeper;
mod origin;
mod signed;
mod window;

#[cfg(test)]
mod tests;

pub use bundle::{read_bundle, write_bundle};
pub use cache::CacheLimits;
pub use client::Patience;
pub use config::{Config, IntelService, Source};
pub use crl::RevocationList;
pub use error::CollateralError;
pub use freshness::{Freshness, Gathered, Part};
pub use gather::Collateral;
pub use intel::answers::{QeIdentityAnswer, TcbAnswer, parse_qe_identity_answer, parse_tcb_answer};
pub use intel::chain::{IssuerChain, parse_issuer_chain};
pub use intel::pck::{PckCa, TdxPlatform};
pub use item::NotUsable;
pub use origin::Origin;
pub use window::Window;
