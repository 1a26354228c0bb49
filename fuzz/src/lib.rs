//! What several fuzz targets start from.

pub mod job;
pub mod seal;
pub mod sealed;
