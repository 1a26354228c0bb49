//! New table keys.

use super::super::verify;
use super::*;
use crate::keys::{DataKey, KeyError, Kms, TableKey, WrapContext};
use crate::seal::{SealRequest, seal};

/// A key service with a form of its own for wrapped keys.
struct Service(TableKey);

const HEADER: &[u8; 100] = &[b'h'; 100];

impl Kms for Service {
    fn wrap(&self, context: &WrapContext<'_>, key: &DataKey) -> Result<Vec<u8>, KeyError> {
        Ok([HEADER.to_vec(), self.0.wrap(context, key)?].concat())
    }

    fn unwrap(&self, context: &WrapContext<'_>, wrapped: &[u8]) -> Result<DataKey, KeyError> {
        let wrapped = wrapped.strip_prefix(HEADER).ok_or(KeyError::Unwrap {
            id: context.key_id.into(),
        })?;
        self.0.unwrap(context, wrapped)
    }
}

#[test]
fn a_key_service_wraps_in_its_own_form() {
    let made = made();
    let (dir, service) = (
        made.dir().join("other"),
        Service(TableKey::generate().unwrap()),
    );
    let input = made.dir().join("rows.jsonl");
    fs::write(&input, ONE).unwrap();
    seal(SealRequest {
        inputs: vec![input],
        table: "t".into(),
        out_dir: dir.clone(),
        kms: &service,
        owner: &made.owner,
        options: SealOptions::default(),
        progress: &mut |_| {},
    })
    .unwrap();
    let table = Table::open(&dir, &made.owner.public(), At::Current).unwrap();
    let rotated = rotate_keys(&table, &made.owner, &service).unwrap();
    let mut reports = verify(&rotated, &service, &mut |_| {}).into_iter();
    assert!(reports.next().unwrap().is_whole() && reports.next().is_none());
    // The key alone does not know the form.
    assert!(!verify(&rotated, &service.0, &mut |_| {})[0].is_whole());
}

#[test]
fn rotation_wraps_anew_and_touches_no_data() {
    let made = made();
    let first = made.open(At::Current);
    let rows = made.rows(&first);
    let data: Vec<_> = made
        .tree()
        .into_iter()
        .filter(|(path, _)| path.extension().unwrap() == "parquet")
        .collect();
    let second = rotate_keys(&made.dir(), &made.owner, &made.keys).unwrap();
    assert_eq!(second.manifest().key_version(), 2);
    assert_eq!(
        second.manifest().key_ids().into_iter().collect::<Vec<_>>(),
        ["t-v2"]
    );
    assert_eq!(made.rows(&second), rows);
    // The old snapshot opens with the old key.
    assert_eq!(made.rows(&made.open(At::Snapshot(1))), rows);
    let tree = made.tree();
    assert!(
        data.iter()
            .all(|(path, bytes)| tree.get(path) == Some(bytes))
    );
    for (old, new) in first.manifest().files.iter().zip(&second.manifest().files) {
        assert_ne!(old.wrapped_keys[0].wrapped, new.wrapped_keys[0].wrapped);
        assert_eq!(
            (&old.path, old.size, old.footer_digest),
            (&new.path, new.size, new.footer_digest)
        );
    }
}

#[test]
fn a_table_that_was_read_is_the_one_that_is_changed() {
    let made = made();
    let first = made.open(At::Current);
    rotate_keys(&made.dir(), &made.owner, &made.keys).unwrap();
    let before = made.tree();
    let changed = rotate_keys(&first, &made.owner, &made.keys);
    assert_eq!(code(changed), "DB-LAK-093");
    let changed = expire(&first, &made.owner, 1).err().unwrap();
    assert_eq!(changed.code(), "DB-LAK-093");
    assert_eq!(made.tree(), before);

    let second = made.open(At::Current);
    let third = rotate_keys(&second, &made.owner, &made.keys).unwrap();
    for known in [&first, &second, &third] {
        let number = known.manifest().snapshot;
        let digest = third.digest_of(number).unwrap();
        assert_eq!(digest, Some(known.manifest().digest()));
    }
    assert_eq!(third.digest_of(0).unwrap(), None);
    assert_eq!(third.digest_of(4).unwrap(), None);
    // The third names the second, whose manifest is gone; nothing names the first then.
    expire(&third, &made.owner, 1).unwrap();
    let digest = third.digest_of(2).unwrap();
    assert_eq!(digest, Some(second.manifest().digest()));
    assert_eq!(third.digest_of(1).unwrap(), None);
}

#[test]
fn rotations_that_are_refused_leave_the_table() {
    let made = made();
    let before = made.tree();
    let keys = |edit: &dyn Fn(&mut KeyFile, String)| {
        let dir = tempfile::tempdir().unwrap();
        let mut file = KeyFile::load_or_empty(&dir.path().join("keys.json")).unwrap();
        let old = made.keys.table_key("t-v1").unwrap();
        edit(&mut file, old.to_hex().to_string());
        rotate_keys(&made.dir(), &made.owner, &KeyProvider::new([file]))
    };
    let key = |hex: &str| crate::keys::TableKey::from_hex(hex).unwrap();
    // No new key; the old one again; another old one.
    let error = keys(&|file, old| file.insert("t-v1", key(&old)).unwrap())
        .err()
        .unwrap();
    assert_eq!(error.code(), "DB-LAK-004");
    assert!(error.to_string().contains("t-v2"));
    let same = keys(&|file, old| {
        file.insert("t-v1", key(&old)).unwrap();
        file.insert("t-v2", key(&old)).unwrap();
    });
    assert_eq!(code(same), "DB-LAK-011");
    let wrong = keys(&|file, _| {
        file.generate(&[KeyId::of_table("t", 1), KeyId::of_table("t", 2)])
            .unwrap();
    });
    assert_eq!(code(wrong), "DB-LAK-006");
    assert_eq!(made.tree(), before);
}
