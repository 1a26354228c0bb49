//! The tables of a policy file, one function each.

use duckblind_protocol::ids::Digest;
use duckblind_protocol::key_statement::{Suite, Tee};

use super::read::Section;
use super::{ConfigPolicy, NonEmpty, Policy, PolicyError, VERSION, snp, tdx};
use crate::config::{Backend, Clock, ConfigLimits, Provider, Timeouts, Wall};

pub(super) const LIST_ONE: &str = "list at least one value; a policy denies what it does not list";
pub(super) const FILL_IN: &str = "list the values published for the release, or those that `duckblind attest measure` and `scripts/release-manifest` give (docs/reference-values.md); for simulated platforms, `duckblind trust init --simulator` fills it in";

pub(super) fn policy(text: &str, table: toml::Table) -> Result<Policy, PolicyError> {
    const KEYS: &[&str] = &[
        "version",
        "name",
        "development",
        "tees",
        "suites",
        "releases",
        "snp",
        "tdx",
        "config",
    ];
    let mut top = Section::open("", table, KEYS)?;
    let version = top.number::<i64>("version")?;
    if version != VERSION {
        return Err(PolicyError::Version(version));
    }
    let development = top.flag("development")?;
    let tees = top.names("tees", &[Tee::SevSnp, Tee::Tdx], Tee::name)?;
    let tees = top.non_empty("tees", tees, LIST_ONE)?;
    let suites = top.names(
        "suites",
        &[Suite::XWingHkdfSha256Aes256Gcm],
        |_| "xwing-hkdf-sha256-aes256gcm",
    )?;
    let releases = top.list("releases", "64 hex digits", |text| text.parse().ok())?;
    Ok(Policy {
        id: Digest::of(text.as_bytes()),
        text: text.to_owned(),
        name: top.text("name")?,
        development,
        snp: of_tee(&mut top, &tees, Tee::SevSnp, "snp", |top| {
            snp::read(top, development)
        })?,
        tdx: of_tee(&mut top, &tees, Tee::Tdx, "tdx", |top| {
            tdx::read(top, development)
        })?,
        tees,
        suites: top.non_empty("suites", suites, LIST_ONE)?,
        config: config(&mut top)?,
        releases: top.non_empty("releases", releases, FILL_IN)?,
    })
}

/// A kind of platform has a section if it is listed, and only then.
fn of_tee<T>(
    top: &mut Section,
    tees: &NonEmpty<Tee>,
    tee: Tee,
    key: &'static str,
    read: impl FnOnce(&mut Section) -> Result<T, PolicyError>,
) -> Result<Option<T>, PolicyError> {
    match (tees.contains(&tee), top.has(key)) {
        (true, _) => read(top).map(Some),
        (false, false) => Ok(None),
        (false, true) => Err(PolicyError::NotListed {
            path: top.path(key),
            tee,
        }),
    }
}

fn config(top: &mut Section) -> Result<ConfigPolicy, PolicyError> {
    const KEYS: &[&str] = &[
        "walls",
        "backends",
        "engines",
        "egress",
        "clocks",
        "clock_sources",
        "providers",
        "requesters",
        "max_spill_bytes",
        "limits",
        "timeouts",
    ];
    let mut config = top.section("config", KEYS)?;
    let walls = config.names("walls", Wall::ALL, Wall::name)?;
    let backends = config.names("backends", Backend::ALL, Backend::name)?;
    let engines = config.list("engines", "strings", |text| Some(text.to_owned()))?;
    let clocks = config.names("clocks", Clock::ALL, Clock::name)?;
    let sources = config.list("clock_sources", "strings", |text| Some(text.to_owned()))?;
    let providers = config.names("providers", &[Provider::LocalFake], Provider::name)?;
    Ok(ConfigPolicy {
        walls: config.non_empty("walls", walls, LIST_ONE)?,
        backends: config.non_empty("backends", backends, LIST_ONE)?,
        engines: config.non_empty("engines", engines, LIST_ONE)?,
        egress: config.list("egress", "strings", |text| Some(text.to_owned()))?,
        clocks: config.non_empty("clocks", clocks, LIST_ONE)?,
        clock_sources: config.non_empty("clock_sources", sources, LIST_ONE)?,
        providers: config.non_empty("providers", providers, LIST_ONE)?,
        requesters: config.allowed("requesters", "public keys", |text| text.parse().ok())?,
        max_spill_bytes: config.number("max_spill_bytes")?,
        limits: limits(&mut config)?,
        timeouts: timeouts(&mut config)?,
    })
}

fn limits(config: &mut Section) -> Result<ConfigLimits, PolicyError> {
    const KEYS: &[&str] = &[
        "max_jobs",
        "standbys",
        "wall_ms",
        "memory_bytes",
        "result_bytes",
        "threads",
    ];
    let mut limits = config.section("limits", KEYS)?;
    Ok(ConfigLimits {
        max_jobs: limits.number("max_jobs")?,
        standbys: limits.number("standbys")?,
        wall_ms: limits.number("wall_ms")?,
        memory_bytes: limits.number("memory_bytes")?,
        result_bytes: limits.number("result_bytes")?,
        threads: limits.number("threads")?,
    })
}

fn timeouts(config: &mut Section) -> Result<Timeouts, PolicyError> {
    const KEYS: &[&str] = &[
        "ticket_ms",
        "expiry_ms",
        "keepalive_ms",
        "progress_ms",
        "epoch_ms",
        "drain_ms",
        "standby_ms",
    ];
    let mut timeouts = config.section("timeouts", KEYS)?;
    Ok(Timeouts {
        ticket_ms: timeouts.number("ticket_ms")?,
        expiry_ms: timeouts.number("expiry_ms")?,
        keepalive_ms: timeouts.number("keepalive_ms")?,
        progress_ms: timeouts.number("progress_ms")?,
        epoch_ms: timeouts.number("epoch_ms")?,
        drain_ms: timeouts.number("drain_ms")?,
        standby_ms: timeouts.number("standby_ms")?,
    })
}
