//! `duckblind keys`: table keys, the owner key, and what others may know of them.

use duckblind_lake::TableName;
use duckblind_lake::keys::{KeyFile, OwnerKey, TableKey, environment_name, key_id};
use duckblind_protocol::ids::{NodeId, PublicKey};
use duckblind_protocol::key_file::format_public;
use serde_json::json;

use super::failure::Failure;
use super::paths::{IdentityArgs, KeyArgs};
use super::ui::Ui;
use crate::client::identity::read_signing_key;
use crate::error::RequesterError;
use crate::files;

/// Make and list keys.
#[derive(Debug, clap::Subcommand)]
pub(super) enum KeysCommand {
    /// Make a table's key, and the owner key if there is none
    New {
        /// The table's name in SQL
        #[arg(value_name = "NAME")]
        name: TableName,
        #[command(flatten)]
        keys: KeyArgs,
    },
    /// List key ids and public keys; secrets are never shown
    Show {
        #[command(flatten)]
        keys: KeyArgs,
        #[command(flatten)]
        identity: IdentityArgs,
    },
}

pub(super) fn keys(ui: &Ui, command: KeysCommand) -> Result<(), Failure> {
    match command {
        KeysCommand::New { name, keys } => new(ui, &name, &keys),
        KeysCommand::Show { keys, identity } => show(ui, &keys, &identity),
    }
}

fn new(ui: &Ui, name: &TableName, keys: &KeyArgs) -> Result<(), Failure> {
    let path = keys.key_file()?;
    let id = key_id(name.as_str());
    files::create_parent(&path).map_err(RequesterError::from)?;
    let mut file = KeyFile::load_or_empty(&path)?;
    file.insert(&id, TableKey::generate()?)?;
    let owner = keys.owner_or_new(ui)?;
    file.save()?;
    let value = json!({
        "schema": "duckblind/keys/v1",
        "key_id": id,
        "key_file": path,
        "owner": owner.public(),
        "owner_file": keys.owner_key()?,
    });
    let owner_file = keys.owner_key()?;
    ui.show(&value, || {
        format!(
            "made key {id} in {}\nowner {} ({})",
            path.display(),
            format_public(&owner.public()).trim(),
            owner_file.display(),
        )
    });
    ui.note("keep both files: without the key the table cannot be read, by anyone");
    Ok(())
}

fn show(ui: &Ui, keys: &KeyArgs, identity: &IdentityArgs) -> Result<(), Failure> {
    let path = keys.key_file()?;
    let file = KeyFile::load_or_empty(&path)?;
    let ids: Vec<_> = file.ids().collect();
    let owner_path = keys.owner_key()?;
    let owner = match owner_path.symlink_metadata() {
        Ok(_) => Some(OwnerKey::load(&owner_path)?.public()),
        Err(_) => None,
    };
    let identity_path = identity.path()?;
    let identity = match identity_path.symlink_metadata() {
        Ok(_) => Some(NodeId::of_key(&PublicKey::of(
            &read_signing_key(&identity_path).map_err(RequesterError::from)?,
        ))),
        Err(_) => None,
    };
    let value = json!({
        "schema": "duckblind/keys/v1",
        "key_file": path,
        "keys": ids
            .iter()
            .map(|id| json!({ "id": id, "environment": environment_name(id) }))
            .collect::<Vec<_>>(),
        "owner": owner,
        "identity": identity,
    });
    ui.show(&value, || {
        let mut lines = vec![format!("key file  {}", path.display())];
        if ids.is_empty() {
            lines.push("  no keys".into());
        }
        lines.extend(ids.iter().map(|id| format!("  {id}")));
        lines.push(match owner {
            Some(key) => format!("owner     {}", format_public(&key).trim()),
            None => "owner     none yet".into(),
        });
        lines.push(match identity {
            Some(node) => format!("identity  {node} (how hosts know this machine)"),
            None => "identity  none yet; made at the first connection".into(),
        });
        lines.join("\n")
    });
    if ids.is_empty() {
        ui.note("`duckblind keys new NAME` makes a key");
    }
    Ok(())
}
