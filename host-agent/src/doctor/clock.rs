//! Whether this machine's clock can be right, and who keeps it so.

use super::date;
use super::finding::Finding;
use super::machine::Machine;

const CHECK: &str = "clock";
const SERVICE: &str = "time service";
/// More than this between two clocks, in seconds, is worth a word.
const SKEW_WARN: i64 = 5;
/// More than this, and results look expired or not yet valid.
const SKEW_FAIL: i64 = 60;
/// This program was written later: 2026-11-01. A constant, so that one source makes one binary.
const WRITTEN: i64 = 1_793_491_200;
/// Where systemd's time service says that it has the time. Other services keep no such file.
const TIMESYNC: &str = "/run/systemd/timesync";

/// Against the age of this program and the verifier's `Date` header, if there is one.
pub(super) fn examine(date: Option<&str>, now: i64) -> Finding {
    const HINT: &str = "run a time service such as chrony";
    if now < WRITTEN {
        let days = (WRITTEN - now) / 86_400;
        let detail = format!("it is {days} days before this program was written");
        return Finding::fail(CHECK, detail, HINT);
    }
    let Some(theirs) = date.and_then(date::parse_http) else {
        return Finding::skip(CHECK, "no date of the verifier's to compare with");
    };
    let skew = now.saturating_sub(theirs);
    let detail = format!("{skew} s ahead of the verifier's");
    match skew.saturating_abs() {
        apart if apart <= SKEW_WARN => Finding::pass(CHECK, detail),
        apart if apart <= SKEW_FAIL => Finding::warn(CHECK, detail, HINT),
        _ => Finding::fail(CHECK, detail, HINT),
    }
}

pub(super) fn service(machine: &Machine) -> Finding {
    if machine.has(&format!("{TIMESYNC}/synchronized")) {
        Finding::pass(SERVICE, "systemd-timesyncd has the time")
    } else if machine.has(TIMESYNC) {
        Finding::warn(
            SERVICE,
            "systemd-timesyncd runs, but has not reached a time server",
            "timedatectl timesync-status says which server it asks",
        )
    } else {
        Finding::skip(
            SERVICE,
            "not systemd-timesyncd: its state cannot be read here",
        )
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::finding::Outcome;
    use super::super::machine::tests::played;
    use super::*;

    /// The second that [`DATE`] names.
    const AT: i64 = 1_796_114_977;
    const DATE: &str = "Tue, 01 Dec 2026 08:49:37 GMT";

    #[test]
    fn skew_is_judged() {
        let at = |skew: i64| {
            let finding = examine(Some(DATE), AT + skew);
            assert_eq!(finding.hint.is_some(), finding.outcome != Outcome::Pass);
            finding.outcome
        };
        for (skew, outcome) in [
            (0, Outcome::Pass),
            (-5, Outcome::Pass),
            (6, Outcome::Warn),
            (-60, Outcome::Warn),
            (61, Outcome::Fail),
        ] {
            assert_eq!(at(skew), outcome, "{skew}");
        }
        assert_eq!(examine(None, AT).outcome, Outcome::Skip);
        assert_eq!(examine(Some("yesterday"), AT).outcome, Outcome::Skip);
    }

    #[test]
    fn a_clock_before_this_program_is_wrong_whoever_agrees() {
        assert_eq!(
            date::parse_http("Sun, 01 Nov 2026 00:00:00 GMT"),
            Some(WRITTEN)
        );
        let finding = examine(Some("Sun, 06 Nov 1994 08:49:37 GMT"), 784_111_777);
        assert_eq!(finding.outcome, Outcome::Fail);
        assert_eq!(examine(None, WRITTEN - 1).outcome, Outcome::Fail);
        assert_eq!(examine(None, WRITTEN).outcome, Outcome::Skip);
    }

    #[test]
    fn the_time_service() {
        let outcome = |files: &[(&str, &str)]| service(&played(files).1).outcome;
        assert_eq!(outcome(&[]), Outcome::Skip);
        let (_dir, machine) = played(&[("/run/systemd/timesync/synchronized", "")]);
        assert_eq!(service(&machine).outcome, Outcome::Pass);
        let (_dir, machine) = played(&[("/run/systemd/timesync/clock", "")]);
        assert_eq!(service(&machine).outcome, Outcome::Warn);
    }
}
