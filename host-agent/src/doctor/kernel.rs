//! The kernel's report interface, which an enclave asks for its evidence. It is in the guest.

use duckblind_attestation::attester::tsm::DEFAULT_ROOT;

use super::devices;
use super::finding::Finding;
use super::machine::Machine;
use super::processor::Processor;

const CHECK: &str = "kernel interface";
/// The first Linux that has it.
const FIRST: (u32, u32) = (6, 7);

pub(super) fn examine(machine: &Machine, processor: Option<&Processor>) -> Finding {
    if !processor.is_some_and(|processor| processor.virtual_machine) {
        return Finding::skip(CHECK, "this is no virtual machine").hint(
            "the guest that the enclave runs in needs Linux 6.7 or later, configfs mounted, and the \
             module sev-guest or tdx-guest",
        );
    }
    let release = machine.text("/proc/sys/kernel/osrelease");
    let release = release.as_deref().unwrap_or("of no known version");
    let (lacking, remedy) = if version(release).is_none_or(|version| version < FIRST) {
        (
            format!("Linux {release}, and 6.7 is the first with {DEFAULT_ROOT}"),
            "install a later kernel in this guest",
        )
    } else if !configfs(machine) {
        (
            format!("Linux {release}, but configfs is not mounted"),
            "mount -t configfs none /sys/kernel/config",
        )
    } else if !machine.has(DEFAULT_ROOT) {
        (
            format!("Linux {release}, but no {DEFAULT_ROOT}"),
            "modprobe sev-guest, or modprobe tdx-guest",
        )
    } else {
        return Finding::pass(CHECK, format!("Linux {release}: {DEFAULT_ROOT}"));
    };
    if devices::of_guest(machine).is_some() {
        Finding::fail(CHECK, lacking, remedy)
    } else {
        let hint = "needed in a confidential guest only, which this does not seem to be";
        Finding::warn(CHECK, lacking, hint)
    }
}

/// Major and minor number of `6.8.0-45-generic`.
fn version(release: &str) -> Option<(u32, u32)> {
    let (major, rest) = release.split_once('.')?;
    let minor = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn configfs(machine: &Machine) -> bool {
    let mounts = machine.text("/proc/self/mounts").unwrap_or_default();
    mounts
        .lines()
        .any(|line| line.split(' ').nth(1) == Some("/sys/kernel/config"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::finding::Outcome;
    use super::super::machine::tests::played;
    use super::*;

    const GUEST: &str = "vendor_id: AuthenticAMD\ncpu family: 25\nmodel: 17\nflags: hypervisor";
    const MOUNTS: &str = "proc /proc proc rw 0 0\nnone /sys/kernel/config configfs rw 0 0\n";

    fn said(cpuinfo: &str, release: &str, mounts: &str, more: &[&str]) -> Finding {
        let mut files = vec![
            ("/proc/cpuinfo", cpuinfo),
            ("/proc/sys/kernel/osrelease", release),
            ("/proc/self/mounts", mounts),
        ];
        files.extend(more.iter().map(|path| (*path, "")));
        let (_dir, machine) = played(&files);
        examine(&machine, Processor::read(&machine).as_ref())
    }

    #[test]
    fn versions() {
        assert_eq!(version("6.8.0-45-generic"), Some((6, 8)));
        assert_eq!(version("6.18-rc3"), Some((6, 18)));
        assert_eq!(version("5.15.0"), Some((5, 15)));
        for none in ["", "6", "six.seven", "6.x"] {
            assert_eq!(version(none), None, "{none}");
        }
    }

    #[test]
    fn what_a_confidential_guest_lacks_is_a_failure() {
        let inside = "/sys/kernel/config/tsm/report/x";
        let device = "/dev/sev-guest";
        assert_eq!(
            said(GUEST, "6.7.0", MOUNTS, &[device, inside]).outcome,
            Outcome::Pass
        );
        for (release, mounts, files, word) in [
            ("6.6.9", MOUNTS, &[device, inside][..], "6.7 is the first"),
            (
                "6.7.0",
                "proc /proc proc rw 0 0",
                &[device, inside],
                "not mounted",
            ),
            (
                "6.7.0",
                MOUNTS,
                &[device],
                "no /sys/kernel/config/tsm/report",
            ),
        ] {
            let finding = said(GUEST, release, mounts, files);
            assert_eq!(finding.outcome, Outcome::Fail, "{word}");
            assert!(finding.detail.contains(word), "{}", finding.detail);
            assert!(finding.hint.is_some());
        }
    }

    #[test]
    fn without_the_hardware_it_is_a_warning() {
        let finding = said(GUEST, "6.6.9", MOUNTS, &[]);
        assert_eq!(finding.outcome, Outcome::Warn);
        let finding = examine(&Machine::below("/nonexistent"), None);
        assert_eq!(finding.outcome, Outcome::Skip);
    }

    #[test]
    fn a_host_is_told_what_its_guests_need() {
        let host = GUEST.replace("hypervisor", "fpu");
        let finding = said(&host, "5.15.0", "", &[]);
        assert_eq!(finding.outcome, Outcome::Skip);
        assert!(finding.hint.unwrap().contains("6.7"));
    }
}
