//! What Intel's Provisioning Certification Service has, in version 4 of its API, and a PCCS after
//! it: TCB levels, the quoting enclave's identity, and revocation lists.

pub(crate) mod answers;
pub(crate) mod chain;
pub(crate) mod items;
pub(crate) mod pck;
