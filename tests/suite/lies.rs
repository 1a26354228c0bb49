//! A manifest that its owner signed and that lies all the same: by mistake, or by a stolen key. The files speak for
//! themselves: an error or the rows that were sealed, never others.

use std::fs;
use std::path::Path;

use duckblind_lake::keys::{OwnerKey, TableKey};
use duckblind_lake::manifest::{Algorithm, Manifest, ManifestAad, VerifiedManifest};
use duckblind_lake::seal::{Encryption, Rest, SealOptions, SealRequest, seal};
use duckblind_lake::sealed_file::{LocalFile, SealedFile};
use duckblind_protocol::ids::{Digest, FileId};
use duckblind_tests::rows::Answer;
use duckblind_tests::running;
use duckblind_tests::sealed::{answer, engine};

use crate::interop::folder;

struct Sealed {
    table_key: TableKey,
    owner: OwnerKey,
    manifest: Manifest,
}

/// Two files of table `t`, of which `n` is in the clear, `word` has a key of its own.
fn sealed(dir: &Path) -> Sealed {
    let (table_key, owner) = (TableKey::generate().unwrap(), OwnerKey::generate().unwrap());
    let mut manifests = Vec::new();
    for number in 0..2 {
        let csv = dir.join(format!("{number}.csv"));
        fs::write(&csv, format!("n,word\n{number},w{number}\n")).unwrap();
        let out = dir.join(format!("t{number}"));
        let sealed = seal(SealRequest {
            inputs: vec![csv],
            table: "t".into(),
            out_dir: out.clone(),
            kms: &table_key,
            owner: &owner,
            options: SealOptions {
                encryption: Encryption::Columns {
                    columns: vec!["word".into()],
                    rest: Rest::Clear,
                },
                ..SealOptions::default()
            },
            progress: &mut |_| {},
        })
        .unwrap();
        let verified = VerifiedManifest::open(&sealed.manifest_bytes, &owner.public(), None);
        let manifest = Manifest::clone(&verified.unwrap());
        for file in &manifest.files {
            fs::rename(out.join(&file.path), dir.join(&file.path)).unwrap();
        }
        manifests.push(manifest);
    }
    let second = manifests.pop().unwrap();
    let mut manifest = manifests.pop().unwrap();
    manifest.files.extend(second.files);
    Sealed {
        table_key,
        owner,
        manifest,
    }
}

impl Sealed {
    /// The rows, by whatever error they cannot be had.
    fn read(&self, dir: &Path, manifest: Manifest) -> anyhow::Result<Answer> {
        let bytes = manifest.sign(&self.owner)?;
        let manifest = VerifiedManifest::open(&bytes, &self.owner.public(), None)?;
        let mut files = Vec::new();
        for file in &manifest.files {
            let keys = manifest.file_keys(file, &self.table_key, &mut |_| true)?;
            let source = LocalFile::new(fs::File::open(dir.join(&file.path))?)?;
            let spec = manifest.file_spec(file, keys);
            files.push(SealedFile::open(std::sync::Arc::new(source), spec)?);
        }
        let mut engine = engine(1, 256 << 20)?;
        engine.add_table("t", files)?;
        answer(&engine, "select n, word from t")
    }
}

/// What is changed before the owner signs.
type Lie = fn(&mut Manifest);

#[test]
fn signed_lies() {
    let _test = running::test("signed lies");
    let dir = folder();
    let truth = sealed(dir.path());
    let right = truth.read(dir.path(), truth.manifest.clone()).unwrap();
    assert_eq!(right.rows.len(), 2);

    let lies: [(&str, Lie); 16] = [
        ("size", |m| m.files[0].size += 1),
        ("footer digest", |m| {
            m.files[0].footer_digest = Digest::of(b"x")
        }),
        ("file id", |m| {
            m.files[0].file_id = FileId::random().unwrap()
        }),
        ("algorithm", |m| m.files[0].algorithm = Algorithm::GcmCtr),
        ("no prefix", |m| m.files[0].aad = ManifestAad::None),
        ("another prefix", |m| {
            m.files[0].aad = ManifestAad::Given(b"x".to_vec())
        }),
        ("another table", |m| m.table = "u".into()),
        ("files exchanged", |m| {
            let (a, b) = (m.files[0].path.clone(), m.files[1].path.clone());
            (m.files[0].path, m.files[1].path) = (b, a);
        }),
        ("keys exchanged", |m| {
            let [first, second] = m.files.as_mut_slice() else {
                unreachable!("two files")
            };
            std::mem::swap(&mut first.wrapped_keys, &mut second.wrapped_keys);
        }),
        ("keys of two columns exchanged", |m| {
            let keys = &mut m.files[0].wrapped_keys;
            let first = keys[0].wrapped.clone();
            keys[0].wrapped = keys[1].wrapped.clone();
            keys[1].wrapped = first;
        }),
        ("a file twice", |m| m.files.push(m.files[0].clone())),
        ("a path upwards", |m| {
            m.files[0].path = format!("../{}", m.files[0].path)
        }),
        ("an absolute path", |m| {
            m.files[0].path = format!("/{}", m.files[0].path)
        }),
        ("digests exchanged", |m| {
            let [first, second] = m.files.as_mut_slice() else {
                unreachable!("two files")
            };
            std::mem::swap(&mut first.chunk_digests, &mut second.chunk_digests);
        }),
        ("no digests", |m| m.files[0].chunk_digests.clear()),
        ("nothing in the clear", |m| {
            for column in &mut m.columns {
                column.key_id = Some("t-v1".into());
            }
        }),
    ];
    for (what, lie) in lies {
        let mut manifest = truth.manifest.clone();
        lie(&mut manifest);
        assert_ne!(manifest, truth.manifest, "{what} is the truth");
        let read = truth.read(dir.path(), manifest);
        assert!(read.is_err(), "believed: {what}: {:?}", read.unwrap());
    }
}
