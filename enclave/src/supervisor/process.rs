//! Starting and ending query processes.
//!
//! Two threads that live as long as the supervisor: one starts processes (the parent-death signal
//! belongs to the thread that started a process, not to its program), one waits for them to end.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::net::unix::pipe;
use tokio::sync::oneshot;

use crate::handover::socket::SupervisorEnd;
use crate::handover::spill_dir;
use crate::sys::{Reaped, wait_with_usage};

/// First argument of a query process; there is no other.
pub const ROLE: &str = "query";
/// Bytes that the kernel may hold of a result: one whole chunk.
const PIPE_BYTES: usize = 1 << 20;

struct Started {
    pid: Pid,
    socket: OwnedFd,
    pipe: OwnedFd,
}

struct Ending {
    pid: Pid,
    done: Option<oneshot::Sender<Reaped>>,
}

/// Starts and ends query processes.
pub struct Spawner {
    start: mpsc::Sender<oneshot::Sender<io::Result<Started>>>,
    end: mpsc::Sender<Ending>,
}

impl Spawner {
    /// Starts the two threads. The second result ends when every process is reaped, after the
    /// spawner and all processes are dropped. `spill`: where processes spill to.
    pub fn new(spill: Option<PathBuf>) -> io::Result<(Self, thread::JoinHandle<()>)> {
        let (start, starts) = mpsc::channel::<oneshot::Sender<io::Result<Started>>>();
        let (end, ends) = mpsc::channel::<Ending>();
        thread::Builder::new()
            .name("spawner".into())
            .stack_size(128 << 10)
            .spawn(move || {
                while let Ok(reply) = starts.recv() {
                    if let Err(Ok(unwanted)) = reply.send(start_one()) {
                        let _ = kill_process_group(unwanted.pid, Signal::KILL);
                        let _ = wait_with_usage(unwanted.pid);
                    }
                }
            })?;
        let reaper = thread::Builder::new()
            .name("reaper".into())
            .stack_size(128 << 10)
            .spawn(move || {
                while let Ok(ending) = ends.recv() {
                    reap(ending, spill.as_deref());
                }
            })?;
        Ok((Self { start, end }, reaper))
    }

    /// Starts a process; gives it with the pipe that its result comes through.
    pub async fn start(&self) -> io::Result<(QueryProcess, pipe::Receiver)> {
        let (reply, started) = oneshot::channel();
        let gone = || io::Error::other("the spawner thread is gone");
        self.start.send(reply).map_err(|_| gone())?;
        let started = started.await.map_err(|_| gone())??;
        let ending = EndGuard {
            pid: started.pid,
            end: self.end.clone(),
            ended: false,
        };
        let process = QueryProcess {
            channel: SupervisorEnd::new(started.socket)?,
            ending,
        };
        Ok((process, pipe::Receiver::from_owned_fd(started.pipe)?))
    }
}

fn reap(ending: Ending, spill: Option<&Path>) {
    match wait_with_usage(ending.pid) {
        Ok(reaped) => {
            if reaped.code.is_some_and(|code| code != 0) {
                tracing::warn!(code = reaped.code, "a query process gave up");
            }
            let _ = ending.done.map(|done| done.send(reaped));
        }
        Err(error) => tracing::error!(%error, "cannot wait for a query process"),
    }
    if let Some(base) = spill {
        // Not there, if it never spilled.
        let _ = std::fs::remove_dir_all(spill_dir(base, number(ending.pid)));
    }
}

fn number(pid: Pid) -> u32 {
    u32::try_from(pid.as_raw_nonzero().get()).unwrap_or(0)
}

fn start_one() -> io::Result<Started> {
    let (ours, theirs) = socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?;
    rustix::io::ioctl_fionbio(&ours, true)?;
    let (result, sealed) = pipe_with(PipeFlags::CLOEXEC)?;
    // A smaller pipe works as well, only slower.
    let _ = fcntl_setpipe_size(&sealed, PIPE_BYTES);
    rustix::io::ioctl_fionbio(&result, true)?;
    // Waited for by the reaper, through its process id. Its working directory and group, empty
    // environment and closed descriptors are set before it runs; the rest it does itself.
    let child = Command::new("/proc/self/exe")
        .arg0("duckblind-enclave")
        .arg(ROLE)
        .env_clear()
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::from(theirs))
        .stdout(Stdio::from(sealed))
        .stderr(Stdio::null())
        .spawn()?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::other("no process id"))?;
    Ok(Started {
        pid,
        socket: ours,
        pipe: result,
    })
}

/// A running query process. Dropping it kills its whole group and has it reaped.
pub struct QueryProcess {
    /// Words.
    pub channel: SupervisorEnd,
    ending: EndGuard,
}

impl QueryProcess {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        number(self.ending.pid)
    }

    /// Kills it; what it used is told when it is reaped.
    pub fn kill(mut self) -> oneshot::Receiver<Reaped> {
        let (done, reaped) = oneshot::channel();
        self.ending.end(Some(done));
        reaped
    }
}

/// Kills and hands over to the reaper, whatever happens.
struct EndGuard {
    pid: Pid,
    end: mpsc::Sender<Ending>,
    ended: bool,
}

impl EndGuard {
    fn end(&mut self, done: Option<oneshot::Sender<Reaped>>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        // Not reaped yet, so the number cannot belong to anybody else.
        let _ = kill_process_group(self.pid, Signal::KILL);
        let _ = self.end.send(Ending {
            pid: self.pid,
            done,
        });
    }
}

impl Drop for EndGuard {
    fn drop(&mut self) {
        self.end(None);
    }
}
