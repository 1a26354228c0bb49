//! A small sealed table.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use duckblind_lake::keys::{OwnerKey, TableKey};
use duckblind_lake::manifest::VerifiedManifest;
use duckblind_lake::seal::{Encryption, Rest, SealOptions, SealRequest, seal};
use duckblind_protocol::body::{FileKey, QueryInput, SecretBytes};
use duckblind_protocol::ids::Digest;
use duckblind_protocol::order::{OrderFile, OrderInput, Provider};

use crate::process::Place;

/// Rows of [`numbers`].
pub(crate) const ROWS: u64 = 1000;

pub(crate) struct Table {
    pub(crate) input: (OrderInput, QueryInput),
    pub(crate) file: PathBuf,
}

/// Seals `numbers(n, text)` into the enclave's storage.
pub(crate) fn numbers(place: &Place) -> Table {
    named(place, "numbers")
}

pub(crate) fn named(place: &Place, name: &str) -> Table {
    with(place, name, SealOptions::default())
}

/// The same table with a key of its own for column `text`, and `n` in the clear.
pub(crate) fn with_column_key(place: &Place, name: &str) -> Table {
    let encryption = Encryption::Columns {
        columns: vec!["text".into()],
        rest: Rest::Clear,
    };
    let options = SealOptions {
        encryption,
        ..SealOptions::default()
    };
    with(place, name, options)
}

fn with(place: &Place, name: &str, options: SealOptions) -> Table {
    let csv = place.path(&format!("{name}.csv"));
    let mut text = String::from("n,text\n");
    for n in 0..ROWS {
        writeln!(text, "{n},row {n}").unwrap();
    }
    fs::write(&csv, text).unwrap();
    let owner = OwnerKey::generate().unwrap();
    let table_key = TableKey::generate().unwrap();
    let out = place.path("tables").join(name);
    let sealed = seal(SealRequest {
        inputs: vec![csv],
        table: name.into(),
        out_dir: out.clone(),
        kms: &table_key,
        owner: &owner,
        options,
        progress: &mut |_| {},
    })
    .unwrap();
    let bytes = sealed.manifest_bytes;
    let manifest = VerifiedManifest::open(&bytes, &owner.public(), None).unwrap();
    let keys = manifest.files.iter().flat_map(|file| {
        let keys = manifest.file_keys(file, &table_key, &mut |_| true).unwrap();
        let footer = keys.footer.into_iter().map(|key| (None, key));
        let columns = keys.columns.into_iter();
        footer
            .chain(columns.map(|(path, key)| (Some(path), key)))
            .map(|(column, key)| FileKey {
                file: file.file_id,
                column,
                key: SecretBytes::new(key.expose().to_vec()),
            })
            .collect::<Vec<_>>()
    });
    let query = QueryInput {
        name: name.into(),
        owner: owner.public(),
        keys: keys.collect(),
        accept_unauthenticated: Vec::new(),
        manifest: bytes.clone(),
    };
    let files = manifest.files.iter().map(|file| OrderFile {
        path: file.path.clone(),
        size: file.size,
    });
    let order = OrderInput {
        name: name.into(),
        provider: Provider::LocalFake,
        location: name.into(),
        manifest: Digest::of(&bytes),
        snapshot: manifest.snapshot,
        files: files.collect(),
    };
    Table {
        file: out.join(&manifest.files[0].path),
        input: (order, query),
    }
}
