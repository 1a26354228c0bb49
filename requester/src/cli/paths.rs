//! Where things are if nobody says otherwise.

use std::path::{Path, PathBuf};

use duckblind_lake::keys::{KeyFile, KeyProvider, OwnerKey};
use duckblind_protocol::ids::PublicKey;
use duckblind_protocol::key_file::parse_public;

use super::failure::Failure;
use super::ui::Ui;
use crate::trust::Trust;

/// `$XDG_CONFIG_HOME/duckblind`, or `~/.config/duckblind`.
pub(super) fn config_dir() -> Result<PathBuf, Failure> {
    user_dir("XDG_CONFIG_HOME", ".config").ok_or_else(|| {
        Failure::usage(
            "neither HOME nor XDG_CONFIG_HOME is set",
            Some("name the files: --trust, --key-file, --identity"),
        )
    })
}

/// `$XDG_CACHE_HOME/duckblind`, or `~/.cache/duckblind`.
pub(super) fn cache_dir() -> Result<PathBuf, Failure> {
    user_dir("XDG_CACHE_HOME", ".cache").ok_or_else(|| {
        Failure::usage(
            "neither HOME nor XDG_CACHE_HOME is set",
            Some("name the directory: --cache DIR"),
        )
    })
}

/// This program's directory of one kind.
fn user_dir(variable: &str, below_home: &str) -> Option<PathBuf> {
    let set = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    set(variable)
        .or_else(|| set("HOME").map(|home| home.join(below_home)))
        .map(|base| base.join("duckblind"))
}

/// Which snapshots of tables were seen.
pub(super) fn seen_snapshots() -> Result<PathBuf, Failure> {
    let base = user_dir("XDG_CONFIG_HOME", ".config").ok_or_else(|| {
        Failure::usage(
            "neither HOME nor XDG_CONFIG_HOME is set",
            Some(
                "set one: what was seen of a table is remembered there, so that it cannot go back",
            ),
        )
    })?;
    Ok(base.join("snapshots.json"))
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

/// How hosts know this machine.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct IdentityArgs {
    /// Transport key of this machine [default: ~/.config/duckblind/identity.key]
    #[arg(
        long,
        value_name = "FILE",
        env = "DUCKBLIND_IDENTITY",
        hide_env_values = true
    )]
    identity: Option<PathBuf>,
}

impl IdentityArgs {
    pub(super) fn path(&self) -> Result<PathBuf, Failure> {
        match &self.identity {
            Some(path) => Ok(path.clone()),
            None => Ok(config_dir()?.join("identity.key")),
        }
    }
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
    /// Read table keys from this open file descriptor too, in the form of a key file
    #[arg(long, value_name = "N")]
    key_fd: Option<u32>,
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

    /// Environment first, then descriptor, then the key file. The default one may be missing; one that was named
    /// may not: its name is mistyped then.
    pub(super) fn provider(&self) -> Result<KeyProvider, Failure> {
        if let Some(path) = &self.key_file
            && is_missing(path)
        {
            return Err(Failure::usage(
                format!("no key file {}", path.display()),
                Some(&format!(
                    "duckblind keys new NAME --key-file {}",
                    path.display()
                )),
            ));
        }
        let inherited = self.key_fd.map(KeyFile::from_inherited).transpose()?;
        let file = KeyFile::load_or_empty(&self.key_file()?)?;
        Ok(KeyProvider::new(inherited.into_iter().chain([file])))
    }

    /// The owner key, which must be there.
    pub(super) fn owner(&self) -> Result<OwnerKey, Failure> {
        let path = self.owner_key()?;
        if is_missing(&path) {
            return Err(Failure::usage(
                format!("no owner key {}", path.display()),
                Some(
                    "bring the one that your tables are signed with, or name it: --owner-key FILE. To read tables of others, say --owner with the public half. For a first table `duckblind keys new NAME` makes one",
                ),
            ));
        }
        Ok(OwnerKey::load(&path)?)
    }

    /// The owner key that signs orders: made if there is none and nobody named a place for it.
    pub(super) fn order_signer(&self, ui: &Ui) -> Result<OwnerKey, Failure> {
        if self.key_file.is_some() || self.owner_key.is_some() {
            return self.owner();
        }
        self.owner_or_new(ui)
    }

    /// The owner key; made if there is none.
    pub(super) fn owner_or_new(&self, ui: &Ui) -> Result<OwnerKey, Failure> {
        let path = self.owner_key()?;
        let (key, is_new) = OwnerKey::load_or_new(&path)?;
        if is_new {
            ui.note(&format!("made a new owner key: {}", path.display()));
        }
        Ok(key)
    }
}

fn is_missing(path: &Path) -> bool {
    path.symlink_metadata()
        .is_err_and(|e| e.kind() == std::io::ErrorKind::NotFound)
}

/// Reads a public key, `ed25519:<hex>`, on the command line.
pub(super) fn public_key(text: &str) -> Result<PublicKey, String> {
    parse_public(text).map_err(|_| "expected ed25519:<64 hex digits>".to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use duckblind_protocol::coded::Exit;

    #[test]
    fn a_mistyped_name_makes_no_key() {
        let dir = tempfile::tempdir().unwrap();
        let ui = Ui::new(false, true);
        let args = KeyArgs {
            key_file: Some(dir.path().join("kyes.json")),
            key_fd: None,
            owner_key: None,
        };
        let failures = [
            args.provider().err().unwrap(),
            args.order_signer(&ui).err().unwrap(),
            args.owner().err().unwrap(),
        ];
        for failure in failures {
            assert_eq!(failure.exit(), Exit::Usage);
            let hint = failure.coded().hint().unwrap();
            assert!(hint.contains("duckblind keys new NAME"), "{hint}");
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);

        let made = args.owner_or_new(&ui).ok().unwrap().public();
        let read = args.order_signer(&ui).ok().unwrap().public();
        assert_eq!(read, made);
    }
}
