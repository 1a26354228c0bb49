//! `duckblind keys new`.

use duckblind_lake::KeyId;
use duckblind_lake::keys::{KeyError, KeyFile, TableKey};
use duckblind_lake::names::FIRST_KEY;
use duckblind_protocol::key_file::format_public;
use serde_json::json;

use super::{NewArgs, set_variables};
use crate::cli::failure::Failure;
use crate::cli::ui::Ui;

pub(super) fn new(ui: &Ui, args: &NewArgs) -> Result<(), Failure> {
    let keys = &args.keys;
    let path = keys.key_file()?;
    let mut file = KeyFile::load_to_change(&path)?;
    let orphans = file.ids().next().is_some() && !keys.owner_key()?.exists();
    let made = add(&mut file, args.name.as_str(), &args.column, args.bits / 8)?;
    let owner = keys.owner_or_new(ui)?;
    if orphans {
        ui.warning(
            "there were table keys and no owner key: tables signed with an earlier owner key need that one",
        );
    }
    file.save()?;
    drop(file);
    for variable in set_variables(&made) {
        ui.warning(&format!(
            "{variable} is set and asked before key files: unset it, or the new key is not used"
        ));
    }
    let owner_file = keys.owner_key()?;
    let value = json!({
        "schema": "duckblind/keys/v1",
        "key_id": made.first(),
        "key_ids": made,
        "bits": args.bits,
        "key_file": path,
        "owner": owner.public(),
        "owner_file": owner_file,
    });
    ui.show(&value, || {
        format!(
            "made key {} in {}\nowner {} ({})",
            made.join(", "),
            path.display(),
            format_public(&owner.public()).trim(),
            owner_file.display(),
        )
    });
    ui.note("keep both files: without the key the table cannot be read, by anyone");
    Ok(())
}

/// The ids of the keys that were made. Column keys are of the newest version of the table's key; a
/// table key that is there is in the way only if there is nothing else to make.
fn add(
    file: &mut KeyFile,
    table: &str,
    columns: &[String],
    length: usize,
) -> Result<Vec<String>, KeyError> {
    let known = file.newest_version(table);
    let version = known.unwrap_or(FIRST_KEY);
    let mut ids = Vec::with_capacity(columns.len() + 1);
    let table_id = KeyId::of_table(table, version).to_string();
    if columns.is_empty() || file.get(&table_id).is_none() {
        ids.push(table_id);
    }
    let columns = columns.iter();
    ids.extend(columns.map(|column| KeyId::of_column(table, version, column).to_string()));
    for id in &ids {
        file.insert(id, TableKey::generate_of(length)?)?;
    }
    Ok(ids)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn column_keys_join_a_table_key_of_their_version() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = KeyFile::load_or_empty(&dir.path().join("keys.json")).unwrap();
        let column = |name: &str| vec![name.to_owned()];
        assert_eq!(add(&mut file, "t", &[], 16).unwrap(), ["t-v1"]);
        assert_eq!(file.get("t-v1").unwrap().expose().len(), 16);
        assert!(matches!(
            add(&mut file, "t", &[], 32),
            Err(KeyError::Exists { .. })
        ));
        assert_eq!(
            add(&mut file, "t", &column("a.b"), 32).unwrap(),
            ["t-v1:a.b"]
        );
        assert!(add(&mut file, "t", &column("a.b"), 32).is_err());
        file.insert("t-v2", TableKey::generate().unwrap()).unwrap();
        assert_eq!(
            add(&mut file, "t", &column("a.b"), 32).unwrap(),
            ["t-v2:a.b"]
        );
        let both = add(&mut file, "u", &column("x"), 24).unwrap();
        assert_eq!(both, ["u-v1", "u-v1:x"]);
    }
}
