//! The steps of `dcap-qvl`'s verification, by the words of its errors: what each is called here and
//! what kind of failure it is. Its errors have no types.

use crate::check::Checks;
use crate::reason::Reason;

/// A step, and what its errors say.
struct Stage {
    name: &'static str,
    reason: Reason,
    expected: &'static str,
    says: &'static [&'static str],
}

const fn stage(
    name: &'static str,
    reason: Reason,
    expected: &'static str,
    says: &'static [&'static str],
) -> Stage {
    Stage {
        name,
        reason,
        expected,
        says,
    }
}

/// More particular ones first: the first that matches names the failure.
const VERIFICATION: &[Stage] = &[
    stage(
        "verify.certificate_times",
        Reason::Validity,
        "certificates of their time",
        &["CertExpired", "CertNotValidYet"],
    ),
    stage(
        "verify.revocation_times",
        Reason::CrlStale,
        "revocation lists of their time",
        &["CrlExpired"],
    ),
    stage(
        "verify.revocation",
        Reason::Revoked,
        "no revoked certificate",
        &["CertRevoked"],
    ),
    stage(
        "verify.collateral_times",
        Reason::Validity,
        "TCB info and identity of their time",
        &[
            "TCBInfo expired",
            "TCBInfo issue date is in the future",
            "QE Identity expired",
            "QE Identity issue date is in the future",
        ],
    ),
    stage(
        "verify.tcb_info_signature",
        Reason::Chain,
        "TCB info signed by its signer",
        &["Signature is invalid for tcb_info"],
    ),
    stage(
        "verify.qe_identity_signature",
        Reason::Chain,
        "identity signed by its signer",
        &["Signature is invalid for qe_identity"],
    ),
    stage(
        "verify.kinds",
        Reason::Chain,
        "documents for TDX and this platform",
        &[
            "Unsupported QE Identity",
            "with non-TDX TCB info",
            "with non-SGX TCB info",
            "Fmspc mismatch",
            "TDX TCB Info is missing tdxModule",
        ],
    ),
    stage(
        "verify.chains",
        Reason::Chain,
        "every signer certified by the root, revocation lists signed by it",
        &[
            "Failed to load root ca",
            "Failed to parse root CA CRL",
            "Failed to parse PCK CRL",
            "UnknownRevocationStatus",
            "Certificate chain is too short",
            "leaf certificate",
            "PCK certificate",
            "Failed to verify certificate chain",
            "must be issued directly by the root CA",
            "Too many intermediate certificates",
            "Intel extension",
        ],
    ),
    stage(
        "verify.qe_signature",
        Reason::Signature,
        "the quoting enclave's report signed by the platform's key",
        &["Signature is invalid for qe_report"],
    ),
    stage(
        "verify.attestation_key",
        Reason::Signature,
        "the attestation key in the quoting enclave's report",
        &["QE report hash mismatch"],
    ),
    stage(
        "verify.quoting_enclave",
        Reason::Chain,
        "Intel's quoting enclave",
        &[
            "QE MRSIGNER",
            "QE report validation failed",
            "QE ISVPRODID",
            "QE MISCSELECT",
            "QE ATTRIBUTES",
        ],
    ),
    stage(
        "verify.signature",
        Reason::Signature,
        "the quote signed by the attestation key",
        &["ISV enclave report signature is invalid"],
    ),
    stage(
        "verify.tcb_level",
        Reason::TcbStatus,
        "security versions that Intel lists and has not revoked",
        &[
            "No matching TCB level",
            "below minimum required",
            "No TDX module identity",
            "No TCB levels found",
            "Unrecognized TCB status",
            "TCB status is invalid: Revoked",
        ],
    ),
    stage(
        "verify.module",
        Reason::Measurement,
        "Intel's TDX module",
        &["TDX module MRSIGNER", "TDX module SEAMATTRIBUTES"],
    ),
    stage(
        "verify.debug",
        Reason::Debug,
        "neither debugging nor profiling",
        &["Debug mode is enabled", "TD profiling is enabled"],
    ),
    stage(
        "verify.migration",
        Reason::Migrate,
        "no migration",
        &["TD migration is enabled"],
    ),
    stage(
        "verify.attributes",
        Reason::PolicyBit,
        "no unknown attributes, and SEPT_VE_DISABLE",
        &[
            "Reserved bits in TD attributes",
            "SERVTD_EXT is enabled",
            "SEPT_VE_DISABLE is not enabled",
        ],
    ),
    stage(
        "verify.service_td",
        Reason::Measurement,
        "no service guest",
        &["Invalid MR service TD"],
    ),
];

