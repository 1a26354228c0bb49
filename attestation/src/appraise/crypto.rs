//! Hardware reports by themselves, without an envelope: for looking into reports of any origin, and
//! for test vectors. Nobody is expected here, so nothing follows for a job.

mod hardware;
mod tdx;

use duckblind_protocol::ids::UnixTime;

use super::snp::{self, Rules};
use super::{Floors, Hardware};
use crate::check::{Check, Checks};
use crate::evidence::Endorsements;
use crate::policy::{PolicyError, Root, SnpPolicy};
use crate::reason::{Reason, Warning};
use crate::snp::report::{SigningKey, VERSIONS};
use crate::snp::{Generation, SignatureCache};
pub use hardware::{BareReport, hardware};
pub use tdx::tdx;

/// What was found out of a report by itself.
#[derive(Debug)]
pub struct CryptoVerdict {
    /// Every check made, in order.
    pub checks: Vec<Check>,
    /// Intel's word on the platform's security versions, such as `UpToDate`. None for other
    /// vendors, and if the report is not accepted.
    pub tcb_status: Option<String>,
    /// Intel's advisories that apply to them.
    pub advisories: Vec<String>,
    /// Whether the chain ends in the root of a simulated platform. Only policies list such.
    pub sim: bool,
    /// What one should know although it is accepted; only under a policy.
    pub warnings: Vec<Warning>,
    accepted: bool,
}

impl CryptoVerdict {
    fn new(checks: Checks, whole: bool) -> Self {
        Self {
            accepted: whole && checks.all_passed(),
            checks: checks.into_list(),
            tcb_status: None,
            advisories: Vec::new(),
            sim: false,
            warnings: Vec::new(),
        }
    }

    /// Whether every check was made and passed.
    pub const fn is_accepted(&self) -> bool {
        self.accepted
    }

    /// Why not, each reason once, in the order of the checks.
    pub fn reasons(&self) -> Vec<Reason> {
        super::accepted::reasons(&self.checks)
    }
}

/// Whether hardware of AMD's made an SNP report: format, signature, chain to AMD's root of the
/// generation, dates at `now`, and the key's certificate against the report. Takes every known
/// version, generation and kind of key. A revocation list is not needed, and checked if there.
pub fn snp(report: &[u8], endorsements: &Endorsements, now: UnixTime) -> CryptoVerdict {
    let roots: Vec<Root> = Generation::ALL.iter().copied().map(Root::Amd).collect();
    let versions: Vec<u32> = VERSIONS.collect();
    let rules = Rules {
        roots: &roots,
        versions: &versions,
        generations: Generation::ALL,
        signing_keys: SigningKey::KNOWN,
        masked_chips: true,
        require_crl: false,
        floors: &Floors::default(),
        now,
        cache: &SignatureCache::none(),
    };
    let mut checks = Checks::default();
    let mut hardware = Hardware::default();
    let genuine = snp::genuine(&mut checks, report, endorsements, &rules, &mut hardware);
    let whole = genuine.is_some_and(|genuine| genuine.accepted().is_some());
    CryptoVerdict::new(checks, whole)
}

/// What `policies/production-snp.toml`, as it was when this was built, says of an SNP report, as far
/// as it does not depend on who asks: all but the measurement and what else the guest's owner chose,
/// the binding (only a report that binds nothing at all is refused for it) and the revocation list
/// (not needed, and checked if there).
///
/// Fails only if the file built in is no policy.
pub fn snp_strict(
    report: &[u8],
    endorsements: &Endorsements,
    now: UnixTime,
) -> Result<CryptoVerdict, PolicyError> {
    let policy = SnpPolicy::production()?;
    let (floors, cache) = (Floors::default(), SignatureCache::none());
    let rules = Rules {
        require_crl: false,
        ..Rules::of(&policy, &floors, now, &cache)
    };
    let mut checks = Checks::default();
    let mut hardware = Hardware::default();
    let genuine = snp::genuine(&mut checks, report, endorsements, &rules, &mut hardware);
    let whole = genuine.is_some_and(|genuine| {
        snp::demands(&mut checks, &genuine, &policy, &mut hardware);
        genuine.accepted().is_some()
    });
    if let Some(bound) = hardware.report_data {
        checks.check(
            "binding.report_data",
            Reason::Binding,
            bound != [0; 64],
            "something",
            hex::encode(bound),
        );
    }
    Ok(CryptoVerdict::new(checks, whole))
}
