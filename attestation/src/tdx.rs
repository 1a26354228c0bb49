//! Intel TDX: what a quote is, and what Intel says of the platform behind it.

mod collateral;
pub mod crypto;

pub use collateral::TdxCollateral;
