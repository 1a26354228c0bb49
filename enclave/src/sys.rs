//! The system calls that no safe wrapper offers. The only file of this crate with `unsafe`.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::process::Pid;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reaped {
    /// Processor time, user and system, of the whole process.
    pub cpu: Duration,
    /// What it ended with, if by itself.
    pub code: Option<i32>,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
}

/// Closes every descriptor from `first` on.
///
/// To be called at the very start of a process, before anything owns such a descriptor.
pub fn close_from(first: u32) -> io::Result<()> {
    // SAFETY: plain system call without pointers. Nothing of this process owns a descriptor from
    // `first` on (the caller's duty above), so no owner is left with a closed number.
    let result = unsafe { libc::close_range(first, u32::MAX, 0) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Points standard input, output and error at `target`.
pub fn replace_stdio(target: BorrowedFd<'_>) -> io::Result<()> {
    for standard in 0..=2 {
        // SAFETY: plain system call without pointers; 0, 1 and 2 are never owned by an `OwnedFd`.
        let result = unsafe { libc::dup2(target.as_raw_fd(), standard) };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// The two channels of a query process: what came as its standard input and output, moved to
/// descriptors of their own, with the standard ones on `/dev/null`, so that a stray print
/// of a library cannot reach a channel.
pub fn take_channels() -> io::Result<(OwnedFd, OwnedFd)> {
    use std::os::fd::AsFd as _;
    let socket = io::stdin().as_fd().try_clone_to_owned()?;
    let pipe = io::stdout().as_fd().try_clone_to_owned()?;
    let null = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")?;
    replace_stdio(null.as_fd())?;
    Ok((socket, pipe))
}

/// Reaps the child `pid`, with its resource usage, if it has ended; does not wait for that.
///
/// Nobody else may wait for this child.
pub fn reap(pid: Pid) -> io::Result<Option<Reaped>> {
    let mut status = 0;
    loop {
        // SAFETY: all-zero bytes are a valid `rusage`, a struct of integers.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        let raw = pid.as_raw_nonzero().get();
        // SAFETY: both pointers are to live, writable values of the right type.
        let result = unsafe { libc::wait4(raw, &raw mut status, libc::WNOHANG, &raw mut usage) };
        if result == 0 {
            return Ok(None);
        }
        if result == raw {
            let code = libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status));
            let signal = libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status));
            return Ok(Some(Reaped {
                cpu: duration(usage.ru_utime) + duration(usage.ru_stime),
                code,
                signal,
            }));
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

fn duration(time: libc::timeval) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let micros = u64::try_from(time.tv_usec).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_micros(micros)
}

/// A descriptor that the running tokio runtime waits on.
pub fn wait_on(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` stays open and keeps its number until it is dropped, and nothing takes
    // it out of what is made here.
    unsafe { AsyncFd::register_with_interest(fd, interest) }.map_err(io::Error::from)
}

/// Bounds the number of glibc's memory arenas: an idle process keeps few pages.
pub fn limit_arenas(count: i32) {
    #[cfg(target_env = "gnu")]
    // SAFETY: plain call without pointers; a refused value leaves the allocator as it was.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, count);
    }
    #[cfg(not(target_env = "gnu"))]
    let _ = count;
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    // The subject of the test is the waiting itself.
    #[allow(clippy::zombie_processes)]
    fn a_child_is_reaped_with_its_signal() {
        let child = std::process::Command::new("/bin/sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        assert_eq!(reap(pid).unwrap(), None);
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        let reaped = loop {
            if let Some(reaped) = reap(pid).unwrap() {
                break reaped;
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        assert_eq!(reaped.signal, Some(libc::SIGKILL));
        assert!(reaped.cpu < Duration::from_secs(5));
        // Reaped once, gone for good.
        assert!(reap(pid).is_err());
    }
}
