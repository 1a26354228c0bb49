//! SEV-SNP: what the hardware signed, by whom, for which guest.

mod bits;
mod chain;
mod firmware;
mod guest;
mod identity;
mod platform;
mod report;
mod revocation;

use duckblind_protocol::ids::UnixTime;

use super::accepted::{Platform, SnpPlatform};
use super::{Floors, Hardware, Inputs};
use crate::check::Checks;
use crate::evidence::{Endorsements, Evidence};
use crate::policy::{Root, SnpPolicy};
use crate::reason::{Reason, Warning};
use crate::snp::report::{ParsedReport, REPORT_LEN, SigningKey};
use crate::snp::{Generation, SignatureCache};
use chain::Chain;
use identity::Identity;

/// What makes a report a genuine one.
pub(super) struct Rules<'a> {
    pub(super) roots: &'a [Root],
    pub(super) versions: &'a [u32],
    pub(super) generations: &'a [Generation],
    pub(super) signing_keys: &'a [SigningKey],
    /// Whether a chip key's report may leave out its chip.
    pub(super) masked_chips: bool,
    pub(super) require_crl: bool,
    pub(super) floors: &'a Floors,
    pub(super) now: UnixTime,
    pub(super) cache: &'a SignatureCache,
}

impl<'a> Rules<'a> {
    pub(super) fn of(
        policy: &'a SnpPolicy,
        floors: &'a Floors,
        now: UnixTime,
        cache: &'a SignatureCache,
    ) -> Self {
        Self {
            roots: &policy.roots,
            versions: policy.report_versions.as_slice(),
            generations: policy.generations.as_slice(),
            signing_keys: policy.signing_keys.as_slice(),
            masked_chips: false,
            require_crl: policy.require_crl,
            floors,
            now,
            cache,
        }
    }
}

/// A report and what stands behind it, as far as it could be read. Whether to believe it stands in
/// the checks.
pub(super) struct Genuine<'a> {
    parsed: ParsedReport<'a>,
    chain: Chain,
    identity: Option<Identity>,
}

impl Genuine<'_> {
    /// Whatever is missing has failed a check; here it is the types that insist.
    pub(super) fn accepted(self) -> Option<SnpPlatform> {
        self.chain.root?;
        self.chain.key?;
        self.chain.claims?;
        let identity = self.identity?;
        Some(SnpPlatform {
            report: self.parsed.report,
            generation: identity.generation,
            reported_tcb: identity.reported?,
        })
    }
}

/// Judges an SNP report and everything behind it. `endorsements` are the appraiser's own, and for
/// what it lacks, those that came with the evidence.
pub(super) fn judge(
    checks: &mut Checks,
    evidence: &Evidence,
    endorsements: &Endorsements,
    policy: &SnpPolicy,
    inputs: &Inputs<'_>,
    cache: &SignatureCache,
) -> Hardware {
    let rules = Rules::of(policy, inputs.floors, inputs.now, cache);
    let mut hardware = Hardware::default();
    let genuine = genuine(
        checks,
        &evidence.report,
        endorsements,
        &rules,
        &mut hardware,
    );
    if let Some(genuine) = genuine {
        demands(checks, &genuine, policy, &mut hardware);
        let report = &genuine.parsed.report;
        guest::identity(checks, report, &policy.identity);
        if let Some(earlier) = inputs.expected.earlier_report_id {
            guest::same(checks, report, &earlier);
        }
        hardware.platform = genuine.accepted().map(Platform::Snp);
    }
    hardware
}

/// Whether the vendor's hardware made the report. What the report says of the platform and of the
/// guest is not judged here.
pub(super) fn genuine<'a>(
    checks: &mut Checks,
    raw: &'a [u8],
    endorsements: &Endorsements,
    rules: &Rules<'_>,
    hardware: &mut Hardware,
) -> Option<Genuine<'a>> {
    let parsed = checks.step(
        "report.size",
        Reason::Format,
        ParsedReport::parse(raw),
        format_args!("{REPORT_LEN} bytes"),
    );
    let mut chain = chain::judge(checks, endorsements, rules);
    if chain.root.is_some_and(Root::is_sim) {
        hardware.sim = true;
        hardware.warnings.push(Warning::Simulated);
    }
    hardware.collateral = std::mem::take(&mut chain.collateral);
    hardware.valid_until = hardware.collateral.window.map(|(_, until)| until);
    hardware.seen.crl_numbers.extend(chain.crl_number);
    if endorsements.crl.is_none() && !rules.require_crl {
        hardware.warnings.push(Warning::NoRevocation);
    }
    let parsed = parsed?;
    hardware.report_data = Some(parsed.report.report_data);
    hardware.body_digest = Some(parsed.body_digest);
    report::judge(checks, &parsed, &chain, rules);
    let identity = identity::judge(checks, &parsed.report, &chain, rules);
    Some(Genuine {
        parsed,
        chain,
        identity,
    })
}

/// What a policy demands of platform and guest, whoever the guest is.
pub(super) fn demands(
    checks: &mut Checks,
    genuine: &Genuine<'_>,
    policy: &SnpPolicy,
    hardware: &mut Hardware,
) {
    let report = &genuine.parsed.report;
    let generation = genuine.identity.as_ref().map(|known| known.generation);
    if generation == Some(Generation::Milan) {
        hardware.warnings.push(Warning::Generation);
    }
    platform::cloud(checks, genuine.chain.claims.as_ref(), policy);
    platform::judge(checks, report, generation, policy);
    guest::level(checks, report, policy);
    guest::bits(checks, report.policy, generation, &policy.guest);
    if let Some(identity) = &genuine.identity {
        firmware::judge(checks, report, identity, policy);
        if firmware::is_provisional(report) {
            hardware.warnings.push(Warning::Provisional);
        }
    }
}
