//! What this machine's kernel offers to start confidential guests with, or to be one.

use super::finding::Finding;
use super::machine::Machine;
use super::processor::{Processor, Technology};

const CHECK: &str = "devices";
const QUOTING: &str = "quoting";

/// What a confidential guest asks its hardware through.
pub(super) const GUEST_DEVICES: [(&str, &str); 2] =
    [("/dev/sev-guest", "SEV-SNP"), ("/dev/tdx_guest", "TDX")];
/// Where Intel's quoting service listens, unless it uses a vsock port.
const QGS_SOCKET: &str = "/run/tdx-qgs/qgs.socket";
/// What Intel's quoting enclave needs.
const SGX_DEVICES: [&str; 2] = ["/dev/sgx_enclave", "/dev/sgx_provision"];

pub(super) fn examine(machine: &Machine, processor: Option<&Processor>) -> Vec<Finding> {
    let Some(processor) = processor else {
        return vec![Finding::skip(CHECK, "what processor this is, is not known")];
    };
    if processor.virtual_machine {
        return vec![guest(machine)];
    }
    match processor.technology() {
        Some(Technology::Snp(_)) => vec![snp(machine)],
        Some(Technology::Tdx(_)) => vec![tdx(machine), quoting(machine)],
        None => vec![Finding::skip(
            CHECK,
            "the processor offers none that is known",
        )],
    }
}

/// The device of a confidential guest, if this machine is one.
pub(super) fn of_guest(machine: &Machine) -> Option<(&'static str, &'static str)> {
    GUEST_DEVICES
        .into_iter()
        .find(|(device, _)| machine.has(device))
}

fn guest(machine: &Machine) -> Finding {
    match of_guest(machine) {
        Some((device, technology)) => {
            Finding::pass(CHECK, format!("a guest of {technology}: {device}"))
        }
        None => Finding::warn(
            CHECK,
            "a virtual machine that is no confidential guest, as far as its kernel shows",
            "a simulated enclave may run here, for development; a real one needs an SEV-SNP or TDX guest \
             with its driver loaded (sev-guest, tdx-guest)",
        ),
    }
}

fn snp(machine: &Machine) -> Finding {
    match machine.parameter("kvm_amd", "sev_snp") {
        Some(true) if machine.has("/dev/sev") => {
            Finding::pass(CHECK, "SEV-SNP host: /dev/sev, kvm_amd sev_snp=Y")
        }
        Some(true) => Finding::fail(
            CHECK,
            "SEV-SNP is on (kvm_amd sev_snp=Y), but there is no /dev/sev",
            "load the module ccp; the firmware setup must leave the security processor on",
        ),
        Some(false) => Finding::fail(
            CHECK,
            "SEV-SNP is off (kvm_amd sev_snp=N)",
            "firmware setup: SMEE, SEV-SNP, RMP coverage and IOMMU on; host kernel 6.11 or later; \
             dmesg | grep -i sev says what it lacks",
        ),
        None => Finding::warn(
            CHECK,
            "the module kvm_amd is not loaded, or does not know SEV-SNP",
            "modprobe kvm_amd; host kernel 6.11 or later",
        ),
    }
}

fn tdx(machine: &Machine) -> Finding {
    match machine.parameter("kvm_intel", "tdx") {
        Some(true) => Finding::pass(CHECK, "TDX host: kvm_intel tdx=Y"),
        Some(false) => Finding::fail(
            CHECK,
            "TDX is off (kvm_intel tdx=N)",
            "firmware setup: TME-MT, SGX, TDX and the SEAM loader on; kernel parameter kvm_intel.tdx=1; \
             dmesg | grep -i tdx says what it lacks",
        ),
        None => Finding::warn(
            CHECK,
            "the module kvm_intel is not loaded, or does not know TDX",
            "modprobe kvm_intel; host kernel 6.16 or later",
        ),
    }
}

