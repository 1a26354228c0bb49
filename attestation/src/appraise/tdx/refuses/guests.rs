//! Guests.

use super::*;
use crate::appraise::tdx::guest;
use crate::check::Checks;
use crate::measurement::Measurement;
use crate::policy::Policy;
use crate::tdx::Quote;
use crate::tdx::attributes::{Attribute, ProcessorState};
use crate::tdx::body::{Td15, Td15Ex};

/// Judges a guest with these attributes turned over.
fn with_bit(scene: &Scene, bits: u64) -> Appraisal {
    scene.judge_lie(|report| {
        let attributes = u64::from_le_bytes(report.td_attributes) ^ bits;
        report.td_attributes = attributes.to_le_bytes();
    })
}

#[test]
fn attributes_that_nothing_allows() {
    let scene = Scene::good();
    let bit = |number: u32| with_bit(&scene, 1 << number);
    refused_by(&bit(0), &["verify.debug", "guest.debug"], &[Reason::Debug]);
    for number in 4..=6 {
        let failed = ["verify.debug", "guest.profiling"];
        refused_by(&bit(number), &failed, &[Reason::Debug]);
    }
    let failed = ["verify.migration", "guest.migratable"];
    refused_by(&bit(29), &failed, &[Reason::Migrate]);
    let failed = ["verify.attributes", "guest.service_td"];
    refused_by(&bit(17), &failed, &[Reason::PolicyBit]);
    let failed = ["verify.attributes", "guest.sept_ve_disable"];
    refused_by(&bit(28), &failed, &[Reason::PolicyBit]);
}

#[test]
fn attributes_that_nobody_knows() {
    let scene = Scene::good();
    for number in [1, 7, 15, 23, 26, 32, 61] {
        let failed = ["verify.attributes", "guest.attributes"];
        refused_by(
            &with_bit(&scene, 1 << number),
            &failed,
            &[Reason::PolicyBit],
        );
    }
    // The library takes these.
    for number in [18, 22] {
        let appraisal = with_bit(&scene, 1 << number);
        refused_by(&appraisal, &["guest.attributes"], &[Reason::PolicyBit]);
    }
}

#[test]
fn attributes_that_a_policy_can_allow() {
    for attribute in Attribute::ALL {
        let scene = Scene::good();
        let appraisal = with_bit(&scene, attribute.bits());
        refused_by(&appraisal, &["guest.attributes"], &[Reason::PolicyBit]);
        let allowed = format!("attributes = [\"{}\"]", attribute.name());
        let scene = scene.edit("attributes = []", &allowed);
        assert!(with_bit(&scene, attribute.bits()).result.is_ok());
        assert!(scene.judge().result.is_ok());
    }
}

#[test]
fn processor_states() {
    let with =
        |scene: &Scene, xfam: u64| scene.judge_lie(|report| report.xfam = xfam.to_le_bytes());
    let scene = Scene::good();
    for always in [0, 1, 2] {
        let appraisal = with(&scene, always);
        refused_by(&appraisal, &["guest.xfam_always"], &[Reason::PolicyBit]);
    }
    for unknown in [3, 20, 63] {
        let appraisal = with(&scene, 0b11 | 1 << unknown);
        refused_by(&appraisal, &["guest.xfam"], &[Reason::PolicyBit]);
    }
    for state in ProcessorState::ALL {
        let xfam = 0b11 | state.bits();
        let listed = "processor_states = [\"avx\", \"avx-512\", \"pku\", \"cet\", \"amx\"]";
        let scene = Scene::good().edit(listed, "processor_states = []");
        refused_by(&with(&scene, xfam), &["guest.xfam"], &[Reason::PolicyBit]);
        let allowed = format!("processor_states = [\"{}\"]", state.name());
        let scene = scene.edit("processor_states = []", &allowed);
        assert!(with(&scene, xfam).result.is_ok(), "{}", state.name());
    }
}

