//! The enclave's evidence, asked for in the doctor's own name: what is in it, and who endorses it.

use duckblind_attestation::appraise::Expected;
use duckblind_attestation::evidence::{Endorsements, Evidence};
use duckblind_attestation::snp::certificate::Certificate;
use duckblind_attestation::snp::report::ParsedReport;
use duckblind_attestation::snp::vek::VekClaims;
use duckblind_attestation::snp::{Generation, Tcb};
use duckblind_attestation::tdx::Quote;
use duckblind_protocol::frames::ChallengeRequest;
use duckblind_protocol::handshake::VERSION;
use duckblind_protocol::ids::{Digest, Nonce};
use duckblind_protocol::key_statement::{Tee, combined_nonce};

use super::finding::Finding;
use super::processor;
use crate::config::Config;
use crate::enclave_link::EnclaveLink;
use crate::error::HostError;

const CHECK: &str = "evidence";
const ENDORSEMENTS: &str = "endorsements";

/// An answer, and what it must repeat.
pub(super) struct Answer {
    /// The envelope as it came.
    pub(super) bytes: Vec<u8>,
    /// What was asked.
    pub(super) expected: Expected,
}

/// Challenges the enclave. Nonce and audience are random: the evidence is good for nobody else.
pub(super) async fn ask(config: &Config, link: &EnclaveLink) -> Result<Answer, HostError> {
    let verifier_nonce = Nonce::random()?;
    let audience = Digest::of(Nonce::random()?.as_bytes());
    let request = ChallengeRequest {
        v: VERSION,
        verifier_nonce,
        requester_nonce: None,
        audience,
    };
    Ok(Answer {
        bytes: link.evidence(&request, config.timeouts.evidence).await?,
        expected: Expected {
            nonce: combined_nonce(&verifier_nonce, None),
            audience,
            earlier_report_id: None,
            earlier_epoch: None,
        },
    })
}

/// What it is, and what came with it. Nothing is believed yet: that takes a policy.
pub(super) fn examine(evidence: &Evidence) -> [Finding; 2] {
    match evidence.tee {
        Tee::SevSnp => snp(evidence),
        Tee::Tdx => tdx(evidence),
    }
}

fn snp(evidence: &Evidence) -> [Finding; 2] {
    let report = match ParsedReport::parse(&evidence.report) {
        Ok(parsed) => parsed.report,
        Err(error) => {
            let detail = format!("{error} are no SEV-SNP report");
            let hint = "look into the enclave's log and its kernel's";
            return [
                Finding::fail(CHECK, detail, hint),
                Finding::skip(ENDORSEMENTS, "no report"),
            ];
        }
    };
    let claims = claims(&evidence.endorsements);
    let generation = report
        .generation()
        .or_else(|| claims.as_ref().map(|claims| claims.generation));
    let reported = generation.and_then(|generation| Tcb::decode(report.reported_tcb, generation));
    let version = format!("sev-snp report version {}", report.version);
    let what = match (generation, reported) {
        (Some(generation), Some(tcb)) => {
            let detail = format!("{version}, {generation}, reported TCB {tcb}");
            if generation == Generation::Milan {
                processor::milan(CHECK, detail)
            } else {
                Finding::pass(CHECK, detail)
            }
        }
        _ => Finding::warn(
            CHECK,
            format!("{version}, of a processor or firmware that this program does not know"),
            "update duckblind-host; until then, requesters refuse it too",
        ),
    };
    [
        what,
        snp_endorsements(&evidence.endorsements, claims, reported),
    ]
}

fn claims(endorsements: &Endorsements) -> Option<VekClaims> {
    let vek = Certificate::from_der(endorsements.vek.as_ref()?).ok()?;
    VekClaims::read(&vek).ok()
}

fn snp_endorsements(
    carried: &Endorsements,
    claims: Option<VekClaims>,
    reported: Option<Tcb>,
) -> Finding {
    if carried.vek.is_none() {
        return Finding::warn(
            ENDORSEMENTS,
            "the certificate of the chip's key (VEK) is not carried",
            "import AMD's chain on the host (snphost, or the hypervisor's certificate option); \
             otherwise each verifier has to fetch it from AMD",
        );
    }
    if let (Some(claims), Some(reported)) = (claims, reported)
        && claims.tcb != reported
    {
        return Finding::fail(
            ENDORSEMENTS,
            format!(
                "the VEK carried is for firmware {}, the report says {reported}",
                claims.tcb
            ),
            "the firmware was updated since: import the certificate for its present version",
        );
    }
    if let Some(ark) = &carried.ark
        && Generation::of_root(&Digest::of(ark)).is_none()
    {
        return Finding::warn(
            ENDORSEMENTS,
            format!("their root {} is not one of AMD's", Digest::of(ark)),
            "a simulated platform protects nothing: only development policies take it",
        );
    }
    let names = [
        ("VEK", &carried.vek),
        ("ASK", &carried.ask),
        ("ARK", &carried.ark),
        ("revocation list", &carried.crl),
    ];
    let there: Vec<_> = names
        .into_iter()
        .filter_map(|(name, der)| der.as_ref().map(|_| name))
        .collect();
    Finding::pass(ENDORSEMENTS, format!("carried: {}", there.join(", ")))
}

