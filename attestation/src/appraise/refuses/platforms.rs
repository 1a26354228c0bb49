//! The machine, and how it is set up.

use super::refused_by;
use crate::appraise::snp::{Rules, genuine};
use crate::appraise::{Appraisal, Hardware};
use crate::check::Checks;
use crate::policy::Policy;
use crate::reason::Reason;
use crate::snp::{Report, SignatureCache};
use crate::testing::{Case, platform};

/// Judges a report that the platform signs although it says something else than the truth.
fn lie(change: impl FnOnce(&mut Report)) -> Appraisal {
    Case::good().judge_report(change)
}

#[test]
fn other_chips_and_processors() {
    let appraisal = lie(|report| report.chip_id[0] ^= 1);
    refused_by(&appraisal, &["platform.chip"], Reason::Chain);
    let appraisal = lie(|report| report.chip_id = [0; 64]);
    refused_by(&appraisal, &["platform.chip"], Reason::Chain);
    let appraisal = lie(|report| report.cpuid = [0x17, 1, 1]);
    refused_by(&appraisal, &["platform.generation"], Reason::Generation);
}

#[test]
fn a_generation_that_the_policy_does_not_list() {
    let mut case = Case::good();
    case.edit_policy("generations = [\"genoa\"]", "generations = [\"turin\"]");
    case.edit_policy("[snp.tcb_floors.genoa]", "[snp.tcb_floors.turin]\nfmc = 0");
    let rejected = case.judge().result.unwrap_err();
    assert_eq!(rejected.reasons, [Reason::Generation, Reason::TcbFloor]);
}

#[test]
fn switches() {
    let flip = |number: u32| lie(|report| report.platform_info ^= 1 << number);
    refused_by(&flip(5), &["platform.alias_check"], Reason::Platform);
    refused_by(&flip(2), &["platform.ecc"], Reason::Platform);
    refused_by(&flip(7), &["platform.tio"], Reason::Platform);
    // Bits without a meaning to us are set by real machines.
    for number in [0, 1, 3, 4, 6, 8, 63] {
        assert!(flip(number).result.is_ok(), "{number}");
    }
}

#[test]
fn switches_that_the_policy_asks_for() {
    let asked = [
        (
            "require_tsme = false",
            "require_tsme = true",
            "platform.tsme",
            1,
        ),
        (
            "require_tsme = false\n# no power readings at all,\nrequire_rapl_disabled = false",
            "require_tsme = false\nrequire_rapl_disabled = true",
            "platform.rapl_disabled",
            3,
        ),
        (
            "require_ciphertext_hiding = []\n# Devices may be",
            "require_ciphertext_hiding = [\"genoa\"]\n# Devices may be",
            "platform.ciphertext_hiding",
            4,
        ),
    ];
    for (from, to, check, number) in asked {
        let mut case = Case::good();
        case.edit_policy(from, to);
        refused_by(&case.judge(), &[check], Reason::Platform);
        let appraisal = case.judge_report(|report| report.platform_info |= 1 << number);
        assert!(appraisal.result.is_ok());
    }
    for (key, number) in [("require_alias_check", 5), ("require_ecc", 2)] {
        let mut case = Case::good();
        case.edit_policy(&format!("{key} = true"), &format!("{key} = false"));
        let appraisal = case.judge_report(|report| report.platform_info ^= 1 << number);
        assert!(appraisal.result.is_ok());
    }
    let mut case = Case::good();
    case.edit_policy("allow_tio = false", "allow_tio = true");
    let appraisal = case.judge_report(|report| report.platform_info |= 1 << 7);
    assert!(appraisal.result.is_ok());
}

#[test]
fn lists_of_chips() {
    let own = platform().report(&[0; 64]).chip_id;
    let (own, other) = (hex::encode(own), "09".repeat(64));
    for (allowed, denied, refused) in [
        (&own, &other, None),
        (&other, &own, Some("platform.chip_allowed")),
        (&own, &own, Some("platform.chip_denied")),
    ] {
        let mut case = Case::good();
        case.edit_policy("\nchips = [\"any\"]", &format!("\nchips = [\"{allowed}\"]"));
        case.edit_policy(
            "denied_chips = []",
            &format!("denied_chips = [\"{denied}\"]"),
        );
        let rejected = case.judge().result.err();
        let failed = rejected.iter().flat_map(|rejected| &rejected.failed);
        let names: Vec<_> = failed.map(|check| check.name).collect();
        assert_eq!(names.first().copied(), refused);
        assert!(rejected.is_none_or(|rejected| rejected.reasons == [Reason::Platform]));
    }
}

/// As such reports look: a launch signed by the cloud, and 32 bytes that the report binds.
#[test]
fn paravisors() {
    let mut case = Case::good();
    for key in ["image_ids", "id_keys", "host_data"] {
        case.edit_policy(
            &format!("\n{key} = [\"zero\"]"),
            &format!("\n{key} = [\"any\"]"),
        );
    }
    let below = |change: fn(&mut Report)| {
        let appraisal = case.judge_report(|report| {
            report.image_id[0] = 2;
            report.id_key_digest[0] = 1;
            report.report_data[32..].fill(0);
            change(report);
        });
        appraisal.result.unwrap_err().reasons
    };
    let seen = [Reason::PlatformParavisor, Reason::Binding];
    assert_eq!(below(|_| {}), seen);
    let other: [fn(&mut Report); 5] = [
        |report| report.report_data[32] = 1,
        |report| report.report_data = [0; 64],
        |report| report.id_key_digest[0] = 0,
        |report| report.image_id[0] = 0,
        |report| report.host_data[0] = 1,
    ];
    for change in other {
        assert_eq!(below(change), [Reason::Binding]);
    }
    // A signed launch of ours binds 64 bytes.
    let appraisal = case.judge_report(|report| {
        report.image_id[0] = 2;
        report.id_key_digest[0] = 1;
    });
    assert!(appraisal.result.is_ok());
}

/// Reports may leave out their chip where nobody lists chips: the key is the chip's all the same.
/// Policies do not take that.
#[test]
fn a_chip_that_is_not_named() {
    let case = Case::good();
    let policy = Policy::parse(&case.policy).unwrap().snp.unwrap();
    let cache = SignatureCache::none();
    let judge = |chip_id: [u8; 64], masked_chips| {
        let mut report = platform().report(&case.report_data());
        report.chip_id = chip_id;
        let raw = platform().sign(report.encode()).unwrap();
        let rules = Rules {
            masked_chips,
            ..Rules::of(&policy, &case.floors, case.now, &cache)
        };
        let mut checks = Checks::default();
        let mut hardware = Hardware::default();
        genuine(
            &mut checks,
            &raw.report,
            &raw.endorsements,
            &rules,
            &mut hardware,
        );
        checks.all_passed()
    };
    assert!(judge([0; 64], true));
    assert!(!judge([0; 64], false));
    assert!(!judge([1; 64], true));
}
