//! The only way to a manifest that can be used.

use std::ops::Deref;

use duckblind_protocol::ids::{Digest, PublicKey};
use serde::Deserialize;

use super::error::ManifestError;
use super::{MAX_MANIFEST, Manifest, Signed, VERSION, canonical};

/// A manifest whose digest (if asked for), form, owner, signature and content were all checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedManifest {
    manifest: Manifest,
    digest: Digest,
}

/// Enough of any version to name it.
#[derive(Deserialize)]
struct Versioned {
    v: u64,
}

impl VerifiedManifest {
    /// Checks the bytes of a `_sealed.json` against its owner and, if given, against the digest
    /// that was agreed on.
    pub fn open(
        bytes: &[u8],
        owner: &PublicKey,
        digest: Option<&Digest>,
    ) -> Result<Self, ManifestError> {
        if bytes.len() > MAX_MANIFEST {
            return Err(ManifestError::Size { got: bytes.len() });
        }
        let got = Digest::of(bytes);
        if let Some(expected) = digest
            && !expected.ct_eq(&got)
        {
            return Err(ManifestError::Digest {
                expected: *expected,
                got,
            });
        }
        let (manifest, signature) = parse(bytes)?.split();
        if manifest.owner != *owner {
            return Err(ManifestError::Owner {
                expected: *owner,
                got: manifest.owner,
            });
        }
        owner
            .verify(&manifest.signed_bytes()?, &signature)
            .map_err(|_| ManifestError::Signature)?;
        manifest.check()?;
        Ok(Self {
            manifest,
            digest: got,
        })
    }

    /// Reads the owner that a manifest names, to show it to a person. Nothing is verified.
    pub fn claimed_owner(bytes: &[u8]) -> Result<PublicKey, ManifestError> {
        if bytes.len() > MAX_MANIFEST {
            return Err(ManifestError::Size { got: bytes.len() });
        }
        parse(bytes).map(|signed| signed.owner)
    }

    /// The content.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// SHA-256 of the bytes.
    pub fn digest(&self) -> Digest {
        self.digest
    }
}

impl Deref for VerifiedManifest {
    type Target = Manifest;

    fn deref(&self) -> &Manifest {
        &self.manifest
    }
}

