//! What was launched, and what it may do.

use std::fmt::Display;

use super::bits::{Bit, required_on};
use crate::check::Checks;
use crate::policy::{Allowed, GuestBits, GuestIdentity, SnpPolicy};
use crate::reason::Reason;
use crate::snp::report::GuestPolicy;
use crate::snp::{Generation, Report};

/// Who in the guest asked, and who could move the guest.
pub(super) fn level(checks: &mut Checks, report: &Report, policy: &SnpPolicy) {
    checks.check(
        "report.vmpl",
        Reason::Vmpl,
        policy.vmpls.contains(&report.vmpl),
        format_args!("one of {:?}", policy.vmpls.as_slice()),
        report.vmpl,
    );
    let agent = report.report_id_ma;
    checks.check(
        "report.migration_agent",
        Reason::Migrate,
        agent == [0xff; 32] || agent == [0; 32],
        "none",
        hex::encode(agent),
    );
}

/// The guest's launch policy. Numbers are those of the specification's structure.
pub(super) fn bits(
    checks: &mut Checks,
    guest: GuestPolicy,
    generation: Option<Generation>,
    want: &GuestBits,
) {
    Bit::clear("guest.debug", 19, false, "debugging forbidden").judge(
        checks,
        Reason::Debug,
        guest.0,
    );
    Bit::clear("guest.migrate", 18, false, "migration forbidden").judge(
        checks,
        Reason::Migrate,
        guest.0,
    );
    let hiding = required_on(&want.require_ciphertext_hiding, generation);
    for bit in [
        Bit::set("guest.reserved_one", 17, true, "always set"),
        Bit::clear("guest.smt", 16, want.allow_smt, "one thread per core"),
        Bit::clear("guest.cxl", 21, want.allow_cxl, "no CXL"),
        Bit::set(
            "guest.single_socket",
            20,
            want.require_single_socket,
            "one socket",
        ),
        Bit::set(
            "guest.aes_256_xts",
            22,
            want.require_aes_256_xts,
            "AES-256-XTS",
        ),
        Bit::set(
            "guest.rapl_disabled",
            23,
            want.require_rapl_disabled,
            "no power readings",
        ),
        Bit::set("guest.ciphertext_hiding", 24, hiding, "hidden ciphertext"),
        Bit::set(
            "guest.page_swap_disabled",
            25,
            want.require_page_swap_disabled,
            "no page swap",
        ),
    ] {
        bit.judge(checks, Reason::PolicyBit, guest.0);
    }
    let unknown = guest.0 >> (GuestPolicy::LAST_BIT + 1);
    checks.check(
        "guest.unknown_bits",
        Reason::PolicyBit,
        unknown == 0,
        "none",
        format_args!("{unknown:#x}"),
    );
    let ((major, minor), got) = (want.min_abi, guest.min_abi());
    checks.check(
        "guest.min_abi",
        Reason::PolicyBit,
        got >= want.min_abi,
        format_args!("at least {major}.{minor}"),
        format_args!("{}.{}", got.0, got.1),
    );
}

/// What was launched, and what owner and host gave it to carry.
pub(super) fn identity(checks: &mut Checks, report: &Report, want: &GuestIdentity) {
    let measurements = want.measurements.as_slice();
    checks.check(
        "report.measurement",
        Reason::Measurement,
        report.measurement.is_one_of(measurements.iter()),
        format_args!("one of {} in the policy", measurements.len()),
        report.measurement,
    );
    listed(
        checks,
        "guest.host_data",
        &report.host_data,
        &want.host_data,
    );
    listed(
        checks,
        "guest.family_id",
        &report.family_id,
        &want.family_ids,
    );
    listed(checks, "guest.image_id", &report.image_id, &want.image_ids);
    checks.check(
        "guest.svn",
        Reason::Measurement,
        report.guest_svn >= want.min_svn,
        format_args!("at least {}", want.min_svn),
        report.guest_svn,
    );
    listed(checks, "guest.id_key", &report.id_key_digest, &want.id_keys);
    listed(
        checks,
        "guest.author_key",
        &report.author_key_digest,
        &want.author_keys,
    );
}

fn listed<const N: usize>(
    checks: &mut Checks,
    name: &'static str,
    got: &[u8; N],
    allowed: &Allowed<[u8; N]>,
) {
    let expected: &dyn Display = match allowed {
        Allowed::Any => &"any",
        Allowed::Among(values) => &format_args!("one of {} in the policy", values.as_slice().len()),
    };
    let pass = allowed.takes(got);
    checks.check(name, Reason::Measurement, pass, expected, hex::encode(got));
}

/// One life of one guest has one id.
pub(super) fn same(checks: &mut Checks, report: &Report, earlier: &[u8; 32]) {
    checks.check(
        "report.id",
        Reason::Platform,
        report.report_id == *earlier,
        hex::encode(earlier),
        hex::encode(report.report_id),
    );
}