/// What no other stage says. Anything that is not understood is refused as damaged.
const OTHER: Stage = stage(
    "verify.format",
    Reason::Format,
    "a quote and collateral that can be verified",
    &[],
);

/// The steps of `dcap-qvl`'s policy.
const POLICY: &[Stage] = &[
    stage(
        "verify.policy_evaluation",
        Reason::TcbFloor,
        "evaluation number at the floor",
        &["TCB eval data number"],
    ),
    stage(
        "verify.policy_platform",
        Reason::Platform,
        "platform switches that the policy takes",
        &["Dynamic platform", "Cached keys", "SMT", "SGX type"],
    ),
    stage(
        "verify.policy_status",
        Reason::TcbStatus,
        "TCB status, age and advisories that the policy takes",
        &["TCB status", "TCB too old", "Advisory ID"],
    ),
];

/// Records what came of verification: every step if it succeeded, else the one that failed.
pub(in crate::appraise) fn verified<T>(
    checks: &mut Checks,
    outcome: Result<T, String>,
) -> Option<T> {
    record(checks, VERIFICATION, outcome)
}

/// Records what came of the policy.
pub(super) fn policy(checks: &mut Checks, outcome: Result<(), String>) {
    record(checks, POLICY, outcome);
}

fn record<T>(
    checks: &mut Checks,
    stages: &'static [Stage],
    outcome: Result<T, String>,
) -> Option<T> {
    match outcome {
        Ok(value) => {
            for stage in stages {
                checks.check(
                    stage.name,
                    stage.reason,
                    true,
                    stage.expected,
                    stage.expected,
                );
            }
            Some(value)
        }
        Err(error) => {
            let failed = stages
                .iter()
                .find(|stage| stage.says.iter().any(|says| error.contains(says)))
                .unwrap_or(&OTHER);
            checks.check(failed.name, failed.reason, false, failed.expected, error);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(error: &str) -> (&'static str, Reason) {
        let mut checks = Checks::default();
        assert_eq!(verified(&mut checks, Err::<(), _>(error.to_owned())), None);
        let checks = checks.into_list();
        assert_eq!(checks.len(), 1);
        checks
            .first()
            .map_or(("none", Reason::Format), |check| (check.name, check.reason))
    }

    /// Words that no simulated platform makes the library say.
    #[test]
    fn words_of_the_library() {
        for (error, name, reason) in [
            (
                "Invalid MR service TD",
                "verify.service_td",
                Reason::Measurement,
            ),
            (
                "QE report validation failed: Debug mode is enabled",
                "verify.quoting_enclave",
                Reason::Chain,
            ),
            (
                "Failed to verify certificate chain: CertExpired { .. }",
                "verify.certificate_times",
                Reason::Validity,
            ),
            (
                "Failed to verify certificate chain: UnknownIssuer",
                "verify.chains",
                Reason::Chain,
            ),
            ("something new", "verify.format", Reason::Format),
        ] {
            assert_eq!(failed(error), (name, reason), "{error}");
        }
    }

    #[test]
    fn success_passes_every_stage() {
        let mut checks = Checks::default();
        assert_eq!(verified(&mut checks, Ok(7)), Some(7));
        assert!(checks.all_passed());
        assert_eq!(checks.into_list().len(), VERIFICATION.len());
    }
}
