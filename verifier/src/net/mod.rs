//! The edge: where the verifier listens, how (HTTPS, or plain HTTP on loopback), and how much of
//! its attention one peer gets.

pub mod connection;
pub mod listen;
pub mod peer;
pub mod rate;
pub mod tls;
