//! The virtual file against the `parquet` crate's own reader, and against tampering.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod reads;
mod refusals;
mod tampering;

use super::chunks::Chunk;
use super::footer::{self, OpenFooter};
use super::testing::Make;
use super::virtual_footer;
use crate::keys::DataKey;

fn chunks(make: &Make, file: &[u8]) -> Vec<Chunk> {
    let opened = open_footer(make, file);
    virtual_footer::build(&opened.plaintext, opened.start)
        .unwrap()
        .chunks
}

fn open_footer(make: &Make, file: &[u8]) -> OpenFooter {
    let key = DataKey::from_slice(&make.key).unwrap();
    footer::open(&file.to_vec(), &key, &make.aad_prefix(), None).unwrap()
}
