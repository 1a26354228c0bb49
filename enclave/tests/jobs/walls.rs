//! The walls, seen from outside.

use std::fs;
use std::os::unix::process::CommandExt as _;

use crate::process::{Enclave, binary};

fn status(pid: u32, field: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().to_owned()
}

fn limit(pid: u32, name: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    let fields: Vec<_> = line[name.len()..].split_whitespace().collect();
    fields[1].to_owned()
}

#[test]
fn a_standby_stands_behind_them() {
    let enclave = Enclave::start("limits.standbys = 1");
    enclave.wait_for_standbys(1);
    let pid = enclave.query_processes()[0];
    assert_eq!(status(pid, "NoNewPrivs"), "1");
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(status(pid, set), "0000000000000000", "{set}");
    }
    assert_eq!(limit(pid, "Max core file size"), "0");
    assert_eq!(limit(pid, "Max file size"), "0");
    assert_ne!(limit(pid, "Max data size"), "unlimited");
    let argv = fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    assert_eq!(argv, b"duckblind-enclave\0query\0");
    // Not dumpable: the files of its /proc directory belong to root, whoever runs it.
    assert_eq!(
        std::os::unix::fs::MetadataExt::uid(&fs::metadata(format!("/proc/{pid}/environ")).unwrap()),
        0
    );
    // These need root, as continuous integration has it.
    if rustix::process::geteuid().is_root() {
        assert!(fs::read(format!("/proc/{pid}/environ")).unwrap().is_empty());
        let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
        assert_eq!(open, 5, "three on /dev/null, a socket, a pipe");
        assert_eq!(status(pid, "CapBnd"), "0000000000000000");
        for task in fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
            let text = fs::read_to_string(task.unwrap().path().join("status")).unwrap();
            let all = text.lines().filter(|line| line.starts_with("Cap"));
            assert!(all.clone().count() >= 5);
            assert!(all.clone().all(|line| line.ends_with("\t0000000000000000")));
        }
    } else {
        eprintln!("NOT ROOT: environment and descriptors of a standby not looked at");
    }
    assert_eq!(limit(enclave.child.id(), "Max core file size"), "0");
}

#[test]
fn the_query_role_is_not_for_people() {
    let output = std::process::Command::new(binary())
        .arg("query")
        .process_group(0)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("DB-ENC-017"));
}

#[test]
fn memory_of_an_idle_enclave() {
    let enclave = Enclave::start("limits.standbys = 2");
    enclave.wait_for_standbys(2);
    let pss = |pid: u32| -> Option<u64> {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let line = text.lines().find(|line| line.starts_with("Pss:"))?;
        line.split_whitespace().nth(1)?.parse().ok()
    };
    let Some(supervisor) = pss(enclave.child.id()) else {
        eprintln!("MAY NOT READ smaps_rollup: memory not measured");
        return;
    };
    assert!(supervisor <= 40 << 10, "supervisor: {supervisor} KiB");
    for standby in enclave.query_processes() {
        let standby = pss(standby).unwrap();
        eprintln!("supervisor {supervisor} KiB, standby {standby} KiB");
        assert!(standby <= 30 << 10, "standby: {standby} KiB");
    }
}
