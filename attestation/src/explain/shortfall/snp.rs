//! SEV-SNP: the four versions that a report carries, against a policy's floors.

use serde::Serialize;

use super::Shortfall;
use crate::policy::{Policy, PolicyError, SnpPolicy};
use crate::snp::{Generation, Report, Tcb};

const FIRMWARE: &str = "update the SEV firmware (a BIOS with a newer AGESA, or AMD's firmware package), then commit it";
const MICROCODE: &str = "update the microcode (a newer BIOS, or the host's early microcode update), then reboot the host";

/// The versions of a platform's firmware.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SnpStatus {
    /// The processor.
    pub generation: String,
    /// The floor, then the versions that the report carries.
    pub versions: Vec<SnpVersion>,
    /// What falls short; empty if nothing does.
    pub shortfalls: Vec<Shortfall>,
    /// Whether firmware runs that is not committed: the host can still go back.
    pub provisional: bool,
}

/// One version, component by component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SnpVersion {
    /// Which one.
    pub name: &'static str,
    /// Names and numbers of the components; none if they cannot be read.
    pub components: Option<Vec<(String, u32)>>,
}

/// Compares a report with the floors of `policy`, or of the policy for production that comes with
/// this build. None if the generation is unknown: `certified` says it for reports that do not.
///
/// Fails only if the policy built in is none.
pub fn snp(
    report: &Report,
    certified: Option<Generation>,
    policy: Option<&Policy>,
) -> Result<Option<SnpStatus>, PolicyError> {
    let Some(generation) = report.generation().or(certified) else {
        return Ok(None);
    };
    let floor = match policy {
        Some(policy) => policy.snp.as_ref().and_then(|snp| floor(snp, generation)),
        None => floor(&SnpPolicy::production()?, generation),
    };
    let read = |raw| Tcb::decode(raw, generation);
    let reported = read(report.reported_tcb);
    let launch = read(report.launch_tcb);
    let committed = read(report.committed_tcb);
    let current = read(report.current_tcb);
    let all = [
        ("floor", floor),
        ("reported", reported),
        ("launch", launch),
        ("committed", committed),
        ("current", current),
    ];
    let mut short: Vec<Short> = Vec::new();
    for (name, tcb) in [
        ("reported", reported),
        ("launch", launch),
        ("committed", committed),
    ] {
        let (Some(floor), Some(tcb)) = (floor, tcb) else {
            continue;
        };
        for one in below(name, tcb, floor, committed, current) {
            // The same component of several versions, mended in the same way, is one thing.
            match short.iter_mut().find(|other| other.is_like(&one)) {
                Some(other) => other.versions.extend(one.versions),
                None => short.push(one),
            }
        }
    }
    Ok(Some(SnpStatus {
        generation: generation.to_string(),
        versions: all
            .into_iter()
            .filter(|(name, tcb)| *name != "floor" || tcb.is_some())
            .map(|(name, tcb)| SnpVersion {
                name,
                components: tcb.map(|tcb| tcb.components().collect()),
            })
            .collect(),
        shortfalls: short.into_iter().map(Short::told).collect(),
        provisional: report.current_tcb != report.committed_tcb
            || report.current != report.committed,
    }))
}

fn floor(policy: &SnpPolicy, generation: Generation) -> Option<Tcb> {
    policy.floors.get(&generation).map(|floor| floor.tcb)
}

/// A component below the floor.
struct Short {
    component: String,
    /// In which of its versions.
    versions: Vec<&'static str>,
    have: u64,
    needs: u64,
    mend: &'static str,
}

impl Short {
    fn is_like(&self, other: &Self) -> bool {
        (&self.component, self.have, self.mend) == (&other.component, other.have, other.mend)
    }

    fn told(self) -> Shortfall {
        Shortfall {
            component: format!("{} ({})", self.component, self.versions.join(", ")),
            have: self.have,
            needs: self.needs,
            mend: self.mend.to_owned(),
        }
    }
}

