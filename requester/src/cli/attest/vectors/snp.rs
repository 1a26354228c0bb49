//! Cases of SEV-SNP reports: `snp/normalized/manifest.json`.

use duckblind_attestation::appraise::crypto::{self, CryptoVerdict};
use duckblind_attestation::evidence::{Endorsements, MAX_COLLATERAL};
use duckblind_attestation::reason::Reason;
use duckblind_attestation::snp::Generation;
use duckblind_attestation::snp::certificate::Certificate;
use duckblind_attestation::snp::report::{ParsedReport, SigningKey};
use duckblind_attestation::snp::vek::VekClaims;
use duckblind_protocol::ids::UnixTime;
use serde::Deserialize;
use serde_json::Value;

use super::super::super::failure::Failure;
use super::expected::{Time, is_accepted, missing};
use super::{Folder, Outcome, VectorsError};

/// One report. Members that are not named here say nothing about what to expect.
#[derive(Debug, Deserialize)]
pub(super) struct Case {
    name: String,
    report: String,
    /// Such as `genoa`; `milan?` and `genoa-a0` name more than the line of its keys.
    #[serde(default)]
    generation: Option<String>,
    #[serde(default)]
    vek: Option<String>,
    #[serde(default)]
    vek_kind: Option<String>,
    /// Instead of the one of the generation.
    #[serde(default)]
    ask: Option<String>,
    /// As much, for keys of clouds.
    #[serde(default)]
    asvk: Option<String>,
    /// Instead of the one of the generation.
    #[serde(default)]
    ark: Option<String>,
    #[serde(default)]
    crl: Option<String>,
    now: Time,
    #[serde(default)]
    expect_crypto: Option<Value>,
    #[serde(default)]
    expect_crypto_reason: Option<String>,
    #[serde(default)]
    strict_reasons: Option<Vec<String>>,
}

impl Case {
    pub(super) fn judge(&self, folder: &Folder, now: UnixTime) -> Result<Vec<Outcome>, Failure> {
        if self.expect_crypto.is_none() && self.strict_reasons.is_none() {
            return Err(VectorsError::Case {
                case: self.name.clone(),
                why: "nothing is expected of it".into(),
                expected: "expect_crypto or strict_reasons",
            }
            .into());
        }
        let report = folder.evidence(&self.name, &self.report)?;
        let endorsements = self.endorsements(folder, &report)?;
        let at = self.now.at(&self.name)?;
        let mut outcomes = Vec::new();
        if let Some(listed) = &self.expect_crypto {
            let verdict = crypto::snp(&report, &endorsements, at);
            outcomes.push(self.crypto(&verdict, is_accepted(&self.name, listed)?));
        }
        if let Some(listed) = &self.strict_reasons {
            // What must be said at any time is said when the case is judged, or now.
            let mut reasons = crypto::snp_strict(&report, &endorsements, at)?.reasons();
            for reason in crypto::snp_strict(&report, &endorsements, now)?.reasons() {
                if !reasons.contains(&reason) {
                    reasons.push(reason);
                }
            }
            outcomes.push(self.strict(reasons, listed));
        }
        Ok(outcomes)
    }

    fn crypto(&self, verdict: &CryptoVerdict, accepted: bool) -> Outcome {
        let word = |accepted| if accepted { "accept" } else { "reject" };
        let reasons = verdict.reasons();
        let listed: Vec<String> = self.expect_crypto_reason.iter().cloned().collect();
        Outcome {
            case: self.name.clone(),
            kind: "crypto",
            listed: word(accepted).into(),
            ours: word(verdict.is_accepted()).into(),
            agrees: verdict.is_accepted() == accepted && missing(&listed, &reasons).is_empty(),
            reasons,
        }
    }

    fn strict(&self, reasons: Vec<Reason>, listed: &[String]) -> Outcome {
        let missing = missing(listed, &reasons);
        Outcome {
            case: self.name.clone(),
            kind: "strict",
            listed: if listed.is_empty() {
                "nothing".into()
            } else {
                listed.join(" ")
            },
            ours: if missing.is_empty() {
                "all named".into()
            } else {
                format!("not {}", missing.join(" "))
            },
            agrees: missing.is_empty(),
            reasons,
        }
    }

    fn endorsements(&self, folder: &Folder, report: &[u8]) -> Result<Endorsements, Failure> {
        let named = |name: &Option<String>| {
            let name = name.as_deref();
            name.map(|name| folder.named(&self.name, name, MAX_COLLATERAL))
                .transpose()
        };
        let vek = named(&self.vek)?;
        let parsed = ParsedReport::parse(report).ok();
        let line = self.line(parsed.as_ref(), vek.as_deref());
        let usual = |what: &str| match line {
            Some(line) => folder.find(&format!("{what}_{line}.der"), MAX_COLLATERAL),
            None => Ok(None),
        };
        let cloud = match self.vek_kind.as_deref() {
            Some(kind) => kind.eq_ignore_ascii_case("vlek"),
            None => parsed.is_some_and(|parsed| parsed.report.signing_key() == SigningKey::Vlek),
        };
        let (signer, name) = if cloud {
            (named(&self.asvk)?.or(named(&self.ask)?), "asvk")
        } else {
            (named(&self.ask)?, "ask")
        };
        let or_usual = |named: Option<Vec<u8>>, name| match named {
            Some(named) => Ok(Some(named)),
            None => usual(name),
        };
        Ok(Endorsements {
            vek,
            ask: or_usual(signer, name)?,
            ark: or_usual(named(&self.ark)?, "ark")?,
            crl: named(&self.crl)?,
            tdx: None,
        })
    }

    /// The line of keys: as the case says, else the report, else the certificate.
    fn line(&self, parsed: Option<&ParsedReport<'_>>, vek: Option<&[u8]>) -> Option<Generation> {
        let listed = self.generation.as_deref().and_then(|name| {
            let letters = name.find(|c: char| !c.is_ascii_alphabetic());
            let name = name.get(..letters.unwrap_or(name.len()))?;
            name.to_ascii_lowercase().parse().ok()
        });
        let certified = || {
            let vek = Certificate::from_der(vek?).ok()?;
            Some(VekClaims::read(&vek).ok()?.generation)
        };
        listed
            .or_else(|| parsed?.report.generation())
            .or_else(certified)
    }
}
