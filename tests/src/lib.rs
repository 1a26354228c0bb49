//! Everything the test suite and the bench stand on: real processes, real data, a relay that lies, and the
//! one rule by which two answers are equal.

pub mod bench;
pub mod binaries;
pub mod cache;
pub mod client;
pub mod command;
pub mod frame_io;
pub mod http;
pub mod liar;
pub mod memory;
pub mod options;
pub mod owner;
pub mod plain;
pub mod process;
pub mod relay;
pub mod rows;
pub mod running;
pub mod sealed;
pub mod stack;
pub mod strace;
pub mod tpch;
pub mod vectors;
