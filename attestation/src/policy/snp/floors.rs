//! The least that a platform's firmware must be, generation by generation.

use std::collections::BTreeMap;

use super::super::read::Section;
use super::super::{NonEmpty, PolicyError};
use crate::snp::report::Firmware;
use crate::snp::{Generation, Tcb};

/// The least of one generation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Floor {
    /// Of the reported, the committed and the launch version.
    pub(crate) tcb: Tcb,
    /// Of the running and the committed build.
    pub(crate) firmware: Firmware,
    /// Bits that must be set at launch.
    pub(crate) launch_mitigations: u64,
    /// Bits that must be set now.
    pub(crate) current_mitigations: u64,
}

/// One table per generation listed; more are welcome.
pub(super) fn read(
    snp: &mut Section,
    generations: &NonEmpty<Generation>,
) -> Result<BTreeMap<Generation, Floor>, PolicyError> {
    const KEYS: &[&str] = &["milan", "genoa", "turin"];
    let mut all = snp.section("tcb_floors", KEYS)?;
    let mut floors = BTreeMap::new();
    for generation in Generation::ALL {
        if generations.contains(generation) || all.has(generation.name()) {
            floors.insert(*generation, one(&mut all, *generation)?);
        }
    }
    Ok(floors)
}

fn one(all: &mut Section, generation: Generation) -> Result<Floor, PolicyError> {
    const OLD: &[&str] = &[
        "bootloader",
        "tee",
        "snp",
        "microcode",
        "firmware",
        "launch_mitigations",
        "current_mitigations",
    ];
    const NEW: &[&str] = &[
        "fmc",
        "bootloader",
        "tee",
        "snp",
        "microcode",
        "firmware",
        "launch_mitigations",
        "current_mitigations",
    ];
    let (keys, has_fmc) = match generation {
        Generation::Milan | Generation::Genoa => (OLD, false),
        Generation::Turin => (NEW, true),
    };
    let mut one = all.section(generation.name(), keys)?;
    let fmc = if has_fmc {
        Some(one.number("fmc")?)
    } else {
        None
    };
    Ok(Floor {
        tcb: Tcb {
            fmc,
            bootloader: one.number("bootloader")?,
            tee: one.number("tee")?,
            snp: one.number("snp")?,
            microcode: one.number("microcode")?,
        },
        firmware: one.parsed("firmware", "\"major.minor.build\", such as \"1.55.40\"")?,
        launch_mitigations: one.number("launch_mitigations")?,
        current_mitigations: one.number("current_mitigations")?,
    })
}
