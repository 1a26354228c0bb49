//! Runs a program to its end, within a limit, and keeps what it said.

use std::io::{Read, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// No command of a test may take longer.
const LIMIT: Duration = Duration::from_secs(120);

/// What a finished program left.
#[derive(Debug)]
pub struct Ran {
    /// Exit code, or 128 + signal.
    pub code: i32,
    /// All of stdout.
    pub stdout: Vec<u8>,
    /// All of stderr.
    pub stderr: String,
    /// From start to end.
    pub took: Duration,
}

impl Ran {
    /// Ends the test unless the command succeeded.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "failed:\n{}", self.stderr);
        self
    }

    /// Ends the test unless the command failed with this error code and exit code, with a hint, in time.
    #[track_caller]
    pub fn refused(self, code: &str, exit: i32) -> Self {
        assert_eq!(self.code, exit, "exit code of:\n{}", self.stderr);
        let coded = format!("error[{code}");
        assert!(
            self.stderr.contains(&coded),
            "no {coded} in:\n{}",
            self.stderr
        );
        self.hinted()
    }

    /// Ends the test unless the error comes with a hint.
    #[track_caller]
    pub fn hinted(self) -> Self {
        assert!(
            self.stderr.contains("error["),
            "no coded error in:\n{}",
            self.stderr
        );
        assert!(
            self.stderr.contains("hint:"),
            "no hint in:\n{}",
            self.stderr
        );
        self
    }

    /// Ends the test unless it took at most this long.
    #[track_caller]
    pub fn within(self, limit: Duration) -> Self {
        assert!(self.took <= limit, "took {:?}, not {limit:?}", self.took);
        self
    }

    /// Ends the test unless stderr has this text.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(
            self.stderr.contains(text),
            "no {text:?} in:\n{}",
            self.stderr
        );
        self
    }

    /// Stdout as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

/// A program under way.
pub struct Running {
    child: Child,
    begin: Instant,
    out: thread::JoinHandle<Vec<u8>>,
    err: thread::JoinHandle<Vec<u8>>,
}

/// A command with an environment of its own: `PATH`, `HOME`, nothing of the tester's.
pub fn command(program: &Path, home: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .env("XDG_CONFIG_HOME", home.join("config"))
        .env("XDG_CACHE_HOME", home.join("cache"))
        .env("XDG_STATE_HOME", home.join("state"))
        .env("NO_COLOR", "1");
    command
}

/// Like [`command`], for a program that must not outlive the thread that starts it, however that ends.
pub fn daemon(program: &Path, home: &Path) -> Command {
    if !Path::new("/usr/bin/setpriv").exists() {
        return command(program, home);
    }
    let mut command = command(Path::new("/usr/bin/setpriv"), home);
    command.args(["--pdeathsig", "TERM", "--"]).arg(program);
    command
}

/// Starts it; `stdin` is its whole input.
pub fn start(mut command: Command, stdin: &[u8]) -> Running {
    let begin = Instant::now();
    command
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("cannot start a program");
    let mut input = child.stdin.take().expect("piped");
    // A program that does not read its input may end before it was written.
    let _ = input.write_all(stdin);
    drop(input);
    let mut out = child.stdout.take().expect("piped");
    let mut err = child.stderr.take().expect("piped");
    Running {
        child,
        begin,
        out: thread::spawn(move || all(&mut out)),
        err: thread::spawn(move || all(&mut err)),
    }
}

impl Running {
    /// Sends a signal to the process.
    pub fn signal(&self, signal: Signal) {
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If that does not come in time: nothing of ours may hang.
    pub fn finish(mut self) -> Ran {
        use std::os::unix::process::ExitStatusExt as _;
        let group = Pid::from_child(&self.child);
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("wait") {
                break status;
            }
            if self.begin.elapsed() > LIMIT {
                let _ = kill_process_group(group, Signal::KILL);
                let _ = self.child.wait();
                let stderr =
                    String::from_utf8_lossy(&self.err.join().unwrap_or_default()).into_owned();
                panic!("a command hangs after {LIMIT:?}:\n{stderr}");
            }
            thread::sleep(Duration::from_millis(2));
        };
        let took = self.begin.elapsed();
        Ran {
            code: status
                .code()
                .or_else(|| status.signal().map(|s| 128 + s))
                .unwrap_or(-1),
            stdout: self.out.join().expect("reader"),
            stderr: String::from_utf8_lossy(&self.err.join().expect("reader")).into_owned(),
            took,
        }
    }
}

/// Starts it and waits for its end.
pub fn run(command: Command, stdin: &[u8]) -> Ran {
    start(command, stdin).finish()
}

fn all(from: &mut impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = from.read_to_end(&mut bytes);
    bytes
}
