//! Every command that changes a table, killed at every system call that changes a file: the table is the old one or
//! the new one, whole; the next writer succeeds and leaves nothing behind that no snapshot names.

use std::collections::BTreeSet;
use std::fs;

use duckblind_tests::owner::Owner;
use duckblind_tests::running;
use duckblind_tests::strace::{self, KILLED};

/// Kills `arguments` at every point; the table has to hold rows `before` or `after` then.
fn sweep(owner: &Owner, arguments: &[&str], before: &[i64], after: &[i64]) {
    if !strace::is_permitted(&owner.home()) {
        return;
    }
    owner.keep();
    let command = owner.command(arguments);
    let points = strace::points(&command, &owner.home(), &owner.file("log")).unwrap();
    assert_eq!(owner.rows(), after, "{arguments:?} does something else");
    assert!(points.len() >= 5, "{points:?}");
    let (mut old, mut new) = (0, 0);
    for point in &points {
        owner.put_back();
        let was = manifest(owner);
        let ran = strace::killed_at(point, &command, &owner.home());
        if ran.code != KILLED {
            ran.ok();
            continue;
        }
        let what = format!("{arguments:?} killed at {point:?}");
        let is = manifest(owner);
        if was == is {
            old += 1;
        } else {
            new += 1;
        }
        // Before the first commit there is no table.
        let rows = if is.is_empty() { vec![] } else { owner.rows() };
        assert_eq!(rows, if was == is { before } else { after }, "{what}");
        next_writer(owner, rows, &what);
    }
    eprintln!(
        "{arguments:?}: {} points, then {old} times the old table, {new} times the new one",
        points.len()
    );
    assert!((old + new) * 2 > points.len(), "too few were killed");
    assert!(old > 0 && new > 0, "only one side of the commit was seen");
}

fn manifest(owner: &Owner) -> Vec<u8> {
    fs::read(owner.file("t/_sealed.json")).unwrap_or_default()
}

#[track_caller]
fn next_writer(owner: &Owner, mut rows: Vec<i64>, what: &str) {
    if rows.is_empty() {
        owner.seal(90..92, &[]);
    } else {
        owner.append(90..92).ok();
    }
    rows.extend([90, 91]);
    assert_eq!(owner.rows(), rows, "{what}: rows of the next writer");
    assert_eq!(owner.litter(), BTreeSet::new(), "{what}: left behind");
}

const TWO: [i64; 6] = [0, 1, 2, 3, 4, 5];

#[test]
fn of_sealing() {
    let _test = running::test("crash: seal");
    let owner = Owner::new();
    fs::create_dir(owner.file("t")).unwrap();
    let csv = owner.csv(0..3);
    let seal = ["seal", &csv, "--table", "t", "--out", "t", "--quiet"];
    sweep(&owner, &seal, &[], &[0, 1, 2]);
}

#[test]
fn of_appending() {
    let _test = running::test("crash: append");
    let owner = Owner::of_two_files();
    let csv = owner.csv(6..9);
    let append = ["table", "append", &csv, "--table", "t=t", "--quiet"];
    sweep(&owner, &append, &TWO, &[0, 1, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn of_compacting() {
    let _test = running::test("crash: compact");
    let compact = ["table", "compact", "--table", "t=t", "--quiet"];
    sweep(&Owner::of_two_files(), &compact, &TWO, &TWO);
}

#[test]
fn of_rotating_table_keys() {
    let _test = running::test("crash: rotate");
    let rotate = ["keys", "rotate", "--table", "t=t", "--quiet"];
    sweep(&Owner::of_two_files(), &rotate, &TWO, &TWO);
}

#[test]
fn of_rotating_data_keys() {
    let _test = running::test("crash: rotate data");
    let rotate = ["keys", "rotate", "--table", "t=t", "--data", "--quiet"];
    sweep(&Owner::of_two_files(), &rotate, &TWO, &TWO);
}
