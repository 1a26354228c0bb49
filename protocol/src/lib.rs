//! The words that requester, host agent, verifier and enclave speak to each other.
//!
//! No I/O, no clocks, no runtime: bytes in, types out. What is on the wire is deterministic CBOR
//! ([`cbor`]) in capped frames ([`frames`]); `docs/protocol.md` draws the whole of it.
//!
//! * who is who: [`ids`], [`key_statement`], [`key_file`]
//! * one job: [`order`], [`body`], sealed by [`hazmat`], opened by [`open`]
//! * its answer: [`result_stream`], [`status`], [`control`], [`receipt`]
//! * its troubles: [`coded`], [`job_code`]
//! * the verifier's HTTP interface: [`http`]
#![forbid(unsafe_code)]

pub mod body;
pub mod cbor;
pub mod coded;
pub mod control;
pub mod frames;
pub mod handshake;
pub mod hazmat;
pub mod http;
pub mod ids;
pub mod job_code;
pub mod kem;
pub mod key_file;
pub mod key_statement;
pub mod open;
pub mod order;
pub mod receipt;
pub mod result_stream;
pub mod sealed_job;
pub mod status;

mod aead;
mod labels;
mod schedule;
mod signed;

#[cfg(test)]
mod golden;
#[cfg(test)]
mod sealing_tests;
