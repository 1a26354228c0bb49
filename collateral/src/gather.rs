//! The entry: what evidence lacks, for either kind of platform.

use std::path::Path;

use duckblind_attestation::evidence::{Endorsements, TdxCollateral};
use duckblind_attestation::snp::certificate::Certificate;
use duckblind_attestation::snp::report::{ParsedReport, SigningKey};
use duckblind_attestation::snp::vek::VekClaims;
use duckblind_attestation::snp::{Generation, Report, Tcb};
use duckblind_attestation::tdx::Quote;
use duckblind_protocol::ids::{Digest, UnixTime};
use duckblind_protocol::key_statement::Tee;
use tokio::join;

use crate::amd::{Chain, ChainItem, CrlItem, Line, VcekItem};
use crate::config::Config;
use crate::error::CollateralError;
use crate::freshness::{Freshness, Gathered};
use crate::intel::answers::as_answers;
use crate::intel::items::{PckCrlItem, QeIdentityItem, RootCrlItem, TcbItem};
use crate::intel::pck::TdxPlatform;
use crate::item::Answer;
use crate::keeper::{Found, Keeper};

/// Fetches, checks and keeps what vendors publish. One per process, shared.
pub struct Collateral {
    keeper: Keeper,
}

impl Collateral {
    /// Connects to nothing yet. `cache_dir` is made if it is not there.
    pub fn new(config: Config, cache_dir: &Path) -> Result<Self, CollateralError> {
        Ok(Self {
            keeper: Keeper::new(config, cache_dir)?,
        })
    }

    /// What the appraisal of a report needs that is `report`, as the hardware gave it; nothing more
    /// than what was carried if it does not parse.
    pub async fn for_report(
        &self,
        tee: Tee,
        report: &[u8],
        carried: &Endorsements,
        now: UnixTime,
    ) -> Result<Gathered, CollateralError> {
        match tee {
            Tee::SevSnp => match ParsedReport::parse(report) {
                Ok(parsed) => self.for_snp(&parsed.report, carried, now).await,
                Err(_) => Ok(Gathered::as_carried(carried)),
            },
            Tee::Tdx => {
                let quote = Quote::parse(report).ok();
                match quote.and_then(|quote| TdxPlatform::of_pck(quote.pck_chain).ok()) {
                    Some(platform) => self.for_tdx(&platform, carried, now).await,
                    None => Ok(Gathered::as_carried(carried)),
                }
            }
        }
    }

    /// What the appraisal of an SNP report needs: what `carried` has, the newest revocation list,
    /// and the certificates that `carried` lacks. What is carried is not judged here; if its root
    /// is not AMD's, or the report is signed by no key of AMD's, there is nothing to add to it.
    pub async fn for_snp(
        &self,
        report: &Report,
        carried: &Endorsements,
        now: UnixTime,
    ) -> Result<Gathered, CollateralError> {
        let root = carried
            .ark
            .as_ref()
            .map(|ark| Generation::of_root(&Digest::of(ark)));
        let vlek = match report.signing_key() {
            SigningKey::Vcek => false,
            SigningKey::Vlek => true,
            SigningKey::Other(_) => return Ok(Gathered::as_carried(carried)),
        };
        if root == Some(None) {
            return Ok(Gathered::as_carried(carried));
        }
        let generation = report
            .generation()
            .or(root.flatten())
            .or_else(|| certified_generation(carried))
            .ok_or(CollateralError::UnknownProcessor)?;
        let line = Line { generation, vlek };
        if vlek && carried.vek.is_none() {
            return Err(CollateralError::VlekNotCarried);
        }
        let chain = match Chain::carried(line, carried) {
            Some(chain) => Found::new::<ChainItem>(chain, Freshness::Carried, now),
            None => self.keeper.obtain(&ChainItem { line }, None, now).await?,
        };
        let crl_item = CrlItem {
            line,
            chain: &chain.value,
        };
        // All to their end, even if one fails: what was fetched is kept for the next attempt.
        let (vek, crl) = join!(
            self.vek(report, generation, &chain.value, carried, now),
            self.keeper
                .obtain(&crl_item, carried.crl.clone().map(Answer::of), now),
        );
        let (vek, crl) = (vek?, crl?);
        Ok(Gathered {
            endorsements: Endorsements {
                vek: Some(vek.value),
                ask: Some(chain.value.ask),
                ark: Some(chain.value.ark),
                crl: Some(crl.value.into_der()),
                tdx: None,
            },
            parts: vec![vek.part, chain.part, crl.part],
        })
    }

