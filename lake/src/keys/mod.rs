//! Keys: the table key that a person holds, the owner key that signs manifests, and the random
//! data key of each file, which travels wrapped under the table key.

mod error;
mod file_keys;
mod file_lock;
mod foreign;
mod key_file;
mod kms;
pub(crate) mod material;
mod owner;
mod private_file;
mod provider;
mod secret;
mod wrap;

pub use crate::names::key_id;
pub use error::KeyError;
pub use file_keys::FileKeys;
pub use file_lock::FileLock;
pub use foreign::ForeignKeys;
pub use key_file::KeyFile;
pub use kms::Kms;
pub use material::{KeyMaterial, WrappedMaterial};
pub use owner::OwnerKey;
pub use provider::{KEY_DIGITS, KeyProvider, environment_name};
pub use secret::{DataKey, TableKey};
pub use wrap::{WrapContext, unwrap, wrap};
