//! What nodes attested last, and which chips and instances were seen under which node.

use duckblind_protocol::ids::{Digest, NodeId, UnixTime};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::instances::{self, Known};
use super::nodes::Attested;
use super::{Store, StoreError};

/// A thing that belongs to one node only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sighting {
    /// A processor.
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

    /// The flag that a node carries when it shares this with another.
    pub const fn flag(self) -> &'static str {
        match self {
            Self::Chip => "chip-under-two-nodes",
            Self::Instance => "instance-under-two-nodes",
        }
    }
}

/// One attestation of a node, to keep until the next.
#[derive(Clone, Debug)]
pub struct Attestation {
    /// The evidence as it came.
    pub evidence: Vec<u8>,
    /// The signed result, as a JWT.
    pub ear_jwt: String,
    /// The signed result, as COSE.
    pub ear_cose: Vec<u8>,
    /// The outcome, for lists.
    pub outcome: Attested,
    /// What accepted evidence showed: digests of chip and instance id. Refused evidence proves
    /// nothing and is no sighting.
    pub sightings: Vec<(Sighting, Digest)>,
    /// What later evidence of the same instance must repeat.
    pub known: Option<Known>,
}

impl Store {
    /// Replaces a node's attestation; it also shows that the node lives. `false`: not enrolled.
    pub async fn attest(
        &self,
        node: NodeId,
        attestation: Attestation,
        now: UnixTime,
    ) -> Result<bool, StoreError> {
        self.transaction(move |db| {
            let enrolled = db
                .prepare_cached("UPDATE nodes SET seen = ?2 WHERE id = ?1")?
                .execute(params![node.as_bytes(), now.0])?;
            if enrolled != 1 {
                return Ok(false);
            }
            db.prepare_cached(
                "INSERT OR REPLACE INTO attestations
                     (node, evidence, ear_jwt, ear_cose, verdict, sim, until)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                node.as_bytes(),
                attestation.evidence,
                attestation.ear_jwt,
                attestation.ear_cose,
                attestation.outcome.verdict,
                attestation.outcome.sim,
                attestation.outcome.until.0,
            ])?;
            for (kind, value) in &attestation.sightings {
                db.prepare_cached(
                    "INSERT OR REPLACE INTO sightings (kind, value, node, seen)
                     VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute(params![
                    kind.as_str(),
                    value.as_bytes(),
                    node.as_bytes(),
                    now.0
                ])?;
            }
            if let Some(known) = &attestation.known {
                instances::note(db, known, now)?;
            }
            Ok(true)
        })
        .await
    }

    /// A node's last evidence and signed result, as JWT and COSE.
    pub async fn attestation(
        &self,
        node: NodeId,
    ) -> Result<Option<(Vec<u8>, String, Vec<u8>)>, StoreError> {
        self.read(move |db| {
            Ok(db
                .prepare_cached(
                    "SELECT evidence, ear_jwt, ear_cose FROM attestations WHERE node = ?1",
                )?
                .query_row([node.as_bytes()], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                })
                .optional()?)
        })
        .await
    }

    /// What a node shares with other nodes.
    pub async fn shared(&self, node: NodeId) -> Result<Vec<Sighting>, StoreError> {
        self.read(move |db| shared(db, node)).await
    }
}

/// What `node` shares with other nodes, those that have left included.
pub(super) fn shared(db: &Connection, node: NodeId) -> Result<Vec<Sighting>, StoreError> {
    let mut found = Vec::new();
    for kind in [Sighting::Chip, Sighting::Instance] {
        let is_shared: bool = db
            .prepare_cached(
                "SELECT EXISTS (
                    SELECT 1 FROM sightings mine JOIN sightings other
                        ON other.kind = mine.kind AND other.value = mine.value
                    WHERE mine.node = ?1 AND mine.kind = ?2 AND other.node <> ?1)",
            )?
            .query_row(params![node.as_bytes(), kind.as_str()], |row| row.get(0))?;
        if is_shared {
            found.push(kind);
        }
    }
    Ok(found)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::nodes::NewNode;
    use super::*;
    use duckblind_protocol::ids::PublicKey;
    use duckblind_protocol::order::Class;

    const NOW: UnixTime = UnixTime(1_800_000_000);

    async fn enrolled(store: &Store, byte: u8) -> NodeId {
        let key = PublicKey::from_bytes([byte; 32]);
        let node = NewNode {
            key,
            address: "127.0.0.1:1".into(),
            class: Class::L2,
        };
        store.enrol(node, NOW).await.unwrap();
        NodeId::of_key(&key)
    }

    fn attestation(sightings: &[(Sighting, u8)]) -> Attestation {
        Attestation {
            evidence: b"evidence".to_vec(),
            ear_jwt: "jwt".into(),
            ear_cose: b"cose".to_vec(),
            outcome: Attested {
                until: NOW,
                verdict: "affirming".into(),
                sim: true,
            },
            sightings: sightings
                .iter()
                .map(|(kind, byte)| (*kind, Digest::from_bytes([*byte; 32])))
                .collect(),
            known: None,
        }
    }

    #[tokio::test]
    async fn one_chip_under_two_nodes_flags_both() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("s")).unwrap();
        let (one, two, three) = (
            enrolled(&store, 1).await,
            enrolled(&store, 2).await,
            enrolled(&store, 3).await,
        );
        let first = attestation(&[(Sighting::Chip, 7), (Sighting::Instance, 1)]);
        let second = attestation(&[(Sighting::Chip, 7), (Sighting::Instance, 2)]);
        let third = attestation(&[(Sighting::Chip, 8), (Sighting::Instance, 7)]);
        store.attest(one, first.clone(), NOW).await.unwrap();
        assert!(store.shared(one).await.unwrap().is_empty());
        store.attest(one, first, NOW).await.unwrap();
        assert!(
            store.shared(one).await.unwrap().is_empty(),
            "its own sightings do not count"
        );
        store.attest(two, second, NOW).await.unwrap();
        store.attest(three, third, NOW).await.unwrap();
        assert_eq!(store.shared(one).await.unwrap(), [Sighting::Chip]);
        assert_eq!(store.shared(two).await.unwrap(), [Sighting::Chip]);
        assert!(store.shared(three).await.unwrap().is_empty());

        store.leave(one).await.unwrap();
        assert_eq!(
            store.shared(two).await.unwrap(),
            [Sighting::Chip],
            "leaving hides nothing"
        );
        let listed = store.list(None, NOW).await.unwrap();
        let two = listed.iter().find(|node| node.id == two).unwrap();
        assert_eq!(two.shared, [Sighting::Chip]);
    }

    #[tokio::test]
    async fn attestations_belong_to_enrolled_nodes_and_leave_with_them() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("s")).unwrap();
        let stranger = NodeId::from_bytes([9; 32]);
        assert!(!store.attest(stranger, attestation(&[]), NOW).await.unwrap());
        let one = enrolled(&store, 1).await;
        assert!(store.attest(one, attestation(&[]), NOW).await.unwrap());
        let (evidence, jwt, cose) = store.attestation(one).await.unwrap().unwrap();
        assert_eq!(
            (evidence.as_slice(), jwt.as_str(), cose.as_slice()),
            (&b"evidence"[..], "jwt", &b"cose"[..])
        );
        store.leave(one).await.unwrap();
        assert!(store.attestation(one).await.unwrap().is_none());
    }
}