/// Every component of `tcb` below the floor.
fn below(
    name: &'static str,
    tcb: Tcb,
    floor: Tcb,
    committed: Option<Tcb>,
    current: Option<Tcb>,
) -> Vec<Short> {
    let number = |tcb: Tcb, component: &str| {
        let mut all = tcb.components();
        let found = all.find(|(own, _)| own == component);
        found.map_or(0, |(_, number)| u64::from(number))
    };
    let mut short = Vec::new();
    for (component, needs) in floor.components() {
        let needs = u64::from(needs);
        let have = number(tcb, &component);
        if have >= needs {
            continue;
        }
        let reaches = |tcb: Option<Tcb>| tcb.is_some_and(|tcb| number(tcb, &component) >= needs);
        short.push(Short {
            mend: mend(name, &component, reaches(committed), reaches(current)),
            component,
            versions: vec![name],
            have,
            needs,
        });
    }
    short
}

/// Whether it is the host's settings, the guest's age or the firmware itself.
fn mend(name: &str, component: &str, committed: bool, current: bool) -> &'static str {
    match (name, committed, current) {
        ("launch", _, true) => "restart the guest: it was launched on older firmware than now runs",
        ("reported", true, _) => {
            "the host reports an older version than it has committed: have it raise the reported one (SNP_CONFIG)"
        }
        ("reported" | "committed", false, true) => {
            "the host runs it but has not committed it: have it commit its firmware (SNP_COMMIT)"
        }
        _ if component == "microcode" => MICROCODE,
        _ => FIRMWARE,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::snp::report::{ParsedReport, REPORT_LEN};

    fn genoa(reported: [u8; 8], launch: [u8; 8], committed: [u8; 8], current: [u8; 8]) -> Report {
        let mut raw = [0; REPORT_LEN];
        raw[0] = 3;
        raw[0x38..0x40].copy_from_slice(&current);
        raw[0x180..0x188].copy_from_slice(&reported);
        (raw[0x188], raw[0x189]) = (0x19, 0x11);
        raw[0x1e0..0x1e8].copy_from_slice(&committed);
        raw[0x1f0..0x1f8].copy_from_slice(&launch);
        ParsedReport::parse(&raw).unwrap().report
    }

    const GOOD: [u8; 8] = [10, 0, 0, 0, 0, 0, 23, 84];
    const OLD: [u8; 8] = [10, 0, 0, 0, 0, 0, 22, 84];

    fn short(report: &Report) -> Vec<(String, u64, u64, String)> {
        let status = snp(report, None, None).unwrap().unwrap();
        let all = status.shortfalls.into_iter();
        all.map(|one| (one.component, one.have, one.needs, one.mend))
            .collect()
    }

    #[test]
    fn the_component_and_its_mending() {
        assert_eq!(short(&genoa(GOOD, GOOD, GOOD, GOOD)), []);
        let everywhere = short(&genoa(OLD, OLD, OLD, OLD));
        assert_eq!(everywhere.len(), 1);
        assert_eq!(everywhere[0].0, "snp (reported, launch, committed)");
        assert_eq!((everywhere[0].1, everywhere[0].2), (22, 23));
        assert!(everywhere.iter().all(|one| one.3 == FIRMWARE));
        let launched = short(&genoa(GOOD, OLD, GOOD, GOOD));
        assert_eq!(launched.len(), 1);
        assert!(launched[0].3.starts_with("restart the guest"));
        let held_back = short(&genoa(OLD, GOOD, GOOD, GOOD));
        assert!(held_back[0].3.contains("SNP_CONFIG"));
        let not_committed = short(&genoa(OLD, GOOD, OLD, GOOD));
        assert!(not_committed.iter().all(|one| one.3.contains("SNP_COMMIT")));
        let microcode = [10, 0, 0, 0, 0, 0, 23, 83];
        let all = short(&genoa(microcode, microcode, microcode, microcode));
        assert!(all.iter().all(|one| one.3 == MICROCODE), "{all:?}");
    }

    #[test]
    fn firmware_that_is_not_committed() {
        let status = |report: &Report| snp(report, None, None).unwrap().unwrap();
        assert!(!status(&genoa(GOOD, GOOD, GOOD, GOOD)).provisional);
        assert!(status(&genoa(OLD, OLD, OLD, GOOD)).provisional);
    }

    #[test]
    fn unknown_processors_have_no_status() {
        let mut report = genoa(GOOD, GOOD, GOOD, GOOD);
        report.cpuid = [0; 3];
        assert_eq!(snp(&report, None, None).unwrap(), None);
        assert!(
            snp(&report, Some(Generation::Genoa), None)
                .unwrap()
                .is_some()
        );
    }
}
