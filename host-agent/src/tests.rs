//! Tests over real loopback sockets: a QUIC client on one side, a unix socket on the other that
//! plays the enclave as each test wants it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod examined;
mod https;
mod refusing;
mod relaying;
pub(crate) mod rig;
#[cfg(feature = "simulator")]
pub(crate) mod simulated;
mod standing;
