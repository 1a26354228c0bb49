//! What was gathered, and how old each part of it is.

use duckblind_attestation::evidence::Endorsements;
use duckblind_protocol::ids::UnixTime;

use crate::error::CollateralError;
use crate::window::Window;

/// Where a part comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// From the vendor, now.
    Fetched,
    /// Kept from before, and not yet due for a look at what is newer.
    Kept,
    /// Kept from before, still valid; the look at what is newer failed.
    KeptAfter(CollateralError),
    /// The evidence or the bundle brought it.
    Carried,
}

/// One part of what was gathered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// In words.
    pub what: &'static str,
    /// Where it comes from.
    pub freshness: Freshness,
    /// When it holds; `None`: as long as the certificates in it.
    pub window: Option<Window>,
    /// From when on a newer one is looked for.
    pub due: Option<UnixTime>,
}

/// Endorsements as full as they can be, and what to tell of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gathered {
    /// For the appraisal, which checks all of it again.
    pub endorsements: Endorsements,
    /// How fresh each part is.
    pub parts: Vec<Part>,
}

impl Gathered {
    /// Nothing of ours belongs to what was carried.
    pub(crate) fn as_carried(carried: &Endorsements) -> Self {
        Self {
            endorsements: carried.clone(),
            parts: Vec::new(),
        }
    }

    /// Whether asking again at `now` would go to the network to look for something newer. Whoever
    /// asks in the background when this is so never waits in the foreground.
    pub fn refresh_due(&self, now: UnixTime) -> bool {
        self.parts
            .iter()
            .any(|part| part.due.is_some_and(|due| due <= now))
    }

    /// The end of the part that ends first: from then on, this is of no use.
    pub fn ends(&self) -> Option<UnixTime> {
        let ends = self.parts.iter().filter_map(|part| part.window);
        ends.map(|window| window.until).min()
    }
}
