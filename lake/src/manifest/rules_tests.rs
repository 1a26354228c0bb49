//! Every rule, broken in turn by an owner who signs it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use duckblind_protocol::ids::Digest;

use super::verified::tests::manifest;
use super::{
    Algorithm, ChunkDigests, ColumnKey, Manifest, ManifestAad, ManifestError, SchemaField,
    VerifiedManifest, WrappedKey,
};
use crate::keys::OwnerKey;

/// Two files; `secret` with a key of its own, `open` in the clear, the rest under the table's key.
fn rich(owner: &OwnerKey) -> Manifest {
    let mut manifest = manifest(owner, 2);
    manifest.snapshot = 3;
    manifest.previous = Some(Digest::of(b"2"));
    for (name, key_id) in [
        ("secret", Some("orders-v1:secret")),
        ("open", None),
        ("day", Some("orders-v1")),
        ("a.b", None),
    ] {
        manifest.schema.push(SchemaField {
            name: name.into(),
            data_type: "Utf8".into(),
            nullable: true,
        });
        manifest.columns.push(ColumnKey {
            path: name.into(),
            key_id: key_id.map(str::to_owned),
        });
    }
    manifest.schema.push(SchemaField {
        name: "list".into(),
        data_type: "List".into(),
        nullable: true,
    });
    manifest.columns.push(ColumnKey {
        path: "list.list.element".into(),
        key_id: Some("orders-v1:list.list.element".into()),
    });
    manifest.layout.partition_by = vec!["day".into(), "open".into()];
    manifest.layout.sort_by = vec!["secret".into(), "list".into()];
    for file in &mut manifest.files {
        file.wrapped_keys.push(WrappedKey {
            key_id: "orders-v1:secret".into(),
            column: Some("secret".into()),
            wrapped: vec![1; 44],
        });
        file.version = Some("\"etag 1\"".into());
        let digests = ChunkDigests(vec![Digest::of(b"chunk"); 3]);
        file.chunk_digests.insert("open".into(), digests.clone());
        file.chunk_digests.insert("a.b".into(), digests);
    }
    // A file from elsewhere: a data key for one column, and yet under the table's key.
    manifest.files[1].wrapped_keys.push(WrappedKey {
        key_id: "orders-v1".into(),
        column: Some("day".into()),
        wrapped: vec![2; 52],
    });
    manifest.files[1].algorithm = Algorithm::GcmCtr;
    let digests = manifest.files[1].chunk_digests["open"].clone();
    manifest.files[1]
        .chunk_digests
        .insert("secret".into(), digests);
    manifest.files[1].aad = ManifestAad::Given(vec![7; 256]);
    manifest.files[0].path = "day=a%20b/part.parquet".into();
    manifest
}

