//! The vendors' documents that evidence does not carry: looked up before an appraisal.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use duckblind_attestation::evidence::{Endorsements, Evidence};
use duckblind_collateral::{
    Collateral, Config, Freshness, Gathered, IntelService, Origin, Patience, Source,
};
use duckblind_protocol::coded::Coded as _;
use duckblind_protocol::ids::{NodeId, UnixTime};
use serde::Deserialize;

use crate::error::VerifierError;
use crate::files;
use crate::metrics::{Counter, Metrics};

/// Times an hour that a node's evidence may make us ask the vendors: honest ones attest a dozen
/// times. Unsigned reports of chips that do not exist would use up what vendors let us ask.
const MOST_PER_HOUR: u32 = 40;

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
    asked: Mutex<Asked>,
}

/// How often each node's evidence has made this machine look further than its disk, this hour.
#[derive(Default)]
struct Asked {
    hour: i64,
    nodes: BTreeMap<NodeId, u32>,
}

impl Asked {
    /// Whether this node may once more.
    fn once_more(&mut self, node: NodeId, now: UnixTime) -> bool {
        let hour = now.0.div_euclid(3600);
        if self.hour != hour {
            self.hour = hour;
            self.nodes.clear();
        }
        let count = self.nodes.entry(node).or_default();
        *count = count.saturating_add(1);
        *count <= MOST_PER_HOUR
    }
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
            asked: Mutex::default(),
        })
    }

    fn may_ask(&self, node: NodeId, now: UnixTime) -> bool {
        // No holder of this lock leaves the books half written.
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.once_more(node, now)
    }

    /// What there is for this evidence. Whatever is missing in the end, the appraisal says so.
    pub async fn look_up(
        &self,
        evidence: &[u8],
        node: Option<NodeId>,
        now: UnixTime,
        metrics: &Metrics,
    ) -> Endorsements {
        let Ok(evidence) = Evidence::decode(evidence) else {
            return Endorsements::default();
        };
        let source = match node {
            Some(node) if self.may_ask(node, now) => &self.nodes,
            _ => &self.strangers,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_makes_us_ask_so_often_an_hour() {
        let mut asked = Asked::default();
        let (one, two) = (NodeId::from_bytes([1; 32]), NodeId::from_bytes([2; 32]));
        let now = UnixTime(7 * 3600);
        assert!((0..MOST_PER_HOUR).all(|_| asked.once_more(one, now)));
        assert!(!asked.once_more(one, UnixTime(now.0 + 3599)));
        assert!(asked.once_more(two, now));
        assert!(asked.once_more(one, UnixTime(now.0 + 3600)));
    }
}
