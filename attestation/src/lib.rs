//! Evidence: how an enclave produces it, and how anyone judges it.
//!
//! * produce: [`attester`] (the kernel's configfs-tsm interface; simulated platforms behind the
//!   cargo feature `simulator`)
//! * what travels: [`evidence`], with the preimages [`config`] and [`release`] of what the
//!   hardware report binds
//! * judge: [`mod@appraise`] under a [`policy`]; every check it makes is listed, passed or not
//! * the verdict on paper: [`ear`]
//! * what a policy lists: [`reference`](mod@reference), computed from the files of a release
//!
//! `appraise` is pure: no clock, no network, no file. Whoever holds the same inputs gets the same
//! verdict.
#![forbid(unsafe_code)]

pub mod appraise;
pub mod attester;
pub mod check;
pub mod config;
pub mod ear;
pub mod evidence;
pub mod explain;
pub mod inputs;
pub mod measurement;
mod named;
pub mod policy;
pub mod reason;
pub mod reference;
pub mod release;
#[cfg(any(test, feature = "simulator"))]
pub mod sample;
pub mod snp;
pub mod tdx;

#[cfg(feature = "simulator")]
pub mod simulator;

#[cfg(all(test, feature = "simulator"))]
mod testing;
#[cfg(test)]
mod vectors;
