//! Starting and ending query processes.
//!
//! Two threads that live as long as the supervisor: one starts processes (the parent-death signal
//! belongs to the thread that started a process, not to its program), one waits for them to end,
//! for all at once: none that takes its time keeps the others waiting.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::net::unix::pipe;
use tokio::sync::oneshot;

use crate::handover::socket::SupervisorEnd;
use crate::handover::spill_dir;
use crate::sys::{Reaped, reap};

/// First argument of a query process; there is no other.
pub const ROLE: &str = "query";
/// Bytes that the kernel may hold of a result: one whole chunk.
const PIPE_BYTES: usize = 1 << 20;

/// Between two looks at killed processes, and how long after the last kill the looks get rarer.
const LOOK_EVERY: Duration = Duration::from_millis(1);
const LOOK_RARELY: Duration = Duration::from_millis(100);
const RARELY_AFTER: Duration = Duration::from_secs(1);

struct Started {
    /// From the first moment on: whoever drops it, wherever, ends the process.
    ending: EndGuard,
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
}

impl Spawner {
    /// Starts the two threads. The second result ends when every process is reaped, after the
    /// spawner and all processes are dropped. `spill`: where processes spill to.
    pub fn new(spill: Option<PathBuf>) -> io::Result<(Self, thread::JoinHandle<()>)> {
        let (start, starts) = mpsc::channel::<oneshot::Sender<io::Result<Started>>>();
        let (end, ends) = mpsc::channel();
        thread::Builder::new()
            .name("spawner".into())
            .stack_size(128 << 10)
            .spawn(move || {
                while let Ok(reply) = starts.recv() {
                    // Nobody there to take it: it is dropped, and ended by that.
                    let _ = reply.send(start_one(&end));
                }
            })?;
        let reaper = thread::Builder::new()
            .name("reaper".into())
            .stack_size(128 << 10)
            .spawn(move || reap_all(&ends, spill.as_deref()))?;
        Ok((Self { start }, reaper))
    }

    /// Starts a process; gives it with the pipe that its result comes through.
    pub async fn start(&self) -> io::Result<(QueryProcess, pipe::Receiver)> {
        let (reply, started) = oneshot::channel();
        let gone = || io::Error::other("the spawner thread is gone");
        self.start.send(reply).map_err(|_| gone())?;
        let started = started.await.map_err(|_| gone())??;
        let process = QueryProcess {
            channel: SupervisorEnd::new(started.socket)?,
            ending: started.ending,
        };
        Ok((process, pipe::Receiver::from_owned_fd(started.pipe)?))
    }
}

/// Reaps until nobody can end a process any more and all of them are gone.
fn reap_all(ends: &mpsc::Receiver<Ending>, spill: Option<&Path>) {
    let mut dying = Vec::new();
    let mut last = Instant::now();
    let mut open = true;
    while open || !dying.is_empty() {
        let pause = if last.elapsed() < RARELY_AFTER {
            LOOK_EVERY
        } else {
            LOOK_RARELY
        };
        let next = if dying.is_empty() {
            ends.recv().map_err(mpsc::RecvTimeoutError::from)
        } else {
            ends.recv_timeout(pause)
        };
        match next {
            Ok(ending) => {
                last = Instant::now();
                dying.push(ending);
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                open = false;
                thread::sleep(pause);
            }
        }
        dying.retain_mut(|ending| !is_gone(ending, spill));
    }
}

fn is_gone(ending: &mut Ending, spill: Option<&Path>) -> bool {
    match reap(ending.pid) {
        Ok(None) => return false,
        Ok(Some(reaped)) => {
            if reaped.code.is_some_and(|code| code != 0) {
                tracing::warn!(code = reaped.code, "a query process gave up");
            }
            let _ = ending.done.take().map(|done| done.send(reaped));
        }
        Err(error) => tracing::error!(%error, "cannot wait for a query process"),
    }
    if let Some(base) = spill {
        // Not there, if it never spilled.
        let _ = std::fs::remove_dir_all(spill_dir(base, number(ending.pid)));
    }
    true
}

fn number(pid: Pid) -> u32 {
    u32::try_from(pid.as_raw_nonzero().get()).unwrap_or(0)
}

fn start_one(end: &mpsc::Sender<Ending>) -> io::Result<Started> {
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
        ending: EndGuard {
            pid,
            end: end.clone(),
            ended: false,
        },
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
        // Not reaped yet, so the number cannot belong to anybody else. The process by itself,
        // too: it may have left its group.
        let _ = kill_process(self.pid, Signal::KILL);
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A child in the group of this test, as one that has left its own.
    #[allow(clippy::zombie_processes)]
    fn child() -> Pid {
        let child = Command::new("/bin/sleep").arg("60").spawn().unwrap();
        Pid::from_child(&child)
    }

    fn reaped(mut done: oneshot::Receiver<Reaped>) -> Reaped {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Ok(reaped) = done.try_recv() {
                return reaped;
            }
            assert!(Instant::now() < deadline, "never reaped");
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn one_that_does_not_end_keeps_no_other_waiting_and_no_group_is_a_refuge() {
        let (end, ends) = mpsc::channel();
        let reaper = thread::spawn(move || reap_all(&ends, None));
        let (lasting, (done, lasting_reaped)) = (child(), oneshot::channel());
        let done = Some(done);
        end.send(Ending { pid: lasting, done }).unwrap();

        let (done, other_reaped) = oneshot::channel();
        let mut guard = EndGuard {
            pid: child(),
            end: end.clone(),
            ended: false,
        };
        guard.end(Some(done));
        assert_eq!(reaped(other_reaped).signal, Some(libc::SIGKILL));
        assert!(!reaper.is_finished());

        drop((guard, end));
        kill_process(lasting, Signal::KILL).unwrap();
        assert_eq!(reaped(lasting_reaped).signal, Some(libc::SIGKILL));
        reaper.join().unwrap();
    }

    #[test]
    fn a_start_that_nobody_waits_for_leaves_no_process() {
        let (end, ends) = mpsc::channel();
        let (reply, started) = oneshot::channel();
        let pid = child();
        drop(started);
        let guard = EndGuard {
            pid,
            end,
            ended: false,
        };
        assert!(reply.send(guard).is_err());
        // Reaps all there is, then ends: the guard went with the reply.
        reap_all(&ends, None);
        assert!(reap(pid).is_err());
    }
}
