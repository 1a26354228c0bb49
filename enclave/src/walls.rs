//! The walls around a query process: raised by the process itself right after exec, read back
//! from the kernel, and judged by the supervisor.
//!
//! What the process does itself: parent-death signal, no-new-privs, not dumpable, no core dumps,
//! resource limits, no capabilities, closed descriptors. What the supervisor gives it: a fresh exec, an empty
//! environment, a process group of its own.

use std::io;
use std::os::fd::RawFd;
use std::os::unix::fs::MetadataExt as _;

use duckblind_attestation::config::Wall;
use duckblind_protocol::order::MAX_FILES;
use minicbor::{Decode, Encode};
use rustix::process::{DumpableBehavior, Resource, Rlimit, Signal, getrlimit, setrlimit};

/// Memory of a query process beside what its engine may use: program, stacks, buffers, bytes.
const OVERHEAD: u64 = 320 << 20;
/// The same, for each thread: its stack and its read buffers.
const OVERHEAD_PER_THREAD: u64 = 40 << 20;
/// Descriptors that a query process may have: its inputs and a few of its own.
const DESCRIPTORS: u64 = MAX_FILES as u64 + 64;

/// What a process reads back about itself.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Facts {
    /// Its process id.
    #[n(0)]
    pub pid: u32,
    /// Its process group.
    #[n(1)]
    pub group: u32,
    /// Device and inode of its program.
    #[n(2)]
    pub program: (u64, u64),
    /// Variables in its environment.
    #[n(3)]
    pub environment: u32,
    /// Open descriptors that nobody gave it on purpose.
    #[n(4)]
    pub strays: u32,
    /// `PR_GET_NO_NEW_PRIVS`.
    #[n(5)]
    pub no_new_privs: bool,
    /// `PR_GET_DUMPABLE` is not 0.
    #[n(6)]
    pub dumpable: bool,
    /// Whether it is killed when its supervisor dies.
    #[n(7)]
    pub dies_with_parent: bool,
    /// Hard `RLIMIT_CORE`; absent: without limit.
    #[n(8)]
    pub core: Option<u64>,
    /// Hard `RLIMIT_FSIZE`.
    #[n(9)]
    pub file_size: Option<u64>,
    /// Hard `RLIMIT_NOFILE`.
    #[n(10)]
    pub descriptors: Option<u64>,
    /// Hard `RLIMIT_DATA`.
    #[n(11)]
    pub data: Option<u64>,
    /// Capabilities in any set but the bounding one, as bits.
    #[n(12)]
    pub capabilities: u64,
    /// Capabilities in its bounding set, as bits.
    #[n(13)]
    pub bounding: u64,
    /// Whether it runs as root: whom the bounding set alone keeps from being given them again.
    #[n(14)]
    pub root: bool,
}

/// `RLIMIT_DATA` for an engine with so much memory and so many threads.
pub fn data_limit(memory_bytes: u64, threads: u32) -> u64 {
    memory_bytes
        .saturating_add(OVERHEAD)
        .saturating_add(OVERHEAD_PER_THREAD.saturating_mul(u64::from(threads)))
}

fn limit(resource: Resource, value: u64) -> io::Result<()> {
    let hard = getrlimit(resource).maximum;
    let value = Some(hard.map_or(value, |hard| hard.min(value)));
    setrlimit(
        resource,
        Rlimit {
            current: value,
            maximum: value,
        },
    )?;
    Ok(())
}

/// No core dump, no tracer, no look into the memory: for every process of an enclave.
pub fn raise_own() -> io::Result<()> {
    limit(Resource::Core, 0)?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}

/// The first act of a query process, before it has heard anything. What cannot be raised is
/// found missing when it is read back, by name; so failures are not looked at here.
pub fn raise_at_start() {
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    let _ = rustix::thread::set_no_new_privs(true);
    let _ = raise_own();
    crate::capabilities::drop_all();
    let _ = crate::sys::close_from(3);
}

