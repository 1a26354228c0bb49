//! How a stack differs from the ordinary one.

use std::fmt::Write as _;
use std::path::PathBuf;

/// Options of [`crate::stack::Stack::start`].
#[derive(Clone, Debug)]
pub struct Options {
    /// `[limits]` of the enclave.
    pub limits: Vec<(&'static str, u64)>,
    /// `[timeouts]` of the enclave, in milliseconds.
    pub timeouts: Vec<(&'static str, u64)>,
    /// `[timeouts]` of the host, in milliseconds.
    pub host_timeouts: Vec<(&'static str, u64)>,
    /// `[limits]` of the host.
    pub host_limits: Vec<(&'static str, u64)>,
    /// Life of a signed attestation result, in milliseconds.
    pub ear_lifetime_ms: u64,
    /// Whether the malicious relay stands between host and enclave.
    pub relay: bool,
    /// Which simulated platform the enclave runs on.
    pub platform: &'static str,
    /// Another enclave program than the one under test; the policy lists it.
    pub enclave_program: Option<PathBuf>,
    /// Another enclave program whose measurement the *requester's* policy lists.
    pub trusted_program: Option<PathBuf>,
    /// A word that is part of every path of the stack: it is certain to be in the memory of its daemons.
    pub canary: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            limits: vec![("standbys", 2), ("max_jobs", 4), ("memory_bytes", 1 << 30)],
            timeouts: Vec::new(),
            host_timeouts: Vec::new(),
            host_limits: Vec::new(),
            ear_lifetime_ms: 600_000,
            relay: false,
            platform: "sev-snp",
            enclave_program: None,
            trusted_program: None,
            canary: None,
        }
    }
}

impl Options {
    /// Everything that waits, waits for a second.
    pub fn impatient() -> Self {
        Self {
            timeouts: vec![
                ("ticket_ms", 1_000),
                ("expiry_ms", 1_000),
                ("keepalive_ms", 1_000),
                ("progress_ms", 1_000),
                ("drain_ms", 1_000),
            ],
            host_timeouts: vec![
                ("first_frame_ms", 1_000),
                ("frame_ms", 1_000),
                ("stall_ms", 1_000),
                ("evidence_ms", 5_000),
                ("drain_ms", 1_000),
            ],
            ..Self::default()
        }
    }

    /// With the malicious relay.
    pub fn relayed(mut self) -> Self {
        self.relay = true;
        self
    }

    /// With one more limit of the enclave, or another value of it.
    pub fn limit(mut self, name: &'static str, value: u64) -> Self {
        set(&mut self.limits, name, value);
        self
    }

    /// With one more timeout of the enclave, or another value of it.
    pub fn timeout(mut self, name: &'static str, ms: u64) -> Self {
        set(&mut self.timeouts, name, ms);
        self
    }

    /// With one more limit of the host, or another value of it.
    pub fn host_limit(mut self, name: &'static str, value: u64) -> Self {
        set(&mut self.host_limits, name, value);
        self
    }
}

fn set(list: &mut Vec<(&'static str, u64)>, name: &'static str, value: u64) {
    list.retain(|(key, _)| *key != name);
    list.push((name, value));
}

/// A TOML section.
pub(crate) fn section(name: &str, values: &[(&'static str, u64)]) -> String {
    let mut text = format!("[{name}]\n");
    for (key, value) in values {
        let _ = writeln!(text, "{key} = {value}");
    }
    text
}
