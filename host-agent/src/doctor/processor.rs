//! Which processor this is, and what it is known to offer.

use std::fmt;

use duckblind_attestation::snp::Generation;

use super::finding::Finding;
use super::machine::Machine;

const CHECK: &str = "processor";

/// Intel's server lines with TDX, by family and model (`arch/x86/include/asm/intel-family.h`).
const TDX_LINES: [(u32, u32, &str); 6] = [
    (6, 0x8f, "Sapphire Rapids"),
    (6, 0xcf, "Emerald Rapids"),
    (6, 0xad, "Granite Rapids"),
    (6, 0xae, "Granite Rapids"),
    (6, 0xaf, "Sierra Forest"),
    (6, 0xdd, "Clearwater Forest"),
];

/// What `/proc/cpuinfo` says of the first processor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Processor {
    vendor: String,
    family: u32,
    model: u32,
    /// Whether a hypervisor is below this kernel.
    pub(super) virtual_machine: bool,
}

/// The technology by which a processor protects guests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Technology {
    /// AMD's, of this generation.
    Snp(Generation),
    /// Intel's, of this line.
    Tdx(&'static str),
}

impl Processor {
    /// `None` if the file is not there or of another kind of machine.
    pub(super) fn read(machine: &Machine) -> Option<Self> {
        let text = machine.text("/proc/cpuinfo")?;
        let first = text.split("\n\n").next()?;
        let value = |key: &str| {
            let mut pairs = first.lines().filter_map(|line| line.split_once(':'));
            pairs.find_map(|(name, value)| (name.trim() == key).then_some(value.trim()))
        };
        let flags = value("flags").unwrap_or_default();
        Some(Self {
            vendor: value("vendor_id")?.to_owned(),
            family: value("cpu family")?.parse().ok()?,
            model: value("model")?.parse().ok()?,
            virtual_machine: flags.split(' ').any(|flag| flag == "hypervisor"),
        })
    }

    pub(super) fn technology(&self) -> Option<Technology> {
        match self.vendor.as_str() {
            "AuthenticAMD" => {
                let family = u8::try_from(self.family).ok()?;
                let model = u8::try_from(self.model).ok()?;
                Generation::of_cpu(family, model).map(Technology::Snp)
            }
            "GenuineIntel" => TDX_LINES
                .into_iter()
                .find(|(family, model, _)| (*family, *model) == (self.family, self.model))
                .map(|(_, _, name)| Technology::Tdx(name)),
            _ => None,
        }
    }
}

impl fmt::Display for Processor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            vendor,
            family,
            model,
            ..
        } = self;
        write!(f, "{vendor} family {family} model {model}")
    }
}

pub(super) fn examine(processor: Option<&Processor>) -> Finding {
    let Some(processor) = processor else {
        return Finding::skip(CHECK, "/proc/cpuinfo does not say");
    };
    match processor.technology() {
        Some(Technology::Snp(generation @ Generation::Milan)) => {
            milan(CHECK, format!("{processor}: {generation}"))
        }
        Some(Technology::Snp(generation)) => {
            Finding::pass(CHECK, format!("{processor}: {generation}, SEV-SNP"))
        }
        Some(Technology::Tdx(line)) => Finding::pass(CHECK, format!("{processor}: {line}, TDX")),
        None => Finding::warn(
            CHECK,
            format!("{processor}: not known to offer SEV-SNP or TDX"),
            "class l2 needs AMD Genoa or Turin, or Intel Sapphire Rapids or later",
        ),
    }
}

/// What there is to say of that generation wherever it shows.
pub(super) fn milan(check: &'static str, detail: String) -> Finding {
    Finding::warn(
        check,
        detail + ", off by default in production policies",
        "its root secrets are said to be extractable: requesters who insist go elsewhere; use Genoa or Turin",
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::finding::Outcome;
    use super::super::machine::tests::played;
    use super::*;

    fn said(cpuinfo: &str) -> Finding {
        let (_dir, machine) = played(&[("/proc/cpuinfo", cpuinfo)]);
        examine(Processor::read(&machine).as_ref())
    }

    fn cpuinfo(vendor: &str, family: u32, model: u32) -> String {
        format!(
            "processor\t: 0\nvendor_id\t: {vendor}\ncpu family\t: {family}\nmodel\t\t: {model}\n\
             model name\t: X\nflags\t\t: fpu vme\n\nprocessor\t: 1\nvendor_id\t: Other\n"
        )
    }

    #[test]
    fn each_is_named() {
        for (vendor, family, model, outcome, word) in [
            (
                "AuthenticAMD",
                25,
                1,
                Outcome::Warn,
                "milan, off by default",
            ),
            ("AuthenticAMD", 25, 17, Outcome::Pass, "genoa"),
            ("AuthenticAMD", 25, 160, Outcome::Pass, "genoa"),
            ("AuthenticAMD", 26, 2, Outcome::Pass, "turin"),
            ("AuthenticAMD", 23, 49, Outcome::Warn, "not known"),
            ("AuthenticAMD", 281, 1, Outcome::Warn, "not known"),
            ("GenuineIntel", 6, 143, Outcome::Pass, "Sapphire Rapids"),
            ("GenuineIntel", 6, 207, Outcome::Pass, "Emerald Rapids"),
            ("GenuineIntel", 6, 140, Outcome::Warn, "not known"),
            ("GenuineIntel", 25, 17, Outcome::Warn, "not known"),
            ("HygonGenuine", 25, 17, Outcome::Warn, "not known"),
        ] {
            let finding = said(&cpuinfo(vendor, family, model));
            assert_eq!(finding.outcome, outcome, "{vendor} {family} {model}");
            assert!(finding.detail.contains(word), "{}", finding.detail);
            assert_eq!(finding.hint.is_some(), outcome == Outcome::Warn);
        }
    }

    #[test]
    fn other_machines_say_nothing() {
        for text in [
            "",
            "processor\t: 0\nBogoMIPS\t: 50.00\n",
            "vendor_id: AuthenticAMD",
        ] {
            assert_eq!(said(text).outcome, Outcome::Skip);
        }
        assert_eq!(examine(None).outcome, Outcome::Skip);
    }

    #[test]
    fn a_virtual_machine_knows_that_it_is_one() {
        for (flags, is_one) in [("fpu hypervisor lm", true), ("fpu nohypervisor lm", false)] {
            let text = cpuinfo("AuthenticAMD", 25, 17).replace("fpu vme", flags);
            let (_dir, machine) = played(&[("/proc/cpuinfo", &text)]);
            assert_eq!(Processor::read(&machine).unwrap().virtual_machine, is_one);
        }
    }
}
