//! `duckblind keys list`.

use duckblind_lake::keys::{KeyFile, OwnerKey, environment_name};
use duckblind_protocol::ids::{NodeId, PublicKey};
use duckblind_protocol::key_file::format_public;
use serde_json::json;

use crate::cli::failure::Failure;
use crate::cli::paths::{IdentityArgs, KeyArgs};
use crate::cli::ui::Ui;
use crate::client::identity::read_signing_key;
use crate::error::RequesterError;
use crate::output::visible;

pub(super) fn list(ui: &Ui, keys: &KeyArgs, identity: &IdentityArgs) -> Result<(), Failure> {
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
        lines.extend(ids.iter().map(|id| format!("  {}", visible::line(id))));
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
