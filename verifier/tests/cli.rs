//! The binary: its commands, its errors, its life from start to SIGTERM.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const POLICY: &str = include_str!("../../policies/development.toml");

fn verifier(arguments: &[&str], dir: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_duckblind-verifier"))
        .args(arguments)
        .current_dir(dir)
        .env_clear()
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Killed with the test, whatever becomes of it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn home() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    assert!(
        verifier(&["keys", "new", "--out", "."], dir.path())
            .status
            .success()
    );
    let policy = POLICY
        .replace(
            "\nsimulator_roots = []",
            &format!("\nsimulator_roots = [\"{}\"]", "11".repeat(32)),
        )
        .replace(
            "\nmeasurements = []",
            &format!("\nmeasurements = [\"{}\"]", "22".repeat(48)),
        )
        .replace(
            "\nimages = []",
            &format!(
                "\nimages = [{{ mrtd = \"{}\", rtmr0 = \"zero\", rtmr1 = \"zero\", \
                 rtmr2 = \"zero\", rtmr3 = \"zero\" }}]",
                "22".repeat(48)
            ),
        )
        .replace(
            "\nreleases = []",
            &format!("\nreleases = [\"{}\"]", "33".repeat(32)),
        );
    std::fs::write(dir.path().join("policy.toml"), policy).unwrap();
    configure(dir.path(), "127.0.0.1:0", "");
    dir
}

fn configure(dir: &Path, listen: &str, more: &str) {
    let text = format!(
        "listen = \"{listen}\"\nstate = \"state.sqlite\"\near_key = \"ear.key\"\n\
         policies = [\"policy.toml\"]\n{more}\n"
    );
    std::fs::write(dir.join("verifier.toml"), text).unwrap();
}

#[test]
fn made_files_are_private_and_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let made = verifier(&["keys", "new", "--out", "."], dir.path());
    assert!(made.status.success());
    assert!(
        verifier(&["token", "new", "--out", "token"], dir.path())
            .status
            .success()
    );
    assert!(
        verifier(
            &["tls", "new", "--out", ".", "--name", "localhost"],
            dir.path()
        )
        .status
        .success()
    );
    for secret in ["ear.key", "token", "key.pem"] {
        let mode = dir
            .path()
            .join(secret)
            .metadata()
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{secret}");
    }
    let shown = verifier(&["keys", "show", "ear.pub", "--json"], dir.path());
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    let made = String::from_utf8(made.stdout).unwrap();
    assert!(made.contains(shown.get("audience").unwrap().as_str().unwrap()));

    let again = verifier(&["keys", "new", "--out", "."], dir.path());
    assert_eq!(again.status.code(), Some(2));
    assert!(
        stderr(&again).starts_with("error[DB-VER-003]: "),
        "{}",
        stderr(&again)
    );
    assert!(stderr(&again).contains("\nhint: "), "{}", stderr(&again));
}

#[test]
fn errors_are_coded_for_people_and_programs() {
    let dir = home();
    let missing = verifier(&["config", "check", "--config", "none.toml"], dir.path());
    assert_eq!(missing.status.code(), Some(2));
    assert!(
        stderr(&missing).starts_with("error[DB-VER-001]: "),
        "{}",
        stderr(&missing)
    );

    configure(dir.path(), "0.0.0.0:0", "");
    let open = verifier(
        &["serve", "--config", "verifier.toml", "--json"],
        dir.path(),
    );
    assert_eq!(open.status.code(), Some(2));
    let error: serde_json::Value = serde_json::from_str(&stderr(&open)).unwrap();
    assert_eq!(error.pointer("/error/code").unwrap(), "DB-VER-009");
    assert_eq!(error.pointer("/error/exit").unwrap(), 2);

    configure(dir.path(), "127.0.0.1:0", "");
    std::fs::set_permissions(
        dir.path().join("ear.key"),
        std::fs::Permissions::from_mode(0o644),
    )
    .unwrap();
    let readable = verifier(
        &["config", "check", "--config", "verifier.toml"],
        dir.path(),
    );
    assert!(
        stderr(&readable).starts_with("error[DB-VER-004]: "),
        "{}",
        stderr(&readable)
    );
    let secret = std::fs::read_to_string(dir.path().join("ear.key")).unwrap();
    let secret = secret.trim().rsplit(':').next().unwrap();
    assert!(!stderr(&readable).contains(secret));
}

#[test]
fn serves_until_sigterm_and_leaves_only_its_state() {
    let dir = home();
    let log = std::fs::File::create_new(dir.path().join("log")).unwrap();
    let mut running = Running(
        Command::new(env!("CARGO_BIN_EXE_duckblind-verifier"))
            .args(["serve", "--config", "verifier.toml", "--log", "json"])
            .args(["--ready-file", "ready.json", "--log-filter", "debug"])
            .current_dir(dir.path())
            .env_clear()
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap(),
    );
    let ready = dir.path().join("ready.json");
    let deadline = Instant::now() + Duration::from_secs(20);
    while !ready.exists() {
        assert!(
            running.0.try_wait().unwrap().is_none(),
            "ended before it was ready"
        );
        assert!(Instant::now() < deadline, "not ready in time");
        std::thread::sleep(Duration::from_millis(20));
    }
    let line: serde_json::Value = serde_json::from_slice(&std::fs::read(&ready).unwrap()).unwrap();
    let url = line.get("http").unwrap().as_str().unwrap();
    let address = url.strip_prefix("http://").unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    std::io::Write::write_all(&mut stream, b"GET /healthz HTTP/1.1\r\nhost: v\r\n\r\n").unwrap();
    let mut start = [0; 12];
    std::io::Read::read_exact(&mut stream, &mut start).unwrap();
    assert_eq!(&start, b"HTTP/1.1 200");
    drop(stream);

    let pid = rustix::process::Pid::from_child(&running.0);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let deadline = Instant::now() + Duration::from_secs(15);
    let status = loop {
        if let Some(status) = running.0.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < deadline, "did not end in time");
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(status.code(), Some(0));
    assert!(!ready.exists());
    let left: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("state"))
        .collect();
    assert_eq!(
        left,
        ["state.sqlite"],
        "the write-ahead log is folded in at the end"
    );

    let log = std::fs::read_to_string(dir.path().join("log")).unwrap();
    let secret = std::fs::read_to_string(dir.path().join("ear.key")).unwrap();
    assert!(!log.contains(secret.trim().rsplit(':').next().unwrap()));
    for line in log.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|_| panic!("{line}"));
    }
}
