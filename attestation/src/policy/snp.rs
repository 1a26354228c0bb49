//! What a policy says of SEV-SNP.

mod floors;
mod guest;
mod platform;
mod roots;

use std::collections::BTreeMap;

use toml::Value;

pub(crate) use floors::Floor;
pub(crate) use guest::{GuestBits, GuestIdentity};
pub(crate) use roots::Root;

use super::read::Section;
use super::sections::LIST_ONE;
use super::{NonEmpty, PolicyError, table};
use crate::measurement::Measurement;
use crate::snp::Generation;
use crate::snp::report::{SigningKey, VERSIONS};

/// Privilege levels that guests have. A report that the host asked for has another number.
const VMPLS: std::ops::RangeInclusive<u32> = 0..=3;

/// What an SEV-SNP report may say.
#[derive(Clone, Debug)]
pub(crate) struct SnpPolicy {
    /// Roots of chains. Empty only if the file lists nothing but roots that this build has no use
    /// for: then every chain is refused.
    pub(crate) roots: Vec<Root>,
    /// Without a revocation list: refused, or accepted with a warning.
    pub(crate) require_crl: bool,
    pub(crate) signing_keys: NonEmpty<SigningKey>,
    /// Clouds whose VLEKs are taken. Not empty if `signing_keys` has them.
    pub(crate) csp_ids: Vec<String>,
    pub(crate) generations: NonEmpty<Generation>,
    /// One for each of `generations`, and maybe for others.
    pub(crate) floors: BTreeMap<Generation, Floor>,
    pub(crate) report_versions: NonEmpty<u32>,
    pub(crate) vmpls: NonEmpty<u32>,
    pub(crate) identity: GuestIdentity,
    pub(crate) guest: GuestBits,
    pub(crate) platform: platform::PlatformPolicy,
}

impl SnpPolicy {
    /// What `policies/production-snp.toml` says, except that its list of measurements is not empty:
    /// for judging reports of which only the platform counts.
    pub(crate) fn production() -> Result<Self, PolicyError> {
        let mut policy = table(include_str!("../../../policies/production-snp.toml"))?;
        let snp = policy.get_mut("snp").and_then(Value::as_table_mut);
        if let Some(snp) = snp {
            let nothing = Measurement::from_bytes([0; Measurement::LEN]);
            let nothing = Value::String(nothing.to_string());
            snp.insert("measurements".into(), Value::Array(vec![nothing]));
        }
        policy.retain(|key, _| key == "snp");
        read(&mut Section::open("", policy, &["snp"])?, false)
    }
}

pub(super) fn read(top: &mut Section, development: bool) -> Result<SnpPolicy, PolicyError> {
    const KEYS: &[&str] = &[
        "measurements",
        "roots",
        "simulator_roots",
        "require_crl",
        "signing_keys",
        "csp_ids",
        "generations",
        "report_versions",
        "vmpls",
        "host_data",
        "family_ids",
        "image_ids",
        "min_guest_svn",
        "id_keys",
        "author_keys",
        "guest_policy",
        "platform",
        "tcb_floors",
    ];
    let mut snp = top.section("snp", KEYS)?;
    let identity = guest::identity(&mut snp)?;
    let roots = roots::read(&mut snp, development)?;
    let (signing_keys, csp_ids) = signers(&mut snp)?;
    let generations = snp.names("generations", Generation::ALL, Generation::name)?;
    let generations = snp.non_empty("generations", generations, LIST_ONE)?;
    let versions = snp.numbers("report_versions", VERSIONS)?;
    let vmpls = snp.numbers("vmpls", VMPLS)?;
    Ok(SnpPolicy {
        roots,
        require_crl: snp.flag("require_crl")?,
        signing_keys,
        csp_ids,
        floors: floors::read(&mut snp, &generations)?,
        generations,
        report_versions: snp.non_empty("report_versions", versions, LIST_ONE)?,
        vmpls: snp.non_empty("vmpls", vmpls, LIST_ONE)?,
        identity,
        guest: guest::bits(&mut snp)?,
        platform: platform::read(&mut snp)?,
    })
}

fn signers(snp: &mut Section) -> Result<(NonEmpty<SigningKey>, Vec<String>), PolicyError> {
    let keys = snp.names("signing_keys", SigningKey::KNOWN, SigningKey::name)?;
    let keys = snp.non_empty("signing_keys", keys, LIST_ONE)?;
    let csp_ids = snp.list("csp_ids", "strings", |text| Some(text.to_owned()))?;
    if csp_ids.is_empty() && keys.contains(&SigningKey::Vlek) {
        return Err(PolicyError::Empty {
            path: snp.path("csp_ids"),
            hint: "list the clouds whose VLEKs are taken, or only \"vcek\" in signing_keys",
        });
    }
    Ok((keys, csp_ids))
}

/// Bytes in hex; "zero" stands for nothing but zeros.
fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text != "zero" {
        hex::decode_to_slice(text, &mut bytes).ok()?;
    }
    Some(bytes)
}
