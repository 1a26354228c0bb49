//! An owner's home with one sealed table `t`, which they change and read with the `duckblind` program.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::binaries::{program, run_root};
use crate::command::{self, Ran};

/// The folder of everything, removed when dropped.
pub struct Owner {
    dir: tempfile::TempDir,
}

impl Owner {
    /// Keys for table `t`, and nothing sealed yet.
    ///
    /// # Panics
    /// If that fails, like everything here.
    #[expect(clippy::new_without_default, reason = "it starts processes")]
    pub fn new() -> Self {
        let dir = tempfile::tempdir_in(run_root()).expect("a folder");
        let owner = Self { dir };
        owner.cli(&["keys", "new", "t"]).ok();
        owner
    }

    /// A table of two files: rows 0 to 2 and 3 to 5.
    pub fn of_two_files() -> Self {
        let owner = Self::new();
        owner.seal(0..3, &[]);
        owner.append(3..6).ok();
        owner
    }

    /// A CSV file of rows with column `n` and `word`, such as `w7` in row 7.
    pub fn csv(&self, rows: std::ops::Range<i64>) -> String {
        let name = format!("rows-{}-{}.csv", rows.start, rows.end);
        let lines: String = rows.map(|n| format!("{n},w{n}\n")).collect();
        fs::write(self.file(&name), format!("n,word\n{lines}")).expect("write a CSV file");
        name
    }

    /// Seals these rows.
    #[track_caller]
    pub fn seal(&self, rows: std::ops::Range<i64>, more: &[&str]) {
        let csv = self.csv(rows);
        let arguments = [&["seal", &csv, "--table", "t", "--out", "t"], more].concat();
        self.cli(&arguments).ok();
    }

    /// Appends these rows.
    pub fn append(&self, rows: std::ops::Range<i64>) -> Ran {
        let csv = self.csv(rows);
        self.cli(&["table", "append", &csv, "--table", "t=t"])
    }

    /// Something in the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The home of the program's files.
    pub fn home(&self) -> PathBuf {
        self.file("home")
    }

    /// `duckblind` with these arguments, not started yet.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command::command(&program("duckblind"), &self.home());
        command.args(arguments).current_dir(self.dir.path());
        command
    }

    /// Runs `duckblind` to its end.
    pub fn cli(&self, arguments: &[&str]) -> Ran {
        command::run(self.command(arguments), b"")
    }

    /// Runs a query over the table on this machine.
    pub fn sql(&self, sql: &str, more: &[&str]) -> Ran {
        let arguments = [
            &["sql", sql, "--table", "t=t", "--format", "csv", "--quiet"],
            more,
        ]
        .concat();
        self.cli(&arguments)
    }

    /// All rows' numbers, in order; every row has to be whole.
    #[track_caller]
    pub fn rows(&self) -> Vec<i64> {
        let ran = self.sql("select n, word from t order by n", &[]).ok();
        let text = ran.text();
        let rows = text.lines().skip(1).map(|line| {
            let (n, word) = line.split_once(',').expect("two columns");
            assert_eq!(word, format!("w{n}"), "a row of two rows");
            n.parse().expect("a number")
        });
        rows.collect()
    }

    /// The current manifest.
    pub fn manifest(&self) -> serde_json::Value {
        manifest(&self.file("t/_sealed.json"))
    }

    /// Paths of the data files that the current manifest names, in its order.
    pub fn parts(&self) -> Vec<PathBuf> {
        data_files(&self.manifest())
            .map(|name| self.file("t").join(name))
            .collect()
    }

    /// What lies in the table's folder and is named by none of its snapshots.
    pub fn litter(&self) -> BTreeSet<String> {
        let dir = self.file("t");
        let mut found = BTreeSet::new();
        walk(&dir, &dir, &mut found);
        found.remove("_sealed.json");
        found.remove("_sealed.lock");
        let mut manifests = vec![self.manifest()];
        let kept = found.iter().filter(|name| is_kept_manifest(name));
        manifests.extend(kept.map(|name| manifest(&dir.join(name))));
        found.retain(|name| !is_kept_manifest(name));
        for name in manifests.iter().flat_map(data_files) {
            found.remove(name);
        }
        found
    }

    /// Keeps home and table as they are now.
    pub fn keep(&self) {
        for name in ["home", "t"] {
            copy(&self.file(name), &self.file(&format!("kept-{name}")));
        }
    }

    /// Puts home and table back as they were.
    pub fn put_back(&self) {
        for name in ["home", "t"] {
            copy(&self.file(&format!("kept-{name}")), &self.file(name));
        }
    }
}

fn manifest(file: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(file).expect("a manifest")).expect("JSON")
}

fn data_files(manifest: &serde_json::Value) -> impl Iterator<Item = &str> {
    let files = manifest["files"].as_array().into_iter().flatten();
    files.filter_map(|file| file["path"].as_str())
}

fn is_kept_manifest(name: &str) -> bool {
    let number = name
        .strip_prefix("_snapshots/")
        .and_then(|n| n.strip_suffix(".json"));
    number.is_some_and(|number| number.parse::<u64>().is_ok())
}

/// Replaces `to` by a copy; modes are kept, for a key file that others may read is refused.
fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).into_iter().flatten().flatten() {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), &to).expect("copy");
        }
    }
}

fn walk(root: &Path, dir: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(dir).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            walk(root, &path, found);
        } else if let Some(name) = path.strip_prefix(root).ok().and_then(Path::to_str) {
            found.insert(name.to_owned());
        }
    }
}
