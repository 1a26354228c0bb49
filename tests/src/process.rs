//! Real processes, each in its own group, none of which outlives its guard.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// How long a daemon may take to be ready: key making, a busy machine and standbys included.
const READY: Duration = Duration::from_secs(60);

/// How long a daemon gets between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(10);

/// A running daemon. Dropping it ends the process, its group, and whatever it had started.
pub struct Daemon {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts `command` with its output in `<dir>/<name>.log` (appended, so that restarts keep all of it).
    pub fn spawn(name: &'static str, mut command: Command, dir: &Path) -> Result<Self> {
        let log = dir.join(format!("{name}.log"));
        let out = File::options().create(true).append(true).open(&log)?;
        let child = command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name, child, log })
    }

    /// Waits for the ready file, a JSON object, and returns it.
    pub fn ready(&mut self, file: &Path) -> Result<serde_json::Value> {
        let begin = Instant::now();
        loop {
            if let Ok(text) = fs::read_to_string(file)
                && let Ok(value) = serde_json::from_str(&text)
            {
                return Ok(value);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status}:\n{}", self.name, self.logged());
            }
            if begin.elapsed() > READY {
                bail!(
                    "{} is not ready after {READY:?}:\n{}",
                    self.name,
                    self.logged()
                );
            }
            sleep(Duration::from_millis(10));
        }
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it is still running.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// All it has written so far.
    pub fn logged(&self) -> String {
        fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Sends a signal to the process itself, not to its group.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill_process(self.raw_pid(), signal)?)
    }

    /// Waits for its end, at most `limit`.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if begin.elapsed() > limit {
                bail!("{} still runs after {limit:?}", self.name);
            }
            sleep(Duration::from_millis(10));
        }
    }

    /// SIGKILL, and wait: a crash as the others see it.
    pub fn kill(&mut self) -> Result<()> {
        let _ = self.signal(Signal::KILL);
        self.wait(GRACE).map(drop)
    }

    fn raw_pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let started = descendants(self.pid());
        let group = self.raw_pid();
        if self.is_running() {
            let _ = self.signal(Signal::TERM);
            if self.wait(GRACE).is_err() {
                eprintln!("{} did not end after SIGTERM; killed", self.name);
                let _ = kill_process_group(group, Signal::KILL);
                let _ = self.child.wait();
            }
        }
        let _ = kill_process_group(group, Signal::KILL);
        // Job processes have groups of their own and must end with their supervisor; `zz_leftovers` finds those
        // that do not, because what is still there by then is left alone.
        let begin = Instant::now();
        while started.iter().any(|&pid| alive(pid)) && begin.elapsed() < Duration::from_secs(2) {
            sleep(Duration::from_millis(10));
        }
    }
}

/// What process `pid` has computed so far, user and system, its threads included, in clock ticks; 0 if there is none.
pub fn cpu_ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name, in parentheses, may hold anything; `utime` and `stime` are the 12th and 13th field after it (proc(5)).
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = rest.split_whitespace().skip(11).take(2);
    ticks.filter_map(|field| field.parse::<u64>().ok()).sum()
}

/// Process ids of all children, and of theirs.
pub fn descendants(root: u32) -> Vec<u32> {
    let mut parents = Vec::new();
    for pid in all_pids() {
        if let Some(parent) = parent(pid) {
            parents.push((pid, parent));
        }
    }
    let mut found = vec![root];
    let mut next = 0;
    while next < found.len() {
        let of = found[next];
        found.extend(
            parents
                .iter()
                .filter(|(_, p)| *p == of)
                .map(|(pid, _)| *pid),
        );
        next += 1;
    }
    found.remove(0);
    found
}

/// Every process id of this machine.
pub fn all_pids() -> Vec<u32> {
    fs::read_dir("/proc")
        .map(|entries| {
            entries
                .flatten()
                .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
                .collect()
        })
        .unwrap_or_default()
}

fn alive(pid: u32) -> bool {
    // A zombie has no memory and no descriptors any more; reaping is its parent's matter.
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !matches!(after_name(&stat).first(), Some(&"Z" | &"X")))
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    after_name(&stat).get(1)?.parse().ok()
}

/// The fields of `/proc/PID/stat` after the name, which may itself hold blanks and brackets.
fn after_name(stat: &str) -> Vec<&str> {
    stat.rsplit_once(')')
        .map(|(_, rest)| rest.split_whitespace().collect())
        .unwrap_or_default()
}
