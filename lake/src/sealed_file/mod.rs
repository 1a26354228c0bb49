//! One encrypted Parquet file as the plaintext file that it stands for.
//!
//! The plaintext file exists nowhere: its bytes are decrypted when somebody reads them. Layout:
//! magic `PAR1`, every column chunk and every bloom filter in a place of its own (`layout`), a new
//! footer at the end. A decrypted chunk is shorter than its ciphertext; where its plaintext's length
//! is not known before, the rest of its space reads as zeros.
//!
//! Read is all of Parquet Modular Encryption: AES_GCM_V1 and AES_GCM_CTR_V1, keys of 128, 192 and
//! 256 bits, one key or several, columns in the clear where the manifest says so, footers encrypted
//! or signed. Pages are never decoded, so codecs and encodings do not matter. What carries no tag is
//! held against the manifest's digest (`verify`). An error or the right bytes, never wrong ones.

mod aad;
mod bloom;
mod cache;
mod chunks;
mod cipher;
mod clear_pages;
mod column_metadata;
mod counters;
mod crypto_metadata;
mod cursor;
mod error;
mod file_metadata;
mod footer;
mod inspect;
mod layout;
mod modules;
mod page_header;
mod pages;
mod read;
mod source;
mod spec;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod thrift;
mod thrift_out;
mod verify;
mod virtual_footer;
mod whole;
mod window;

pub use counters::Counters;
pub use error::{ErrorKind, LakeError};
pub use inspect::{ColumnProtection, Inspection, inspect};
pub use read::{SealedFile, StoredChunk};
pub use source::{LocalFile, ReadAt};
pub use spec::{AadPrefix, ColumnRules, FileSpec};
