//! One file that brings collateral to a machine without a network: canonical CBOR of
//! [`Endorsements`], as evidence carries them.

use std::path::Path;

use duckblind_attestation::evidence::{Endorsements, MAX_COLLATERAL};

use crate::error::CollateralError;
use crate::files;

/// Reads a bundle of at most [`MAX_COLLATERAL`] bytes. Nothing in it is checked: it is used as if
/// evidence had carried it.
pub fn read_bundle(path: &Path) -> Result<Endorsements, CollateralError> {
    let bytes = files::read(path, MAX_COLLATERAL).map_err(|e| unusable(path, &e))?;
    Endorsements::decode(&bytes).map_err(|e| CollateralError::BundleContents {
        path: path.to_owned(),
        reason: e.to_string(),
    })
}

/// Writes a bundle, mode 0600, replacing what was there in one step.
pub fn write_bundle(path: &Path, endorsements: &Endorsements) -> Result<(), CollateralError> {
    let bytes = endorsements.encode();
    if bytes.len() > MAX_COLLATERAL {
        return Err(CollateralError::BundleContents {
            path: path.to_owned(),
            reason: format!("{} bytes, more than {MAX_COLLATERAL}", bytes.len()),
        });
    }
    files::write(path, &bytes).map_err(|e| unusable(path, &e))
}

fn unusable(path: &Path, error: &std::io::Error) -> CollateralError {
    CollateralError::BundleFile {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_caps() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("bundle");
        let mut endorsements = Endorsements {
            crl: Some(vec![7; 100]),
            ..Endorsements::default()
        };
        write_bundle(&path, &endorsements).unwrap();
        assert_eq!(read_bundle(&path).unwrap(), endorsements);
        endorsements.ark = Some(vec![0; MAX_COLLATERAL]);
        assert!(matches!(
            write_bundle(&path, &endorsements),
            Err(CollateralError::BundleContents { .. })
        ));
        std::fs::write(&path, vec![0; MAX_COLLATERAL + 1]).unwrap();
        assert!(matches!(
            read_bundle(&path),
            Err(CollateralError::BundleFile { .. })
        ));
        std::fs::write(&path, b"\xa1\x04").unwrap();
        assert!(matches!(
            read_bundle(&path),
            Err(CollateralError::BundleContents { .. })
        ));
        assert!(read_bundle(&directory.path().join("none")).is_err());
    }
}
