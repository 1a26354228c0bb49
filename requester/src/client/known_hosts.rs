//! Keys of hosts reached by their address: the first one seen is kept (`hosts = "tofu"`).

use std::collections::BTreeMap;
use std::path::Path;

use duckblind_protocol::ids::NodeId;

use crate::files::{self, FileError};

type Known = BTreeMap<String, NodeId>;

fn load(path: &Path) -> Result<Known, FileError> {
    files::read_json_or_default(path, "a file of known hosts")
}

/// The node seen at this address before.
pub(super) fn lookup(path: &Path, address: &str) -> Result<Option<NodeId>, FileError> {
    Ok(load(path)?.get(address).copied())
}

/// Keeps the node of an address. One that is kept is never replaced.
pub(super) fn remember(path: &Path, address: &str, node: &NodeId) -> Result<(), FileError> {
    let mut known = load(path)?;
    known.entry(address.to_owned()).or_insert(*node);
    let text = serde_json::to_string_pretty(&known)
        .map_err(|e| FileError::write(path)(std::io::Error::other(e)))?;
    files::replace(path, 0o600, format!("{text}\n").as_bytes())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_first_key_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("known_hosts.json");
        let (one, two) = (NodeId::from_bytes([1; 32]), NodeId::from_bytes([2; 32]));
        assert_eq!(lookup(&path, "a:1").unwrap(), None);
        remember(&path, "a:1", &one).unwrap();
        remember(&path, "b:1", &two).unwrap();
        remember(&path, "a:1", &two).unwrap();
        assert_eq!(lookup(&path, "a:1").unwrap(), Some(one));
        assert_eq!(lookup(&path, "b:1").unwrap(), Some(two));
    }

    #[test]
    fn a_broken_file_is_not_an_empty_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("known_hosts.json");
        std::fs::write(&path, "{").unwrap();
        assert!(lookup(&path, "a:1").is_err());
    }
}
