//! Cases of TDX quotes: `tdx/normalized/cases.json`.

use duckblind_attestation::appraise::crypto;
use duckblind_attestation::reason::Reason;
use duckblind_attestation::tdx::TdxCollateral;
use serde::Deserialize;
use serde_json::Value;

use super::super::super::failure::Failure;
use super::super::documents::MAX_JSON;
use super::expected::{Time, is_accepted, missing};
use super::{Folder, Outcome};

/// Intel's words on a platform.
const STATUSES: &[&str] = &[
    "UpToDate",
    "SWHardeningNeeded",
    "ConfigurationNeeded",
    "ConfigurationAndSWHardeningNeeded",
    "OutOfDate",
    "OutOfDateConfigurationNeeded",
    "TDRelaunchAdvised",
    "TDRelaunchAdvisedConfigurationNeeded",
];

/// One quote with one set of collateral at one time. Members that are not named here say nothing
/// about what to expect.
#[derive(Debug, Deserialize)]
pub(super) struct Case {
    name: String,
    quote: String,
    #[serde(default)]
    collateral: Option<String>,
    now: Time,
    expect: Value,
    /// Intel's word, if the quote is to be accepted; else words of another program.
    #[serde(default)]
    detail: Option<String>,
    #[serde(default)]
    strict_reasons: Option<Vec<String>>,
}

impl Case {
    pub(super) fn judge(&self, folder: &Folder) -> Result<Vec<Outcome>, Failure> {
        let quote = folder.evidence(&self.name, &self.quote)?;
        let (own, unusable) = self.collateral(folder)?;
        let verdict = crypto::tdx(&quote, &own, self.now.at(&self.name)?);
        let mut reasons = verdict.reasons();
        if let Some(reason) = unusable
            && !reasons.contains(&reason)
        {
            reasons.insert(0, reason);
        }
        let accepted = verdict.is_accepted() && unusable.is_none();
        let listed = is_accepted(&self.name, &self.expect)?;
        let word = |accepted, status: Option<&str>| match (accepted, status) {
            (true, Some(status)) => format!("ok {status}"),
            (true, None) => "ok".into(),
            (false, _) => "err".into(),
        };
        let detail = self
            .detail
            .as_deref()
            .filter(|word| STATUSES.contains(word));
        let status = verdict.tcb_status.as_deref();
        let mut outcomes = vec![Outcome {
            case: self.name.clone(),
            kind: "crypto",
            listed: word(listed, detail),
            ours: word(accepted, status),
            agrees: accepted == listed && (!listed || detail.is_none() || detail == status),
            reasons: reasons.clone(),
        }];
        if let Some(listed) = &self.strict_reasons {
            let missing = missing(listed, &reasons);
            outcomes.push(Outcome {
                case: self.name.clone(),
                kind: "strict",
                listed: listed.join(" "),
                ours: if missing.is_empty() {
                    "all named".into()
                } else {
                    format!("not {}", missing.join(" "))
                },
                agrees: missing.is_empty(),
                reasons,
            });
        }
        Ok(outcomes)
    }

    /// Intel's word; without one that can be read, none and why.
    fn collateral(&self, folder: &Folder) -> Result<(TdxCollateral, Option<Reason>), Failure> {
        let Some(name) = &self.collateral else {
            return Ok((TdxCollateral::default(), Some(Reason::CollateralMissing)));
        };
        let json = folder.named(&self.name, name, MAX_JSON)?;
        Ok(match TdxCollateral::from_json(&json) {
            Ok(own) => (own, None),
            Err(_) => (TdxCollateral::default(), Some(Reason::Format)),
        })
    }
}
