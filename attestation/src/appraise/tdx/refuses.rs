//! What is refused, and why: one case per check, each honest but for one thing. The platform is a
//! simulated one; what Intel says of it is said by a simulated Intel.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod documents;
mod guests;
mod hostile;
mod logs;
mod platforms;

use std::sync::OnceLock;

use dcap_qvl::quote::TDReport10;
use duckblind_protocol::ids::Digest;
use duckblind_protocol::key_statement::Tee;

use crate::appraise::{Appraisal, Platform};
use crate::attester::RawEvidence;
use crate::check::Outcome;
use crate::evidence::{Evidence, TdxCollateral};
use crate::reason::{Reason, Warning};
use crate::simulator::SimulatedTdx;
use crate::simulator::tdx::{Authority, Documents, Machine};
use crate::testing::{Case, platform_dir};

fn platform() -> &'static SimulatedTdx {
    static PLATFORM: OnceLock<SimulatedTdx> = OnceLock::new();
    PLATFORM.get_or_init(|| SimulatedTdx::open(platform_dir()).unwrap())
}

/// Another Intel's platform, whose machine and documents `change` may twist.
fn strange(change: impl FnOnce(&mut Machine, &mut Documents)) -> SimulatedTdx {
    let authority = Authority::generate().unwrap();
    let mut machine = Machine::random().unwrap();
    let mut documents = Documents::up_to_date(&machine).unwrap();
    change(&mut machine, &mut documents);
    SimulatedTdx::made_by(&authority, &machine, &documents, platform().measurement()).unwrap()
}

/// The production policy, but for simulated platforms: this one, with this image.
fn policy(platform: &SimulatedTdx, release: Digest) -> String {
    let filled = [
        ("development = false", "development = true".to_owned()),
        ("releases = []", format!("releases = [\"{release}\"]")),
        (
            "simulator_roots = []",
            format!("simulator_roots = [\"{}\"]", platform.root()),
        ),
        (
            "images = []",
            format!("images = [{}]", image(platform, [None; 4])),
        ),
    ];
    let mut text = include_str!("../../../../policies/production-tdx.toml").to_owned();
    for (from, to) in filled {
        let from = format!("\n{from}");
        assert!(text.contains(&from), "{from}");
        text = text.replacen(&from, &format!("\n{to}"), 1);
    }
    text
}

/// An image of a policy: the platform's own, but for these registers.
fn image(platform: &SimulatedTdx, others: [Option<&str>; 4]) -> String {
    let mut text = format!("{{ mrtd = \"{}\"", platform.measurement());
    let rtmrs = platform.rtmrs();
    for (number, (own, other)) in rtmrs.iter().zip(others).enumerate() {
        let value = other.map_or_else(|| own.to_string(), str::to_owned);
        text.extend([", rtmr", &number.to_string(), " = \"", &value, "\""]);
    }
    text + " }"
}

/// An appraisal of a TDX guest, in parts that a test can change.
struct Scene {
    case: Case,
    platform: &'static SimulatedTdx,
}

impl Scene {
    /// One that is accepted.
    fn good() -> Self {
        Self::on(platform())
    }

    /// Accepted if the platform is.
    fn on(platform: &'static SimulatedTdx) -> Self {
        let mut case = Case::good();
        case.statement.tee = Tee::Tdx;
        case.policy = policy(platform, case.release.digest());
        Self { case, platform }
    }

    /// On a platform of another Intel's, which the policy trusts.
    fn twisted(change: impl FnOnce(&mut Machine, &mut Documents)) -> Self {
        Self::on(Box::leak(Box::new(strange(change))))
    }

    fn edit(mut self, from: &str, to: &str) -> Self {
        self.case.edit_policy(from, to);
        self
    }

    fn wrap(&self, raw: RawEvidence) -> Evidence {
        let mut evidence = self.case.envelope(raw);
        evidence.tee = Tee::Tdx;
        evidence
    }

    fn evidence(&self) -> Evidence {
        self.lie(|_| ())
    }

    /// Evidence of a report that the platform signs although it was changed.
    fn lie(&self, change: impl FnOnce(&mut TDReport10)) -> Evidence {
        let mut report = self.platform.report(&self.case.report_data());
        change(&mut report);
        self.wrap(self.platform.sign(&report).unwrap())
    }

    fn judge(&self) -> Appraisal {
        self.judge_lie(|_| ())
    }

    fn judge_lie(&self, change: impl FnOnce(&mut TDReport10)) -> Appraisal {
        self.case.judge_envelope(&self.lie(change))
    }

    /// Judges honest evidence that was changed on its way.
    fn judge_changed(&self, change: impl FnOnce(&mut Evidence)) -> Appraisal {
        let mut evidence = self.evidence();
        change(&mut evidence);
        self.case.judge_envelope(&evidence)
    }

