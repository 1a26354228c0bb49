//! Where things are if nobody says otherwise.

use std::path::{Path, PathBuf};

use duckblind_lake::keys::{KeyFile, KeyProvider, OwnerKey};
use duckblind_protocol::ids::PublicKey;
use duckblind_protocol::key_file::parse_public;

use super::failure::Failure;
use super::ui::Ui;
use crate::error::RequesterError;
use crate::trust::Trust;

/// `$XDG_CONFIG_HOME/duckblind`, or `~/.config/duckblind`.
pub(super) fn config_dir() -> Result<PathBuf, Failure> {
    let set = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    set("XDG_CONFIG_HOME")
        .or_else(|| set("HOME").map(|home| home.join(".config")))
        .map(|base| base.join("duckblind"))
        .ok_or_else(|| {
            Failure::usage(
                "neither HOME nor XDG_CONFIG_HOME is set",
                Some("name the files: --trust, --key-file, --identity"),
            )
        })
}

/// The trust file's place.
pub(super) fn trust_path(given: Option<&Path>) -> Result<PathBuf, Failure> {
    match given {
        Some(path) => Ok(path.into()),
        None => Ok(config_dir()?.join("trust.toml")),
    }
}

/// The trust file.
pub(super) fn trust(given: Option<&Path>) -> Result<Trust, Failure> {
    Ok(Trust::load(&trust_path(given)?)?)
}

/// Where keys are.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct KeyArgs {
    /// Table keys [default: ~/.config/duckblind/keys.json]
    #[arg(
        long,
        value_name = "FILE",
        env = "DUCKBLIND_KEY_FILE",
        hide_env_values = true
    )]
    key_file: Option<PathBuf>,
    /// Owner key: signs tables and orders [default: owner.key beside the key file]
    #[arg(
        long,
        value_name = "FILE",
        env = "DUCKBLIND_OWNER_KEY",
        hide_env_values = true
    )]
    owner_key: Option<PathBuf>,
}

impl KeyArgs {
    pub(super) fn key_file(&self) -> Result<PathBuf, Failure> {
        match &self.key_file {
            Some(path) => Ok(path.clone()),
            None => Ok(config_dir()?.join("keys.json")),
        }
    }

    pub(super) fn owner_key(&self) -> Result<PathBuf, Failure> {
        match &self.owner_key {
            Some(path) => Ok(path.clone()),
            None => Ok(self.key_file()?.with_file_name("owner.key")),
        }
    }

    /// Environment first, then the key file, if there is one.
    pub(super) fn provider(&self) -> Result<KeyProvider, Failure> {
        let file = KeyFile::load_or_empty(&self.key_file()?)?;
        Ok(KeyProvider::new(Some(file)))
    }

    /// The owner key; made if there is none.
    pub(super) fn owner(&self, ui: &Ui) -> Result<OwnerKey, Failure> {
        let path = self.owner_key()?;
        if path.symlink_metadata().is_ok() {
            return Ok(OwnerKey::load(&path)?);
        }
        crate::files::create_parent(&path).map_err(RequesterError::from)?;
        let key = OwnerKey::generate()?;
        key.save_new(&path)?;
        ui.note(&format!("made a new owner key: {}", path.display()));
        Ok(key)
    }
}

/// Reads a public key, `ed25519:<hex>`, on the command line.
pub(super) fn public_key(text: &str) -> Result<PublicKey, String> {
    parse_public(text).map_err(|_| "expected ed25519:<64 hex digits>".to_owned())
}
