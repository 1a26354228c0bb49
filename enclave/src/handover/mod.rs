//! What supervisor and query process say to each other, over one `SOCK_SEQPACKET` pair.
//!
//! * supervisor → process: [`Setup`] at once; then, once, a job: [`JobHeader`], two keys, the
//!   inputs' descriptors, the sealed section.
//! * process → supervisor: [`Ready`] when warm; [`Done`] at the end.
//!
//! The result goes through a pipe of its own. Bytes and packets: [`packet`]; system calls:
//! [`socket`].

pub mod packet;
pub mod socket;

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use duckblind_protocol::body::MAX_SECTION;
use duckblind_protocol::ids::{Digest, JobId};
use duckblind_protocol::job_code::JobCode;
use duckblind_protocol::order::{Limits, MAX_ORDER, OrderInput};
use minicbor::{Decode, Encode};
use zeroize::Zeroizing;

use crate::walls::Facts;
use packet::Kind;

/// Bytes of the two keys: section key ‖ result key.
pub const KEYS_LEN: usize = 64;
/// Section key ‖ result key, wiped when dropped. In a box: moving an array leaves its bytes behind.
pub type Keys = Box<Zeroizing<[u8; KEYS_LEN]>>;

/// No keys yet, to be filled in place.
pub fn no_keys() -> Keys {
    Box::new(Zeroizing::new([0; KEYS_LEN]))
}

/// Bytes that a message of each kind may have.
pub const fn cap(kind: Kind) -> usize {
    match kind {
        Kind::Setup | Kind::Ready | Kind::Done => 4000,
        Kind::Job => MAX_ORDER,
        Kind::Keys => KEYS_LEN,
        Kind::Section => MAX_SECTION + 64,
    }
}

/// Where a query may put what does not fit into memory.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SpillRoom {
    /// A directory.
    #[n(0)]
    pub dir: String,
    /// Bytes in it.
    #[n(1)]
    pub max_bytes: u64,
}

/// What a standby is prepared for: the most that any job may ask.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Setup {
    /// Worker threads.
    #[n(0)]
    pub threads: u32,
    /// The engine's memory, bytes.
    #[n(1)]
    pub memory_bytes: u64,
    /// Nowhere, if absent.
    #[n(2)]
    pub spill: Option<SpillRoom>,
}

/// A standby is warm: its walls as it reads them back, and the engine it has open.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Ready {
    /// The walls; absent if they cannot be read back.
    #[n(0)]
    pub facts: Option<Facts>,
    /// Name and version of the engine, read back from its library.
    #[n(1)]
    pub engine: String,
    /// Why it is not warm after all, fit for a log.
    #[n(2)]
    pub failure: Option<String>,
}

/// Where one process spills to; the supervisor removes it when the process is reaped.
pub fn spill_dir(base: &Path, pid: u32) -> PathBuf {
    base.join(format!("duckblind-{pid}"))
}

/// What the process may know of the order.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct JobHeader {
    /// Which job.
    #[n(0)]
    pub job: JobId,
    /// SHA-256 of the job's encapsulation.
    #[n(1)]
    pub enc: Digest,
    /// Within the enclave's own.
    #[n(2)]
    pub limits: Limits,
    /// The tables; one descriptor comes for each file, in this order.
    #[n(3)]
    pub inputs: Vec<OrderInput>,
}

impl JobHeader {
    /// Descriptors that come with it.
    pub fn file_count(&self) -> usize {
        self.inputs.iter().map(|input| input.files.len()).sum()
    }
}

/// The process has written the final chunk, or is about to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Done {
    /// Why it failed; absent when it did not.
    #[n(0)]
    pub failure: Option<JobCode>,
}

/// A whole job as the process receives it.
pub struct HandedJob {
    /// Public part.
    pub header: JobHeader,
    /// Section key ‖ result key.
    pub keys: Keys,
    /// Read-only, one for each file of the header.
    pub files: Vec<OwnedFd>,
    /// The sealed query section.
    pub section: Vec<u8>,
}
