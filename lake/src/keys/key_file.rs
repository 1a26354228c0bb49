//! The key file: `{"keys":{"orders-v1":"<hex>"}}`, mode 0600 or refused. Keys have 32, 48 or 64
//! hex digits. The same text may come through an open descriptor.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use zeroize::Zeroizing;

use super::error::KeyError;
use super::file_lock::FileLock;
use super::private_file;
use super::secret::TableKey;
use crate::names::KeyId;

/// Table keys by id, as one file holds them.
pub struct KeyFile {
    path: PathBuf,
    /// What came through a descriptor is not written back.
    read_only: bool,
    keys: BTreeMap<String, TableKey>,
    /// Nobody else changes the file meanwhile.
    lock: Option<FileLock>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    #[serde(deserialize_with = "super::foreign::map")]
    keys: BTreeMap<String, TableKey>,
}

impl KeyFile {
    /// Reads a key file.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let bytes = private_file::read(path)?;
        Self::parse(path, false, &bytes)
    }

    /// Reads a key file from an open descriptor, such as a pipe, to its end. `name` is what errors
    /// call it.
    pub fn from_descriptor(name: &str, descriptor: OwnedFd) -> Result<Self, KeyError> {
        let path = Path::new(name);
        let bytes = private_file::read_open(path, File::from(descriptor))?;
        Self::parse(path, true, &bytes)
    }

    /// Reads a key file from a descriptor that this process was started with.
    pub fn from_inherited(number: u32) -> Result<Self, KeyError> {
        let name = format!("descriptor {number}");
        let opened = File::open(format!("/proc/self/fd/{number}"));
        let file = opened.map_err(|error| KeyError::Io {
            path: name.clone().into(),
            kind: error.kind(),
        })?;
        Self::from_descriptor(&name, file.into())
    }

    fn parse(path: &Path, read_only: bool, bytes: &[u8]) -> Result<Self, KeyError> {
        // The parser's own text may quote the file, so it is not passed on.
        let wire: Wire = serde_json::from_slice(bytes).map_err(|_| KeyError::Form {
            path: path.into(),
            why: "it must be {\"keys\":{\"ID\":\"32, 48 or 64 hex digits\"}}, each id once",
        })?;
        Ok(Self {
            path: path.into(),
            read_only,
            keys: wire.keys,
            lock: None,
        })
    }

    /// Reads a key file, or starts an empty one where there is none yet.
    pub fn load_or_empty(path: &Path) -> Result<Self, KeyError> {
        match Self::load(path) {
            Err(KeyError::Io {
                kind: std::io::ErrorKind::NotFound,
                ..
            }) => Ok(Self {
                path: path.into(),
                read_only: false,
                keys: BTreeMap::new(),
                lock: None,
            }),
            other => other,
        }
    }

    /// Reads a key file, or starts an empty one, for a change: until this is dropped, nobody else
    /// can do the same. A key that another process adds is so never written over.
    pub fn load_to_change(path: &Path) -> Result<Self, KeyError> {
        private_file::make_folder(path)?;
        let lock = FileLock::take(path).map_err(|error| KeyError::Io {
            path: path.into(),
            kind: error.kind(),
        })?;
        let mut file = Self::load_or_empty(path)?;
        file.lock = Some(lock);
        Ok(file)
    }

    /// Takes the keys that the file holds now; those of a descriptor stay.
    pub fn reload(&mut self) -> Result<(), KeyError> {
        if !self.read_only {
            self.keys = Self::load_or_empty(&self.path)?.keys;
        }
        Ok(())
    }

    /// Where it is, or what the descriptor is called.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The key with this id.
    pub fn get(&self, id: &str) -> Option<&TableKey> {
        self.keys.get(id)
    }

    /// The ids, sorted.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.keys.keys().map(String::as_str)
    }

    /// Adds a key; one that is there is never replaced.
    pub fn insert(&mut self, id: &str, key: TableKey) -> Result<(), KeyError> {
        if self.keys.contains_key(id) {
            return Err(KeyError::Exists {
                id: id.into(),
                path: self.path.clone(),
            });
        }
        self.keys.insert(id.into(), key);
        Ok(())
    }

    /// Makes fresh keys for all of these ids, or none if one of them has a key already.
    pub fn generate(&mut self, ids: &[KeyId]) -> Result<(), KeyError> {
        if let Some(id) = ids
            .iter()
            .find(|id| self.keys.contains_key(&id.to_string()))
        {
            return Err(KeyError::Exists {
                id: id.to_string(),
                path: self.path.clone(),
            });
        }
        for id in ids {
            self.keys.insert(id.to_string(), TableKey::generate()?);
        }
        Ok(())
    }

    /// The newest version that there are keys of for a table.
    pub fn newest_version(&self, table: &str) -> Option<u32> {
        self.ids()
            .filter_map(KeyId::parse)
            .filter(|id| id.table() == table)
            .map(|id| id.version())
            .max()
    }

    /// Whether the file, as it is on the disk now, has these keys of this one.
    pub fn is_stored(&self, ids: &[KeyId]) -> Result<bool, KeyError> {
        let stored = Self::load_or_empty(&self.path)?;
        Ok(ids
            .iter()
            .map(ToString::to_string)
            .all(|id| match (self.get(&id), stored.get(&id)) {
                (Some(one), Some(other)) => one.is_same(other),
                _ => false,
            }))
    }

    /// Writes the file, whole or not at all, mode 0600.
    pub fn save(&self) -> Result<(), KeyError> {
        if self.read_only {
            return Err(KeyError::Io {
                path: self.path.clone(),
                kind: std::io::ErrorKind::ReadOnlyFilesystem,
            });
        }
        // Room for all of it at once, so that growing leaves no copies behind.
        let room = self.keys.keys().map(|id| id.len() * 6 + 80).sum::<usize>() + 64;
        let mut text = Zeroizing::new(String::with_capacity(room));
        text.push_str("{\"keys\":{");
        for (at, (id, key)) in self.keys.iter().enumerate() {
            if at > 0 {
                text.push(',');
            }
            text.push_str(&serde_json::Value::from(id.as_str()).to_string());
            text.push_str(":\"");
            text.push_str(&key.to_hex());
            text.push('"');
        }
        text.push_str("}}\n");
        private_file::write(&self.path, text.as_bytes(), true)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use duckblind_protocol::coded::Coded as _;

    use super::*;

    #[test]
    fn round_trip_through_the_disk() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys.json");
        let mut file = KeyFile::load_or_empty(&path).unwrap();
        for id in ["orders-v1", "ba\"d\n-v1"] {
            file.insert(id, TableKey::generate().unwrap()).unwrap();
        }
        assert!(matches!(
            file.insert("orders-v1", TableKey::generate().unwrap()),
            Err(KeyError::Exists { .. })
        ));
        file.save().unwrap();
        let again = KeyFile::load(&path).unwrap();
        assert_eq!(
            again.ids().collect::<Vec<_>>(),
            file.ids().collect::<Vec<_>>()
        );
        for id in file.ids() {
            assert_eq!(
                again.get(id).unwrap().expose(),
                file.get(id).unwrap().expose()
            );
        }
    }

    #[test]
    fn fresh_keys_all_or_none() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = KeyFile::load_or_empty(&dir.path().join("keys.json")).unwrap();
        assert_eq!(file.newest_version("t"), None);
        file.generate(&[KeyId::of_table("t", 1), KeyId::of_column("t", 1, "a.b")])
            .unwrap();
        assert_eq!(file.ids().collect::<Vec<_>>(), ["t-v1", "t-v1:a.b"]);
        let again = file.generate(&[KeyId::of_table("t", 2), KeyId::of_column("t", 1, "a.b")]);
        assert_eq!(again.err().unwrap().code(), "DB-LAK-005");
        assert_eq!(file.ids().count(), 2);
        file.generate(&[KeyId::of_table("t", 9), KeyId::of_table("tt", 11)])
            .unwrap();
        assert_eq!(file.newest_version("t"), Some(9));
    }

    #[test]
    fn changes_at_once_lose_no_key() {
        use std::os::unix::fs::PermissionsExt as _;
        const THREADS: u32 = 8;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/keys.json");
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let path = &path;
                scope.spawn(move || {
                    for version in 1..=5 {
                        let mut file = KeyFile::load_to_change(path).unwrap();
                        let id = KeyId::of_table(&format!("t{thread}"), version);
                        file.generate(std::slice::from_ref(&id)).unwrap();
                        assert!(!file.is_stored(std::slice::from_ref(&id)).unwrap());
                        file.save().unwrap();
                        assert!(file.is_stored(&[id]).unwrap());
                    }
                });
            }
        });
        let file = KeyFile::load(&path).unwrap();
        assert_eq!(file.ids().count(), 5 * THREADS as usize);
        let lock = dir.path().join("new/keys.json.lock");
        assert_eq!(lock.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn through_a_descriptor() {
        use std::io::Write as _;
        use std::os::unix::fs::PermissionsExt as _;
        let text = format!("{{\"keys\":{{\"t-v1\":\"{}\"}}}}", "5a".repeat(24));
        let (read, mut write) = std::io::pipe().unwrap();
        write.write_all(text.as_bytes()).unwrap();
        drop(write);
        let file = KeyFile::from_descriptor("descriptor 7", read.into()).unwrap();
        assert_eq!(file.get("t-v1").unwrap().expose(), [0x5a; 24]);
        assert_eq!(file.save().unwrap_err().code(), "DB-LAK-001");

        // A pipe that never ends.
        let (read, mut write) = std::io::pipe().unwrap();
        let writer = std::thread::spawn(move || while write.write_all(&[b' '; 4096]).is_ok() {});
        let endless = KeyFile::from_descriptor("descriptor 7", read.into());
        assert_eq!(endless.err().unwrap().code(), "DB-LAK-003");
        writer.join().unwrap();

        // A file behind a descriptor must be private, too.
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys.json");
        std::fs::write(&path, &text).unwrap();
        for (mode, code) in [(0o600, None), (0o644, Some("DB-LAK-002"))] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let open = File::open(&path).unwrap();
            let read = KeyFile::from_descriptor("descriptor 7", open.into());
            assert_eq!(read.err().map(|error| error.code()), code);
        }
        assert!(KeyFile::from_inherited(99_999).is_err());
    }

    #[test]
    fn malformed_files_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys.json");
        let key = "00".repeat(32);
        for text in [
            String::new(),
            "{}".into(),
            "[]".into(),
            format!("{{\"keys\":{{\"a\":\"{key}00\"}}}}"),
            format!("{{\"keys\":{{\"a\":\"{}\"}}}}", &key[2..]),
            format!("{{\"keys\":{{\"a\":\"{key}\",\"a\":\"{key}\"}}}}"),
            format!("{{\"keys\":{{\"a\":\"{key}\"}},\"more\":1}}"),
            format!("{{\"keys\":{{\"a\":\"{key}\"}}}} x"),
            format!("{{\"keys\":{{\"a\":\"{key}\"}}"),
        ] {
            private_file::write(&path, text.as_bytes(), true).unwrap();
            assert!(
                matches!(KeyFile::load(&path), Err(KeyError::Form { .. })),
                "{text}"
            );
        }
    }
}
