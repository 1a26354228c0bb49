//! `duckblind attest verify`: judge evidence here.

use std::path::{Path, PathBuf};

use duckblind_attestation::appraise::crypto::{BareReport, hardware};
use duckblind_attestation::appraise::{
    Appraisal, Appraised, Expected, Floors, Inputs, Rejected, appraise,
};
use duckblind_attestation::check::{Check, Outcome};
use duckblind_attestation::evidence::Evidence;
use duckblind_attestation::policy::Policy;
use duckblind_protocol::ids::{Digest, NodeId, Nonce, UnixTime};
use serde_json::{Value, json};

use super::super::failure::Failure;
use super::super::paths;
use super::super::ui::Ui;
use super::appraisal::Verdict;
use super::documents::DocumentArgs;
use super::file::EvidenceFile;
use super::gather::GatherArgs;
use super::instant::instant;
use super::source::SourceArgs;
use super::subject::{Subject, SubjectError};
use super::vectors;
use crate::clock;
use crate::error::RequesterError;
use crate::files;
use crate::trust::{AdmitError, Judged};

/// Recorded inputs prove what an appraiser saw, not that one should believe it.
const OWN_POLICY: &str =
    "accepted under the file's own policy, floors and time: compare the policy's digest with yours";
/// Only hosts of the registry are judged against floors.
const NO_FLOORS: &str = "judged without floors of earlier runs";

const EXAMPLES: &str = "\
Examples:
  duckblind attest verify                          a host, under the trust file
  duckblind attest verify receipt.json             a saved receipt, at its own time
  duckblind attest verify report.bin --policy production.toml --endorsements bundle
  duckblind attest verify envelope.cbor --policy production.toml --nonce HEX --audience HEX
  duckblind attest verify inputs.cbor              the same appraisal again
  duckblind attest verify --vectors DIR            all cases of a folder of test vectors";

/// Judge evidence here: of a host, out of a file, or a folder of test vectors
///
/// Hosts and saved receipts are judged under the trust file, and compared with the verifier's
/// result. Other files are judged under --policy. A raw report or quote binds no keys: then only
/// hardware and guest are judged.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(in super::super) struct VerifyArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// The policy that counts, for reports, quotes and envelopes
    #[arg(long, value_name = "FILE", conflicts_with_all = ["node", "fresh"])]
    policy: Option<PathBuf>,
    #[command(flatten)]
    documents: DocumentArgs,
    /// The combined nonce that an envelope must answer
    #[arg(long, value_name = "HEX", requires = "audience")]
    nonce: Option<Nonce>,
    /// Digest of the verifier's key that an envelope must be made for
    #[arg(long, value_name = "HEX", requires = "nonce")]
    audience: Option<Digest>,
    /// The time to judge at: Unix seconds or a date in UTC [default: now]
    #[arg(long, value_name = "TIME", value_parser = instant)]
    now: Option<UnixTime>,
    #[command(flatten)]
    gather: GatherArgs,
    /// A folder of test vectors: snp/normalized/manifest.json, tdx/normalized/cases.json
    #[arg(
        long,
        value_name = "DIR",
        conflicts_with_all = ["file", "node", "fresh", "policy", "nonce"]
    )]
    vectors: Option<PathBuf>,
}

pub(super) async fn verify(ui: &Ui, trust: Option<&Path>, args: VerifyArgs) -> Result<(), Failure> {
    if let Some(dir) = &args.vectors {
        return vectors::verify(ui, dir, args.now.unwrap_or_else(clock::now));
    }
    let Some(path) = &args.source.file else {
        return host(ui, trust, &args).await;
    };
    match EvidenceFile::load(path)? {
        EvidenceFile::Receipt(saved) => {
            args.only_file("a saved receipt is judged under the trust file, at its own time")?;
            match saved.verify(&paths::trust(trust)?) {
                Ok(verified) => {
                    judged(ui, None, &verified.judged);
                    ui.note("time not proven: no log");
                    Ok(())
                }
                Err(error) => Err(refused(ui, error)),
            }
        }
        EvidenceFile::Inputs(recorded) => {
            args.only_file("recorded inputs bring their own policy and time")?;
            appraised(
                ui,
                &appraise(&recorded.inputs()),
                ("reproduced", OWN_POLICY),
            )
        }
        EvidenceFile::Envelope(bytes, evidence) => envelope(ui, &args, &bytes, *evidence).await,
        EvidenceFile::Bundle(_) => Err(SubjectError::NoReport.into()),
        bare => report(ui, &args, Subject::of_file(bare)?).await,
    }
}

