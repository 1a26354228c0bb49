//! A report by itself, under all that a policy says of hardware and guest.

use duckblind_protocol::ids::{Digest, Nonce, UnixTime};
use duckblind_protocol::key_statement::Tee;

use super::CryptoVerdict;
use crate::appraise::{Expected, Floors, Inputs, judge_hardware};
use crate::check::Checks;
use crate::evidence::{Endorsements, Evidence, VERSION};
use crate::policy::Policy;
use crate::snp::SignatureCache;

/// A report without an envelope.
#[derive(Clone, Debug)]
pub struct BareReport<'a> {
    /// What it is.
    pub tee: Tee,
    /// As the hardware gave it.
    pub report: &'a [u8],
    /// The vendor's documents.
    pub endorsements: &'a Endorsements,
    /// What was measured after launch, for platforms that extend registers with it.
    pub event_log: Option<&'a [u8]>,
}

/// What `policy` says of a report at `now`, as far as it is about hardware, platform and guest. What
/// the report binds is not looked at: a verdict is none on keys, configuration or release, and
/// nothing may be sealed on the strength of it.
pub fn hardware(bare: &BareReport<'_>, policy: &Policy, now: UnixTime) -> CryptoVerdict {
    let evidence = Evidence {
        v: VERSION,
        tee: bare.tee,
        report: bare.report.to_vec(),
        key_statement: Vec::new(),
        challenge: Vec::new(),
        config: Vec::new(),
        release: Vec::new(),
        endorsements: Endorsements::default(),
        event_log: bare.event_log.map(<[u8]>::to_vec),
    };
    let inputs = Inputs {
        evidence: &[],
        endorsements: bare.endorsements,
        policy,
        // The parts that judge hardware ask only for what earlier evidence said, and there is none.
        expected: Expected {
            nonce: Nonce::from_bytes([0; Nonce::LEN]),
            audience: Digest::from_bytes([0; Digest::LEN]),
            earlier_report_id: None,
            earlier_epoch: None,
        },
        floors: &Floors::default(),
        now,
    };
    let mut checks = Checks::default();
    let cache = SignatureCache::none();
    let judged = judge_hardware(&mut checks, &evidence, bare.endorsements, &inputs, &cache);
    let mut verdict = CryptoVerdict::new(checks, judged.platform.is_some());
    verdict.sim = judged.sim;
    verdict.warnings = judged.warnings;
    verdict
}

#[cfg(all(test, feature = "simulator"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::reason::Reason;
    use crate::testing::Case;

    fn judge(case: &Case, report: &[u8], policy: &str) -> CryptoVerdict {
        let evidence = case.evidence();
        let endorsements = case.endorsements.or(&evidence.endorsements);
        let bare = BareReport {
            tee: evidence.tee,
            report,
            endorsements: &endorsements,
            event_log: None,
        };
        hardware(&bare, &Policy::parse(policy).unwrap(), case.now)
    }

    #[test]
    fn an_honest_report_is_accepted_and_nothing_bound_is_looked_at() {
        let case = Case::good();
        let report = case.evidence().report;
        let verdict = judge(&case, &report, &case.policy);
        assert!(verdict.is_accepted(), "{:?}", verdict.checks);
        assert!(verdict.sim);
        let about = |prefix: &str| {
            verdict
                .checks
                .iter()
                .any(|check| check.name.starts_with(prefix))
        };
        assert!(about("report.") && about("chain.") && about("tcb."));
        assert!(!about("binding.") && !about("config."));
    }

    #[test]
    fn the_policy_counts() {
        let case = Case::good();
        let mut report = case.evidence().report;
        let strict = case.policy.replacen("vmpls = [0]", "vmpls = [1]", 1);
        let verdict = judge(&case, &report, &strict);
        assert!(!verdict.is_accepted());
        assert_eq!(verdict.reasons(), [Reason::Vmpl]);
        report[0x90] ^= 1;
        let reasons = judge(&case, &report, &case.policy).reasons();
        assert!(reasons.contains(&Reason::Measurement) && reasons.contains(&Reason::Signature));
    }

    #[test]
    fn a_kind_that_the_policy_does_not_list() {
        let endorsements = Endorsements::default();
        let bare = BareReport {
            tee: Tee::Tdx,
            report: &[],
            endorsements: &endorsements,
            event_log: None,
        };
        let text = include_str!("../../../../policies/production-snp.toml")
            .replacen(
                "\nmeasurements = []",
                &format!("\nmeasurements = [\"{}\"]", "ab".repeat(48)),
                1,
            )
            .replacen(
                "\nreleases = []",
                &format!("\nreleases = [\"{}\"]", "ab".repeat(32)),
                1,
            );
        let verdict = hardware(&bare, &Policy::parse(&text).unwrap(), UnixTime(0));
        assert!(!verdict.is_accepted());
        assert_eq!(verdict.reasons(), [Reason::Platform]);
    }
}
