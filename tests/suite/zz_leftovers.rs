//! The last test: nothing of ours is left. Libtest starts tests by name, hence this module's.

use std::fs;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use duckblind_tests::binaries::{program, run_root};
use duckblind_tests::process::all_pids;
use duckblind_tests::running;

/// Processes whose program is a copy that belongs to this run.
fn processes() -> Vec<String> {
    all_pids()
        .into_iter()
        .filter_map(|pid| {
            let exe = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
            exe.starts_with(run_root())
                .then(|| format!("process {pid}: {}", exe.display()))
        })
        .collect()
}

fn sockets() -> Vec<String> {
    let ours = run_root().to_string_lossy().into_owned();
    fs::read_to_string("/proc/net/unix")
        .unwrap_or_default()
        .lines()
        .filter(|line| line.contains(&ours))
        .map(|line| format!("socket: {line}"))
        .collect()
}

fn files() -> Vec<String> {
    fs::read_dir(run_root())
        .unwrap()
        .flatten()
        .filter(|entry| !entry.file_name().to_string_lossy().ends_with("bin"))
        .map(|entry| format!("file: {}", entry.path().display()))
        .collect()
}

#[test]
fn nothing_of_ours_is_left() {
    running::wait_for_all(Duration::from_secs(1200));
    // The search finds a process of ours, as long as there is one.
    let copy = program("sleep");
    fs::copy("/bin/sleep", &copy).unwrap();
    let mut sleeper = Command::new(&copy).arg("60").spawn().unwrap();
    assert_eq!(processes().len(), 1, "{:?}", processes());
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();

    let begin = Instant::now();
    loop {
        let left: Vec<String> = [processes(), sockets(), files()].concat();
        if left.is_empty() {
            break;
        }
        assert!(
            begin.elapsed() < Duration::from_secs(3),
            "left behind:\n{}",
            left.join("\n")
        );
        sleep(Duration::from_millis(50));
    }
    let _ = fs::remove_dir_all(run_root());
}