impl VerifyArgs {
    /// Refuses options that would be ignored.
    fn only_file(&self, why: &str) -> Result<(), Failure> {
        let given = [
            ("--policy", self.policy.is_some()),
            ("--now", self.now.is_some()),
            ("--nonce", self.nonce.is_some()),
            ("documents", self.documents.any()),
        ];
        match given.iter().find(|(_, given)| *given) {
            Some((name, _)) => Err(Failure::usage(
                format!("{name} given, but {why}"),
                Some("leave it out"),
            )),
            None => Ok(()),
        }
    }

    fn policy(&self) -> Result<Policy, Failure> {
        let path = self.policy.as_deref().ok_or_else(|| {
            Failure::usage(
                "--policy is missing: without one there is nothing to judge by",
                Some("policies/ has some to start from; `duckblind attest show` judges nothing"),
            )
        })?;
        let text = files::read_text(path).map_err(RequesterError::from)?;
        Ok(Policy::parse(&text)?)
    }
}

async fn host(ui: &Ui, trust: Option<&Path>, args: &VerifyArgs) -> Result<(), Failure> {
    args.only_file("hosts are judged under the trust file, now")?;
    if args.gather.offline {
        return Err(Failure::usage(
            "a host cannot be asked offline",
            Some("name a FILE with its evidence"),
        ));
    }
    let trust = paths::trust(trust)?;
    let (node, presented) = args.source.present(&trust).await?;
    match presented.judge(&trust) {
        Ok(found) => {
            judged(ui, Some(&node), &found);
            Ok(())
        }
        Err(error) => Err(refused(ui, error)),
    }
}

/// Every check of a refusal is shown before the error ends the command.
fn refused(ui: &Ui, error: RequesterError) -> Failure {
    if let RequesterError::Admit(AdmitError::Rejected { rejected, checks }) = &error {
        Verdict {
            word: "rejected",
            says: "rejected",
            note: "",
            at: clock::now(),
            sim: false,
            checks,
            reasons: &rejected.reasons,
            warnings: &[],
            more: json!({ "logged": false }),
        }
        .show(ui);
    }
    error.into()
}

fn judged(ui: &Ui, node: Option<&NodeId>, judged: &Judged) {
    let appraised = judged.appraised();
    let claims = judged.ear().claims();
    let more = json!({
        "node": node,
        "logged": false,
        "policy": appraised.policy_id(),
        "measurement": appraised.measurement().to_string(),
        "release": appraised.key_statement().release,
        "instance": appraised.key_statement().instance,
        "epoch": appraised.key_statement().epoch,
        "key_statement": appraised.key_statement_digest(),
        "ear": {
            "signer": judged.ear().signer(),
            "status": claims.status,
            "iat": claims.iat,
            "exp": claims.exp,
            "fresh": claims.requester_nonce.is_some(),
        },
    });
    Verdict {
        word: "accepted",
        says: "accepted",
        note: "",
        at: appraised.at(),
        sim: appraised.sim(),
        checks: judged.checks(),
        reasons: &[],
        warnings: appraised.warnings(),
        more,
    }
    .show(ui);
    if !ui.is_json() {
        ui.line(&format!(
            "the verifier agrees ({}) until {}",
            claims.status,
            clock::utc(claims.exp)
        ));
    }
}

