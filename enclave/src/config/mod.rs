//! The configuration file: TOML, unknown keys refused, every value within its range.
//!
//! Whatever of it decides over jobs is attested as an `EnclaveConfig`, so a value here can
//! weaken nothing unseen.

mod show;

use std::path::{Path, PathBuf};

use duckblind_attestation::config::{ConfigLimits, Provider, Requesters, Spill, Timeouts};
use duckblind_protocol::ids::PublicKey;
use duckblind_protocol::order::MAX_EXPIRY_MS;
use serde::Deserialize;

use crate::error::EnclaveError;

pub use show::show;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const HOUR_MS: u32 = 3_600_000;
const DAY_MS: u32 = 24 * HOUR_MS;
/// A configuration file is refused beyond this, bytes.
const MAX_FILE: u64 = 1 << 20;

/// A whole configuration, every value in range.
#[derive(Debug)]
pub struct Config {
    /// Where the host's connections come in.
    pub listen: Listen,
    /// The release manifest, JSON.
    pub release: PathBuf,
    /// The simulated platform, if one is to be used.
    pub simulator: Option<Simulator>,
    /// The directory of provider `local-fake`.
    pub storage_root: PathBuf,
    /// Who may send jobs.
    pub requesters: Requesters,
    /// Ceilings.
    pub limits: ConfigLimits,
    /// Patience.
    pub timeouts: Timeouts,
    /// Memory that overflows.
    pub spill: Spill,
    /// Where it overflows to.
    pub spill_dir: Option<PathBuf>,
}

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// A unix socket.
    Unix(PathBuf),
    /// A port of this virtual machine.
    Vsock {
        /// The port.
        port: u32,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    listen: String,
    release: PathBuf,
    simulator: Option<Simulator>,
    storage: Storage,
    #[serde(default = "any")]
    requesters: toml::Value,
    #[serde(default)]
    limits: FileLimits,
    #[serde(default)]
    timeouts: FileTimeouts,
    #[serde(default)]
    spill: FileSpill,
}

fn any() -> toml::Value {
    toml::Value::String("any".into())
}

/// A simulated platform.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Simulator {
    /// Where its files are.
    pub dir: PathBuf,
    /// Which of those in the directory.
    #[serde(default)]
    pub platform: SimulatedPlatform,
}

/// The platforms that can be simulated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SimulatedPlatform {
    /// SEV-SNP with reports of version 3.
    #[default]
    SevSnp,
    /// SEV-SNP with reports of version 5.
    SevSnpV5,
    /// TDX.
    Tdx,
}

