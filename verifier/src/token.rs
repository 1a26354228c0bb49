//! The operator's token: who knows it may enrol nodes.

use std::path::Path;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use duckblind_protocol::ids::{Digest, random_bytes};
use zeroize::Zeroizing;

use crate::error::VerifierError;
use crate::files;

/// What a token file starts with, so that it is not mistaken for another secret.
pub(crate) const PREFIX: &str = "duckblind-enrol:";
const TAG: &str = "duckblind/v1/enrolment-token";

/// An operator's token, kept as its digest only.
pub struct EnrolToken(Digest);

impl EnrolToken {
    /// Reads a token file (one line, mode 0600).
    pub fn read(path: &Path) -> Result<Self, VerifierError> {
        let text = files::read_secret(path)?;
        let line = text.trim();
        let fits = line
            .strip_prefix(PREFIX)
            .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()));
        if !fits {
            return Err(VerifierError::Key {
                path: path.into(),
                kind: "`duckblind-enrol:` and 64 hex digits",
            });
        }
        Ok(Self(digest(line)))
    }

    /// Whether `offered` is the token. Digests are compared, in constant time.
    pub fn admits(&self, offered: &str) -> bool {
        verify_slices_are_equal(self.0.as_bytes(), digest(offered.trim()).as_bytes()).is_ok()
    }
}

fn digest(token: &str) -> Digest {
    Digest::tagged(TAG, &[token.as_bytes()])
}

/// Writes a new token file, mode 0600.
pub fn create(path: &Path) -> Result<(), VerifierError> {
    let mut bytes = Zeroizing::new([0u8; 32]);
    random_bytes(bytes.as_mut_slice())?;
    let hex = Zeroizing::new(hex::encode(bytes.as_slice()));
    let line = Zeroizing::new(format!("{PREFIX}{}\n", hex.as_str()));
    files::create_new(path, 0o600, line.as_bytes())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_new_token_admits_itself_only() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (dir.path().join("one"), dir.path().join("two"));
        create(&one).unwrap();
        create(&two).unwrap();
        let token = EnrolToken::read(&one).unwrap();
        assert!(token.admits(&std::fs::read_to_string(&one).unwrap()));
        assert!(!token.admits(&std::fs::read_to_string(&two).unwrap()));
        assert!(!token.admits(""));
    }

    #[test]
    fn other_files_are_no_tokens() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t");
        files::create_new(&path, 0o600, b"\n").unwrap();
        assert!(EnrolToken::read(&path).is_err());
    }
}
