//! Answers of vendors on disk. What is in a file is believed no more than what comes over the
//! network: it goes through the same checks. Files that fail them are removed.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use duckblind_protocol::cbor;
use duckblind_protocol::ids::{Digest, UnixTime};
use minicbor::{Decode, Encode};

use crate::error::CollateralError;
use crate::files;
use crate::item::{Answer, Key};

/// Bytes that a file may have: the largest answer, and some.
const MAX_FILE: usize = 128 * 1024;
const VERSION: u8 = 1;

/// How much the cache may hold. Beyond, the files written longest ago go first.
#[derive(Clone, Copy, Debug)]
pub struct CacheLimits {
    /// Files.
    pub files: usize,
    /// Bytes in all files.
    pub bytes: u64,
}

impl Default for CacheLimits {
    fn default() -> Self {
        Self {
            files: 4096,
            bytes: 64 << 20,
        }
    }
}

/// An answer and when it came.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) answer: Answer,
    pub(crate) fetched: UnixTime,
}

/// A file, after a digest of these bytes.
#[derive(Encode, Decode)]
#[cbor(map)]
struct FileBody {
    #[n(1)]
    v: u8,
    /// Of the key: a file under another's name is not used.
    #[n(2)]
    key: Digest,
    #[n(3)]
    fetched: UnixTime,
    #[n(4)]
    #[cbor(with = "minicbor::bytes")]
    body: Vec<u8>,
    #[n(5)]
    issuer_chain: Option<String>,
}

/// A directory that belongs to this user alone.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    directory: Arc<Path>,
    limits: CacheLimits,
}

impl Cache {
    /// Makes the directory, mode 0700, or takes one that is closed to others.
    pub(crate) fn open(directory: &Path, limits: CacheLimits) -> Result<Self, CollateralError> {
        let unusable = |e: io::Error| CollateralError::Cache {
            path: directory.to_owned(),
            reason: e.to_string(),
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(unusable)?;
        let mode = fs::metadata(directory).map_err(unusable)?.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(CollateralError::CacheMode {
                path: directory.to_owned(),
                mode,
            });
        }
        Ok(Self {
            directory: directory.into(),
            limits,
        })
    }

    /// What is kept under `key`.
    pub(crate) async fn load(&self, key: Key) -> Option<Stored> {
        let path = self.path(key);
        blocking(move || load(&path, key)).await?
    }

    /// Keeps an answer. That it cannot be kept is no reason not to use it.
    pub(crate) async fn store(&self, key: Key, stored: Stored) {
        let (cache, path) = (self.clone(), self.path(key));
        let written = blocking(move || {
            files::write(&path, &encode(key, stored))?;
            cache.evict()
        });
        if let Some(Err(error)) = written.await {
            tracing::warn!(kind = key.kind, %error, "collateral cannot be kept on disk");
        }
    }

    /// Forgets what turned out to be unusable.
    pub(crate) async fn remove(&self, key: Key) {
        let path = self.path(key);
        blocking(move || remove(&path, key)).await;
    }

    fn path(&self, key: Key) -> PathBuf {
        self.directory.join(format!("{}-{}", key.kind, key.digest))
    }

    /// Down to the limits. Half-written files of a process that died count and go like others.
    fn evict(&self) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let meta = entry.metadata()?;
            if meta.is_file() {
                files.push((meta.mtime(), meta.mtime_nsec(), meta.len(), entry.path()));
            }
        }
        files.sort();
        let mut bytes: u64 = files.iter().map(|(_, _, len, _)| len).sum();
        let mut count = files.len();
        for (_, _, len, path) in &files {
            if count <= self.limits.files && bytes <= self.limits.bytes {
                break;
            }
            fs::remove_file(path)?;
            count -= 1;
            bytes -= len;
        }
        Ok(())
    }
}

/// File work off the threads that serve the network; `None` only when the runtime shuts down.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}

fn load(path: &Path, key: Key) -> Option<Stored> {
    let bytes = match files::read(path, MAX_FILE) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return None,
        Err(_) => {
            remove(path, key);
            return None;
        }
    };
    let stored = decode(key, &bytes);
    if stored.is_none() {
        remove(path, key);
    }
    stored
}

fn remove(path: &Path, key: Key) {
    tracing::warn!(
        kind = key.kind,
        "a kept piece of collateral is damaged and is removed"
    );
    // If it stays, it is found damaged again.
    let _ = fs::remove_file(path);
}

fn encode(key: Key, stored: Stored) -> Vec<u8> {
    let body = cbor::encode(&FileBody {
        v: VERSION,
        key: key.digest,
        fetched: stored.fetched,
        body: stored.answer.body,
        issuer_chain: stored.answer.issuer_chain,
    });
    [Digest::of(&body).as_bytes(), body.as_slice()].concat()
}

