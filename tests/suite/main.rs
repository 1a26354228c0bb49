//! The one integration-test program: everything here runs real processes on loopback.

mod adversary;
mod architecture;
mod attest_cli;
mod bad_input;
mod bad_jobs;
mod crash;
mod end_to_end;
mod epochs;
mod flips;
mod host_blind;
mod interop;
mod interop_matrix;
mod interop_ours;
mod lies;
mod limits;
mod measure;
mod memory;
mod platforms;
mod product;
mod pruning;
mod tables_attacked;
mod verifier;
mod writers;
mod zz_leftovers;