/// The limits that depend on the configuration; `file_bytes` is what it may write to a file.
pub fn raise_limits(memory_bytes: u64, threads: u32, file_bytes: u64) {
    let _ = limit(Resource::Fsize, file_bytes);
    let _ = limit(Resource::Nofile, DESCRIPTORS);
    limit_memory(memory_bytes, threads);
}

/// Lowers the memory limit to that of one job.
pub fn limit_memory(memory_bytes: u64, threads: u32) {
    // Lowering cannot fail; the wall itself was read back before.
    let _ = limit(Resource::Data, data_limit(memory_bytes, threads));
}

/// Device and inode of the running program.
pub fn program() -> io::Result<(u64, u64)> {
    let metadata = std::fs::metadata("/proc/self/exe")?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Reads the walls back. `given`: the descriptors that this process has on purpose.
pub fn read_back(given: &[RawFd]) -> io::Result<Facts> {
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let id = |pid: rustix::process::Pid| u32::try_from(pid.as_raw_nonzero().get()).unwrap_or(0);
    let mut open = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let name = entry?.file_name();
        open.push(name.to_str().and_then(|name| name.parse::<RawFd>().ok()));
    }
    let known = |fd: &RawFd| *fd <= 2 || given.contains(fd);
    let unknown = open.iter().filter(|fd| !fd.as_ref().is_some_and(known));
    // One of them was the listing itself.
    let strays = count(unknown.count().saturating_sub(1));
    let capabilities = crate::capabilities::held()?;
    let death = rustix::process::parent_process_death_signal()?;
    Ok(Facts {
        pid: id(rustix::process::getpid()),
        group: id(rustix::process::getpgrp()),
        program: program()?,
        environment: count(std::env::vars_os().count()),
        strays,
        no_new_privs: rustix::thread::no_new_privs()?,
        dumpable: rustix::process::dumpable_behavior()? != DumpableBehavior::NotDumpable,
        dies_with_parent: death == Some(Signal::KILL),
        core: getrlimit(Resource::Core).maximum,
        file_size: getrlimit(Resource::Fsize).maximum,
        descriptors: getrlimit(Resource::Nofile).maximum,
        data: getrlimit(Resource::Data).maximum,
        capabilities: capabilities.any,
        bounding: capabilities.bounding,
        root: rustix::process::getuid().is_root() || rustix::process::geteuid().is_root(),
    })
}

/// What the supervisor knows of a process that it has started.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// The process that it started.
    pub pid: u32,
    /// The program that runs itself.
    pub program: (u64, u64),
    /// Engine memory, bytes.
    pub memory_bytes: u64,
    /// Engine threads.
    pub threads: u32,
    /// Bytes of encrypted spill; 0: none.
    pub spill_bytes: u64,
}

/// A wall that is not up, and what was read instead.
pub type Missing = (Wall, String);

