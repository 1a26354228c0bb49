//! The vendors' documents that evidence lacks: from the cache, or from the vendors.

use std::path::PathBuf;
use std::time::Duration;

use duckblind_collateral::{
    Collateral, CollateralError, Config, Freshness, Gathered, IntelService, Origin, Patience,
    Source, TdxPlatform,
};
use duckblind_protocol::coded::Coded as _;
use duckblind_protocol::ids::UnixTime;
use duckblind_protocol::key_statement::Tee;

use super::super::failure::Failure;
use super::super::paths;
use super::super::ui::Ui;
use super::subject::Subject;

/// Where vendors' documents come from.
#[derive(Debug, clap::Args)]
pub(super) struct GatherArgs {
    /// Use no network: only what is kept, named or carried
    #[arg(long)]
    pub(super) offline: bool,
    /// AMD's key service, or a cache that answers like it [default: AMD's own]
    #[arg(long, value_name = "URL")]
    kds_url: Option<Origin>,
    /// Intel's service, or a PCCS [default: Intel's own]
    #[arg(long, value_name = "URL")]
    pcs_url: Option<Origin>,
    /// Where they are kept [default: ~/.cache/duckblind/collateral]
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
}

impl GatherArgs {
    /// As full as they can be. Nothing is fetched for what does not parse.
    pub(super) async fn gather(
        &self,
        subject: &Subject,
        now: UnixTime,
    ) -> Result<Gathered, Failure> {
        let carried = &subject.endorsements;
        // Parsed before there is a client that could ask anyone.
        let gathered = match subject.tee {
            Tee::SevSnp => {
                let report = subject.snp()?.report;
                self.client()?.for_snp(&report, carried, now).await?
            }
            Tee::Tdx => {
                let platform = platform(subject)?;
                self.client()?.for_tdx(&platform, carried, now).await?
            }
        };
        Ok(gathered)
    }

    /// Fills in what `subject` lacks for an appraisal, if it can. What cannot be had is said, and
    /// the appraisal then says what follows from that.
    pub(super) async fn complete(&self, ui: &Ui, subject: &mut Subject, now: UnixTime) {
        let own = &subject.endorsements;
        let lacks = match subject.tee {
            Tee::SevSnp => {
                own.vek.is_none() || own.ask.is_none() || own.ark.is_none() || own.crl.is_none()
            }
            Tee::Tdx => own.tdx.is_none(),
        };
        if !lacks {
            return;
        }
        match self.gather(subject, now).await {
            Ok(gathered) => subject.endorsements = gathered.endorsements,
            Err(failure) => {
                let error = failure.coded();
                ui.note(&format!(
                    "nothing added to the evidence: {error} [{}]",
                    error.code()
                ));
            }
        }
    }

    fn client(&self) -> Result<Collateral, Failure> {
        let mut config = Config::vendors()?;
        if self.offline {
            config.source = Source::Offline;
        }
        if let Some(origin) = &self.kds_url {
            config.amd = origin.clone();
        }
        if let Some(origin) = &self.pcs_url {
            config.intel = IntelService::Pccs(origin.clone());
        }
        // Somebody waits for it.
        config.patience = Patience {
            total: Duration::from_secs(20),
            ..Patience::default()
        };
        let cache = match &self.cache {
            Some(dir) => dir.clone(),
            None => paths::cache_dir()?.join("collateral"),
        };
        Ok(Collateral::new(config, &cache)?)
    }
}

fn platform(subject: &Subject) -> Result<TdxPlatform, Failure> {
    let quote = subject.tdx()?;
    let unusable = |why| CollateralError::NotUsable {
        service: "the quote".into(),
        what: "a platform certificate",
        why,
    };
    Ok(TdxPlatform::of_pck(quote.pck_chain).map_err(unusable)?)
}

/// Where a part comes from, in words.
pub(super) fn freshness(freshness: &Freshness) -> String {
    match freshness {
        Freshness::Fetched => "fetched".into(),
        Freshness::Kept => "kept".into(),
        Freshness::KeptAfter(error) => format!("kept; nothing newer: {error} [{}]", error.code()),
        Freshness::Carried => "carried".into(),
    }
}
