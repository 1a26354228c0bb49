//! What an enclave runs with: attested as one digest, judged field by field.
//!
//! The enclave writes what is in force, read back where it can be, not what somebody asked for.

use std::fmt;

use duckblind_protocol::cbor::{self, DecodeError};
use duckblind_protocol::ids::{Digest, PublicKey};
pub use duckblind_protocol::order::Provider;
use minicbor::{Decode, Encode};

/// Bytes that an encoded configuration may have.
pub const MAX_CONFIG: usize = 64 * 1024;
/// The one version.
pub const VERSION: u8 = 1;

/// Declares an enum whose variants have a number on the wire and a name in policies.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $n:literal $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
        #[cbor(index_only)]
        pub enum $name { $($(#[$vdoc])* #[n($n)] $variant,)* }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name in policies and configurations.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

named! {
    /// One wall around a job's process.
    Wall {
        /// Each job in a process of its own, exec'd afresh.
        FreshExec = 0 "fresh-exec",
        /// No environment variable reaches it.
        EmptyEnvironment = 1 "empty-environment",
        /// No descriptor but those handed over on purpose.
        ClosedDescriptors = 2 "closed-descriptors",
        /// `PR_SET_NO_NEW_PRIVS`.
        NoNewPrivs = 3 "no-new-privs",
        /// `PR_SET_DUMPABLE` is 0: not ptraceable, memory not readable by its own user.
        NotDumpable = 4 "not-dumpable",
        /// `RLIMIT_CORE` is 0.
        NoCoreDumps = 5 "no-core-dumps",
        /// Resource limits are set.
        ResourceLimits = 6 "resource-limits",
        /// A process group of its own, killed as one.
        ProcessGroup = 7 "process-group",
        /// The engine never writes to disk.
        NoSpill = 8 "no-spill",
        /// The engine writes to disk only encrypted.
        EncryptedSpill = 9 "encrypted-spill",
        /// No capability in any set, and none to be given by executing a program.
        NoCapabilities = 10 "no-capabilities",
    }
}

named! {
    /// What separates jobs.
    Backend {
        /// Operating-system processes.
        Process = 0 "process",
    }
}

named! {
    /// The clock that lifetimes are counted on.
    Clock {
        /// `CLOCK_BOOTTIME`.
        Boottime = 0 "boottime",
    }
}

/// Who may send jobs.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Requesters {
    /// Anyone.
    #[n(0)]
    Any,
    /// The holders of these Ed25519 keys.
    #[n(1)]
    Keys(#[n(0)] Vec<PublicKey>),
}

/// What the engine does when memory runs out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Spill {
    /// Gives up with an out-of-memory error.
    #[n(0)]
    Off,
    /// Writes encrypted temporary files.
    #[n(1)]
    Encrypted {
        /// At most, bytes.
        #[n(0)]
        max_bytes: u64,
    },
}

/// The most that any job may ask for, and how many there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ConfigLimits {
    /// Jobs at a time.
    #[n(0)]
    pub max_jobs: u32,
    /// Warm processes waiting.
    #[n(1)]
    pub standbys: u32,
    /// Wall clock of a job, milliseconds.
    #[n(2)]
    pub wall_ms: u32,
    /// Engine memory of a job, bytes.
    #[n(3)]
    pub memory_bytes: u64,
    /// Result of a job, bytes.
    #[n(4)]
    pub result_bytes: u64,
    /// Threads of a job.
    #[n(5)]
    pub threads: u32,
}

/// How long the enclave waits for what, milliseconds of its own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Timeouts {
    /// Life of a ticket.
    #[n(0)]
    pub ticket_ms: u32,
    /// From ticket to acceptance, at most.
    #[n(1)]
    pub expiry_ms: u32,
    /// Without a keep-alive, the job is killed.
    #[n(2)]
    pub keepalive_ms: u32,
    /// Without progress of the result stream, the job is killed.
    #[n(3)]
    pub progress_ms: u32,
    /// Length of an epoch. Its KEM key opens jobs for twice as long.
    #[n(4)]
    pub epoch_ms: u32,
    /// From SIGTERM to the end.
    #[n(5)]
    pub drain_ms: u32,
    /// Life of a warm process.
    #[n(6)]
    pub standby_ms: u32,
}