/// A TDX guest's reports are signed by an SGX enclave of the host's.
fn quoting(machine: &Machine) -> Finding {
    if let Some(lacking) = SGX_DEVICES.iter().find(|device| !machine.has(device)) {
        return Finding::fail(
            QUOTING,
            format!("there is no {lacking}: no quote can be signed here"),
            "firmware setup: SGX on, in automatic registration mode; then install the quoting service (qgsd)",
        );
    }
    if machine.has(QGS_SOCKET) {
        Finding::pass(QUOTING, format!("quoting service at {QGS_SOCKET}"))
    } else {
        Finding::warn(
            QUOTING,
            format!("no quoting service at {QGS_SOCKET}"),
            "start qgsd; fine if its configuration names a vsock port instead, which cannot be seen from here",
        )
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::finding::Outcome;
    use super::super::machine::tests::played;
    use super::*;

    const MILAN: &str = "vendor_id: AuthenticAMD\ncpu family: 25\nmodel: 1\nflags: fpu";
    const GENOA: &str = "vendor_id: AuthenticAMD\ncpu family: 25\nmodel: 17\nflags: fpu";
    const EMERALD: &str = "vendor_id: GenuineIntel\ncpu family: 6\nmodel: 207\nflags: fpu";
    const LAPTOP: &str = "vendor_id: GenuineIntel\ncpu family: 6\nmodel: 140\nflags: fpu";
    const SNP: &str = "/sys/module/kvm_amd/parameters/sev_snp";
    const TDX: &str = "/sys/module/kvm_intel/parameters/tdx";

    fn found(cpuinfo: &str, files: &[(&str, &str)]) -> Vec<(&'static str, Outcome, String)> {
        let mut files = files.to_vec();
        files.push(("/proc/cpuinfo", cpuinfo));
        let (_dir, machine) = played(&files);
        let findings = examine(&machine, Processor::read(&machine).as_ref());
        for finding in &findings {
            let acts = matches!(finding.outcome, Outcome::Warn | Outcome::Fail);
            assert_eq!(finding.hint.is_some(), acts, "{finding:?}");
        }
        findings
            .into_iter()
            .map(|finding| (finding.check, finding.outcome, finding.detail))
            .collect()
    }

    /// The one finding there is.
    fn one(cpuinfo: &str, files: &[(&str, &str)]) -> (Outcome, String) {
        let mut all = found(cpuinfo, files);
        let (check, outcome, detail) = all.pop().unwrap();
        assert!(all.is_empty() && check == CHECK);
        (outcome, detail)
    }

    #[test]
    fn hosts_of_amd() {
        for cpu in [MILAN, GENOA] {
            let (outcome, detail) = one(cpu, &[(SNP, "Y\n"), ("/dev/sev", "")]);
            assert_eq!(outcome, Outcome::Pass, "{detail}");
        }
        let (outcome, detail) = one(GENOA, &[(SNP, "Y\n")]);
        assert!(outcome == Outcome::Fail && detail.contains("no /dev/sev"));
        let (outcome, detail) = one(GENOA, &[(SNP, "N\n"), ("/dev/sev", "")]);
        assert!(outcome == Outcome::Fail && detail.contains("off"));
        let (outcome, detail) = one(GENOA, &[("/dev/sev", "")]);
        assert!(outcome == Outcome::Warn && detail.contains("not loaded"));
        // A switch of the other vendor's says nothing.
        assert_eq!(one(GENOA, &[(TDX, "Y")]).0, Outcome::Warn);
    }

    #[test]
    fn hosts_of_intel() {
        let whole = [
            (TDX, "Y\n"),
            ("/dev/sgx_enclave", ""),
            ("/dev/sgx_provision", ""),
            ("/run/tdx-qgs/qgs.socket", ""),
        ];
        let outcomes = |files: &[(&str, &str)]| {
            let [devices, quoting] = found(EMERALD, files).try_into().unwrap();
            assert_eq!((devices.0, quoting.0), (CHECK, QUOTING));
            (devices.1, quoting.1)
        };
        assert_eq!(outcomes(&whole), (Outcome::Pass, Outcome::Pass));
        assert_eq!(outcomes(&whole[..3]), (Outcome::Pass, Outcome::Warn));
        assert_eq!(outcomes(&whole[..2]), (Outcome::Pass, Outcome::Fail));
        assert_eq!(outcomes(&whole[1..]), (Outcome::Warn, Outcome::Pass));
        let mut off = whole;
        off[0].1 = "N\n";
        assert_eq!(outcomes(&off), (Outcome::Fail, Outcome::Pass));
    }

    #[test]
    fn a_laptop_has_nothing_to_look_at() {
        assert_eq!(one(LAPTOP, &[(TDX, "N\n")]).0, Outcome::Skip);
        assert_eq!(examine(&played(&[]).1, None).len(), 1);
    }

    #[test]
    fn guests() {
        let guest = format!("{GENOA} hypervisor");
        let (outcome, detail) = one(&guest, &[("/dev/sev-guest", "")]);
        assert!(outcome == Outcome::Pass && detail.contains("SEV-SNP"));
        let (outcome, detail) = one(&guest, &[("/dev/tdx_guest", "")]);
        assert!(outcome == Outcome::Pass && detail.contains("TDX"));
        // What the host's modules say is not for its guests.
        assert_eq!(one(&guest, &[(SNP, "N\n")]).0, Outcome::Warn);
    }
}
