//! A running `duckblind-enclave`, killed when dropped.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use duckblind_attestation::release::{ReleaseManifest, VERSION};
use duckblind_attestation::simulator;
use duckblind_protocol::ids::Digest;
use rustix::process::{Pid, Signal};

/// The binary under test, under a name of its own: a build that goes on meanwhile replaces the
/// file, and the release manifest would be that of another binary.
pub(crate) fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let built = Path::new(env!("CARGO_BIN_EXE_duckblind-enclave"));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("enclave-under-test");
        let _ = fs::remove_file(&path);
        fs::hard_link(built, &path).unwrap();
        path
    })
}

/// The simulated platform, made once: its keys take seconds.
fn platform() -> &'static Path {
    static PLATFORM: OnceLock<PathBuf> = OnceLock::new();
    PLATFORM.get_or_init(|| {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("simulated-platform");
        simulator::create(&dir).unwrap();
        dir
    })
}

fn release_text() -> &'static str {
    static RELEASE: OnceLock<String> = OnceLock::new();
    RELEASE.get_or_init(|| {
        let release = ReleaseManifest {
            v: VERSION,
            binary: Digest::of(&fs::read(binary()).unwrap()),
            commit: "test".into(),
            lockfile: Digest::of(b""),
            rustc: "test".into(),
        };
        release.to_json()
    })
}

/// A directory with all that an enclave needs.
pub(crate) struct Place {
    pub(crate) dir: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("tables")).unwrap();
        fs::write(dir.path().join("release.json"), release_text()).unwrap();
        Self { dir }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a configuration; `extra` are further lines, tables included.
    pub(crate) fn configure(&self, extra: &str) {
        let text = format!(
            "listen = \"unix:{}\"\nrelease = \"{}\"\nstorage.provider = \"local-fake\"\n\
             storage.root = \"{}\"\nsimulator.dir = \"{}\"\n{extra}\n",
            self.path("enclave.sock").display(),
            self.path("release.json").display(),
            self.path("tables").display(),
            platform().display(),
        );
        fs::write(self.path("enclave.toml"), text).unwrap();
    }

    fn command(&self) -> Command {
        let mut command = Command::new(binary());
        command
            .arg("run")
            .arg("--config")
            .arg(self.path("enclave.toml"))
            .arg("--ready-file")
            .arg(self.path("ready.json"))
            // Must not reach any query process.
            .env("DUCKBLIND_TEST_CANARY", "canary")
            .stdin(Stdio::null())
            .process_group(0);
        command
    }

    /// Runs an enclave that is expected not to start.
    pub(crate) fn refused(&self) -> Output {
        let mut child = self
            .command()
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        while child.try_wait().unwrap().is_none() {
            if Instant::now() > deadline {
                child.kill().unwrap();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        child.wait_with_output().unwrap()
    }

    pub(crate) fn start(self) -> Enclave {
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path("log"))
            .unwrap();
        let child = self.command().stderr(log).spawn().unwrap();
        let enclave = Enclave { place: self, child };
        enclave.wait_until("up", || enclave.place.path("ready.json").exists());
        enclave
    }
}

/// A running enclave.
pub(crate) struct Enclave {
    pub(crate) place: Place,
    pub(crate) child: Child,
}

impl Enclave {
    pub(crate) fn start(extra: &str) -> Self {
        let place = Place::new();
        place.configure(extra);
        place.start()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.place.path("log")).unwrap()
    }

    pub(crate) fn wait_until(&self, what: &str, done: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !done() {
            assert!(Instant::now() < deadline, "{what}: {}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until the pool is full, as it says itself.
    pub(crate) fn wait_for_standbys(&self, count: usize) {
        let full = format!("ready={count}");
        self.wait_until("full pool", || {
            let log = self.log();
            let last = log.lines().rfind(|line| line.contains("standby"));
            last.is_some_and(|line| line.contains(&full))
        });
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Its living children.
    pub(crate) fn query_processes(&self) -> Vec<u32> {
        children(self.child.id())
    }

    pub(crate) fn signal(&self, signal: Signal) {
        rustix::process::kill_process(self.pid(), signal).unwrap();
    }

    /// Waits for it to end by itself.
    pub(crate) fn wait(&mut self, within: Duration) -> i32 {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            assert!(Instant::now() < deadline, "does not end: {}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Living (not zombie) processes whose parent is `parent`.
pub(crate) fn children(parent: u32) -> Vec<u32> {
    let pids = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
            return false;
        };
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        let fields: Vec<_> = after_name.split_whitespace().collect();
        fields.first() != Some(&"Z") && fields.get(1) == Some(&parent.to_string().as_str())
    })
    .collect()
}

impl Drop for Enclave {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