/// The attested configuration of an enclave.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct EnclaveConfig {
    /// Always [`VERSION`].
    #[n(0)]
    pub v: u8,
    /// The walls that are up, ascending, each once.
    #[n(1)]
    pub walls: Vec<Wall>,
    /// What separates jobs.
    #[n(2)]
    pub backend: Backend,
    /// Name and version as the engine itself tells them.
    #[n(3)]
    pub engine: String,
    /// Hosts that may be dialled; none now.
    #[n(4)]
    pub egress: Vec<String>,
    /// The clock of all lifetimes.
    #[n(5)]
    pub clock: Clock,
    /// What the kernel says drives it.
    #[n(6)]
    pub clock_source: String,
    /// Where inputs may lie.
    #[n(7)]
    pub providers: Vec<Provider>,
    /// Who may send jobs.
    #[n(8)]
    pub requesters: Requesters,
    /// Ceilings.
    #[n(9)]
    pub limits: ConfigLimits,
    /// Patience.
    #[n(10)]
    pub timeouts: Timeouts,
    /// Memory that overflows.
    #[n(11)]
    pub spill: Spill,
}

impl EnclaveConfig {
    /// Canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        cbor::encode(self)
    }

    /// From canonical bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let config: Self = cbor::decode(bytes, MAX_CONFIG)?;
        cbor::check_version("enclave configuration", VERSION, config.v)?;
        if !config.walls.is_sorted_by(|a, b| a < b) {
            return Err(DecodeError::Invalid("walls ascend, each once"));
        }
        Ok(config)
    }

    /// SHA-256 of the canonical bytes.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.encode())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sample::config as sample;

    #[test]
    fn walls_in_order_and_once() {
        let mut config = sample();
        config.walls.swap(0, 1);
        assert!(EnclaveConfig::decode(&config.encode()).is_err());
        config.walls = vec![Wall::NoSpill, Wall::NoSpill];
        assert!(EnclaveConfig::decode(&config.encode()).is_err());
    }

    #[test]
    fn a_higher_version_is_refused_by_name() {
        let mut config = sample();
        config.v = 2;
        let error = EnclaveConfig::decode(&config.encode()).unwrap_err();
        assert!(matches!(error, DecodeError::Version { got: 2, .. }));
    }

    prop_compose! {
        fn configs()(
            walls in proptest::sample::subsequence(Wall::ALL, 0..Wall::ALL.len()),
            engine in "[a-z0-9. ]{0,20}",
            egress in proptest::collection::vec("[a-z.]{1,12}", 0..4),
            keys in proptest::option::of(proptest::collection::vec(any::<[u8; 32]>(), 0..4)),
            numbers in any::<[u32; 10]>(),
            bytes in any::<[u64; 2]>(),
            spill in proptest::option::of(any::<u64>()),
        ) -> EnclaveConfig {
            let [a, b, c, d, e, f, g, h, i, j] = numbers;
            EnclaveConfig {
                walls,
                engine,
                egress,
                requesters: keys.map_or(Requesters::Any, |keys| {
                    Requesters::Keys(keys.into_iter().map(PublicKey::from_bytes).collect())
                }),
                limits: ConfigLimits {
                    max_jobs: a, standbys: b, wall_ms: c,
                    memory_bytes: bytes[0], result_bytes: bytes[1], threads: d,
                },
                timeouts: Timeouts {
                    ticket_ms: e, expiry_ms: f, keepalive_ms: g, progress_ms: h,
                    epoch_ms: i, drain_ms: j, standby_ms: a,
                },
                spill: spill.map_or(Spill::Off, |max_bytes| Spill::Encrypted { max_bytes }),
                ..sample()
            }
        }
    }

    proptest! {
        #[test]
        fn round_trip(config in configs()) {
            prop_assert_eq!(EnclaveConfig::decode(&config.encode()).unwrap(), config);
        }

        #[test]
        fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = EnclaveConfig::decode(&bytes);
        }

        #[test]
        fn no_other_bytes_mean_the_same(config in configs(), at in any::<proptest::sample::Index>(), bit in 0u8..8) {
            let bytes = config.encode();
            let mut other = bytes.clone();
            let at = at.index(other.len());
            if let Some(byte) = other.get_mut(at) {
                *byte ^= 1 << bit;
            }
            if let Ok(decoded) = EnclaveConfig::decode(&other) {
                prop_assert_ne!(decoded, config);
            }
        }
    }
}
