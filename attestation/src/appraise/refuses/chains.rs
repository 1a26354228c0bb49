//! Certificates.

use der::asn1::OctetString;
use duckblind_protocol::ids::{Digest, UnixTime};

use super::refused_by;
use crate::appraise::Appraisal;
use crate::attester::Attester;
use crate::reason::Reason;
use crate::simulator::{Chip, GENERATION, SimulatedSnp, chip_extensions};
use crate::snp::{Generation, vek};
use crate::testing::{Case, platform, strange_platform, stranger};

const YEAR: i64 = 365 * 24 * 60 * 60;

fn honest(chip: &mut Chip) -> Vec<x509_cert::ext::Extension> {
    chip_extensions(chip, GENERATION).unwrap()
}

/// What a policy that trusts the stranger says of this platform.
fn trusting(platform: &SimulatedSnp) -> Appraisal {
    judge_from(&Case::trusting(platform), platform)
}

fn judge_from(case: &Case, platform: &SimulatedSnp) -> Appraisal {
    let raw = platform.attest(&case.report_data()).unwrap();
    case.judge_envelope(&case.envelope(raw))
}

#[test]
fn a_root_of_ones_own() {
    let strange = strange_platform(honest);
    let appraisal = judge_from(&Case::good(), &strange);
    assert!(!appraisal.sim);
    // Everything else about it is in order.
    let rejected = appraisal.result.unwrap_err();
    assert_eq!(rejected.reasons, [Reason::Root]);
    let trusted = trusting(&strange);
    assert!(trusted.result.is_ok() && trusted.sim);
}

#[test]
fn a_pinned_root_that_did_not_sign_itself() {
    let mut case = Case::good();
    let mut evidence = case.evidence();
    let ark = evidence.endorsements.ark.as_mut().unwrap();
    *ark.last_mut().unwrap() ^= 1;
    let damaged = Digest::of(ark).to_string();
    case.edit_policy(&platform().root().to_string(), &damaged);
    let appraisal = case.judge_envelope(&evidence);
    refused_by(&appraisal, &["chain.ark_signature"], Reason::Chain);
}

#[test]
fn missing_certificates() {
    let case = Case::good();
    let honest = case.evidence();
    for check in ["chain.ark", "chain.ask", "chain.vek"] {
        let mut evidence = honest.clone();
        let place = match check {
            "chain.ark" => &mut evidence.endorsements.ark,
            "chain.ask" => &mut evidence.endorsements.ask,
            _ => &mut evidence.endorsements.vek,
        };
        *place = None;
        let appraisal = case.judge_envelope(&evidence);
        refused_by(&appraisal, &[check], Reason::CollateralMissing);
    }
}

#[test]
fn certificates_with_something_after_them() {
    let case = Case::good();
    let mut evidence = case.evidence();
    evidence.endorsements.vek.as_mut().unwrap().push(0);
    refused_by(
        &case.judge_envelope(&evidence),
        &["chain.vek"],
        Reason::Chain,
    );
}

#[test]
fn every_flipped_byte_of_the_chip_keys_certificate() {
    let case = Case::good();
    let honest = case.evidence();
    let len = honest.endorsements.vek.as_ref().unwrap().len();
    for at in 0..len {
        let mut evidence = honest.clone();
        let vek = evidence.endorsements.vek.as_mut().unwrap();
        *vek.get_mut(at).unwrap() ^= 1 << (at % 8);
        assert!(case.judge_envelope(&evidence).result.is_err(), "byte {at}");
    }
}

#[test]
fn a_signer_of_another_root() {
    let case = Case::good();
    let mut evidence = case.evidence();
    evidence.endorsements.ask = Some(stranger().ask_der.clone());
    let appraisal = case.judge_envelope(&evidence);
    let failed = ["chain.ask_signature", "chain.vek_signature"];
    refused_by(&appraisal, &failed, Reason::Chain);
}

#[test]
fn a_chip_key_as_signer() {
    let case = Case::good();
    let mut evidence = case.evidence();
    evidence
        .endorsements
        .ask
        .clone_from(&evidence.endorsements.vek);
    let appraisal = case.judge_envelope(&evidence);
    let failed = ["chain.ask_signature", "chain.vek_signature"];
    refused_by(&appraisal, &failed, Reason::Chain);
}

#[test]
fn a_signer_as_chip_key() {
    let case = Case::good();
    let mut evidence = case.evidence();
    evidence
        .endorsements
        .vek
        .clone_from(&evidence.endorsements.ask);
    let appraisal = case.judge_envelope(&evidence);
    let failed = [
        "chain.vek_signature",
        "chain.vek_key",
        "chain.vek_extensions",
    ];
    refused_by(&appraisal, &failed, Reason::Chain);
}