fn tdx(evidence: &Evidence) -> [Finding; 2] {
    let what = match Quote::parse(&evidence.report) {
        Ok(quote) => {
            // The module can be updated under a running guest; only later quotes say so.
            let launch = quote.body.tee_tcb_svn;
            let svn = quote.body.td15.map_or(launch, |td15| td15.tee_tcb_svn2);
            let (version, svn) = (quote.version, hex::encode(svn));
            Finding::pass(CHECK, format!("tdx quote version {version}, TCB SVN {svn}"))
        }
        Err(error) => Finding::fail(
            CHECK,
            format!("this is no tdx quote: {error}"),
            "look into the log of the host's quoting service (qgsd)",
        ),
    };
    let endorsements = match &evidence.endorsements.tdx {
        Some(_) => Finding::pass(ENDORSEMENTS, "carried: Intel's collateral"),
        None => Finding::skip(
            ENDORSEMENTS,
            "none carried, as is usual: whoever appraises fetches Intel's collateral",
        ),
    };
    [what, endorsements]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use duckblind_attestation::snp::report::REPORT_LEN;

    use super::super::finding::Outcome;
    use super::*;

    /// A report that says this, and nothing else.
    fn evidence(version: u8, cpuid: [u8; 2], reported: [u8; 8]) -> Evidence {
        let mut report = vec![0; REPORT_LEN];
        report[0] = version;
        report[0x180..0x188].copy_from_slice(&reported);
        report[0x188..0x18a].copy_from_slice(&cpuid);
        Evidence {
            v: 1,
            tee: Tee::SevSnp,
            report,
            key_statement: vec![],
            challenge: vec![],
            config: vec![],
            release: vec![],
            endorsements: Endorsements::default(),
            event_log: None,
        }
    }

    #[test]
    fn reports_are_named() {
        for (version, cpuid, tcb, outcome, words) in [
            (
                3,
                [0x19, 0x11],
                [10, 0, 0, 0, 0, 0, 23, 84],
                Outcome::Pass,
                "sev-snp report version 3, genoa, reported TCB bootloader=10 tee=0 snp=23 microcode=84",
            ),
            (
                5,
                [0x1a, 0x02],
                [1, 1, 1, 4, 0, 0, 0, 81],
                Outcome::Pass,
                "version 5, turin, reported TCB fmc=1 bootloader=1",
            ),
            (
                3,
                [0x19, 0x01],
                [4, 0, 0, 0, 0, 0, 24, 219],
                Outcome::Warn,
                "milan, reported TCB bootloader=4 tee=0 snp=24 microcode=219, off by default",
            ),
            (3, [0x17, 0x31], [0; 8], Outcome::Warn, "does not know"),
            (2, [0, 0], [0; 8], Outcome::Warn, "does not know"),
            // A reserved byte is set.
            (
                3,
                [0x19, 0x11],
                [0, 0, 1, 0, 0, 0, 0, 0],
                Outcome::Warn,
                "does not know",
            ),
        ] {
            let [what, endorsements] = examine(&evidence(version, cpuid, tcb));
            assert_eq!(what.outcome, outcome, "{}", what.detail);
            assert!(what.detail.contains(words), "{}", what.detail);
            assert_eq!(what.hint.is_some(), outcome == Outcome::Warn);
            assert_eq!(endorsements.outcome, Outcome::Warn);
            assert!(endorsements.detail.contains("(VEK) is not carried"));
        }
    }

    #[test]
    fn bytes_of_another_length_are_no_report() {
        let mut evidence = evidence(3, [0x19, 0x11], [0; 8]);
        evidence.report.push(0);
        let [what, endorsements] = examine(&evidence);
        assert_eq!(what.outcome, Outcome::Fail);
        assert!(what.detail.starts_with("1185 bytes"));
        assert_eq!(endorsements.outcome, Outcome::Skip);
    }
}