fn decode(key: Key, bytes: &[u8]) -> Option<Stored> {
    let (digest, body) = bytes.split_first_chunk::<{ Digest::LEN }>()?;
    if Digest::of(body) != Digest::from_bytes(*digest) {
        return None;
    }
    let file: FileBody = cbor::decode(body, MAX_FILE).ok()?;
    (file.v == VERSION && file.key == key.digest).then_some(Stored {
        answer: Answer {
            body: file.body,
            issuer_chain: file.issuer_chain,
        },
        fetched: file.fetched,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use proptest::prelude::*;

    use super::*;
    use crate::tests::directory;

    fn key(name: &str) -> Key {
        Key {
            kind: "test",
            digest: Digest::of(name.as_bytes()),
        }
    }

    fn stored(body: &[u8]) -> Stored {
        Stored {
            answer: Answer::of(body.to_vec()),
            fetched: UnixTime(7),
        }
    }

    fn open(directory: &Path, files: usize, bytes: u64) -> Cache {
        Cache::open(directory, CacheLimits { files, bytes }).unwrap()
    }

    #[tokio::test]
    async fn modes_and_places() {
        let above = tempfile::tempdir().unwrap();
        let directory = above.path().join("a/b");
        let cache = open(&directory, 9, 9999);
        cache.store(key("x"), stored(b"1")).await;
        assert_eq!(fs::metadata(&directory).unwrap().mode() & 0o777, 0o700);
        let file = fs::metadata(cache.path(key("x"))).unwrap();
        assert_eq!(file.mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
        assert_eq!(cache.load(key("x")).await.unwrap().answer.body, b"1");
        fs::set_permissions(&directory, Permissions::from_mode(0o750)).unwrap();
        let limits = CacheLimits::default();
        assert!(matches!(
            Cache::open(&directory, limits),
            Err(CollateralError::CacheMode { mode: 0o750, .. })
        ));
        assert!(matches!(
            Cache::open(&cache.path(key("x")), limits),
            Err(CollateralError::Cache { .. })
        ));
    }

    #[tokio::test]
    async fn damaged_and_foreign_files_are_removed() {
        let directory = directory();
        let cache = open(directory.path(), 9, 9999);
        let path = cache.path(key("x"));
        let good = encode(key("x"), stored(b"content"));
        let mut flipped = good.clone();
        *flipped.last_mut().unwrap() ^= 1;
        let cut = good.split_last().unwrap().1.to_vec();
        let other = encode(key("y"), stored(b"content"));
        for bytes in [flipped, cut, other, vec![], vec![0; MAX_FILE + 1]] {
            fs::write(&path, &bytes).unwrap();
            assert!(cache.load(key("x")).await.is_none());
            assert!(!path.exists());
        }
        fs::write(&path, &good).unwrap();
        assert!(cache.load(key("x")).await.is_some());
        let elsewhere = directory.path().join("elsewhere");
        fs::rename(&path, &elsewhere).unwrap();
        symlink(&elsewhere, &path).unwrap();
        assert!(cache.load(key("x")).await.is_none());
        assert!(elsewhere.exists() && fs::symlink_metadata(&path).is_err());
    }

    #[tokio::test]
    async fn the_oldest_go_first() {
        let directory = directory();
        let cache = open(directory.path(), 3, 100_000);
        for (at, name) in ["a", "b", "c", "d"].into_iter().enumerate() {
            cache.store(key(name), stored(b"x")).await;
            // File times as far apart as years, not as fast as this test.
            let file = fs::File::options()
                .write(true)
                .open(cache.path(key(name)))
                .unwrap();
            let year = std::time::Duration::from_hours(8766) * u32::try_from(at).unwrap();
            file.set_modified(std::time::UNIX_EPOCH + year).unwrap();
        }
        cache.store(key("e"), stored(b"x")).await;
        let left = |name| cache.path(key(name)).exists();
        assert_eq!(
            ["a", "b", "c", "d", "e"].map(left),
            [false, false, true, true, true]
        );
        let small = open(directory.path(), 100, 50);
        small.store(key("f"), stored(b"x")).await;
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    proptest! {
        #[test]
        fn files_round_trip(
            body in proptest::collection::vec(any::<u8>(), 0..200),
            issuer_chain in proptest::option::of(".{0,40}"),
            fetched in any::<i64>(),
        ) {
            let answer = Answer { body, issuer_chain };
            let stored = Stored { answer: answer.clone(), fetched: UnixTime(fetched) };
            let read = decode(key("x"), &encode(key("x"), stored)).unwrap();
            prop_assert_eq!(read.answer, answer);
            prop_assert_eq!(read.fetched, UnixTime(fetched));
        }

        #[test]
        fn hostile_files_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(decode(key("x"), &bytes).is_none());
        }
    }
}