#[test]
fn the_key_of_another_chip() {
    let (one, other) = (strange_platform(honest), strange_platform(honest));
    let case = Case::trusting(&one);
    let mut evidence = case.envelope(one.attest(&case.report_data()).unwrap());
    evidence.endorsements = other.attest(&[0; 64]).unwrap().endorsements;
    let rejected = case.judge_envelope(&evidence).result.unwrap_err();
    assert_eq!(rejected.reasons, [Reason::Signature, Reason::Chain]);
}

#[test]
fn before_and_after_their_time() {
    let mut case = Case::good();
    let now = case.now;
    case.now = UnixTime(now.0 - 2 * 24 * 60 * 60);
    let all = [
        "chain.ark_validity",
        "chain.ask_validity",
        "chain.vek_validity",
    ];
    let mut judge = |now| {
        case.now = UnixTime(now);
        let mut evidence = case.evidence();
        // The list has dates of its own.
        evidence.endorsements.crl = None;
        case.judge_envelope(&evidence)
    };
    refused_by(&judge(now.0 - 2 * 24 * 60 * 60), &all, Reason::Validity);
    refused_by(
        &judge(now.0 + 8 * YEAR),
        &["chain.vek_validity"],
        Reason::Validity,
    );
    for now in [now.0 + 21 * YEAR, i64::MIN, i64::MAX] {
        refused_by(&judge(now), &all, Reason::Validity);
    }
}

#[test]
fn certificates_of_other_firmware() {
    for component in 0..4 {
        let strange = strange_platform(|chip| {
            match component {
                0 => chip.tcb.bootloader += 1,
                1 => chip.tcb.tee += 1,
                2 => chip.tcb.snp += 1,
                _ => chip.tcb.microcode += 1,
            }
            honest(chip)
        });
        refused_by(&trusting(&strange), &["tcb.certified"], Reason::Chain);
    }
}

#[test]
fn certificates_of_another_chip() {
    let strange = strange_platform(|chip| {
        chip.id[63] ^= 1;
        honest(chip)
    });
    refused_by(&trusting(&strange), &["platform.chip"], Reason::Chain);
}

#[test]
fn certificates_of_another_product() {
    let strange = strange_platform(|chip| chip_extensions(chip, Generation::Milan).unwrap());
    refused_by(&trusting(&strange), &["platform.product"], Reason::Chain);
}

#[test]
fn certificates_with_another_structure_version() {
    let strange = strange_platform(|chip| {
        let mut all = honest(chip);
        for extension in &mut all {
            if extension.extn_id == vek::STRUCT_VERSION {
                extension.extn_value = OctetString::new([2, 1, 1]).unwrap();
            }
        }
        all
    });
    refused_by(
        &trusting(&strange),
        &["platform.struct_version"],
        Reason::Chain,
    );
}

#[test]
fn each_extension_must_be_there_once() {
    let oids = [
        vek::STRUCT_VERSION,
        vek::PRODUCT,
        vek::BOOTLOADER,
        vek::TEE,
        vek::SNP,
        vek::MICROCODE,
        vek::HW_ID,
    ];
    for oid in oids {
        let strange = strange_platform(|chip| {
            let mut all = honest(chip);
            all.retain(|extension| extension.extn_id != oid);
            all
        });
        refused_by(
            &trusting(&strange),
            &["chain.vek_extensions"],
            Reason::Chain,
        );
        let strange = strange_platform(|chip| {
            let mut all = honest(chip);
            let again = all
                .iter()
                .find(|extension| extension.extn_id == oid)
                .cloned();
            all.extend(again);
            all
        });
        refused_by(&trusting(&strange), &["chain.vek"], Reason::Chain);
    }
}

#[test]
fn unknown_critical_extensions() {
    let strange = strange_platform(|chip| {
        let mut all = honest(chip);
        for extension in &mut all {
            extension.critical = extension.extn_id == vek::TEE;
        }
        all
    });
    refused_by(&trusting(&strange), &["chain.vek"], Reason::Chain);
}

#[test]
fn a_wrapped_chip_id_is_the_same_chip() {
    let strange = strange_platform(|chip| {
        let mut all = honest(chip);
        for extension in &mut all {
            if extension.extn_id == vek::HW_ID {
                let mut wrapped = vec![4, 64];
                wrapped.extend(chip.id);
                extension.extn_value = OctetString::new(wrapped).unwrap();
            }
        }
        all
    });
    assert!(trusting(&strange).result.is_ok());
}
