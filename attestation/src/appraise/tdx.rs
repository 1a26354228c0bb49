//! Intel TDX: what the hardware signed, by whom, for which guest.

mod chain;
mod collateral;
mod events;
mod genuine;
mod guest;
mod platform;
pub(super) mod stages;

#[cfg(all(test, feature = "simulator"))]
mod refuses;
#[cfg(test)]
mod vectors;

use super::accepted::Platform;
use super::{Hardware, Inputs};
use crate::check::Checks;
use crate::evidence::{Endorsements, Evidence};
use crate::policy::{TdxPolicy, TdxRoot};
use crate::reason::{Reason, Warning};
use crate::tdx::Quote;
pub(super) use genuine::{Genuine, verify};

/// Judges a TDX quote and everything behind it. `endorsements` are the appraiser's own, and for
/// what it lacks, those that came with the evidence.
pub(super) fn judge(
    checks: &mut Checks,
    evidence: &Evidence,
    endorsements: &Endorsements,
    policy: &TdxPolicy,
    inputs: &Inputs<'_>,
) -> Hardware {
    let quote = read(checks, &evidence.report);
    let genuine = Genuine::judge(
        checks,
        &evidence.report,
        quote.as_ref(),
        endorsements.tdx.as_ref(),
        &policy.roots,
        inputs.floors,
        inputs.now,
    );
    let mut hardware = Hardware {
        report_data: quote.as_ref().map(|quote| quote.body.report_data),
        sim: genuine.root.is_some_and(TdxRoot::is_sim),
        collateral: genuine.collateral(),
        seen: genuine.seen(),
        ..Hardware::default()
    };
    if hardware.sim {
        hardware.warnings.push(Warning::Simulated);
    }
    if let Some(quote) = &quote {
        checks.check(
            "quote.version",
            Reason::Version,
            policy.quote_versions.contains(&u32::from(quote.version)),
            format_args!("one of {:?}", policy.quote_versions.as_slice()),
            quote.version,
        );
        guest::judge(checks, &quote.body, evidence, &policy.guest);
        events::judge(checks, &quote.body, evidence, policy);
    }
    if inputs.expected.earlier_report_id.is_some() {
        let name = "report.id";
        let expected = "the platform of earlier evidence, which was another kind";
        checks.check(name, Reason::Platform, false, expected, "tdx");
    }
    // Whatever is missing of these has failed a check above; here it is the types that insist.
    let (Some(quote), Some(claims), Some(_)) = (quote, &genuine.claims, genuine.root) else {
        return hardware;
    };
    platform::judge(checks, claims, policy, &genuine, inputs);
    if platform::is_warned_of(claims) {
        hardware.warnings.push(Warning::TcbStatus);
    }
    hardware.body_digest = Some(quote.body_digest);
    hardware.valid_until = genuine.window().map(|(_, until)| until);
    hardware.platform = Some(Platform::Tdx(platform::learned(&quote.body, claims)));
    hardware
}

/// The quote, if it is one of a TDX guest and can be read in one way only.
pub(super) fn read<'a>(checks: &mut Checks, raw: &'a [u8]) -> Option<Quote<'a>> {
    let quote = Quote::parse(raw);
    let reason = match &quote {
        Ok(_) => Reason::Format,
        Err(error) => error.reason(),
    };
    let expected = "a quote of a TDX guest, with nothing after it";
    checks.step("quote.format", reason, quote, expected)
}
