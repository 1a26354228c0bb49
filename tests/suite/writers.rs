//! Writers that meet: two at once, and one whose disk is full. Nothing is lost, nothing is half.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use duckblind_tests::command;
use duckblind_tests::owner::Owner;
use duckblind_tests::running;
use duckblind_tests::stack::path;

/// Busy, retry after.
const BUSY: i32 = 41;

#[test]
fn two_at_once() {
    let _test = running::test("two writers");
    let owner = Owner::new();
    owner.seal(0..3, &[]);
    let mut rows: BTreeSet<i64> = (0..3).collect();
    for round in 1..=5 {
        let started: Vec<_> = [round * 100, round * 100 + 50]
            .map(|from| {
                let csv = owner.csv(from..from + 2);
                let append = owner.command(&["table", "append", &csv, "--table", "t=t"]);
                (from, command::start(append, b""))
            })
            .into_iter()
            .collect();
        for (from, running) in started {
            let ran = running.finish();
            if ran.code == 0 {
                rows.extend(from..from + 2);
            } else {
                assert_eq!(ran.code, BUSY, "{}", ran.stderr);
                ran.hinted();
            }
        }
        assert_eq!(owner.rows(), rows.iter().copied().collect::<Vec<_>>());
        assert_eq!(owner.litter(), BTreeSet::new());
    }
    assert!(rows.len() >= 3 + 5 * 2, "nobody got through");
}

/// A file system of one megabyte, until dropped.
struct Small(std::path::PathBuf);

impl Small {
    fn mount(at: std::path::PathBuf) -> Option<Self> {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
            .arg(&at)
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(at)),
            other => {
                eprintln!("SKIPPED: no small file system can be mounted here: {other:?}");
                None
            }
        }
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).output();
    }
}

#[test]
fn a_full_disk() {
    let _test = running::test("full disk");
    let owner = Owner::new();
    let table = owner.file("t");
    fs::create_dir(&table).unwrap();
    let Some(_small) = Small::mount(table.clone()) else {
        return;
    };
    owner.seal(0..3, &[]);
    let big = owner.file("big.csv");
    fs::write(&big, random_rows(60_000)).unwrap();
    let ran = owner.cli(&["table", "append", path(&big), "--table", "t=t"]);
    assert_ne!(ran.hinted().code, 0);
    assert_eq!(owner.rows(), [0, 1, 2]);
    assert_eq!(owner.litter(), BTreeSet::new());
    owner.append(3..6).ok();
    // Full to the last byte: not even a manifest fits.
    let filler = table.join("filler");
    let _ = fs::write(&filler, vec![0; 2 << 20]);
    for command in [
        vec!["keys", "rotate", "--table", "t=t"],
        vec!["table", "compact", "--table", "t=t"],
    ] {
        let ran = owner.cli(&command).hinted();
        assert_ne!(ran.code, 0, "{command:?}");
        assert_eq!(owner.rows(), [0, 1, 2, 3, 4, 5], "{command:?}");
    }
    fs::remove_file(&filler).unwrap();
    owner.cli(&["keys", "rotate", "--table", "t=t"]).ok();
    owner.cli(&["table", "compact", "--table", "t=t"]).ok();
    assert_eq!(owner.rows(), [0, 1, 2, 3, 4, 5]);
    assert_eq!(owner.litter(), BTreeSet::new());
}

/// Rows that no codec makes much smaller.
fn random_rows(count: usize) -> String {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut text = String::from("n,word\n");
    for n in 0..count {
        let mut word = String::new();
        for _ in 0..2 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            word.push_str(&format!("{state:016x}"));
        }
        text.push_str(&format!("{n},{word}\n"));
    }
    text
}
