//! What can go wrong with keys.

use std::path::PathBuf;

use duckblind_protocol::coded::{Coded, Exit};

use super::provider::{KEY_DIGITS, environment_name};
use crate::codes::LakeCode;
use crate::names::KeyId;

/// An error about keys. None of them ever holds key bytes.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be opened, read or written.
    #[error("key file {} cannot be used: {kind}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        kind: std::io::ErrorKind,
    },
    /// The file is not private to its owner.
    #[error("key file {} is not private: {why}", path.display())]
    Mode {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The file's text is not a key file's.
    #[error("key file {} is malformed: {why}", path.display())]
    Form {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A key of the environment is no hex of the right length.
    #[error("environment variable {name} does not hold a key")]
    Environment {
        /// The variable.
        name: String,
    },
    /// Two ids, one variable.
    #[error("keys `{one}` and `{other}` share environment variable {name}, which is set")]
    Collision {
        /// The variable.
        name: String,
        /// An id.
        one: String,
        /// Another.
        other: String,
    },
    /// Rotation to the key that is used already.
    #[error("key `{new}` is the same as `{old}`")]
    Same {
        /// The id of the key in use.
        old: String,
        /// The id of what should be a new one.
        new: String,
    },
    /// Nobody knows the key.
    #[error("no key `{id}`")]
    Missing {
        /// The key's id.
        id: String,
        /// The environment variable that was looked at.
        variable: String,
        /// The key files that were looked at.
        files: Vec<PathBuf>,
    },
    /// A key that a new table is to be sealed under is not there.
    #[error("no key `{id}` to seal under")]
    NotMade {
        /// The key's id.
        id: String,
        /// The environment variable that was looked at.
        variable: String,
        /// The key files that were looked at.
        files: Vec<PathBuf>,
    },
    /// A file with keys of files encrypted elsewhere has another form.
    #[error("key file {} is malformed: it must be {{\"footer\":HEX,\"columns\":{{PATH:HEX}}}}, {{\"by_key_metadata\":{{TEXT:HEX}}}} or {{\"keys\":{{ID:HEX}}}}", path.display())]
    ForeignForm {
        /// Which file.
        path: PathBuf,
    },
    /// A key with this id is there already.
    #[error("key file {} already has a key `{id}`", path.display())]
    Exists {
        /// The key's id.
        id: String,
        /// Which file.
        path: PathBuf,
    },
    /// The wrapped key does not open.
    #[error("a data key does not open with table key `{id}`")]
    Unwrap {
        /// The table key's id.
        id: String,
    },
    /// Key material of a file does not open with its master key.
    #[error("key material of the file does not open with master key `{id}`")]
    Material {
        /// The master key's id.
        id: String,
    },
    /// Not 16, 24 or 32 bytes.
    #[error("a key of {got} bytes")]
    Length {
        /// Its length in bytes.
        got: usize,
    },
    /// The generator failed.
    #[error("the system gave no randomness")]
    Randomness,
}

impl Coded for KeyError {
    fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => LakeCode::KeyFileIo,
            Self::Mode { .. } => LakeCode::KeyFileMode,
            Self::Form { .. } | Self::ForeignForm { .. } | Self::Environment { .. } => {
                LakeCode::KeyFileForm
            }
            Self::Collision { .. } => LakeCode::KeyCollision,
            Self::Same { .. } => LakeCode::KeySame,
            Self::Missing { .. } | Self::NotMade { .. } => LakeCode::KeyMissing,
            Self::Exists { .. } => LakeCode::KeyExists,
            Self::Unwrap { .. } => LakeCode::KeyUnwrap,
            Self::Material { .. } => LakeCode::KeyMaterial,
            Self::Length { .. } => LakeCode::KeyLength,
            Self::Randomness => LakeCode::Randomness,
        }
        .as_str()
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Io { .. } | Self::Exists { .. } | Self::Collision { .. } | Self::Same { .. } => {
                Exit::Usage
            }
            Self::Form { .. } | Self::ForeignForm { .. } | Self::Environment { .. } => {
                Exit::Malformed
            }
            Self::Mode { .. }
            | Self::Missing { .. }
            | Self::NotMade { .. }
            | Self::Unwrap { .. }
            | Self::Material { .. }
            | Self::Length { .. } => Exit::Rejected,
            Self::Randomness => Exit::Internal,
        }
    }

    fn expected(&self) -> Option<String> {
        match self {
            Self::Mode { .. } => Some("a regular file of your own, mode 0600".into()),
            Self::Environment { .. } => Some(KEY_DIGITS.into()),
            Self::Missing {
                variable, files, ..
            }
            | Self::NotMade {
                variable, files, ..
            } => Some(if files.is_empty() {
                format!("{variable} in the environment or a key file")
            } else {
                let files: Vec<_> = files
                    .iter()
                    .map(|file| file.display().to_string())
                    .collect();
                format!(
                    "{variable} in the environment or the id in {}",
                    files.join(", ")
                )
            }),
            Self::Length { .. } => Some("16, 24 or 32 bytes".into()),
            _ => None,
        }
    }

    fn got(&self) -> Option<String> {
        match self {
            Self::Length { got } => Some(format!("{got} bytes")),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Io { path, .. } => format!("check that {} exists and is yours", path.display()),
            Self::Mode { path, .. } => {
                format!("chmod 600 {}, and no symbolic link", path.display())
            }
            Self::Form { .. } => {
                "`duckblind keys new NAME` writes one in the right form".into()
            }
            Self::Environment { name } => format!("unset {name} or put {KEY_DIGITS} into it"),
            Self::Missing { id, .. } => {
                format!("bring the key file or the variable that has `{id}`: a new key does not open what was sealed")
            }
            Self::NotMade { id, .. } => {
                let id = KeyId::parse(id);
                let table = id.as_ref().map_or("NAME", KeyId::table);
                let column = id.as_ref().and_then(KeyId::column);
                let column = column.map_or_else(String::new, |path| format!(" --column {path}"));
                format!("`duckblind keys new {table}{column}` makes one")
            }
            Self::ForeignForm { .. } => {
                "an AAD prefix goes to --aad-prefix; more in docs/sealed-tables.md".into()
            }
            Self::Collision { name, .. } => {
                format!("unset {name} and use a key file, which tells them apart")
            }
            Self::Same { .. } => "a rotation needs fresh keys: `duckblind keys rotate` makes them".into(),
            Self::Exists { .. } => {
                "a key that is overwritten is lost, and its tables with it: choose another name".into()
            }
            Self::Unwrap { id } => {
                let variable = environment_name(id);
                let set = std::env::var_os(&variable).is_some();
                let from = if set { format!("; {variable} is set, and asked before key files") } else { String::new() };
                format!("this is not the key that the table was sealed with, or the manifest is of another table{from}")
            }
            Self::Material { .. } => {
                "it is another master key, or the key service wraps in a way of its own: give the raw keys".into()
            }
            Self::Length { .. } => return None,
            Self::Randomness => "this machine cannot make keys: look at its kernel".into(),
        })
    }
}