#[test]
fn modules() {
    let own = platform().report(&[0; 64]).mr_seam;
    let listing = |module: [u8; 48]| {
        let listed = format!("modules = [\"{}\"]", hex::encode(module));
        Scene::good().edit("modules = [\"any\"]", &listed)
    };
    assert!(listing(own).judge().result.is_ok());
    let appraisal = listing([1; 48]).judge();
    refused_by(&appraisal, &["guest.module"], &[Reason::Measurement]);
    let appraisal = Scene::good().judge_lie(|report| report.mr_signer_seam[47] = 1);
    let failed = ["verify.module", "guest.module_signer"];
    refused_by(&appraisal, &failed, &[Reason::Measurement]);
    let appraisal = Scene::good().judge_lie(|report| report.seam_attributes[0] = 1);
    refused_by(&appraisal, &["verify.module"], &[Reason::Measurement]);
}

#[test]
fn what_the_host_chooses_at_launch() {
    let scene = Scene::good();
    let lie = |change: fn(&mut TDReport10)| scene.judge_lie(change);
    let appraisal = lie(|report| report.mr_config_id[0] = 1);
    refused_by(&appraisal, &["guest.config_id"], &[Reason::Measurement]);
    let appraisal = lie(|report| report.mr_owner[0] = 1);
    refused_by(&appraisal, &["guest.owner"], &[Reason::Measurement]);
    let appraisal = lie(|report| report.mr_owner_config[0] = 1);
    refused_by(&appraisal, &["guest.owner_config"], &[Reason::Measurement]);
    // The configuration's digest, in the place for it.
    let config = Measurement::of_binary(scene.case.config.encode().as_slice()).unwrap();
    let appraisal = scene.judge_lie(|report| report.mr_config_id = *config.as_bytes());
    assert!(appraisal.result.is_ok());
    let scene = Scene::good().edit(
        "config_ids = [\"zero\", \"config\"]",
        "config_ids = [\"zero\"]",
    );
    let appraisal = scene.judge_lie(|report| report.mr_config_id = *config.as_bytes());
    refused_by(&appraisal, &["guest.config_id"], &[Reason::Measurement]);
    let listed = format!("owners = [\"{}\"]", "07".repeat(48));
    let scene = Scene::good().edit("owners = [\"zero\"]", &listed);
    assert!(
        scene
            .judge_lie(|report| report.mr_owner = [7; 48])
            .result
            .is_ok()
    );
    refused_by(&scene.judge(), &["guest.owner"], &[Reason::Measurement]);
}

/// Judges the honest guest's body after `change`, by itself: the simulated platform has no TDX 1.5.
fn failed_checks(change: impl FnOnce(&mut Td15)) -> Vec<&'static str> {
    let scene = Scene::good();
    let evidence = scene.evidence();
    let mut body = Quote::parse(&evidence.report).unwrap().body;
    let zero = Measurement::from_bytes([0; 48]);
    let mut td15 = Td15 {
        tee_tcb_svn2: [0; 16],
        mr_service_td: zero,
        ex: Some(Td15Ex {
            vmid: 0,
            td_id: [1; 32],
            dev_info: zero,
            init_service_td: zero,
            cur_service_td: zero,
        }),
    };
    change(&mut td15);
    body.td15 = Some(td15);
    let policy = Policy::parse(&scene.case.policy).unwrap();
    let mut checks = Checks::default();
    guest::judge(&mut checks, &body, &evidence, &policy.tdx.unwrap().guest);
    let checks = checks.into_list().into_iter();
    let failed = checks.filter(|check| check.outcome == Outcome::Fail);
    failed.map(|check| check.name).collect()
}

#[test]
fn service_guests() {
    let other = Measurement::from_bytes([1; 48]);
    assert!(failed_checks(|_| ()).is_empty());
    let failed = failed_checks(|td15| td15.mr_service_td = other);
    assert_eq!(failed, ["guest.service_guests"]);
    let failed = failed_checks(|td15| td15.ex.as_mut().unwrap().init_service_td = other);
    assert_eq!(failed, ["guest.first_service_guests"]);
    let failed = failed_checks(|td15| td15.ex.as_mut().unwrap().cur_service_td = other);
    assert_eq!(failed, ["guest.current_service_guests"]);
}

#[test]
fn partitions_and_devices() {
    let other = Measurement::from_bytes([1; 48]);
    let failed = failed_checks(|td15| td15.ex.as_mut().unwrap().vmid = 1);
    assert_eq!(failed, ["guest.partition"]);
    let failed = failed_checks(|td15| td15.ex.as_mut().unwrap().dev_info = other);
    assert_eq!(failed, ["guest.devices"]);
}
