//! The interface as a client meets it: real requests to a real listener.

mod edges;
mod evidence;
mod registry;
mod signatures;
#[cfg(feature = "simulator")]
mod simulated;
