//! Which part of a platform's firmware falls short, and what mends it.

mod snp;
mod tdx;

use serde::Serialize;

pub use snp::{SnpStatus, SnpVersion, snp};
pub use tdx::{NoStatus, TdxStatus, tdx};

/// A component below what is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shortfall {
    /// The component, and in which of its versions it falls short.
    pub component: String,
    /// What there is.
    pub have: u64,
    /// What is asked for.
    pub needs: u64,
    /// What to do about it.
    pub mend: String,
}
