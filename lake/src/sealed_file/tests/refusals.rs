//! Files that are whole but not what was asked for: each has an error of its own.

use std::sync::Arc;

use super::super::testing::{KEY, Make, PREFIX, rows, spec, write};
use super::super::{AadPrefix, LakeError, SealedFile};

#[test]
fn prefixes_must_agree() {
    let stored = Make {
        store: true,
        ..Make::default()
    };
    let supplied = Make::default();
    let without = Make {
        prefix: None,
        ..Make::default()
    };
    let open =
        |file: Vec<u8>, prefix| SealedFile::open(Arc::new(file), spec(&KEY, prefix)).map(drop);
    let ours = || AadPrefix::Supplied(PREFIX.to_vec());
    let other = || AadPrefix::Supplied(b"other".to_vec());
    let batch = rows(10);
    assert_eq!(open(stored.file(&batch), ours()), Ok(()));
    assert_eq!(open(stored.file(&batch), AadPrefix::Stored), Ok(()));
    assert!(matches!(
        open(stored.file(&batch), other()),
        Err(LakeError::AadPrefix(_))
    ));
    assert!(matches!(
        open(stored.file(&batch), AadPrefix::None),
        Err(LakeError::AadPrefix(_))
    ));
    assert!(matches!(
        open(supplied.file(&batch), AadPrefix::Stored),
        Err(LakeError::AadPrefix(_))
    ));
    assert!(matches!(
        open(supplied.file(&batch), AadPrefix::None),
        Err(LakeError::AadPrefix(_))
    ));
    assert!(matches!(
        open(supplied.file(&batch), other()),
        Err(LakeError::KeyWrong { .. })
    ));
    assert!(matches!(
        open(without.file(&batch), ours()),
        Err(LakeError::AadPrefix(_))
    ));
    assert_eq!(open(without.file(&batch), AadPrefix::None), Ok(()));
}

#[test]
fn wrong_key_digest_and_downgrades_have_their_own_errors() {
    let make = Make::default();
    let batch = rows(50);
    let file = make.file(&batch);
    let open = |file: Vec<u8>| make.open(file).unwrap_err();

    let wrong =
        SealedFile::open(Arc::new(file.clone()), spec(&[8; 32], make.aad_prefix())).unwrap_err();
    assert_eq!(
        wrong,
        LakeError::KeyWrong {
            key: "orders-v1".into()
        }
    );

    let mut with_digest = spec(&KEY, make.aad_prefix());
    with_digest.footer_digest = Some(duckblind_protocol::ids::Digest::of(b"other"));
    let error = SealedFile::open(Arc::new(file), with_digest).unwrap_err();
    assert!(matches!(error, LakeError::FooterDigest { .. }));

    assert_eq!(
        open(write(&batch, make.properties().build())),
        LakeError::Plaintext
    );
    // One column with a key leaves the others in the clear.
    let partly = make
        .encryption()
        .with_column_key("flag", KEY.to_vec())
        .build()
        .unwrap();
    let partly = write(
        &batch,
        make.properties()
            .with_file_encryption_properties(partly)
            .build(),
    );
    assert_eq!(open(partly), LakeError::ColumnClear("id".into()));

    for junk in [&b""[..], b"PAR1", b"PAREPARE", &[0; 100]] {
        assert_eq!(open(junk.to_vec()), LakeError::NotParquet);
    }
}
