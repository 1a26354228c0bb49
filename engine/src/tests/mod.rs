//! The engine as a whole, one subject per file.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]

mod answers;
mod confinement;
mod errors;
mod gate;
mod spill;
