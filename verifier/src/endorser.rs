//! The vendors' documents that evidence does not carry: looked up before an appraisal.

use std::path::{Path, PathBuf};
use std::time::Duration;

use duckblind_attestation::evidence::{Endorsements, Evidence};
use duckblind_collateral::{
    Collateral, Config, Freshness, Gathered, IntelService, Origin, Patience, Source,
};
use duckblind_protocol::coded::Coded as _;
use duckblind_protocol::ids::UnixTime;
use serde::Deserialize;

use crate::error::VerifierError;
use crate::files;
use crate::metrics::{Counter, Metrics};

/// A node waits for its result meanwhile.
const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(3),
    answer: Duration::from_secs(5),
    total: Duration::from_secs(10),
    attempts: 3,
    first_wait: Duration::from_millis(500),
    longest_wait: Duration::from_secs(4),
};

/// `[collateral]` as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    dir: PathBuf,
    fetch: bool,
    kds: Option<String>,
    pccs: Option<String>,
    ca: Option<PathBuf>,
}

/// Looks documents up: on disk, and at the vendors.
pub struct Endorser {
    /// Also asks the vendors, if the configuration lets it.
    nodes: Collateral,
    /// Only what is on disk: strangers do not make this machine ask anybody.
    strangers: Collateral,
}

impl Endorser {
    /// From the configuration; paths in it start at `base`. Dials nobody.
    pub fn new(section: &Section, base: &Path) -> Result<Self, VerifierError> {
        let origin = |text: &String| text.parse::<Origin>();
        let mut config = Config::vendors()?;
        config.patience = PATIENCE;
        if let Some(kds) = section.kds.as_ref().map(origin) {
            config.amd = kds?;
        }
        if let Some(pccs) = section.pccs.as_ref().map(origin) {
            config.intel = IntelService::Pccs(pccs?);
        }
        if let Some(ca) = &section.ca {
            config.extra_authorities = Some(files::read_text(&base.join(ca))?.into_bytes());
        }
        let offline = Config {
            source: Source::Offline,
            ..config.clone()
        };
        let dir = base.join(&section.dir);
        Ok(Self {
            nodes: Collateral::new(
                if section.fetch {
                    config
                } else {
                    offline.clone()
                },
                &dir,
            )?,
            strangers: Collateral::new(offline, &dir)?,
        })
    }

    /// What there is for this evidence. Whatever is missing in the end, the appraisal says so.
    pub async fn look_up(
        &self,
        evidence: &[u8],
        of_a_node: bool,
        now: UnixTime,
        metrics: &Metrics,
    ) -> Endorsements {
        let Ok(evidence) = Evidence::decode(evidence) else {
            return Endorsements::default();
        };
        let source = if of_a_node {
            &self.nodes
        } else {
            &self.strangers
        };
        let carried = &evidence.endorsements;
        let found = source
            .for_report(evidence.tee, &evidence.report, carried, now)
            .await;
        match found {
            Ok(gathered) => {
                note(&gathered, metrics);
                gathered.endorsements
            }
            Err(error) => {
                metrics.count(Counter::Collateral, [("source", error.code())]);
                tracing::warn!(code = error.code(), %error, "collateral");
                Endorsements::default()
            }
        }
    }
}

fn note(gathered: &Gathered, metrics: &Metrics) {
    for part in &gathered.parts {
        let source = match &part.freshness {
            Freshness::Fetched => "fetched",
            Freshness::Kept => "kept",
            Freshness::Carried => "carried",
            Freshness::KeptAfter(error) => {
                tracing::warn!(code = error.code(), %error, what = part.what, "collateral is not renewed");
                "kept-after-failure"
            }
        };
        metrics.count(Counter::Collateral, [("source", source)]);
    }
}