impl SimulatedPlatform {
    /// As the file says it.
    const fn name(self) -> &'static str {
        match self {
            Self::SevSnp => "sev-snp",
            Self::SevSnpV5 => "sev-snp-v5",
            Self::Tdx => "tdx",
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Storage {
    provider: String,
    root: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct FileLimits {
    max_jobs: u32,
    standbys: u32,
    wall_ms: u32,
    memory_bytes: u64,
    result_bytes: u64,
    threads: u32,
}

impl Default for FileLimits {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            max_jobs: 4,
            standbys: 2,
            wall_ms: 600_000,
            memory_bytes: 4 * GIB,
            result_bytes: 4 * GIB,
            threads: u32::try_from(cores).unwrap_or(1).min(64),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(clippy::struct_field_names)] // The unit belongs into the file.
struct FileTimeouts {
    ticket_ms: u32,
    expiry_ms: u32,
    keepalive_ms: u32,
    progress_ms: u32,
    epoch_ms: u32,
    drain_ms: u32,
    standby_ms: u32,
}

impl Default for FileTimeouts {
    fn default() -> Self {
        Self {
            ticket_ms: 60_000,
            expiry_ms: 60_000,
            keepalive_ms: 30_000,
            progress_ms: 30_000,
            epoch_ms: HOUR_MS,
            drain_ms: 30_000,
            standby_ms: HOUR_MS,
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileSpill {
    #[serde(default)]
    mode: SpillMode,
    dir: Option<PathBuf>,
    max_bytes: Option<u64>,
}

#[derive(Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum SpillMode {
    #[default]
    Off,
    Encrypted,
}

fn range<T: PartialOrd + std::fmt::Display>(
    field: &'static str,
    value: T,
    least: T,
    most: T,
) -> Result<T, EnclaveError> {
    if least <= value && value <= most {
        Ok(value)
    } else {
        Err(EnclaveError::ConfigValue {
            field,
            expected: format!("{least} to {most}"),
            got: value.to_string(),
        })
    }
}

fn wrong(field: &'static str, expected: &str, got: impl std::fmt::Display) -> EnclaveError {
    EnclaveError::ConfigValue {
        field,
        expected: expected.into(),
        got: got.to_string(),
    }
}

fn absolute(field: &'static str, path: PathBuf) -> Result<PathBuf, EnclaveError> {
    if path.is_absolute() {
        Ok(path)
    } else {
        Err(wrong(field, "an absolute path", path.display()))
    }
}

impl FileLimits {
    fn checked(&self) -> Result<ConfigLimits, EnclaveError> {
        Ok(ConfigLimits {
            max_jobs: range("limits.max_jobs", self.max_jobs, 1, 256)?,
            standbys: range("limits.standbys", self.standbys, 0, 64)?,
            wall_ms: range("limits.wall_ms", self.wall_ms, 1, DAY_MS)?,
            memory_bytes: range("limits.memory_bytes", self.memory_bytes, 64 * MIB, 1 << 44)?,
            result_bytes: range("limits.result_bytes", self.result_bytes, 1, 1 << 44)?,
            threads: range("limits.threads", self.threads, 1, 256)?,
        })
    }
}

impl FileTimeouts {
    fn checked(&self) -> Result<Timeouts, EnclaveError> {
        Ok(Timeouts {
            ticket_ms: range("timeouts.ticket_ms", self.ticket_ms, 1, 60_000)?,
            expiry_ms: range("timeouts.expiry_ms", self.expiry_ms, 1, MAX_EXPIRY_MS)?,
            keepalive_ms: range("timeouts.keepalive_ms", self.keepalive_ms, 100, HOUR_MS)?,
            progress_ms: range("timeouts.progress_ms", self.progress_ms, 100, HOUR_MS)?,
            epoch_ms: range("timeouts.epoch_ms", self.epoch_ms, 100, DAY_MS)?,
            drain_ms: range("timeouts.drain_ms", self.drain_ms, 0, HOUR_MS)?,
            standby_ms: range("timeouts.standby_ms", self.standby_ms, 100, HOUR_MS)?,
        })
    }
}

impl FileSpill {
    fn checked(self) -> Result<(Spill, Option<PathBuf>), EnclaveError> {
        match (self.mode, self.dir, self.max_bytes) {
            (SpillMode::Off, None, None) => Ok((Spill::Off, None)),
            (SpillMode::Off, ..) => Err(wrong(
                "spill",
                "mode = \"encrypted\" with dir and max_bytes",
                "off",
            )),
            (SpillMode::Encrypted, Some(dir), Some(max_bytes)) => {
                let max_bytes = range("spill.max_bytes", max_bytes, MIB, 1 << 44)?;
                let dir = absolute("spill.dir", dir)?;
                Ok((Spill::Encrypted { max_bytes }, Some(dir)))
            }
            (SpillMode::Encrypted, ..) => {
                Err(wrong("spill", "dir and max_bytes", "one is missing"))
            }
        }
    }
}

fn requesters(value: &toml::Value) -> Result<Requesters, EnclaveError> {
    let expected = "\"any\" or a list of public keys in hex";
    match value {
        toml::Value::String(text) if text == "any" => Ok(Requesters::Any),
        toml::Value::Array(keys) if !keys.is_empty() => keys
            .iter()
            .map(|key| {
                let text = key.as_str().unwrap_or_default();
                text.parse::<PublicKey>()
                    .map_err(|_| wrong("requesters", expected, key))
            })
            .collect::<Result<_, _>>()
            .map(Requesters::Keys),
        other => Err(wrong("requesters", expected, other)),
    }
}

impl Listen {
    fn parse(text: &str) -> Result<Self, EnclaveError> {
        match text.split_once(':') {
            Some(("unix", path)) => absolute("listen", path.into()).map(Self::Unix),
            Some(("vsock", port)) => match port.parse() {
                Ok(port) => Ok(Self::Vsock { port }),
                Err(_) => Err(wrong("listen", "vsock:PORT", text)),
            },
            _ => Err(wrong("listen", "unix:/path or vsock:PORT", text)),
        }
    }
}

impl std::fmt::Display for Listen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Vsock { port } => write!(f, "vsock:{port}"),
        }
    }
}

/// The text of a configuration file.
fn read(path: &Path) -> Result<String, EnclaveError> {
    use std::io::Read as _;
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_FILE).read_to_string(&mut text))
        .map_err(|source| EnclaveError::ConfigRead {
            path: path.into(),
            source,
        })?;
    Ok(text)
}

impl Config {
    /// From a file.
    pub fn load(path: &Path) -> Result<Self, EnclaveError> {
        Self::parse(&read(path)?)
    }

