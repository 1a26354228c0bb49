//! How a table is to be sealed.

use super::csv_options::CsvOptions;
use crate::manifest::Layout;

/// How a table is sealed. By default everything is encrypted, footer too, under one fresh data key
/// a file.
#[derive(Clone, Debug, Default)]
pub struct SealOptions {
    /// What CSV inputs do not say themselves.
    pub csv: CsvOptions,
    /// What is encrypted, under which keys.
    pub encryption: Encryption,
    /// Footers, AAD prefixes, partitions, order.
    pub layout: Layout,
}

/// Which columns are encrypted, and under which keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Encryption {
    /// All of them, under the footer's key.
    #[default]
    Uniform,
    /// Some under keys of their own.
    Columns {
        /// Leaf paths, or names of columns with all their leaves. Case matters.
        columns: Vec<String>,
        /// What becomes of the others.
        rest: Rest,
    },
}

/// Columns without a key of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Stay readable for everybody.
    Clear,
    /// Are encrypted under the footer's key.
    TableKey,
}
