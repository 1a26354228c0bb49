//! Kills a program just before its n-th system call of a kind. strace does it: the program under test has no part in it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::command::{self, Ran};

/// Every call that changes files or their names, or makes changes last. Opening a file that is made by it is no point
/// of its own: what comes before the next call is what comes after that one.
const CALLS: [&str; 20] = [
    "write",
    "pwrite64",
    "writev",
    "pwritev",
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "unlink",
    "unlinkat",
    "mkdir",
    "mkdirat",
    "rmdir",
    "ftruncate",
    "fallocate",
    "fsync",
    "fdatasync",
    "copy_file_range",
    "sendfile",
];

/// The exit code of a program that was killed.
pub const KILLED: i32 = 128 + 9;

/// A place in a program's run: before call `call` is made for the `nth` time by one of its threads.
#[derive(Clone, Debug)]
pub struct Point {
    /// Name of the system call.
    pub call: &'static str,
    /// From 1.
    pub nth: usize,
}

/// Whether programs can be traced here; if not, says so loudly.
pub fn is_permitted(home: &Path) -> bool {
    let ran = command::run(strace(&["-o", "/dev/null", "true"], home), b"");
    if ran.code != 0 {
        eprintln!("SKIPPED: strace may not trace here: {}", ran.stderr);
    }
    ran.code == 0
}

/// Runs a program to its end and gives all points at which it can be killed.
pub fn points(program: &Command, home: &Path, log: &Path) -> Result<Vec<Point>> {
    let trace = format!("trace={}", CALLS.join(","));
    let log_name = log.to_str().context("path")?;
    let ran = command::run(
        under(&["-f", "-qq", "-o", log_name, "-e", &trace], program, home),
        b"",
    );
    ensure!(ran.code == 0, "failed under strace: {}", ran.stderr);
    let mut counts: BTreeMap<(String, &str), usize> = BTreeMap::new();
    for line in fs::read_to_string(log)?.lines() {
        let mut words = line.split_whitespace();
        let (Some(thread), Some(rest)) = (words.next(), words.next()) else {
            continue;
        };
        let name = rest.split('(').next().unwrap_or_default();
        if let Some(call) = CALLS.iter().find(|call| **call == name) {
            *counts.entry((thread.to_owned(), call)).or_default() += 1;
        }
    }
    let mut most: BTreeMap<&'static str, usize> = BTreeMap::new();
    for ((_, call), count) in counts {
        let call = CALLS.iter().find(|c| **c == call).context("known")?;
        let known = most.entry(call).or_default();
        *known = count.max(*known);
    }
    Ok(most
        .into_iter()
        .flat_map(|(call, count)| (1..=count).map(move |nth| Point { call, nth }))
        .collect())
}

/// Runs a program and kills it at `point`; [`KILLED`] unless it does not come by there this time.
pub fn killed_at(point: &Point, program: &Command, home: &Path) -> Ran {
    let call = point.call;
    // The call is not made, and whoever would have made it is dead.
    let inject = format!("inject={call}:error=EIO:signal=SIGKILL:when={}", point.nth);
    let trace = format!("trace={call}");
    let arguments = ["-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
    command::run(under(&arguments, program, home), b"")
}

fn under(arguments: &[&str], program: &Command, home: &Path) -> Command {
    let mut all = strace(arguments, home);
    all.arg("--").arg(program.get_program());
    all.args(program.get_args());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => all.env(name, value),
            None => all.env_remove(name),
        };
    }
    if let Some(dir) = program.get_current_dir() {
        all.current_dir(dir);
    }
    all
}

fn strace(arguments: &[&str], home: &Path) -> Command {
    let mut command = command::command(Path::new("/usr/bin/strace"), home);
    command.args(arguments);
    command
}
