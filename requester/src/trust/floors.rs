//! Numbers of vendors' documents that must not go back, kept in a file beside the trust file: what
//! one has come to trust belongs together.

use std::ffi::OsString;
use std::path::PathBuf;

use duckblind_attestation::appraise::Floors;

use super::file::Trust;
use crate::files::{self, FileError};

/// `trust.toml` has `trust.toml.floors.json`.
fn path(trust: &Trust) -> PathBuf {
    let mut name = OsString::from(trust.path());
    name.push(".floors.json");
    name.into()
}

/// The highest numbers seen so far. A file that does not parse is an error, not an empty one.
pub fn load(trust: &Trust) -> Result<Floors, FileError> {
    let path = path(trust);
    match files::read_text(&path) {
        Ok(text) => serde_json::from_str(&text).map_err(|_| FileError::Contents {
            path,
            wanted: "floors of revocation lists and TCB data",
        }),
        Err(FileError::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            Ok(Floors::default())
        }
        Err(error) => Err(error),
    }
}

/// Keeps what is higher than before. Two processes at once may lose a rise that the next
/// appraisal makes again; never do numbers go back by more than that.
pub fn keep(trust: &Trust, seen: &Floors) -> Result<(), FileError> {
    let path = path(trust);
    let mut floors = load(trust)?;
    floors.raise(seen);
    let text = serde_json::to_string_pretty(&floors)
        .map_err(|e| FileError::write(&path)(std::io::Error::other(e)))?;
    files::replace(&path, 0o600, format!("{text}\n").as_bytes())
}

#[cfg(all(test, feature = "simulator"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::testing::Scene;
    use duckblind_protocol::coded::Coded as _;
    use duckblind_protocol::ids::Digest;

    #[test]
    fn kept_beside_the_trust_file_and_never_lowered() {
        let dir = tempfile::tempdir().unwrap();
        let trust = Scene::good().trust(dir.path(), true);
        assert_eq!(load(&trust).unwrap(), Floors::default());
        let of = |number| Floors {
            crl_numbers: [(Digest::of(b"issuer"), number)].into(),
            ..Floors::default()
        };
        for (seen, kept) in [(4, 4), (3, 4), (5, 5)] {
            keep(&trust, &of(seen)).unwrap();
            assert_eq!(load(&trust).unwrap(), of(kept));
        }
        std::fs::write(dir.path().join("trust.toml.floors.json"), "{").unwrap();
        assert_eq!(load(&trust).unwrap_err().code(), "DB-REQ-006");
    }
}
