//! The supervisor: keys, evidence, tickets, orders; never SQL, table keys or rows.
//!
//! * [`run`]: from start to the end of a shutdown
//! * [`boot`]: what is attested, and the keys
//! * [`session`], [`admit`]: what comes in
//! * [`job`], [`watch`], [`relay`], [`chunks`]: one job
//! * [`pool`], [`process`]: query processes
//! * [`epoch`], [`tickets`], [`replay`]: what ends with an epoch

pub mod admit;
pub mod boot;
pub mod chunks;
pub mod epoch;
pub mod evidence;
pub mod inputs;
pub mod job;
pub mod link;
pub mod listen;
pub mod pool;
pub mod process;
pub mod relay;
pub mod replay;
mod run;
pub mod session;
pub mod shared;
pub mod tickets;
pub mod watch;

pub use run::run;
