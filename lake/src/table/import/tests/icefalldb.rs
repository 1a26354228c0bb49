//! Tables in IcefallDB's layout.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::icefall;
use super::*;

/// A table in IcefallDB's layout.
fn icefall_table() -> Made {
    let made = Made::keys_only();
    let kind = || {
        footer()
            .with_plaintext_footer(true)
            .with_column_key("w", FOOTER.to_vec())
            .with_aad_prefix(b"icefalldb:v1:events:1".to_vec())
            .with_aad_prefix_storage(true)
    };
    for (name, from) in [("rg_b", 0), ("rg_a", 500), ("rg_old", 9000)] {
        write(
            &made.dir().join(format!("{name}.parquet")),
            &rows(from),
            kind(),
        );
    }
    let text = serde_json::json!({
        "algorithm": "parquet-modular-encryption-v1", "footer_key_id": "events-v1",
        "column_key_ids": {"w": "events-v1:w"}, "plaintext_footer": true,
        "aad_prefix": STANDARD.encode("icefalldb:v1:events:1"),
    });
    fs::write(made.dir().join("_encryption.json"), text.to_string()).unwrap();
    fs::write(made.dir().join("_manifest.json"), "{\"latest\":12}").unwrap();
    fs::create_dir(made.dir().join("_manifests")).unwrap();
    listing(&made, &serde_json::json!({}));
    made
}

fn listing(made: &Made, more: &serde_json::Value) {
    let mut first = serde_json::json!({"data": "rg_b.parquet", "meta": "rg_b.meta"});
    for (name, value) in more.as_object().unwrap() {
        first[name] = value.clone();
    }
    let text = serde_json::json!({
        "format_version": 1, "sequence": 12, "schema_id": 1, "checksum": "sha256:00",
        "row_groups": [first, {"data": "rg_a.parquet", "meta": "rg_a.meta", "fragment_id": 3}],
    });
    fs::write(
        made.dir().join("_manifests/000000012.json"),
        text.to_string(),
    )
    .unwrap();
}

#[test]
fn a_table_of_icefalldb() {
    let made = icefall_table();
    let keys = foreign(&format!(
        "{{\"keys\":{{\"events-v1\":\"{0}\",\"events-v1:w\":\"{0}\"}}}}",
        hex::encode(FOOTER)
    ));
    let found = icefall(&made.dir(), &keys).unwrap();
    assert_eq!(found.files, ["rg_b.parquet", "rg_a.parquet"]);
    let done = import(&ImportRequest {
        dir: &made.dir(),
        table: &"t".parse().unwrap(),
        owner: &made.owner,
        kms: &made.keys,
        files: found.files,
        keys: &found.keys,
        aad_prefix: found.aad_prefix,
        own_keys: vec![],
    })
    .unwrap();
    assert_eq!((done.rows, done.clear), (1000, vec!["n".to_owned()]));
    let all = arrow::compute::concat_batches(&rows(0).schema(), &[rows(0), rows(500)]);
    assert_eq!(made.rows(&done.table), all.unwrap());
}

#[test]
fn tables_of_icefalldb_that_are_refused() {
    let keys = foreign("{}");
    let code = |made: &Made| icefall(&made.dir(), &keys).err().unwrap().code();
    let made = icefall_table();
    listing(
        &made,
        &serde_json::json!({"deletes": "x.del", "deleted_count": 1}),
    );
    assert_eq!(code(&made), "DB-LAK-103");
    listing(&made, &serde_json::json!({}));
    assert!(icefall(&made.dir(), &keys).is_ok());
    fs::create_dir(made.dir().join("_wal")).unwrap();
    assert!(icefall(&made.dir(), &keys).is_ok());
    fs::write(made.dir().join("_wal/1.log"), "").unwrap();
    assert_eq!(code(&made), "DB-LAK-103");
    for (name, text) in [
        ("_encryption.json", "{}"),
        (
            "_encryption.json",
            "{\"algorithm\":\"rot13\",\"footer_key_id\":\"x\"}",
        ),
        (
            "_encryption.json",
            "{\"algorithm\":\"parquet-modular-encryption-v1\",\"footer_key_id\":\"x\",\"aad_prefix\":\"?\"}",
        ),
        ("_manifest.json", "{\"latest\":-1}"),
        ("_manifest.json", "[]"),
        (
            "_manifests/000000012.json",
            "{\"format_version\":1,\"sequence\":11,\"row_groups\":[]}",
        ),
    ] {
        let made = icefall_table();
        fs::write(made.dir().join(name), text).unwrap();
        assert_eq!(code(&made), "DB-LAK-103", "{name}: {text}");
    }
    for path in ["../table/rg_b.parquet", "/etc/passwd", "a//b", ".rg"] {
        let made = icefall_table();
        listing(&made, &serde_json::json!({ "data": path }));
        let found = icefall(&made.dir(), &keys).unwrap();
        let error = import(&ImportRequest {
            dir: &made.dir(),
            table: &"t".parse().unwrap(),
            owner: &made.owner,
            kms: &made.keys,
            files: found.files,
            keys: &keys,
            aad_prefix: None,
            own_keys: vec![],
        });
        assert_eq!(error.err().unwrap().code(), "DB-LAK-103", "{path}");
    }
    let made = icefall_table();
    let (at, aside) = (made.dir().join("_manifest.json"), made.dir().join("aside"));
    fs::rename(&at, &aside).unwrap();
    std::os::unix::fs::symlink(&aside, &at).unwrap();
    assert_eq!(code(&made), "DB-LAK-091");
    let made = icefall_table();
    fs::remove_file(made.dir().join("_manifest.json")).unwrap();
    assert_eq!(code(&made), "DB-LAK-091");
}