/// An envelope, with what it must answer.
async fn envelope(
    ui: &Ui,
    args: &VerifyArgs,
    bytes: &[u8],
    evidence: Evidence,
) -> Result<(), Failure> {
    let policy = args.policy()?;
    let (Some(nonce), Some(audience)) = (args.nonce, args.audience) else {
        return Err(Failure::usage(
            "--nonce and --audience are missing: evidence that answers nobody's question proves \
             nothing",
            Some("`duckblind attest show` prints both, as the evidence has them"),
        ));
    };
    let now = args.now.unwrap_or_else(clock::now);
    let mut subject = Subject::of_file(EvidenceFile::Envelope(Vec::new(), Box::new(evidence)))?;
    let carried = subject.endorsements.clone();
    subject.endorsements = args.documents.read()?.or(&carried);
    args.gather.complete(ui, &mut subject, now).await;
    let inputs = Inputs {
        evidence: bytes,
        endorsements: &subject.endorsements,
        policy: &policy,
        expected: Expected {
            nonce,
            audience,
            earlier_report_id: None,
            earlier_epoch: None,
        },
        floors: &Floors::default(),
        now,
    };
    appraised(ui, &appraise(&inputs), ("accepted", NO_FLOORS))
}

/// `good` is the verdict's word if nothing failed, and what to say with it.
fn appraised(
    ui: &Ui,
    appraisal: &Appraisal,
    good: (&'static str, &'static str),
) -> Result<(), Failure> {
    let (accepted, rejected) = match &appraisal.result {
        Ok(accepted) => (Some(accepted), None),
        Err(rejected) => (None, Some(rejected)),
    };
    let (word, note) = if accepted.is_some() {
        good
    } else {
        ("rejected", "")
    };
    let more = json!({
        "policy": appraisal.policy_id,
        "evidence": appraisal.evidence_digest,
        "measurement": accepted.map(|accepted| accepted.measurement().to_string()),
        "key_statement": accepted.map(Appraised::key_statement_digest),
        "instance": accepted.map(|accepted| accepted.key_statement().instance),
        "epoch": accepted.map(|accepted| accepted.key_statement().epoch),
        "valid_until": accepted.map(Appraised::valid_until),
        "collateral": appraisal.collateral.digests,
    });
    Verdict {
        word,
        says: word,
        note,
        at: appraisal.at,
        sim: appraisal.sim,
        checks: &appraisal.checks,
        reasons: rejected
            .map(|rejected| rejected.reasons.as_slice())
            .unwrap_or_default(),
        warnings: &appraisal.warnings,
        more,
    }
    .show(ui);
    match rejected {
        None => Ok(()),
        Some(rejected) => Err(rejected.clone().into()),
    }
}

/// A report by itself: nothing that it binds is known here.
async fn report(ui: &Ui, args: &VerifyArgs, mut subject: Subject) -> Result<(), Failure> {
    if args.nonce.is_some() {
        return Err(Failure::usage(
            "--nonce given, but a raw report answers no question that is known here",
            Some("leave --nonce and --audience out"),
        ));
    }
    let policy = args.policy()?;
    let now = args.now.unwrap_or_else(clock::now);
    subject.endorsements = args.documents.read()?;
    subject.event_log = args.documents.event_log()?;
    args.gather.complete(ui, &mut subject, now).await;
    let bare = BareReport {
        tee: subject.tee,
        report: &subject.report,
        endorsements: &subject.endorsements,
        event_log: subject.event_log.as_deref(),
    };
    let verdict = hardware(&bare, &policy, now);
    let reasons = verdict.reasons();
    let accepted = verdict.is_accepted();
    Verdict {
        word: if accepted {
            "hardware-accepted"
        } else {
            "rejected"
        },
        says: if accepted {
            "hardware accepted, nothing bound"
        } else {
            "rejected"
        },
        note: if accepted {
            "this says nothing of keys, configuration or release: seal nothing to it"
        } else {
            ""
        },
        at: now,
        sim: verdict.sim,
        checks: &verdict.checks,
        reasons: &reasons,
        warnings: &verdict.warnings,
        more: json!({ "policy": policy.id(), "tee": subject.tee, "bound": Value::Null }),
    }
    .show(ui);
    if accepted {
        return Ok(());
    }
    let failed = |check: &&Check| check.outcome == Outcome::Fail;
    Err(Rejected {
        failed: verdict.checks.iter().filter(failed).cloned().collect(),
        reasons,
    }
    .into())
}
