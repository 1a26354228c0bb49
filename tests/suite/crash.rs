//! Every command that changes a table, killed at every system call that changes a file: the table is the old one or
//! the new one, whole; the next writer succeeds and leaves nothing behind that no snapshot names.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use duckblind_tests::binaries::program;
use duckblind_tests::command::{Ran, command, run};
use duckblind_tests::running;
use duckblind_tests::stack::path;
use duckblind_tests::strace::{self, KILLED};

use crate::interop::folder;

/// An owner's home with a table in it, which can be put back as it was.
struct Owner {
    dir: tempfile::TempDir,
}

impl Owner {
    fn new() -> Self {
        let dir = folder();
        for (name, from) in [("first", 0), ("second", 3), ("third", 6), ("fourth", 9)] {
            let rows: String = (from..from + 3).map(|n| format!("{n},w{n}\n")).collect();
            fs::write(
                dir.path().join(format!("{name}.csv")),
                format!("n,word\n{rows}"),
            )
            .unwrap();
        }
        let owner = Self { dir };
        owner.cli(&["keys", "new", "t"]).ok();
        owner
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command(&program("duckblind"), &self.home());
        command.args(arguments).current_dir(self.dir.path());
        command
    }

    fn cli(&self, arguments: &[&str]) -> Ran {
        run(self.command(arguments), b"")
    }

    fn home(&self) -> PathBuf {
        self.file("home")
    }

    /// Home and table as they are now.
    fn keep(&self) {
        for name in ["home", "t"] {
            copy(&self.file(name), &self.file(&format!("kept-{name}")));
        }
    }

    /// Home and table as they were.
    fn put_back(&self) {
        for name in ["home", "t"] {
            let _ = fs::remove_dir_all(self.file(name));
            copy(&self.file(&format!("kept-{name}")), &self.file(name));
        }
    }

    fn is_there(&self) -> bool {
        self.file("t/_sealed.json").exists()
    }

    /// All rows, as the engine reads them.
    #[track_caller]
    fn rows(&self) -> Vec<i64> {
        let sql = "select n, word from t order by n";
        let ran = self.cli(&["sql", sql, "--table", "t=t", "--format", "csv", "--quiet"]);
        ran.ok()
            .text()
            .lines()
            .skip(1)
            .map(|line| {
                let (n, word) = line.split_once(',').unwrap();
                assert_eq!(word, format!("w{n}"));
                n.parse().unwrap()
            })
            .collect()
    }

    /// What lies in the table's folder and is named by none of its snapshots.
    fn litter(&self) -> Vec<String> {
        let dir = self.file("t");
        let mut named: BTreeSet<String> = ["_sealed.json", "_sealed.lock"].map(String::from).into();
        let mut manifests = vec![dir.join("_sealed.json")];
        for entry in fs::read_dir(dir.join("_snapshots")).into_iter().flatten() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if name.ends_with(".json") {
                named.insert(format!("_snapshots/{name}"));
                manifests.push(entry.path());
            }
        }
        for manifest in manifests {
            let manifest: serde_json::Value =
                serde_json::from_slice(&fs::read(manifest).unwrap()).unwrap();
            for file in manifest["files"].as_array().unwrap() {
                named.insert(file["path"].as_str().unwrap().to_owned());
            }
        }
        let mut found = Vec::new();
        files(&dir, &dir, &mut found);
        found.retain(|name| !named.contains(name));
        found
    }
}

/// Kills `arguments` at every point; the table has to hold `before` or `after` then.
fn sweep(owner: &Owner, arguments: &[&str], before: &[i64], after: &[i64]) {
    if !strace::is_permitted(&owner.home()) {
        return;
    }
    owner.keep();
    let command = owner.command(arguments);
    let points = strace::points(&command, &owner.home(), &owner.file("log")).unwrap();
    assert_eq!(
        owner.rows(),
        after,
        "{arguments:?} does not do what it should"
    );
    assert!(points.len() >= 5, "{points:?}");
    let (mut killed, mut old, mut new) = (0, 0, 0);
    for point in &points {
        owner.put_back();
        let ran = strace::killed_at(point, &command, &owner.home());
        if ran.code != KILLED {
            ran.ok();
            continue;
        }
        killed += 1;
        let what = format!("{arguments:?} killed at {point:?}");
        // Before it is sealed there is no table.
        let rows = if owner.is_there() {
            owner.rows()
        } else {
            Vec::new()
        };
        if rows == before {
            old += 1;
        } else {
            assert_eq!(rows, after, "{what}: neither old nor new");
            new += 1;
        }
        next_writer(owner, rows, &what);
    }
    assert!(
        killed * 2 > points.len(),
        "only {killed} of {} kills",
        points.len()
    );
    assert!(old > 0, "{arguments:?}: never the old table");
    eprintln!(
        "{arguments:?}: killed {killed} times; {old} times the old table, {new} times the new one"
    );
}

#[track_caller]
fn next_writer(owner: &Owner, mut rows: Vec<i64>, what: &str) {
    if owner.is_there() {
        owner
            .cli(&["table", "append", "fourth.csv", "--table", "t=t"])
            .ok();
        rows.extend([9, 10, 11]);
    } else {
        owner
            .cli(&["seal", "first.csv", "--table", "t", "--out", "t"])
            .ok();
        rows = vec![0, 1, 2];
    }
    assert_eq!(owner.rows(), rows, "{what}: the next writer's rows");
    assert_eq!(owner.litter(), Vec::<String>::new(), "{what}: left behind");
}

#[test]
fn of_sealing() {
    let _test = running::test("crash: seal");
    let owner = Owner::new();
    fs::create_dir(owner.file("t")).unwrap();
    let seal = ["seal", "first.csv", "--table", "t", "--out", "t", "--quiet"];
    sweep(&owner, &seal, &[], &[0, 1, 2]);
}

/// A table of two files.
fn two_files() -> Owner {
    let owner = Owner::new();
    owner
        .cli(&["seal", "first.csv", "--table", "t", "--out", "t"])
        .ok();
    owner
        .cli(&["table", "append", "second.csv", "--table", "t=t"])
        .ok();
    owner
}

const TWO: [i64; 6] = [0, 1, 2, 3, 4, 5];

#[test]
fn of_appending() {
    let _test = running::test("crash: append");
    let append = ["table", "append", "third.csv", "--table", "t=t", "--quiet"];
    sweep(&two_files(), &append, &TWO, &[0, 1, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn of_compacting() {
    let _test = running::test("crash: compact");
    let compact = ["table", "compact", "--table", "t=t", "--quiet"];
    sweep(&two_files(), &compact, &TWO, &TWO);
}

#[test]
fn of_rotating_table_keys() {
    let _test = running::test("crash: rotate");
    let rotate = ["keys", "rotate", "--table", "t=t", "--quiet"];
    sweep(&two_files(), &rotate, &TWO, &TWO);
}

#[test]
fn of_rotating_data_keys() {
    let _test = running::test("crash: rotate data");
    let rotate = ["keys", "rotate", "--table", "t=t", "--data", "--quiet"];
    sweep(&two_files(), &rotate, &TWO, &TWO);
}

fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).into_iter().flatten() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            // Keeps the mode: a key file that others may read is refused.
            fs::copy(entry.path(), &to).unwrap();
        }
    }
}

fn files(root: &Path, dir: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap().path();
        if entry.is_dir() {
            files(root, &entry, found);
        } else {
            found.push(path(entry.strip_prefix(root).unwrap()).to_owned());
        }
    }
}