/// Judges what was read back: all walls, ascending, or the first one that is not up.
pub fn judge(facts: &Facts, expected: &Expected) -> Result<Vec<Wall>, Missing> {
    let within = |limit: Option<u64>, most: u64| limit.is_some_and(|limit| limit <= most);
    let most_data = data_limit(expected.memory_bytes, expected.threads);
    let spill = if expected.spill_bytes == 0 {
        Wall::NoSpill
    } else {
        Wall::EncryptedSpill
    };
    let checks = [
        (
            Wall::FreshExec,
            facts.pid == expected.pid
                && facts.pid != std::process::id()
                && facts.program == expected.program
                && facts.dies_with_parent,
            format!("process {}, program {:?}", facts.pid, facts.program),
        ),
        (
            Wall::EmptyEnvironment,
            facts.environment == 0,
            format!("{} variables", facts.environment),
        ),
        (
            Wall::ClosedDescriptors,
            facts.strays == 0,
            format!("{} stray descriptors", facts.strays),
        ),
        (
            Wall::NoNewPrivs,
            facts.no_new_privs,
            "new privileges possible".into(),
        ),
        (Wall::NotDumpable, !facts.dumpable, "dumpable".into()),
        (
            Wall::NoCoreDumps,
            facts.core == Some(0),
            format!("core limit {:?}", facts.core),
        ),
        (
            Wall::ResourceLimits,
            within(facts.data, most_data) && within(facts.descriptors, DESCRIPTORS),
            format!("data {:?}, descriptors {:?}", facts.data, facts.descriptors),
        ),
        (
            Wall::ProcessGroup,
            facts.group == facts.pid,
            format!("group {}", facts.group),
        ),
        (
            spill,
            within(facts.file_size, expected.spill_bytes),
            format!("file size {:?}", facts.file_size),
        ),
        (
            // Only with a capability can the bounding set be emptied. A user who has none is
            // not given any by a program that it executes: no new privileges.
            Wall::NoCapabilities,
            facts.capabilities == 0 && (facts.bounding == 0 || (facts.no_new_privs && !facts.root)),
            format!(
                "capabilities {:x}, bounding set {:x}, root: {}",
                facts.capabilities, facts.bounding, facts.root
            ),
        ),
    ];
    checks
        .into_iter()
        .map(|(wall, up, got)| if up { Ok(wall) } else { Err((wall, got)) })
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    type Breaker = fn(&mut Facts);

    fn good() -> (Facts, Expected) {
        let facts = Facts {
            pid: 7,
            group: 7,
            program: (1, 2),
            environment: 0,
            strays: 0,
            no_new_privs: true,
            dumpable: false,
            dies_with_parent: true,
            core: Some(0),
            file_size: Some(0),
            descriptors: Some(64),
            data: Some(1 << 30),
            capabilities: 0,
            bounding: 0,
            root: true,
        };
        let expected = Expected {
            pid: 7,
            program: (1, 2),
            memory_bytes: 1 << 30,
            threads: 1,
            spill_bytes: 0,
        };
        (facts, expected)
    }

    #[test]
    fn all_up() {
        let (facts, expected) = good();
        let walls = judge(&facts, &expected).unwrap();
        assert_eq!(walls.len(), 10);
        assert!(walls.is_sorted());
    }

    #[test]
    fn each_missing_wall_is_named() {
        let (facts, expected) = good();
        let cases: [(Wall, Breaker); 14] = [
            (Wall::FreshExec, |f| f.pid = 8),
            (Wall::FreshExec, |f| f.program = (1, 3)),
            (Wall::FreshExec, |f| f.dies_with_parent = false),
            (Wall::EmptyEnvironment, |f| f.environment = 1),
            (Wall::ClosedDescriptors, |f| f.strays = 1),
            (Wall::NoNewPrivs, |f| f.no_new_privs = false),
            (Wall::NotDumpable, |f| f.dumpable = true),
            (Wall::NoCoreDumps, |f| f.core = None),
            (Wall::ResourceLimits, |f| f.data = None),
            (Wall::ResourceLimits, |f| f.descriptors = None),
            (Wall::ProcessGroup, |f| f.group = 1),
            (Wall::NoSpill, |f| f.file_size = Some(1)),
            (Wall::NoCapabilities, |f| f.capabilities = 1 << 19),
            (Wall::NoCapabilities, |f| f.bounding = 1 << 19),
        ];
        for (wall, break_it) in cases {
            let mut facts = facts.clone();
            break_it(&mut facts);
            assert_eq!(judge(&facts, &expected).unwrap_err().0, wall);
        }
    }

    #[test]
    fn a_bounding_set_means_nothing_to_a_user_without_capabilities() {
        let (mut facts, expected) = good();
        facts.bounding = u64::MAX;
        facts.root = false;
        assert!(judge(&facts, &expected).is_ok());
    }

    #[test]
    fn what_is_read_back_is_what_is_there() {
        assert_eq!(read_back(&[]).unwrap().pid, std::process::id());
    }
}
