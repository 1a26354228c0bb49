//! What we seal is standard: pyarrow reads every variant of ours, and gets the rows that were sealed.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use duckblind_lake::keys::{OwnerKey, TableKey};
use duckblind_lake::manifest::{AadStorage, Layout, Manifest, ManifestFile, VerifiedManifest};
use duckblind_lake::seal::{Encryption, Rest, SealOptions, SealRequest, seal};
use duckblind_tests::plain::Plain;
use duckblind_tests::running;
use duckblind_tests::stack::path;

use crate::interop::{folder, python, run};

const MEMORY: u64 = 256 << 20;

/// The encryptions, with the columns that get a key of their own.
fn encryptions(shape: &str) -> [Encryption; 3] {
    let columns = if shape == "nested" {
        vec!["tags".to_owned(), "place.y".to_owned()]
    } else {
        vec!["word".to_owned(), "id".to_owned()]
    };
    [
        Encryption::Uniform,
        Encryption::Columns {
            columns: columns.clone(),
            rest: Rest::TableKey,
        },
        Encryption::Columns {
            columns,
            rest: Rest::Clear,
        },
    ]
}

#[test]
fn pyarrow_reads_every_variant_that_we_write() {
    let _test = running::test("interop ours");
    let dir = folder();
    run("pyarrow_matrix.py", &[path(dir.path()), "clear"]);
    for shape in ["flat", "nested", "empty", "large"] {
        let twin = dir.path().join(format!("{shape}.clear"));
        let input = dir.path().join(format!("{shape}.parquet"));
        std::fs::rename(&twin, &input).unwrap();
        for encryption in encryptions(shape) {
            for plaintext_footer in [false, true] {
                for aad in [AadStorage::Supplied, AadStorage::Stored, AadStorage::None] {
                    // pyarrow's key tools take no prefix, and its other reader no column keys.
                    if aad == AadStorage::Supplied && encryption != Encryption::Uniform {
                        continue;
                    }
                    let layout = Layout {
                        plaintext_footer,
                        aad,
                        ..Layout::default()
                    };
                    one(dir.path(), &input, &encryption, layout);
                }
            }
        }
    }
}

fn one(dir: &Path, input: &Path, encryption: &Encryption, layout: Layout) {
    let what = format!("{} {encryption:?} {layout:?}", input.display());
    let (table_key, owner) = (TableKey::generate().unwrap(), OwnerKey::generate().unwrap());
    let out = dir.join("sealed");
    let _ = std::fs::remove_dir_all(&out);
    let supplied = layout.aad == AadStorage::Supplied;
    let sealed = seal(SealRequest {
        inputs: vec![input.to_owned()],
        table: "t".into(),
        out_dir: out.clone(),
        kms: &table_key,
        owner: &owner,
        options: SealOptions {
            encryption: encryption.clone(),
            layout,
            ..SealOptions::default()
        },
        progress: &mut |_| {},
    })
    .unwrap_or_else(|error| panic!("{what}: {error:?}"));
    let manifest = VerifiedManifest::open(&sealed.manifest_bytes, &owner.public(), None).unwrap();
    let decrypted: Vec<PathBuf> = manifest
        .files
        .iter()
        .map(|file| {
            let clear = dir.join("decrypted.parquet");
            let mut job = keys(&manifest, file, &table_key, encryption, supplied);
            job["file"] = path(&out.join(&file.path)).into();
            job["out"] = path(&clear).into();
            decrypt(&job).unwrap_or_else(|error| panic!("{what}: {error}"));
            clear
        })
        .collect();
    let plain = Plain::open(1, MEMORY).unwrap();
    plain.add_table("ours", &decrypted).unwrap();
    plain.add_table("theirs", &[input.to_owned()]).unwrap();
    let columns = if path(input).contains("nested") {
        "id, tags::varchar as t, place::varchar as p, items::varchar as i"
    } else {
        "*"
    };
    let rows = |table: &str| {
        let answer = plain.answer(&format!("select {columns} from {table}"));
        answer.unwrap_or_else(|error| panic!("{what}: {error:?}"))
    };
    rows("ours")
        .must_equal(&rows("theirs"), &[])
        .unwrap_or_else(|error| panic!("{what}: {error}"));
}

/// What pyarrow has to know of a file.
fn keys(
    manifest: &Manifest,
    file: &ManifestFile,
    table_key: &TableKey,
    encryption: &Encryption,
    supplied: bool,
) -> serde_json::Value {
    let keys = manifest.file_keys(file, table_key, &mut |_| true).unwrap();
    let footer = hex::encode(keys.footer.as_ref().unwrap().expose());
    if *encryption == Encryption::Uniform {
        let prefix = duckblind_lake::aad_prefix("t", &file.file_id);
        let prefix = if supplied {
            hex::encode(prefix)
        } else {
            String::new()
        };
        return serde_json::json!({ "key": footer, "prefix": prefix });
    }
    let mut by_name = serde_json::Map::new();
    by_name.insert(format!("t-v1 {}", file.file_id), footer.into());
    for (column, key) in &keys.columns {
        let id = manifest.columns.iter().find(|c| c.path == *column);
        let id = id.unwrap().key_id.as_ref().unwrap();
        by_name.insert(
            format!("{id} {}", file.file_id),
            hex::encode(key.expose()).into(),
        );
    }
    serde_json::json!({ "keys": by_name })
}

fn decrypt(job: &serde_json::Value) -> Result<(), String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("suite/pyarrow_decrypt.py");
    let mut child = Command::new(python())
        .arg("-B")
        .arg(script)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("cannot start Python");
    let mut input = child.stdin.take().expect("piped");
    input.write_all(job.to_string().as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}