#[test]
fn each_rule_broken_in_turn() {
    let owner = OwnerKey::generate().unwrap();
    let good = rich(&owner);
    let bytes = good.clone().sign(&owner).unwrap();
    let open = VerifiedManifest::open(&bytes, &owner.public(), None).unwrap();
    assert_eq!(open.manifest(), &good);
    assert_eq!(
        open.key_ids().into_iter().collect::<Vec<_>>(),
        [
            "orders-v1",
            "orders-v1:list.list.element",
            "orders-v1:secret"
        ]
    );
    assert_eq!(open.key_version(), 1);

    let breakers: &[fn(&mut Manifest)] = &[
        |m| m.table = "a/b".into(),
        |m| m.snapshot = 0,
        |m| m.snapshot = 1,
        |m| m.previous = None,
        |m| m.files.clear(),
        |m| m.schema.clear(),
        |m| m.columns.clear(),
        |m| m.schema[1].name = m.schema[2].name.clone(),
        |m| {
            let mut field = m.schema[0].clone();
            field.name = "DAY".into();
            m.schema.push(field);
        },
        |m| {
            let mut leaf = m.columns[5].clone();
            leaf.path = "list.LIST.element".into();
            leaf.key_id = None;
            m.columns.push(leaf);
        },
        |m| m.schema[1].name = "n".repeat(5000),
        |m| m.schema[1].data_type = "n".repeat((1 << 20) + 1),
        |m| m.columns[1].path = "nowhere".into(),
        |m| m.columns[1].path = m.columns[2].path.clone(),
        |m| m.columns[1].path = "list.".repeat(1000),
        |m| m.columns[5].path = "lis.list.element".into(),
        |m| m.columns[0].key_id = Some("parts-v1".into()),
        |m| m.columns[0].key_id = Some("orders".into()),
        |m| m.columns[0].key_id = Some("orders-v2".into()),
        |m| m.columns[0].key_id = Some("orders-v1:secret".into()),
        |m| m.columns[1].key_id = Some("orders-v1".into()),
        |m| m.columns[1].key_id = None,
        |m| m.columns[2].key_id = Some("orders-v1".into()),
        |m| m.layout.partition_by[0] = "week".into(),
        |m| m.layout.partition_by[0] = "open".into(),
        |m| m.layout.partition_by[0] = "secret".into(),
        |m| m.layout.partition_by[0] = "list".into(),
        |m| m.layout.sort_by[0] = "nowhere".into(),
        |m| m.layout.sort_by[0] = "list".into(),
        |m| m.files[0].path = "../x".into(),
        |m| m.files[0].path = "a".repeat(256),
        |m| m.files[0].path = m.files[1].path.clone(),
        |m| m.files[0].file_id = m.files[1].file_id,
        |m| m.files[0].size = 15,
        |m| m.files[0].size = 1 << 63,
        |m| m.files[0].aad = ManifestAad::Given(vec![]),
        |m| m.files[0].aad = ManifestAad::Given(vec![0; 257]),
        |m| m.files[0].version = Some(String::new()),
        |m| m.files[0].version = Some("v".repeat(257)),
        |m| m.files[0].version = Some("a\nb".into()),
        |m| m.files[0].version = Some("ä".into()),
        |m| m.files[0].wrapped_keys.clear(),
        |m| m.files[0].wrapped_keys.remove(0).wrapped.clear(),
        |m| m.files[0].wrapped_keys[0].wrapped.truncate(10),
        |m| m.files[0].wrapped_keys[0].wrapped.resize(1025, 0),
        |m| m.files[0].wrapped_keys[0].key_id = "parts-v1".into(),
        |m| m.files[0].wrapped_keys[0].key_id = "orders-v2".into(),
        |m| m.files[0].wrapped_keys[0].key_id = "orders-v1:secret".into(),
        |m| m.files[0].wrapped_keys[1].key_id = "orders-v1".into(),
        |m| m.files[0].wrapped_keys[1].key_id = "orders-v1:list.list.element".into(),
        |m| m.files[0].wrapped_keys[1].column = Some("open".into()),
        |m| m.files[0].wrapped_keys[1].column = Some("day".into()),
        |m| {
            m.files[0].wrapped_keys[1].column = Some("open".into());
            m.files[0].wrapped_keys[1].key_id = "orders-v1".into();
        },
        |m| m.files[0].wrapped_keys[1].column = Some("nowhere".into()),
        |m| m.files[0].wrapped_keys[1].column = None,
        |m| {
            let again = m.files[0].wrapped_keys[1].clone();
            m.files[0].wrapped_keys.push(again);
        },
        |m| {
            let digests = m.files[0].chunk_digests["open"].clone();
            m.files[0].chunk_digests.insert("secret".into(), digests);
        },
        |m| {
            let digests = m.files[0].chunk_digests["open"].clone();
            m.files[1].chunk_digests.insert("nowhere".into(), digests);
        },
        |m| {
            let digests = m.files[0].chunk_digests.get_mut("open").unwrap();
            digests.0.pop();
        },
        |m| {
            for digests in m.files[0].chunk_digests.values_mut() {
                digests.0.resize(32_768, Digest::of(b""));
            }
        },
        |m| {
            // Three versions that agree with one another file by file.
            m.files[1].wrapped_keys.truncate(1);
            m.files[1].wrapped_keys[0].key_id = "orders-v3".into();
        },
        |m| {
            let file = m.files[0].clone();
            m.files = vec![file; 65_537];
        },
    ];
    for (at, breaker) in breakers.iter().enumerate() {
        let mut broken = good.clone();
        breaker(&mut broken);
        assert_ne!(broken, good, "breaker {at} does nothing");
        assert!(
            matches!(broken.sign(&owner), Err(ManifestError::Content(_))),
            "breaker {at}"
        );
    }
}

#[test]
fn nothing_is_larger_than_the_cap() {
    let owner = OwnerKey::generate().unwrap();
    let mut large = rich(&owner);
    let file = large.files[0].clone();
    large.files = (0..65_000_u32)
        .map(|at| {
            let mut file = file.clone();
            file.path = format!("{}/{at}", ["d".repeat(200).as_str(); 5].join("/"));
            let id = u128::from(at).to_be_bytes();
            file.file_id = duckblind_protocol::ids::FileId::from_bytes(id);
            file
        })
        .collect();
    assert!(matches!(
        large.sign(&owner),
        Err(ManifestError::Size { .. })
    ));
}
