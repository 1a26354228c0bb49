//! Arguments of every command about one table and its keys.

use std::path::{Path, PathBuf};

use duckblind_lake::TableName;
use duckblind_lake::keys::OwnerKey;
use duckblind_lake::manifest::VerifiedManifest;
use duckblind_lake::table::{At, Table};
use duckblind_protocol::ids::PublicKey;
use serde_json::{Value, json};

use super::failure::Failure;
use super::paths::{self, KeyArgs};
use super::ui::Ui;
use crate::table::{Continuity, InputError, SeenSnapshots};

/// One sealed table.
#[derive(Debug, clap::Args)]
pub(super) struct OneTable {
    /// The table: its name, and the directory with its _sealed.json [default: NAME]
    #[arg(long = "table", short, value_name = "NAME[=DIR]")]
    table: NamedDir,
    /// Take the table as it is although another or a newer one was seen under this name before, and
    /// remember it
    #[arg(long)]
    allow_rollback: bool,
    #[command(flatten)]
    pub(super) keys: KeyArgs,
}

impl OneTable {
    pub(super) fn dir(&self) -> &PathBuf {
        &self.table.dir
    }

    pub(super) fn name(&self) -> &TableName {
        &self.table.name
    }

    /// The table as somebody of this owner key left it, never older than it was seen.
    pub(super) fn open(&self, ui: &Ui, owner: &PublicKey, at: At) -> Result<Table, Failure> {
        let mut seen = SeenSnapshots::load(&paths::seen_snapshots()?)?;
        let name = self.table.name.as_str();
        let given = (name, self.table.dir.as_path());
        Ok(open(ui, &mut seen, given, owner, at, self.allow_rollback)?)
    }

    /// The owner key, once the table in its present state is known to be its own.
    pub(super) fn begin(&self, ui: &Ui) -> Result<(OwnerKey, Table), Failure> {
        let owner = self.keys.owner()?;
        let table = self.open(ui, &owner.public(), At::Current)?;
        Ok((owner, table))
    }

    /// A new table is about to be made here.
    pub(super) fn begin_new(&self, ui: &Ui) -> Result<(OwnerKey, NewTable), Failure> {
        let owner = self.keys.owner()?;
        let name = self.table.name.as_str();
        let new = NewTable::begin(ui, &owner.public(), name, self.allow_rollback)?;
        Ok((owner, new))
    }
}

/// Opens a table, and refuses one that cannot come from what was seen of it. The current state is
/// checked and remembered, whatever snapshot is asked for.
pub(super) fn open(
    ui: &Ui,
    seen: &mut SeenSnapshots,
    (name, dir): (&str, &Path),
    owner: &PublicKey,
    at: At,
    allow_rollback: bool,
) -> Result<Table, InputError> {
    let current = Table::open(dir, owner, At::Current)?;
    let holds = &current.manifest().table;
    if holds != name {
        return Err(InputError::OtherTable {
            dir: dir.into(),
            holds: holds.clone(),
            name: name.into(),
        });
    }
    match seen.check(&current) {
        Err(error) if allow_rollback => {
            ui.warning(&format!("{error}; taken as it is, and remembered"));
            seen.replace(current.manifest())?;
        }
        checked => {
            if let Continuity::Gap { seen } = checked? {
                ui.warning(&format!(
                    "table `{holds}`: nothing shows that it comes from snapshot {seen}, seen before: \
                     the manifests between were expired, or somebody removed them"
                ));
            }
            seen.raise(current.manifest())?;
        }
    }
    match at {
        At::Current => Ok(current),
        At::Snapshot(number) => Ok(current.at(number)?),
    }
}

/// What a command says to programs: of which table in which state, and `more`, an object.
pub(super) fn described(schema: &str, manifest: &VerifiedManifest, more: Value) -> Value {
    let mut value = json!({
        "schema": schema,
        "table": manifest.table,
        "snapshot": manifest.snapshot,
        "manifest": manifest.digest(),
    });
    if let (Value::Object(value), Value::Object(more)) = (&mut value, more) {
        value.extend(more);
    }
    value
}

/// Remembers what was just written here.
pub(super) fn remember(manifest: &VerifiedManifest) -> Result<(), Failure> {
    let mut seen = SeenSnapshots::load(&paths::seen_snapshots()?)?;
    Ok(seen.raise(manifest)?)
}

/// A table that is about to be made, under a name that its owner has no table of, or gives up.
pub(super) struct NewTable {
    seen: SeenSnapshots,
    instead: bool,
}

impl NewTable {
    pub(super) fn begin(
        ui: &Ui,
        owner: &PublicKey,
        name: &str,
        allow_rollback: bool,
    ) -> Result<Self, Failure> {
        let seen = SeenSnapshots::load(&paths::seen_snapshots()?)?;
        let instead = match seen.check_new(owner, name) {
            Err(error) if allow_rollback => {
                ui.warning(&format!(
                    "{error}; it is forgotten once the new one is made"
                ));
                true
            }
            checked => {
                checked?;
                false
            }
        };
        Ok(Self { seen, instead })
    }

    /// Remembers what was made.
    pub(super) fn made(mut self, manifest: &VerifiedManifest) -> Result<(), Failure> {
        if self.instead {
            self.seen.replace(manifest)?;
        } else {
            self.seen.begin(manifest)?;
        }
        Ok(())
    }
}

/// `NAME[=DIR]`
#[derive(Clone, Debug)]
struct NamedDir {
    name: TableName,
    dir: PathBuf,
}

impl std::str::FromStr for NamedDir {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, dir) = text.split_once('=').unwrap_or((text, text));
        match name.parse() {
            Ok(name) if !dir.is_empty() => Ok(Self {
                name,
                dir: dir.into(),
            }),
            _ => Err("expected NAME or NAME=DIR".into()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_and_directories() {
        let both: NamedDir = "orders=a/b@c=d".parse().unwrap();
        assert_eq!(both.name.as_str(), "orders");
        assert_eq!(both.dir.to_str(), Some("a/b@c=d"));
        let name: NamedDir = "orders".parse().unwrap();
        assert_eq!(name.dir.to_str(), Some("orders"));
        for bad in ["", "=a", "a=", "a b=c"] {
            assert!(bad.parse::<NamedDir>().is_err(), "{bad}");
        }
    }
}