    fn judge_collateral(&self, change: impl FnOnce(&mut TdxCollateral)) -> Appraisal {
        self.judge_changed(|evidence| change(evidence.endorsements.tdx.as_mut().unwrap()))
    }
}

/// Exactly these checks failed, and so the evidence was refused, for these reasons.
#[track_caller]
fn refused_by(appraisal: &Appraisal, checks: &[&str], reasons: &[Reason]) {
    let failed: Vec<_> = appraisal
        .checks
        .iter()
        .filter(|check| check.outcome == Outcome::Fail)
        .map(|check| check.name)
        .collect();
    assert_eq!(failed, checks);
    let rejected = appraisal.result.as_ref().expect_err("refused");
    assert_eq!(rejected.reasons, reasons);
}

#[test]
fn an_honest_platform_is_accepted_with_every_check() {
    let appraisal = Scene::good().judge();
    let names: Vec<_> = appraisal.checks.iter().map(|check| check.name).collect();
    let accepted = appraisal
        .result
        .as_ref()
        .unwrap_or_else(|e| panic!("{e:?}"));
    assert!(accepted.sim() && appraisal.sim);
    assert_eq!(accepted.tee(), Tee::Tdx);
    assert_eq!(accepted.measurement(), platform().measurement());
    assert_eq!(accepted.report_id(), None);
    assert_eq!(accepted.warnings(), [Warning::Simulated]);
    let Platform::Tdx(tdx) = accepted.platform() else {
        unreachable!("a TDX platform");
    };
    assert_eq!(tdx.rtmrs, platform().rtmrs());
    assert_eq!(
        (tdx.tcb_status.as_str(), tdx.tcb_evaluation),
        ("UpToDate", 20)
    );
    assert_eq!((&tdx.fmspc, tdx.platform_id.len()), (b"SIMUL\0", 16));
    let (from, until) = appraisal.collateral.window.unwrap();
    assert_eq!(accepted.valid_until(), until);
    assert!(from <= accepted.at() && accepted.at() <= until);
    let digests: Vec<_> = appraisal.collateral.digests.keys().copied().collect();
    let documents = [
        "pck-chain",
        "pck-crl",
        "qe-identity",
        "root-crl",
        "tcb-info",
    ];
    assert_eq!(digests, documents);
    // Each check has a name of its own.
    let mut unique = names.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), names.len(), "{names:?}");
    assert!(names.len() > 90, "{}", names.len());
}

#[test]
fn what_was_seen_is_remembered() {
    let scene = Scene::good();
    let floors = scene.judge().floors;
    let root = platform().root();
    assert_eq!(floors.tcb_evaluations, [(root, 20)].into());
    assert_eq!(floors.crl_numbers.len(), 2);
    assert_eq!(floors.crl_numbers.get(&root), Some(&1));
    // Refused evidence raises nothing, with genuine documents or forged ones.
    let none = Scene::good().case.floors;
    let other = scene.judge_lie(|report| report.mr_owner = [1; 48]);
    assert!(other.result.is_err());
    assert_eq!(other.floors, none);
    let forged = scene.judge_collateral(|collateral| collateral.tcb_info_signature[0] ^= 1);
    assert_eq!(forged.floors, none);
}

#[test]
fn a_root_of_ones_own() {
    let strange = strange(|_, _| ());
    let scene = Scene::good();
    let report = strange.report(&scene.case.report_data());
    let evidence = scene.wrap(strange.sign(&report).unwrap());
    let appraisal = scene.case.judge_envelope(&evidence);
    assert!(!appraisal.sim);
    refused_by(&appraisal, &["chain.root"], &[Reason::Root]);
    let trusted = Scene::twisted(|_, _| ()).judge();
    assert!(trusted.result.is_ok() && trusted.sim);
}

#[test]
fn another_kind_of_platform() {
    let scene = Scene::good();
    // An SEV-SNP report, an SGX quote, and a policy that takes nothing but TDX.
    let snp = scene.judge_changed(|evidence| evidence.report = vec![0; 1184]);
    refused_by(&snp, &["quote.format"], &[Reason::Platform]);
    let sgx = scene.judge_changed(|evidence| evidence.report[4] = 0);
    assert!(sgx.result.unwrap_err().reasons.contains(&Reason::Platform));
    let mut tdx_only = Case::good();
    tdx_only.policy = policy(platform(), tdx_only.release.digest());
    refused_by(&tdx_only.judge(), &["evidence.tee"], &[Reason::Platform]);
}

#[test]
fn evidence_after_that_of_an_snp_guest() {
    let mut scene = Scene::good();
    scene.case.expected.earlier_report_id = Some([1; 32]);
    refused_by(&scene.judge(), &["report.id"], &[Reason::Platform]);
}

#[test]
fn versions_of_quotes() {
    let scene = Scene::good().edit("quote_versions = [4, 5]", "quote_versions = [5]");
    refused_by(&scene.judge(), &["quote.version"], &[Reason::Version]);
}
