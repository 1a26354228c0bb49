//! The enclave's evidence, asked for in the doctor's own name: what is in it, and who endorses it.

use duckblind_attestation::appraise::Expected;
use duckblind_attestation::evidence::{Endorsements, Evidence};
use duckblind_attestation::snp::certificate::Certificate;
use duckblind_attestation::snp::report::ParsedReport;
use duckblind_attestation::snp::vek::VekClaims;
use duckblind_attestation::snp::{Generation, Tcb};
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
    [what, snp_endorsements(&evidence.endorsements, claims, reported)]
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
            format!("the VEK carried is for firmware {}, the report says {reported}", claims.tcb),
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
    let what = format!("tdx quote of {} bytes", evidence.report.len());
    let endorsements = match &evidence.endorsements.tdx {
        Some(_) => Finding::pass(ENDORSEMENTS, "carried: Intel's collateral"),
        None => Finding::skip(
            ENDORSEMENTS,
            "none carried, as is usual: whoever appraises fetches Intel's collateral",
        ),
    };
    [Finding::pass(CHECK, what), endorsements]
}
