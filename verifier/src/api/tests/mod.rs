//! The interface as a client meets it: real requests to a real listener.

mod edges;
#[cfg(feature = "simulator")]
mod enclave;
mod endorsing;
mod evidence;
mod registry;
mod signatures;
#[cfg(feature = "simulator")]
mod simulated;
#[cfg(feature = "simulator")]
mod standing;
