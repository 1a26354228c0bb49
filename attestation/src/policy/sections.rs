//! The tables of a policy file, one function each.

use std::collections::BTreeMap;

use duckblind_protocol::ids::{Digest, PublicKey};
use duckblind_protocol::key_statement::{Suite, Tee};

use super::read::Section;
use super::{
    ConfigPolicy, GuestBits, NonEmpty, Policy, PolicyError, RequesterPolicy, Root, SnpPolicy,
    VERSION,
};
use crate::config::{Backend, Clock, ConfigLimits, Provider, Timeouts, Wall};
use crate::snp::{Generation, Tcb};

const LIST_ONE: &str = "list at least one value; a policy denies what it does not list";
const FILL_IN: &str =
    "`duckblind trust init --simulator` fills it in; for hardware, list the published values";

pub(super) fn policy(id: Digest, table: toml::Table) -> Result<Policy, PolicyError> {
    const KEYS: &[&str] = &[
        "version",
        "name",
        "development",
        "tees",
        "suites",
        "measurements",
        "releases",
        "snp",
        "config",
    ];
    let mut top = Section::open("", table, KEYS)?;
    let version = top.number::<i64>("version")?;
    if version != VERSION {
        return Err(PolicyError::Version(version));
    }
    let development = top.flag("development")?;
    let tees = top.names("tees", &[Tee::SevSnp], |_| "sev-snp")?;
    let suites = top.names(
        "suites",
        &[Suite::XWingHkdfSha256Aes256Gcm],
        |_| "xwing-hkdf-sha256-aes256gcm",
    )?;
    let measurements = top.list("measurements", "96 hex digits", |text| text.parse().ok())?;
    let releases = top.list("releases", "64 hex digits", |text| text.parse().ok())?;
    Ok(Policy {
        id,
        name: top.text("name")?,
        development,
        tees: top.non_empty("tees", tees, LIST_ONE)?,
        suites: top.non_empty("suites", suites, LIST_ONE)?,
        snp: snp(&mut top, development)?,
        config: config(&mut top)?,
        measurements: top.non_empty("measurements", measurements, FILL_IN)?,
        releases: top.non_empty("releases", releases, FILL_IN)?,
    })
}

fn snp(top: &mut Section, development: bool) -> Result<SnpPolicy, PolicyError> {
    const KEYS: &[&str] = &[
        "roots",
        "simulator_roots",
        "generations",
        "report_versions",
        "vmpls",
        "guest_policy",
        "tcb_floors",
    ];
    let mut snp = top.section("snp", KEYS)?;
    let roots = roots(&mut snp, development)?;
    let generations = snp.names("generations", Generation::ALL, Generation::name)?;
    let generations = snp.non_empty("generations", generations, LIST_ONE)?;
    let versions = snp.numbers("report_versions")?;
    let vmpls = snp.numbers("vmpls")?;
    Ok(SnpPolicy {
        roots,
        floors: floors(&mut snp, &generations)?,
        generations,
        report_versions: snp.non_empty("report_versions", versions, LIST_ONE)?,
        vmpls: snp.non_empty("vmpls", vmpls, LIST_ONE)?,
        guest: guest_bits(&mut snp)?,
    })
}

fn roots(snp: &mut Section, development: bool) -> Result<Vec<Root>, PolicyError> {
    let real = snp.list("roots", "64 hex digits", |text| text.parse::<Digest>().ok())?;
    let simulated = snp.list("simulator_roots", "64 hex digits", |text| {
        text.parse::<Digest>().ok()
    })?;
    if !simulated.is_empty() && !development {
        return Err(PolicyError::SimulatorInProduction);
    }
    if real.is_empty() && simulated.is_empty() {
        return Err(PolicyError::Empty {
            path: snp.path("roots"),
            hint: FILL_IN,
        });
    }
    let mut roots = Vec::new();
    for digest in real {
        let generation = Generation::of_root(&digest);
        roots.push(Root::Amd(generation.ok_or_else(|| {
            PolicyError::UnknownRoot {
                path: snp.path("roots"),
                digest: digest.to_string(),
            }
        })?));
    }
    // A build without simulators reads the list and has no use for it: such roots are unknown.
    #[cfg(feature = "simulator")]
    roots.extend(simulated.into_iter().map(Root::Simulated));
    Ok(roots)
}

fn floors(
    snp: &mut Section,
    generations: &NonEmpty<Generation>,
) -> Result<BTreeMap<Generation, Tcb>, PolicyError> {
    const KEYS: &[&str] = &["milan", "genoa", "turin"];
    const OLD: &[&str] = &["bootloader", "tee", "snp", "microcode"];
    const NEW: &[&str] = &["fmc", "bootloader", "tee", "snp", "microcode"];
    let mut all = snp.section("tcb_floors", KEYS)?;
    let mut floors = BTreeMap::new();
    for generation in Generation::ALL {
        if !generations.contains(generation) && !all.has(generation.name()) {
            continue;
        }
        let turin = *generation == Generation::Turin;
        let mut one = all.section(generation.name(), if turin { NEW } else { OLD })?;
        let fmc = if turin {
            Some(one.number("fmc")?)
        } else {
            None
        };
        let floor = Tcb {
            fmc,
            bootloader: one.number("bootloader")?,
            tee: one.number("tee")?,
            snp: one.number("snp")?,
            microcode: one.number("microcode")?,
        };
        floors.insert(*generation, floor);
    }
    Ok(floors)
}

fn guest_bits(snp: &mut Section) -> Result<GuestBits, PolicyError> {
    const KEYS: &[&str] = &[
        "min_abi_major",
        "min_abi_minor",
        "allow_smt",
        "allow_cxl",
        "require_single_socket",
        "require_aes_256_xts",
        "require_rapl_disabled",
        "require_ciphertext_hiding",
        "require_page_swap_disabled",
    ];
    let mut bits = snp.section("guest_policy", KEYS)?;
    Ok(GuestBits {
        min_abi: (bits.number("min_abi_major")?, bits.number("min_abi_minor")?),
        allow_smt: bits.flag("allow_smt")?,
        allow_cxl: bits.flag("allow_cxl")?,
        require_single_socket: bits.flag("require_single_socket")?,
        require_aes_256_xts: bits.flag("require_aes_256_xts")?,
        require_rapl_disabled: bits.flag("require_rapl_disabled")?,
        require_ciphertext_hiding: bits.flag("require_ciphertext_hiding")?,
        require_page_swap_disabled: bits.flag("require_page_swap_disabled")?,
    })
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
        requesters: requesters(&mut config)?,
        max_spill_bytes: config.number("max_spill_bytes")?,
        limits: limits(&mut config)?,
        timeouts: timeouts(&mut config)?,
    })
}

fn requesters(config: &mut Section) -> Result<RequesterPolicy, PolicyError> {
    let listed = config.list("requesters", "[\"any\"] or a list of public keys", |text| {
        if text == "any" {
            Some(None)
        } else {
            text.parse::<PublicKey>().ok().map(Some)
        }
    })?;
    if listed == [None] {
        return Ok(RequesterPolicy::Any);
    }
    let got = format!("{} entries, \"any\" among them", listed.len());
    let keys: Option<Vec<PublicKey>> = listed.into_iter().collect();
    let keys = keys.ok_or_else(|| PolicyError::Value {
        path: config.path("requesters"),
        expected: "[\"any\"] alone, or public keys".into(),
        got,
        nearest: None,
    })?;
    config
        .non_empty("requesters", keys, "write [\"any\"] or list public keys")
        .map(RequesterPolicy::Among)
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