fn parse(bytes: &[u8]) -> Result<Signed, ManifestError> {
    let form = |error: &serde_json::Error| ManifestError::Form {
        at: Some((error.line(), error.column())),
    };
    let version = serde_json::from_slice::<Versioned>(bytes)
        .map_err(|error| form(&error))?
        .v;
    if version != u64::from(VERSION) {
        return Err(ManifestError::Version { got: version });
    }
    let signed: Signed = serde_json::from_slice(bytes).map_err(|error| form(&error))?;
    if canonical::encode(&signed)? != bytes {
        return Err(ManifestError::NotCanonical);
    }
    Ok(signed)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use duckblind_protocol::ids::FileId;
    use proptest::prelude::*;

    use super::*;
    use crate::keys::OwnerKey;
    use crate::manifest::{
        Algorithm, ColumnKey, Layout, ManifestAad, ManifestFile, SchemaField, WrappedKey,
    };

    pub(in crate::manifest) fn manifest(owner: &OwnerKey, files: u8) -> Manifest {
        Manifest {
            v: 1,
            table: "orders".into(),
            snapshot: 1,
            schema: vec![SchemaField {
                name: "größe \"x\"\n".into(),
                data_type: "Int64".into(),
                nullable: true,
            }],
            columns: vec![ColumnKey {
                path: "größe \"x\"\n".into(),
                key_id: Some("orders-v1".into()),
            }],
            layout: Layout::default(),
            files: (0..files)
                .map(|at| ManifestFile {
                    path: format!("part-{at}.parquet"),
                    size: 1000 + u64::from(at),
                    footer_digest: Digest::of(&[at]),
                    file_id: FileId::from_bytes([at; 16]),
                    algorithm: Algorithm::Gcm,
                    aad: ManifestAad::Derived,
                    version: None,
                    wrapped_keys: vec![WrappedKey {
                        key_id: "orders-v1".into(),
                        column: None,
                        wrapped: vec![at; 60],
                    }],
                    chunk_digests: BTreeMap::new(),
                })
                .collect(),
            owner: owner.public(),
            previous: None,
        }
    }

    fn signed(files: u8) -> (OwnerKey, Manifest, Vec<u8>) {
        let owner = OwnerKey::generate().unwrap();
        let manifest = manifest(&owner, files);
        let bytes = manifest.clone().sign(&owner).unwrap();
        (owner, manifest, bytes)
    }

    #[test]
    fn every_byte_counts() {
        let (owner, manifest, bytes) = signed(1);
        let digest = Digest::of(&bytes);
        let open = VerifiedManifest::open(&bytes, &owner.public(), Some(&digest)).unwrap();
        assert_eq!(open.manifest(), &manifest);
        assert_eq!(open.digest(), digest);
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << bit;
                assert!(
                    VerifiedManifest::open(&changed, &owner.public(), None).is_err(),
                    "byte {at}, bit {bit}"
                );
            }
        }
        for cut in 0..bytes.len() {
            assert!(VerifiedManifest::open(&bytes[..cut], &owner.public(), None).is_err());
        }
    }

    #[test]
    fn only_the_canonical_form() {
        let (owner, _, bytes) = signed(2);
        let text = String::from_utf8(bytes.clone()).unwrap();
        let pretty: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        for other in [
            format!("{text}\n"),
            format!(" {text}"),
            serde_json::to_string_pretty(&pretty).unwrap(),
            text.replacen("\"snapshot\":1", "\"snapshot\":1.0", 1),
            text.replacen("\"table\":\"orders\"", "\"table\":\"\\u006frders\"", 1),
            text.replacen("\"v\":1}", "\"v\":1,\"v\":1}", 1),
            text.replacen("\"v\":1}", "\"v\":1,\"w\":1}", 1),
            text.replacen("\"owner\":", "\"extra\":1,\"owner\":", 1),
            text.to_uppercase(),
        ] {
            assert_ne!(other, text);
            let error = VerifiedManifest::open(other.as_bytes(), &owner.public(), None);
            assert!(
                matches!(
                    error,
                    Err(ManifestError::NotCanonical | ManifestError::Form { .. })
                ),
                "{other}"
            );
        }
        let newer = text.replacen("\"v\":1}", "\"v\":2}", 1);
        assert_eq!(
            VerifiedManifest::open(newer.as_bytes(), &owner.public(), None),
            Err(ManifestError::Version { got: 2 })
        );
    }

    #[test]
    fn owner_digest_and_signature() {
        let (owner, _, bytes) = signed(1);
        let other = OwnerKey::generate().unwrap();
        assert!(matches!(
            VerifiedManifest::open(&bytes, &other.public(), None),
            Err(ManifestError::Owner { .. })
        ));
        assert!(matches!(
            VerifiedManifest::open(&bytes, &owner.public(), Some(&Digest::of(b""))),
            Err(ManifestError::Digest { .. })
        ));
        // Somebody else's signature over content that names the owner.
        let mut theirs = manifest(&other, 1);
        theirs.files[0].size += 1;
        let stolen = String::from_utf8(theirs.sign(&other).unwrap()).unwrap();
        let claimed = stolen.replace(&other.public().to_string(), &owner.public().to_string());
        assert_eq!(
            VerifiedManifest::open(claimed.as_bytes(), &owner.public(), None),
            Err(ManifestError::Signature)
        );
    }

    proptest! {
        #[test]
        fn round_trip(name in "\\PC{1,40}", snapshot in 1_u64.., size in 16_u64..1 << 60, files in 1_u8..20) {
            let owner = OwnerKey::generate().unwrap();
            let mut manifest = manifest(&owner, files);
            manifest.columns[0].path.clone_from(&name);
            manifest.schema[0].name = name;
            manifest.snapshot = snapshot;
            manifest.previous = (snapshot > 1).then(|| Digest::of(b"before"));
            manifest.files[0].size = size;
            let bytes = manifest.clone().sign(&owner).unwrap();
            let open = VerifiedManifest::open(&bytes, &owner.public(), None).unwrap();
            prop_assert_eq!(open.manifest(), &manifest);
        }

        #[test]
        fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let owner = PublicKey::from_bytes([3; 32]);
            prop_assert!(VerifiedManifest::open(&bytes, &owner, None).is_err());
        }
    }
}
