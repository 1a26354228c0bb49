//! The host agent: what an operator runs beside an enclave.
//!
//! It relays frames between requesters (QUIC, mutual TLS 1.3) and the enclave (a unix socket), keeps
//! the node enrolled and attested at a verifier, and counts. It holds no key that opens a job or a
//! result, reads no payload and logs none; a host that turned against its guests could withhold and
//! disturb, and the requester would notice.
//!
//! * the road: [`front`] → [`relay`] (through the frame [`gate`]) → [`enclave_link`]
//! * who may use it: [`tls`], [`peers`], [`challenge_rate`]; how fast: [`transport`]
//! * standing with the verifier: [`enclave_watch`], [`attest_loop`], [`verifier_client`]
//! * for the operator: [`config`], [`metrics`], [`usage_log`], [`doctor`], [`cli`]
#![forbid(unsafe_code)]

pub mod attest_loop;
pub mod backoff;
pub mod challenge_rate;
pub mod cli;
pub mod clock;
pub mod config;
pub mod doctor;
pub mod enclave_link;
pub mod enclave_watch;
pub mod error;
pub mod files;
pub mod front;
pub mod gate;
pub mod metrics;
pub mod metrics_page;
pub mod node_key;
pub mod peers;
pub mod relay;
pub mod run;
pub mod says;
pub mod tls;
pub mod transport;
pub mod usage_log;
pub mod verifier_client;

#[cfg(test)]
mod tests;
