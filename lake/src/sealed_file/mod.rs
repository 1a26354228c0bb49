//! One encrypted Parquet file as the plaintext file that it stands for.
//!
//! The plaintext file exists nowhere: its bytes are decrypted when somebody reads them. Layout:
//! magic `PAR1`, every column chunk at its original offset, a new footer where the encrypted one
//! began. A decrypted chunk is shorter than its ciphertext (each of a page's two modules loses
//! 4 + 12 + 16 bytes); what remains of its space reads as zeros.
//!
//! Read: AES_GCM_V1 with one key for the whole file and an encrypted footer. Everything else is
//! refused by name. An error or the right bytes, never wrong ones.

mod aad;
mod cache;
mod chunks;
mod crypto_metadata;
mod cursor;
mod error;
mod footer;
mod modules;
mod pages;
mod read;
mod source;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod thrift;
mod virtual_footer;
mod whole;
mod window;

pub use error::{ErrorKind, LakeError};
pub use read::{AadPrefix, ColumnRules, FileSpec, SealedFile};
pub use source::{LocalFile, ReadAt};
