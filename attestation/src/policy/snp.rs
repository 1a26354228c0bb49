//! What a policy says of SEV-SNP.

use std::collections::BTreeMap;

use duckblind_protocol::ids::Digest;

use super::read::Section;
use super::sections::{FILL_IN, LIST_ONE};
use super::{NonEmpty, PolicyError};
use crate::measurement::Measurement;
use crate::snp::{Generation, Tcb};

/// A root certificate that chains may end in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Root {
    /// AMD's own of this generation.
    Amd(Generation),
    /// Of a simulated platform.
    #[cfg(feature = "simulator")]
    Simulated(Digest),
}

impl Root {
    pub(crate) fn digest(self) -> Digest {
        match self {
            Self::Amd(generation) => generation.root(),
            #[cfg(feature = "simulator")]
            Self::Simulated(digest) => digest,
        }
    }

    /// Whether chips of `generation` may descend from it; a simulated root takes any.
    pub(crate) fn is_of(self, generation: Generation) -> bool {
        match self {
            Self::Amd(own) => own == generation,
            #[cfg(feature = "simulator")]
            Self::Simulated(_) => true,
        }
    }

    pub(crate) const fn is_sim(self) -> bool {
        match self {
            Self::Amd(_) => false,
            #[cfg(feature = "simulator")]
            Self::Simulated(_) => true,
        }
    }
}

/// What an SEV-SNP report may say.
#[derive(Clone, Debug)]
pub(crate) struct SnpPolicy {
    /// Roots of chains. Empty only if the file lists nothing but roots that this build has no use
    /// for: then every chain is refused.
    pub(crate) roots: Vec<Root>,
    pub(crate) measurements: NonEmpty<Measurement>,
    pub(crate) generations: NonEmpty<Generation>,
    /// One for each of `generations`.
    pub(crate) floors: BTreeMap<Generation, Tcb>,
    pub(crate) report_versions: NonEmpty<u32>,
    pub(crate) vmpls: NonEmpty<u32>,
    pub(crate) guest: GuestBits,
}

/// Which launch policy bits a guest may or must have. Debugging and migration have no setting:
/// such guests are always refused.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GuestBits {
    pub(crate) min_abi: (u8, u8),
    pub(crate) allow_smt: bool,
    pub(crate) allow_cxl: bool,
    pub(crate) require_single_socket: bool,
    pub(crate) require_aes_256_xts: bool,
    pub(crate) require_rapl_disabled: bool,
    pub(crate) require_ciphertext_hiding: bool,
    pub(crate) require_page_swap_disabled: bool,
}

pub(super) fn read(top: &mut Section, development: bool) -> Result<SnpPolicy, PolicyError> {
    const KEYS: &[&str] = &[
        "measurements",
        "roots",
        "simulator_roots",
        "generations",
        "report_versions",
        "vmpls",
        "guest_policy",
        "tcb_floors",
    ];
    let mut snp = top.section("snp", KEYS)?;
    let measurements = snp.list("measurements", "96 hex digits", |text| text.parse().ok())?;
    let roots = roots(&mut snp, development)?;
    let generations = snp.names("generations", Generation::ALL, Generation::name)?;
    let generations = snp.non_empty("generations", generations, LIST_ONE)?;
    let versions = snp.numbers("report_versions")?;
    let vmpls = snp.numbers("vmpls")?;
    Ok(SnpPolicy {
        measurements: snp.non_empty("measurements", measurements, FILL_IN)?,
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
