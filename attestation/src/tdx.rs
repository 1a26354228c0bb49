//! Intel TDX: what a quote is, and what Intel says of the platform behind it.

pub mod attributes;
pub mod body;
pub(crate) mod certificate;
mod collateral;
pub mod crypto;
pub mod event_log;
pub(crate) mod pem;
pub mod quote;

pub use body::TdBody;
pub use collateral::{CollateralError, TdxCollateral};
pub use event_log::EventLog;
pub use quote::Quote;