    /// From the text of a file.
    pub fn parse(text: &str) -> Result<Self, EnclaveError> {
        let file: File =
            toml::from_str(text).map_err(|e| EnclaveError::ConfigParse(e.to_string()))?;
        if file.storage.provider != Provider::LocalFake.name() {
            let expected = Provider::LocalFake.name();
            return Err(wrong("storage.provider", expected, file.storage.provider));
        }
        let (spill, spill_dir) = file.spill.checked()?;
        Ok(Self {
            listen: Listen::parse(&file.listen)?,
            release: file.release,
            simulator: file.simulator,
            storage_root: absolute("storage.root", file.storage.root)?,
            requesters: requesters(&file.requesters)?,
            limits: file.limits.checked()?,
            timeouts: file.timeouts.checked()?,
            spill,
            spill_dir,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use duckblind_protocol::coded::Coded as _;

    #[test]
    fn the_example_is_whole_and_says_the_defaults() {
        let given = Config::parse(include_str!("../../enclave.example.toml")).unwrap();
        let least = Config::parse(LEAST).unwrap();
        assert_eq!(given.timeouts, least.timeouts);
        assert_eq!(given.spill, least.spill);
        let threads = given.limits.threads;
        assert_eq!(
            given.limits,
            ConfigLimits {
                threads,
                ..least.limits
            }
        );
    }

    #[test]
    fn vsock_is_a_port() {
        let listen = Listen::parse("vsock:5000").unwrap();
        assert_eq!(listen, Listen::Vsock { port: 5000 });
        assert_eq!(listen.to_string(), "vsock:5000");
    }

    const LEAST: &str = r#"
        listen = "unix:/run/duckblind/enclave.sock"
        release = "/etc/duckblind/release.json"
        [storage]
        provider = "local-fake"
        root = "/srv/tables"
    "#;

    #[test]
    fn the_least_file_has_the_defaults() {
        let config = Config::parse(LEAST).unwrap();
        assert_eq!(config.timeouts.epoch_ms, HOUR_MS);
        assert_eq!(config.limits.standbys, 2);
        assert_eq!(config.requesters, Requesters::Any);
        assert_eq!(config.spill, Spill::Off);
        assert_eq!(
            config.listen.to_string(),
            "unix:/run/duckblind/enclave.sock"
        );
    }

    #[test]
    fn simulated_platforms() {
        let platform = |line: &str| {
            let text = format!("{LEAST}\n[simulator]\ndir = \"/p\"\n{line}");
            Config::parse(&text).map(|config| config.simulator.unwrap().platform)
        };
        assert_eq!(platform("").unwrap(), SimulatedPlatform::SevSnp);
        for one in [
            SimulatedPlatform::SevSnp,
            SimulatedPlatform::SevSnpV5,
            SimulatedPlatform::Tdx,
        ] {
            let line = format!("platform = \"{}\"", one.name());
            assert_eq!(platform(&line).unwrap(), one);
        }
        assert_eq!(
            platform("platform = \"sgx\"").unwrap_err().code(),
            "DB-ENC-002"
        );
    }

    #[test]
    fn unknown_keys_are_refused_by_name() {
        for extra in [
            "[limits]\nmax_job = 1",
            "[surprise]",
            "[timeouts]\nepoch = 1",
            "[spill]\nmodes = 1",
        ] {
            let error = Config::parse(&format!("{LEAST}\n{extra}")).unwrap_err();
            assert_eq!(error.code(), "DB-ENC-002", "{extra}");
        }
    }

    #[test]
    fn values_out_of_range_name_their_field() {
        let cases = [
            ("[limits]\nmax_jobs = 0", "limits.max_jobs"),
            ("[limits]\nthreads = 1000", "limits.threads"),
            ("[timeouts]\nexpiry_ms = 60001", "timeouts.expiry_ms"),
            ("[spill]\nmode = \"encrypted\"", "spill"),
            ("[spill]\nmax_bytes = 1048576", "spill"),
        ];
        for (extra, name) in cases {
            match Config::parse(&format!("{LEAST}\n{extra}")) {
                Err(EnclaveError::ConfigValue { field, .. }) => assert_eq!(field, name),
                other => panic!("{extra}: {other:?}"),
            }
        }
    }

    #[test]
    fn addresses_and_requesters() {
        for (listen, code) in [
            ("vsock:3:5000", "DB-ENC-003"),
            ("unix:relative", "DB-ENC-003"),
            ("127.0.0.1:1", "DB-ENC-003"),
        ] {
            let text = LEAST.replace("unix:/run/duckblind/enclave.sock", listen);
            assert_eq!(Config::parse(&text).unwrap_err().code(), code);
        }
        let key = "ab".repeat(32);
        let text = format!("requesters = [\"{key}\"]\n{LEAST}");
        assert_eq!(
            Config::parse(&text).unwrap().requesters,
            Requesters::Keys(vec![key.parse().unwrap()])
        );
        for bad in ["[]", "\"all\"", "[\"ab\"]", "3"] {
            assert!(Config::parse(&format!("requesters = {bad}\n{LEAST}")).is_err());
        }
    }
}
