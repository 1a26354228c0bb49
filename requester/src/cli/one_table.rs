//! Arguments of every command about one table and its keys.

use std::path::PathBuf;

use duckblind_lake::TableName;
use duckblind_lake::keys::OwnerKey;
use duckblind_lake::manifest::VerifiedManifest;
use duckblind_lake::table::{At, Table};
use duckblind_protocol::ids::PublicKey;

use super::failure::Failure;
use super::paths::{self, KeyArgs};
use crate::table::SeenSnapshots;

/// One sealed table.
#[derive(Debug, clap::Args)]
pub(super) struct OneTable {
    /// The table: its name, and the directory with its _sealed.json [default: NAME]
    #[arg(long = "table", short, value_name = "NAME[=DIR]")]
    table: NamedDir,
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
    pub(super) fn open(&self, owner: &PublicKey, at: At) -> Result<Table, Failure> {
        let table = Table::open(&self.table.dir, owner, at)?;
        let name = &table.manifest().table;
        if *name != self.table.name.as_str() {
            return Err(Failure::usage(
                format!(
                    "{} holds table {name}, not {}",
                    self.table.dir.display(),
                    self.table.name
                ),
                Some("write --table NAME=DIR with the table's own name and directory"),
            ));
        }
        if at == At::Current {
            let mut seen = SeenSnapshots::load(&paths::seen_snapshots()?)?;
            seen.check(table.manifest())?;
            seen.raise(table.manifest())?;
        }
        Ok(table)
    }

    /// The owner key, once the table in its present state is known to be its own.
    pub(super) fn begin(&self) -> Result<(OwnerKey, Table), Failure> {
        let owner = self.keys.owner()?;
        let table = self.open(&owner.public(), At::Current)?;
        Ok((owner, table))
    }
}

/// Remembers what was just written here.
pub(super) fn remember(manifest: &VerifiedManifest) -> Result<(), Failure> {
    let mut seen = SeenSnapshots::load(&paths::seen_snapshots()?)?;
    Ok(seen.replace(manifest)?)
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
