//! Platforms, by what Intel says of them.

use dcap_qvl::TcbStatus;
use duckblind_protocol::ids::UnixTime;
use serde_json::{Value, json};

use super::*;
use crate::appraise::tdx::{Genuine, platform, read};
use crate::appraise::{Floors, Inputs};
use crate::check::Checks;
use crate::evidence::Endorsements;
use crate::policy::Policy;
use crate::testing::now;

const STATUS: &[Reason] = &[Reason::TcbStatus];
const DAY: i64 = 24 * 60 * 60;

/// The one level of security versions, changed.
fn level(change: impl FnOnce(&mut Value)) -> Scene {
    Scene::twisted(|_, documents| change(&mut documents.tcb_info["tcbLevels"][0]))
}

/// The quoting enclave's one level, changed.
fn qe_level(change: impl FnOnce(&mut Value)) -> Scene {
    Scene::twisted(|_, documents| change(&mut documents.qe_identity["tcbLevels"][0]))
}

fn date(days_ago: i64) -> String {
    let seconds = u64::try_from(now().0 - days_ago * DAY).unwrap();
    let date = der::DateTime::from_unix_duration(std::time::Duration::from_secs(seconds));
    date.unwrap().to_string()
}

fn listing(scene: Scene, statuses: &str) -> Scene {
    scene.edit(
        "statuses = [\"UpToDate\"]",
        &format!("statuses = [{statuses}]"),
    )
}

#[test]
fn statuses() {
    for status in [
        "SWHardeningNeeded",
        "ConfigurationNeeded",
        "ConfigurationAndSWHardeningNeeded",
    ] {
        let scene = level(|level| level["tcbStatus"] = json!(status));
        let failed = ["tcb.status", "verify.policy_status"];
        refused_by(&scene.judge(), &failed, STATUS);
        let appraisal = listing(scene, &format!("\"UpToDate\", \"{status}\"")).judge();
        assert_eq!(appraisal.warnings, [Warning::Simulated, Warning::TcbStatus]);
        assert!(appraisal.result.is_ok(), "{status}");
    }
    for status in ["OutOfDate", "OutOfDateConfigurationNeeded"] {
        let scene = level(|level| level["tcbStatus"] = json!(status));
        let failed = ["tcb.status", "tcb.age", "verify.policy_status"];
        refused_by(&scene.judge(), &failed, STATUS);
    }
    let revoked = level(|level| level["tcbStatus"] = json!("Revoked"));
    refused_by(&revoked.judge(), &["verify.tcb_level"], STATUS);
    // A list without the best status, which the library takes always.
    let scene = listing(Scene::good(), "\"SWHardeningNeeded\"");
    refused_by(&scene.judge(), &["tcb.status", "tcb.qe_status"], STATUS);
}

#[test]
fn out_of_date_for_a_while() {
    let out_of_date = |days: u32| {
        let scene = Scene::twisted(|_, documents| {
            let level = &mut documents.tcb_info["tcbLevels"][0];
            level["tcbStatus"] = json!("OutOfDate");
            level["tcbDate"] = json!(date(10));
            // The older of the two dates counts.
            let module = &mut documents.tcb_info["tdxModuleIdentities"][0]["tcbLevels"][0];
            module["tcbDate"] = json!(date(5));
        });
        let grace = format!("platform_grace_days = {days}");
        listing(scene, "\"UpToDate\", \"OutOfDate\"").edit("platform_grace_days = 0", &grace)
    };
    let appraisal = out_of_date(11).judge();
    assert_eq!(appraisal.warnings, [Warning::Simulated, Warning::TcbStatus]);
    assert!(appraisal.result.is_ok());
    for days in [0, 9] {
        let failed = ["tcb.age", "verify.policy_status"];
        refused_by(&out_of_date(days).judge(), &failed, STATUS);
    }
    // The days of the one are not those of the other.
    let scene = out_of_date(0).edit("qe_grace_days = 0", "qe_grace_days = 1000");
    refused_by(&scene.judge(), &["tcb.age", "verify.policy_status"], STATUS);
    let scene = out_of_date(u32::MAX);
    assert!(scene.judge().result.is_ok());
}

#[test]
fn modules_out_of_date() {
    let scene = Scene::twisted(|_, documents| {
        let module = &mut documents.tcb_info["tdxModuleIdentities"][0]["tcbLevels"][0];
        module["tcbStatus"] = json!("OutOfDate");
    });
    let failed = ["tcb.status", "tcb.age", "verify.policy_status"];
    refused_by(&scene.judge(), &failed, STATUS);
}