    async fn vek(
        &self,
        report: &Report,
        generation: Generation,
        chain: &Chain,
        carried: &Endorsements,
        now: UnixTime,
    ) -> Result<Found<Vec<u8>>, CollateralError> {
        if let Some(vek) = &carried.vek {
            let vek = vek.clone();
            return Ok(Found::new::<VcekItem<'_>>(vek, Freshness::Carried, now));
        }
        if report.chip_id == [0; 64] {
            return Err(CollateralError::ChipHidden);
        }
        let tcb = Tcb::decode(report.reported_tcb, generation);
        let item = VcekItem {
            generation,
            chip_id: &report.chip_id,
            tcb: tcb.ok_or(CollateralError::UnknownProcessor)?,
            chain,
        };
        self.keeper.obtain(&item, None, now).await
    }

    /// What the appraisal of a TDX quote needs. What `carried` has is used where nothing newer can
    /// be had.
    pub async fn for_tdx(
        &self,
        platform: &TdxPlatform,
        carried: &Endorsements,
        now: UnixTime,
    ) -> Result<Gathered, CollateralError> {
        let TdxPlatform { fmspc, ca } = *platform;
        let [tcb, qe, pck, root] = carried
            .tdx
            .as_ref()
            .map_or([const { None }; 4], |tdx| as_answers(tdx).map(Some));
        let tcb_item = TcbItem { fmspc };
        let lists = async {
            let pck = self.keeper.obtain(&PckCrlItem { ca }, pck, now).await?;
            let item = RootCrlItem {
                root: pck.value.chain.root(),
            };
            let root = self.keeper.obtain(&item, root, now).await?;
            Ok((pck, root))
        };
        let (lists, tcb, qe) = join!(
            lists,
            self.keeper.obtain(&tcb_item, tcb, now),
            self.keeper.obtain(&QeIdentityItem, qe, now),
        );
        let ((pck, root), tcb, qe) = (lists?, tcb?, qe?);
        let parts = vec![tcb.part, qe.part, pck.part, root.part];
        let (pck, tcb, qe) = (pck.value, tcb.value, qe.value);
        let tdx = TdxCollateral {
            pck_crl_issuer_chain: pck.chain.pem().to_owned(),
            root_ca_crl: root.value.into_der(),
            pck_crl: pck.value.into_der(),
            tcb_info_issuer_chain: tcb.chain.pem().to_owned(),
            tcb_info: tcb.value.tcb_info,
            tcb_info_signature: tcb.value.signature.to_vec(),
            qe_identity_issuer_chain: qe.chain.pem().to_owned(),
            qe_identity: qe.value.qe_identity,
            qe_identity_signature: qe.value.signature.to_vec(),
            pck_certificate_chain: carried
                .tdx
                .as_ref()
                .and_then(|tdx| tdx.pck_certificate_chain.clone()),
        };
        Ok(Gathered {
            endorsements: Endorsements {
                tdx: Some(tdx),
                ..Endorsements::default()
            },
            parts,
        })
    }
}

/// What the chip key's certificate says: reports before version 3 do not.
fn certified_generation(carried: &Endorsements) -> Option<Generation> {
    let vek = Certificate::from_der(carried.vek.as_deref()?).ok()?;
    Some(VekClaims::read(&vek).ok()?.generation)
}
