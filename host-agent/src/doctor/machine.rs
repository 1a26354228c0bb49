//! What the kernel shows of the machine in files. Nothing is written, no device is opened.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// As much of a file as is read. The first processors of a large machine fit, which is enough.
const MOST: u64 = 64 << 10;

/// A machine as its file system shows it.
#[derive(Clone, Debug)]
pub struct Machine {
    root: PathBuf,
}

impl Machine {
    /// The machine that this program runs on.
    pub fn here() -> Self {
        Self::below("/")
    }

    /// A machine whose `/proc`, `/sys`, `/dev` and `/run` are in this directory.
    pub fn below(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The beginning of a text file; `path` is absolute, on that machine.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        let mut bytes = Vec::new();
        let file = File::open(self.at(path)).ok()?;
        file.take(MOST).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).trim().to_owned())
    }

    /// A parameter of a kernel module, on or off; `None` if the module is not there or does not
    /// know the parameter.
    pub(super) fn parameter(&self, module: &str, name: &str) -> Option<bool> {
        let value = self.text(&format!("/sys/module/{module}/parameters/{name}"))?;
        Some(matches!(value.as_str(), "Y" | "y" | "1"))
    }

    /// Whether something is there: a file, a device, a socket, a directory.
    pub(super) fn has(&self, path: &str) -> bool {
        self.at(path).exists()
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root
            .join(Path::new(path).strip_prefix("/").unwrap_or(Path::new(path)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use super::*;

    /// A directory tree with these files in it.
    pub(in crate::doctor) fn played(files: &[(&str, &str)]) -> (tempfile::TempDir, Machine) {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path.strip_prefix('/').unwrap());
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let machine = Machine::below(dir.path());
        (dir, machine)
    }

    #[test]
    fn parameters_are_on_off_or_unknown() {
        let (_dir, machine) = played(&[
            ("/sys/module/m/parameters/yes", "Y\n"),
            ("/sys/module/m/parameters/one", "1\n"),
            ("/sys/module/m/parameters/no", "N\n"),
        ]);
        assert_eq!(machine.parameter("m", "yes"), Some(true));
        assert_eq!(machine.parameter("m", "one"), Some(true));
        assert_eq!(machine.parameter("m", "no"), Some(false));
        assert_eq!(machine.parameter("m", "other"), None);
        assert_eq!(machine.parameter("other", "yes"), None);
    }

    #[test]
    fn no_more_is_read_than_the_beginning() {
        let (_dir, machine) = played(&[("/proc/long", &"x".repeat(100_000))]);
        assert_eq!(machine.text("/proc/long").unwrap().len(), 65_536);
        assert!(machine.has("/proc") && !machine.has("/proc/short"));
    }
}