#[test]
fn quoting_enclaves() {
    let scene = qe_level(|level| level["tcbStatus"] = json!("OutOfDate"));
    let failed = [
        "tcb.status",
        "tcb.qe_status",
        "tcb.qe_age",
        "verify.policy_status",
    ];
    refused_by(&scene.judge(), &failed, STATUS);
    let out_of_date = |days: u32| {
        let scene = qe_level(|level| {
            level["tcbStatus"] = json!("OutOfDate");
            level["tcbDate"] = json!(date(10));
        });
        let grace = format!("qe_grace_days = {days}");
        listing(scene, "\"UpToDate\", \"OutOfDate\"").edit("qe_grace_days = 0", &grace)
    };
    assert!(out_of_date(11).judge().result.is_ok());
    refused_by(
        &out_of_date(9).judge(),
        &["tcb.qe_age", "verify.policy_status"],
        STATUS,
    );
    // What the library lets pass: it counts neither of these against the platform.
    let scene = qe_level(|level| level["tcbStatus"] = json!("ConfigurationNeeded"));
    refused_by(&scene.judge(), &["tcb.qe_status"], STATUS);
    let scene = qe_level(|level| level["tcbStatus"] = json!("OutOfDateConfigurationNeeded"));
    refused_by(&scene.judge(), &["tcb.qe_status", "tcb.qe_age"], STATUS);
    let scene = qe_level(|level| level["tcbStatus"] = json!("Revoked"));
    refused_by(&scene.judge(), &["verify.tcb_level"], STATUS);
    let scene = qe_level(|level| level["tcb"]["isvsvn"] = json!(7));
    refused_by(&scene.judge(), &["verify.tcb_level"], STATUS);
}

#[test]
fn advisories() {
    let id = "INTEL-SA-00837";
    let places: [fn(&mut Documents, Value); 3] = [
        |documents, ids| documents.tcb_info["tcbLevels"][0]["advisoryIDs"] = ids,
        |documents, ids| {
            documents.tcb_info["tdxModuleIdentities"][0]["tcbLevels"][0]["advisoryIDs"] = ids;
        },
        |documents, ids| documents.qe_identity["tcbLevels"][0]["advisoryIDs"] = ids,
    ];
    for place in places {
        let scene = || Scene::twisted(|_, documents| place(documents, json!([id])));
        refused_by(&scene().judge(), &["tcb.advisories"], STATUS);
        let accepted = format!("accepted_advisories = [\"{id}\"]");
        let scene = scene().edit("accepted_advisories = []", &accepted);
        let appraisal = scene.judge();
        assert_eq!(appraisal.warnings, [Warning::Simulated, Warning::TcbStatus]);
        assert!(appraisal.result.is_ok());
        let denied = format!("denied_advisories = [\"{id}\"]");
        let scene = scene.edit("denied_advisories = []", &denied);
        let failed = ["tcb.denied_advisories", "verify.policy_status"];
        refused_by(&scene.judge(), &failed, STATUS);
    }
}

#[test]
fn evaluation_numbers() {
    let failed = ["tcb.evaluation", "verify.policy_evaluation"];
    let scene = Scene::good().edit("min_evaluation = 20", "min_evaluation = 21");
    refused_by(&scene.judge(), &failed, &[Reason::TcbFloor]);
    let mut scene = Scene::good();
    scene.case.floors.tcb_evaluations = [(platform().root(), 21)].into();
    refused_by(&scene.judge(), &failed, &[Reason::TcbFloor]);
    scene.case.floors.tcb_evaluations = [(Digest::of(b"another root"), 21)].into();
    assert!(scene.judge().result.is_ok());
    // The lower of the two documents' numbers counts.
    let scene = Scene::twisted(|_, documents| {
        documents.qe_identity["tcbEvaluationDataNumber"] = json!(19);
    });
    refused_by(&scene.judge(), &failed, &[Reason::TcbFloor]);
}

#[test]
fn switches_of_the_platform() {
    for (key, check) in [
        ("allow_smt", "platform.smt"),
        ("allow_dynamic", "platform.dynamic"),
        ("allow_cached_keys", "platform.cached_keys"),
    ] {
        let edit = |scene: Scene| scene.edit(&format!("{key} = true"), &format!("{key} = false"));
        let appraisal = edit(Scene::good()).judge();
        let failed = [check, "verify.policy_platform"];
        refused_by(&appraisal, &failed, &[Reason::Platform]);
        let off = Scene::twisted(|machine, _| match key {
            "allow_smt" => machine.smt = false,
            "allow_dynamic" => machine.dynamic = false,
            _ => machine.cached_keys = false,
        });
        assert!(edit(off).judge().result.is_ok(), "{key}");
    }
    let listed = "memory = [\"scalable\", \"scalable-with-integrity\"]";
    let scene = Scene::good().edit(listed, "memory = [\"scalable-with-integrity\"]");
    let failed = ["platform.memory", "verify.policy_platform"];
    refused_by(&scene.judge(), &failed, &[Reason::Platform]);
}

