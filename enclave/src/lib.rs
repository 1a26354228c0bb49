//! The enclave: a supervisor that attests, opens orders and relays sealed bytes, and query
//! processes that open one job each.
//!
//! * [`supervisor`]: keys in memory, evidence, tickets, orders, receipts. It never holds SQL, table
//!   keys or rows.
//! * [`query`]: a fresh process per job with the engine in it. It never holds a key that outlives
//!   the job, and reaches nothing but what the supervisor hands it.
//! * [`handover`]: what the two say to each other; [`walls`]: what stands around a query process.
//! * [`config`], [`cli`], [`error`], [`clock`]; [`sys`] is the one file with `unsafe`.

pub mod capabilities;
pub mod cli;
pub mod clock;
pub mod config;
pub mod error;
pub mod handover;
mod logging;
pub mod query;
pub mod supervisor;
pub mod sys;
pub mod walls;
