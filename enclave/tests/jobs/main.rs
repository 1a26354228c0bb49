//! The enclave's own end-to-end tests: the real binary, its real query processes, a unix socket,
//! and a client that speaks the protocol without a host in between. Needs the simulated platform.
#![cfg(feature = "simulator")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr
)]

mod answers;
mod client;
mod endings;
mod epochs;
mod lifetime;
mod process;
mod refusals;
mod shutdown;
mod spill;
mod start;
mod table;
mod walls;
