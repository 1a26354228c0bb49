//! Whether a quote comes from a platform of Intel's, and what Intel says of it: no policy of ours
//! but the roots.

use std::collections::BTreeMap;

use dcap_qvl::verify::QuoteVerifier;
use dcap_qvl::{QuoteClaims, QuoteCollateralV3, QuotePolicy};
use duckblind_protocol::ids::{Digest, UnixTime};

use super::chain::PckChain;
use super::{collateral, stages};
use crate::appraise::{Collateral, Floors};
use crate::check::Checks;
use crate::policy::TdxRoot;
use crate::reason::Reason;
use crate::tdx::crypto::QvlConfig;
use crate::tdx::{Quote, TdxCollateral, pem};

/// What came of it, as far as it went.
#[derive(Default)]
pub(in crate::appraise) struct Genuine {
    /// The pinned root that the quote's chain ends in.
    pub(in crate::appraise) root: Option<TdxRoot>,
    /// Verified; only with a root.
    pub(in crate::appraise) claims: Option<QuoteClaims>,
    /// Who certifies the platform.
    ca: Option<Digest>,
    digests: BTreeMap<&'static str, Digest>,
}

impl Genuine {
    /// Judges `raw`, which `quote` was read from.
    pub(in crate::appraise) fn judge(
        checks: &mut Checks,
        raw: &[u8],
        quote: Option<&Quote<'_>>,
        collateral: Option<&TdxCollateral>,
        roots: &[TdxRoot],
        floors: &Floors,
        now: UnixTime,
    ) -> Self {
        let mut genuine = Self::default();
        let reason = Reason::CollateralMissing;
        let there = if collateral.is_some() {
            "there"
        } else {
            "none"
        };
        checks.check(
            "collateral",
            reason,
            collateral.is_some(),
            "Intel's word on the platform",
            there,
        );
        genuine.digests = digests(quote, collateral);
        let chain = quote.and_then(|quote| PckChain::judge(checks, quote, now));
        genuine.root = chain.as_ref().and_then(|chain| chain.pinned(checks, roots));
        let (Some(quote), Some(collateral), Some(chain)) = (quote, collateral, &chain) else {
            return genuine;
        };
        chain.same_as(checks, collateral);
        collateral::judge(checks, collateral, chain, &quote.body, floors, now);
        if genuine.root.is_some() {
            genuine.ca = Some(chain.ca.digest);
            let outcome = verify(raw, collateral, &chain.root.der, now);
            genuine.claims = stages::verified(checks, outcome);
        }
        genuine
    }

    /// Which documents were looked at, and their common time.
    pub(in crate::appraise) fn collateral(&self) -> Collateral {
        Collateral {
            digests: self.digests.clone(),
            window: self.window(),
        }
    }

    /// The time in which all documents hold.
    pub(in crate::appraise) fn window(&self) -> Option<(UnixTime, UnixTime)> {
        let unix = |seconds| i64::try_from(seconds).ok().map(UnixTime);
        let claims = self.claims.as_ref()?;
        Some((
            unix(claims.latest_issue_date)?,
            unix(claims.earliest_expiration_date)?,
        ))
    }

    /// Numbers of verified documents.
    pub(in crate::appraise) fn seen(&self) -> Floors {
        let (Some(root), Some(ca), Some(claims)) = (self.root, self.ca, &self.claims) else {
            return Floors::default();
        };
        let root = root.digest();
        Floors {
            crl_numbers: [
                (root, claims.platform.root_ca_crl_num.into()),
                (ca, claims.platform.pck_crl_num.into()),
            ]
            .into(),
            tcb_evaluations: [(root, claims.tcb.eval_data_number)].into(),
        }
    }
}

fn digests(
    quote: Option<&Quote<'_>>,
    collateral: Option<&TdxCollateral>,
) -> BTreeMap<&'static str, Digest> {
    let mut digests = BTreeMap::new();
    if let Some(quote) = quote {
        digests.insert("pck-chain", Digest::of(quote.pck_chain));
    }
    if let Some(collateral) = collateral {
        digests.extend([
            ("root-crl", Digest::of(&collateral.root_ca_crl)),
            ("pck-crl", Digest::of(&collateral.pck_crl)),
            ("tcb-info", Digest::of(collateral.tcb_info.as_bytes())),
            ("qe-identity", Digest::of(collateral.qe_identity.as_bytes())),
        ]);
    }
    digests
}

/// Every signature, from the root to the quote, and Intel's rules on what they sign.
pub(in crate::appraise) fn verify(
    raw: &[u8],
    collateral: &TdxCollateral,
    root: &[u8],
    now: UnixTime,
) -> Result<QuoteClaims, String> {
    let now = u64::try_from(now.0).unwrap_or_default();
    QuoteVerifier::<QvlConfig>::new_with_config(root.to_vec())
        .verify_with_policy(raw, plain(collateral), now, &QuotePolicy::claims_only(now))
        .map_err(|error| format!("{error:#}"))
}

/// As the verifier takes it: chains as they were read here and nothing around them, and no second
/// copy of the chain in the quote.
fn plain(collateral: &TdxCollateral) -> QuoteCollateralV3 {
    let plain = |chain: &String| match pem::decode(chain.as_bytes()) {
        Ok(chain) => pem::encode(&chain),
        Err(_) => String::new(),
    };
    QuoteCollateralV3 {
        tcb_info_issuer_chain: plain(&collateral.tcb_info_issuer_chain),
        qe_identity_issuer_chain: plain(&collateral.qe_identity_issuer_chain),
        pck_certificate_chain: None,
        ..QuoteCollateralV3::from(collateral)
    }
}
