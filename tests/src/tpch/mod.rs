//! TPC-H: the eight tables as plaintext Parquet and the 22 queries. The notice is in `queries/NOTICE.md`.

mod data;
mod queries;

pub use data::{ROW_GROUP_ROWS, TABLES, Table, tables, writer_properties};
pub use queries::{QUERIES, Query, query};
