//! Sealing a table from one file of outside bytes.

use std::sync::LazyLock;

use duckblind_lake::keys::{OwnerKey, TableKey};
use duckblind_lake::manifest::VerifiedManifest;
use duckblind_lake::seal::{SealOptions, SealRequest, seal};

static KEYS: LazyLock<(TableKey, OwnerKey)> = LazyLock::new(|| {
    let table = TableKey::from_hex(&"07".repeat(32)).expect("a key");
    (table, OwnerKey::generate().expect("a key"))
});

/// Seals `bytes` as a file of this name: an error, or a table with a good manifest. Best run with
/// `TMPDIR` in memory.
pub fn seal_bytes(name: &str, bytes: &[u8]) {
    let (table_key, owner) = &*KEYS;
    let dir = tempfile::tempdir().expect("a directory");
    let input = dir.path().join(name);
    std::fs::write(&input, bytes).expect("an input");
    let sealed = seal(SealRequest {
        inputs: vec![input],
        table: "t".into(),
        out_dir: dir.path().join("out"),
        kms: table_key,
        owner,
        options: SealOptions::default(),
        progress: &mut |_| {},
    });
    if let Ok(sealed) = sealed {
        let manifest = VerifiedManifest::open(&sealed.manifest_bytes, &owner.public(), None);
        assert!(manifest.is_ok());
    }
}
