//! Which chips and enclave instances were seen under which nodes, and under which first.

use std::fmt;

use duckblind_protocol::ids::{Digest, NodeId, UnixTime};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::StoreError;

/// A thing that should belong to one node only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sighting {
    /// A processor. Several guests of one machine, each a node, share it by right.
    Chip,
    /// One boot of an enclave.
    Instance,
}

impl Sighting {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Chip => "chip",
            Self::Instance => "instance",
        }
    }
}

/// Something that two nodes have shown. Its text is the flag that both carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shared {
    /// What it is.
    pub sighting: Sighting,
    /// The node that showed it first.
    pub first: NodeId,
    /// The one that came later: the flagged node, or the last to come if that is the first.
    pub also: NodeId,
}

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, first, also) = (self.sighting.as_str(), self.first, self.also);
        write!(f, "{what}-under-two-nodes first={first} also={also}")
    }
}

/// Notes that `node` showed this. Who came first stays first.
pub(super) fn note(
    db: &Connection,
    sighting: Sighting,
    value: &Digest,
    node: NodeId,
    now: UnixTime,
) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO sightings (kind, value, node, seen, place) VALUES (?1, ?2, ?3, ?4,
             (SELECT coalesce(max(place), 0) + 1 FROM sightings WHERE kind = ?1 AND value = ?2))
         ON CONFLICT (kind, value, node) DO UPDATE SET seen = excluded.seen",
    )?
    .execute(params![
        sighting.as_str(),
        value.as_bytes(),
        node.as_bytes(),
        now.0
    ])?;
    Ok(())
}

/// What `node` shares with other nodes, those that have left included: of each kind the latest.
pub(super) fn shared(db: &Connection, node: NodeId) -> Result<Vec<Shared>, StoreError> {
    let mut found = Vec::new();
    for sighting in [Sighting::Chip, Sighting::Instance] {
        let kind = sighting.as_str();
        let value: Option<[u8; 32]> = db
            .prepare_cached(
                "SELECT value FROM sightings mine WHERE node = ?1 AND kind = ?2 AND EXISTS (
                    SELECT 1 FROM sightings other
                    WHERE other.kind = ?2 AND other.value = mine.value AND other.node <> ?1)
                 ORDER BY seen DESC LIMIT 1",
            )?
            .query_row(params![node.as_bytes(), kind], |row| row.get(0))
            .optional()?;
        let Some(value) = value else {
            continue;
        };
        let first = db
            .prepare_cached(
                "SELECT node FROM sightings WHERE kind = ?1 AND value = ?2
                 ORDER BY place, node LIMIT 1",
            )?
            .query_row(params![kind, value], |row| row.get(0))
            .map(NodeId::from_bytes)?;
        let also = if first == node {
            db.prepare_cached(
                "SELECT node FROM sightings WHERE kind = ?1 AND value = ?2 AND node <> ?3
                 ORDER BY place DESC, node DESC LIMIT 1",
            )?
            .query_row(params![kind, value, node.as_bytes()], |row| row.get(0))
            .map(NodeId::from_bytes)?
        } else {
            node
        };
        found.push(Shared {
            sighting,
            first,
            also,
        });
    }
    Ok(found)
}