#[test]
fn which_platform() {
    let (ppid, instance) = ("02".repeat(16), "03".repeat(16));
    let scene = || {
        Scene::twisted(|machine, _| {
            machine.ppid = [2; 16];
            machine.instance = [3; 16];
        })
    };
    for id in [&ppid, &instance] {
        let listed = format!("ids = [\"{id}\"]");
        assert!(
            scene()
                .edit("\nids = [\"any\"]", &format!("\n{listed}"))
                .judge()
                .result
                .is_ok()
        );
        let denied = scene().edit("denied_ids = []", &format!("denied_{listed}"));
        refused_by(
            &denied.judge(),
            &["platform.denied_id"],
            &[Reason::Platform],
        );
    }
    let other = format!("\nids = [\"{}\"]", "04".repeat(16));
    let scene = scene().edit("\nids = [\"any\"]", &other);
    refused_by(&scene.judge(), &["platform.id"], &[Reason::Platform]);
}

#[test]
fn which_model() {
    let own = hex::encode(b"SIMUL\0");
    let listed = format!("\nfmspcs = [\"{own}\"]");
    let scene = Scene::good().edit("\nfmspcs = [\"any\"]", &listed);
    assert!(scene.judge().result.is_ok());
    let scene = Scene::good().edit("\nfmspcs = [\"any\"]", "\nfmspcs = [\"00906ed50000\"]");
    refused_by(&scene.judge(), &["platform.fmspc"], &[Reason::Platform]);
    let denied = format!("denied_fmspcs = [\"{own}\"]");
    let scene = Scene::good().edit("denied_fmspcs = []", &denied);
    refused_by(
        &scene.judge(),
        &["platform.denied_fmspc"],
        &[Reason::Platform],
    );
}

/// What the simulated platform cannot say: security versions of now, which TDX 1.5 has, and a
/// certificate that leaves things open.
#[test]
fn claims_that_no_simulated_platform_makes() {
    let scene = Scene::good();
    let policy_text = scene
        .case
        .policy
        .replace("allow_smt = true", "allow_smt = false");
    let policy = Policy::parse(&policy_text).unwrap();
    let tdx = policy.tdx.as_ref().unwrap();
    let evidence = scene.evidence();
    let (endorsements, floors) = (Endorsements::default(), Floors::default());
    let inputs = Inputs {
        evidence: &[],
        endorsements: &endorsements,
        policy: &policy,
        expected: scene.case.expected,
        floors: &floors,
        now: now(),
    };
    let mut checks = Checks::default();
    let quote = read(&mut checks, &evidence.report);
    let mut genuine = Genuine::judge(
        &mut checks,
        &evidence.report,
        quote.as_ref(),
        evidence.endorsements.tdx.as_ref(),
        &tdx.roots,
        &floors,
        inputs.now,
    );
    let honest = genuine.claims.take().unwrap();
    let failed = |claims: &dcap_qvl::QuoteClaims| {
        let mut checks = Checks::default();
        platform::judge(&mut checks, claims, tdx, &genuine, &inputs);
        let checks = checks.into_list().into_iter();
        let failed = checks.filter(|check| check.outcome == Outcome::Fail);
        failed.map(|check| check.name).collect::<Vec<_>>()
    };
    let mut off = honest.clone();
    off.platform.pck.smt_enabled = dcap_qvl::PckCertFlag::False;
    assert!(failed(&off).is_empty());
    let mut open = honest;
    open.platform.pck.smt_enabled = dcap_qvl::PckCertFlag::Undefined;
    assert_eq!(failed(&open), ["platform.smt"]);
    let mut now = off.clone();
    let mut level = now.platform.tcb_level.clone();
    level.tcb_status = TcbStatus::OutOfDate;
    now.platform.current_tcb_level = Some(level.clone());
    assert_eq!(failed(&now), ["tcb.current_status"]);
    level.tcb_status = TcbStatus::UpToDate;
    level.advisory_ids = vec!["INTEL-SA-00001".into()];
    now.platform.current_tcb_level = Some(level);
    assert_eq!(failed(&now), ["tcb.advisories"]);
    let mut unknown = off;
    unknown.platform.pck.sgx_type = 3;
    assert_eq!(
        failed(&unknown),
        ["platform.memory", "verify.policy_platform"]
    );
}

#[test]
fn before_the_documents() {
    let scene = Scene::twisted(|_, documents| {
        let later = u64::try_from(now().0 + 60).unwrap();
        let later = der::DateTime::from_unix_duration(std::time::Duration::from_secs(later));
        documents.pck_crl.this_update = x509_cert::time::Time::from(later.unwrap());
    });
    refused_by(&scene.judge(), &["collateral.issued"], &[Reason::CrlStale]);
    let mut scene = scene;
    scene.case.now = UnixTime(now().0 + 120);
    assert!(scene.judge().result.is_ok());
}
