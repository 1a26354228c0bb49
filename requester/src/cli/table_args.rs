//! Arguments of every command that reads sealed tables: which ones, whose, with what keys, and what
//! is accepted of them.

use std::path::PathBuf;

use duckblind_lake::table::At;
use duckblind_protocol::ids::PublicKey;
use serde_json::{Value, json};

use super::failure::Failure;
use super::one_table;
use super::paths::{self, KeyArgs, public_key};
use super::ui::Ui;
use crate::table::{InputError, MissingKey, SealedTable, SeenSnapshots};

/// Sealed tables and how to read them.
#[derive(Debug, clap::Args)]
pub(super) struct TableArgs {
    /// A table: its name in SQL and the directory with its _sealed.json [default: NAME]; for `run`
    /// also where the enclave's storage has it [default: the directory's name]
    #[arg(long = "table", short, value_name = "NAME[=DIR[@REMOTE]]")]
    pub(super) tables: Vec<TableArg>,
    /// Who sealed the tables [default: your own owner key]
    #[arg(long, value_name = "ed25519:HEX", value_parser = public_key)]
    owner: Option<PublicKey>,
    #[command(flatten)]
    pub(super) keys: KeyArgs,
    /// Read an older snapshot of a table; NAME= may be left out if there is one table
    #[arg(long, value_name = "[NAME=]N")]
    snapshot: Vec<SnapshotArg>,
    /// Take the tables as they are, although a newer snapshot was seen before, and remember these
    #[arg(long)]
    allow_rollback: bool,
    /// Read this column although nothing shows that its bytes are what was sealed
    #[arg(long, value_name = "COLUMN")]
    accept_unauthenticated: Vec<String>,
}

impl TableArgs {
    /// Opens the tables and remembers which snapshots were seen.
    pub(super) fn open(
        &self,
        ui: &Ui,
        own: impl FnOnce() -> Result<PublicKey, Failure>,
    ) -> Result<Vec<SealedTable>, Failure> {
        self.check_snapshots()?;
        if self.tables.is_empty() {
            return self.accept(Vec::new());
        }
        let owner = self.owner.map_or_else(own, Ok)?;
        let mut seen = SeenSnapshots::load(&paths::seen_snapshots()?)?;
        let mut tables = Vec::with_capacity(self.tables.len());
        for arg in &self.tables {
            let at = self
                .snapshot_of(&arg.name)
                .map_or(At::Current, At::Snapshot);
            let given = (arg.name.as_str(), arg.dir.as_path());
            let table = one_table::open(ui, &mut seen, given, &owner, at, self.allow_rollback)?;
            tables.push(SealedTable::of(&arg.name, table)?);
        }
        self.accept(tables)
    }

    fn snapshot_of(&self, name: &str) -> Option<u64> {
        self.snapshot
            .iter()
            .find(|arg| arg.table.as_deref().is_none_or(|table| table == name))
            .map(|arg| arg.number)
    }

    fn check_snapshots(&self) -> Result<(), Failure> {
        for arg in &self.snapshot {
            let mut named = self.tables.iter();
            match &arg.table {
                None if self.tables.len() == 1 && self.snapshot.len() == 1 => {}
                None => {
                    return Err(Failure::usage(
                        "--snapshot does not say of which table",
                        Some("write --snapshot NAME=N"),
                    ));
                }
                Some(name) if named.any(|table| table.name == *name) => {}
                Some(name) => {
                    return Err(Failure::usage(
                        format!("--snapshot names {name}, which is no --table"),
                        Some("write --snapshot NAME=N with the NAME of a --table"),
                    ));
                }
            }
        }
        Ok(())
    }

    fn accept(&self, mut tables: Vec<SealedTable>) -> Result<Vec<SealedTable>, Failure> {
        for column in &self.accept_unauthenticated {
            let mut known = false;
            for table in &mut tables {
                known |= table.accept_unauthenticated(column);
            }
            if !known {
                return Err(InputError::NoColumn(column.clone()).into());
            }
        }
        Ok(tables)
    }
}

/// Columns of the tables that are read although nothing authenticates them, as `table.column`.
/// Warns of them: a result that uses them may be wrong.
pub(super) fn unauthenticated(ui: &Ui, tables: &[SealedTable]) -> Vec<String> {
    let columns: Vec<String> = tables
        .iter()
        .flat_map(|table| {
            let name = table.name();
            table
                .unauthenticated()
                .map(move |column| format!("{name}.{column}"))
        })
        .collect();
    if !columns.is_empty() {
        ui.warning(&format!(
            "NOT AUTHENTICATED: {}. Whoever stores the table may have changed these columns, and the result with them",
            columns.join(", ")
        ));
    }
    columns
}

/// Says which columns the query must do without.
pub(super) fn missing<'a>(ui: &Ui, keys: impl Iterator<Item = &'a MissingKey>) {
    for key in keys {
        ui.note(&format!(
            "no key `{}`: the query fails if it reads column {}",
            key.key_id, key.column
        ));
    }
}

/// What tables a result is of, for programs.
pub(super) fn described(tables: &[SealedTable]) -> Value {
    tables
        .iter()
        .map(|table| {
            json!({
                "name": table.name(),
                "snapshot": table.manifest().snapshot,
                "manifest": table.manifest().digest(),
            })
        })
        .collect()
}

/// `NAME[=DIR[@REMOTE]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TableArg {
    pub(super) name: String,
    pub(super) dir: PathBuf,
    pub(super) remote: Option<String>,
}

impl std::str::FromStr for TableArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, place) = text.split_once('=').unwrap_or((text, text));
        let (dir, remote) = match place.rsplit_once('@') {
            Some((dir, remote)) => (dir, Some(remote.to_owned())),
            None => (place, None),
        };
        if name.is_empty() || dir.is_empty() || remote.as_deref() == Some("") {
            return Err("expected NAME, NAME=DIR or NAME=DIR@REMOTE".into());
        }
        Ok(Self {
            name: name.into(),
            dir: dir.into(),
            remote,
        })
    }
}

/// `[NAME=]N`
#[derive(Clone, Debug, PartialEq, Eq)]
struct SnapshotArg {
    table: Option<String>,
    number: u64,
}

impl std::str::FromStr for SnapshotArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (table, number) = match text.rsplit_once('=') {
            Some((table, number)) => (Some(table.to_owned()), number),
            None => (None, text),
        };
        let number = number.parse().ok().filter(|number| *number > 0);
        number
            .map(|number| Self { table, number })
            .ok_or_else(|| "expected N or NAME=N, with N from 1".into())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn tables() {
        let parse = |text: &str| text.parse::<TableArg>();
        let plain = parse("orders").unwrap();
        assert_eq!(
            (plain.name.as_str(), plain.dir.to_str()),
            ("orders", Some("orders"))
        );
        let full = parse("o=a/b@c/d").unwrap();
        assert_eq!(full.dir.to_str(), Some("a/b"));
        assert_eq!(full.remote.as_deref(), Some("c/d"));
        for bad in ["", "=a", "o=", "o=@x", "o=a@"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn snapshots() {
        let parse = |text: &str| text.parse::<SnapshotArg>();
        assert_eq!(parse("3").unwrap().number, 3);
        let named = parse("orders=12").unwrap();
        assert_eq!((named.table.as_deref(), named.number), (Some("orders"), 12));
        for bad in ["", "0", "-1", "orders=", "x"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
