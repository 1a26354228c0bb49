//! What nodes attested last. A good result stays until its end; what failed since then is noted
//! beside it. One enclave instance has one node with a live result.

use duckblind_protocol::ids::{Digest, NodeId, UnixTime};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::instances::{self, Known};
use super::nodes::Attested;
use super::sightings::{self, Shared, Sighting};
use super::{Store, StoreError};

/// Why a node has no result of an instance that another node holds, beside the appraisal's codes.
pub const INSTANCE_HELD: &str = "instance-held";

/// One attestation of a node.
#[derive(Clone, Debug)]
pub struct Attestation {
    /// The evidence as it came.
    pub evidence: Vec<u8>,
    /// The vendor's documents beside those in the evidence, canonical bytes.
    pub endorsements: Vec<u8>,
    /// The signed result, as a JWT.
    pub ear_jwt: String,
    /// The signed result, as COSE.
    pub ear_cose: Vec<u8>,
    /// The outcome, for lists.
    pub outcome: Attested,
    /// What the evidence showed, or the codes of why it was refused.
    pub shown: Result<Shown, String>,
}

/// What requesters are given of a node's attestation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The evidence as it came.
    pub evidence: Vec<u8>,
    /// The vendor's documents beside those in the evidence, canonical bytes.
    pub endorsements: Vec<u8>,
    /// The signed result, as a JWT.
    pub ear_jwt: String,
    /// The signed result, as COSE.
    pub ear_cose: Vec<u8>,
}

/// What accepted evidence showed. Refused evidence proves nothing and shows nothing.
#[derive(Clone, Copy, Debug)]
pub struct Shown {
    /// Digest of the chip's id.
    pub chip: Digest,
    /// Digest of the instance's id.
    pub instance: Digest,
    /// What later evidence of the same instance must repeat.
    pub known: Known,
}

/// What became of an attestation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// It is the node's result now.
    Stored,
    /// It is a refusal, and the node's earlier good result is not over yet.
    EarlierStays,
    /// Another node has a live result of the same instance: this one gets none.
    HeldBy(NodeId),
    /// The node is not enrolled.
    NotEnrolled,
}

impl Store {
    /// Notes a node's attestation; it also shows that the node lives.
    pub async fn attest(
        &self,
        node: NodeId,
        attestation: Attestation,
        now: UnixTime,
    ) -> Result<Noted, StoreError> {
        self.transaction(move |db| {
            let refused = attestation.shown.as_ref().err();
            if !last_refusal(db, node, refused.map(String::as_str), now)? {
                return Ok(Noted::NotEnrolled);
            }
            match &attestation.shown {
                Ok(shown) => {
                    sightings::note(db, Sighting::Chip, &shown.chip, node, now)?;
                    sightings::note(db, Sighting::Instance, &shown.instance, node, now)?;
                    if let Some(holder) = holder(db, &shown.instance, node, now)? {
                        last_refusal(db, node, Some(INSTANCE_HELD), now)?;
                        return Ok(Noted::HeldBy(holder));
                    }
                    instances::note(db, &shown.known, now)?;
                }
                Err(_) if has_good(db, node, now)? => return Ok(Noted::EarlierStays),
                Err(_) => {}
            }
            keep(db, node, &attestation)?;
            Ok(Noted::Stored)
        })
        .await
    }

    /// A node's last evidence and signed result.
    pub async fn attestation(&self, node: NodeId) -> Result<Option<Kept>, StoreError> {
        self.read(move |db| {
            Ok(db
                .prepare_cached(
                    "SELECT evidence, endorsements, ear_jwt, ear_cose FROM attestations
                     WHERE node = ?1",
                )?
                .query_row([node.as_bytes()], |row| {
                    Ok(Kept {
                        evidence: row.get(0)?,
                        endorsements: row.get(1)?,
                        ear_jwt: row.get(2)?,
                        ear_cose: row.get(3)?,
                    })
                })
                .optional()?)
        })
        .await
    }

    /// What a node shares with other nodes.
    pub async fn shared(&self, node: NodeId) -> Result<Vec<Shared>, StoreError> {
        self.read(move |db| sightings::shared(db, node)).await
    }
}

/// Notes that the node lives, and why its newest attestation was refused. `false`: not enrolled.
fn last_refusal(
    db: &Connection,
    node: NodeId,
    why: Option<&str>,
    now: UnixTime,
) -> Result<bool, StoreError> {
    let rows = db
        .prepare_cached("UPDATE nodes SET seen = ?2, refused = ?3 WHERE id = ?1")?
        .execute(params![node.as_bytes(), now.0, why])?;
    Ok(rows == 1)
}

/// The other node that has a live good result of this instance.
fn holder(
    db: &Connection,
    instance: &Digest,
    node: NodeId,
    now: UnixTime,
) -> Result<Option<NodeId>, StoreError> {
    Ok(db
        .prepare_cached(
            "SELECT node FROM attestations WHERE instance = ?1 AND node <> ?2 AND until > ?3",
        )?
        .query_row(
            params![instance.as_bytes(), node.as_bytes(), now.0],
            |row| row.get(0),
        )
        .optional()?
        .map(NodeId::from_bytes))
}

/// Whether the node has a good result that is not over yet.
fn has_good(db: &Connection, node: NodeId, now: UnixTime) -> Result<bool, StoreError> {
    Ok(db
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM attestations
                 WHERE node = ?1 AND instance IS NOT NULL AND until > ?2)",
        )?
        .query_row(params![node.as_bytes(), now.0], |row| row.get(0))?)
}

/// Replaces the node's result.
fn keep(db: &Connection, node: NodeId, attestation: &Attestation) -> Result<(), StoreError> {
    let instance = attestation.shown.as_ref().ok().map(|shown| shown.instance);
    db.prepare_cached(
        "INSERT OR REPLACE INTO attestations
             (node, evidence, ear_jwt, ear_cose, verdict, sim, until, instance, endorsements)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        node.as_bytes(),
        attestation.evidence,
        attestation.ear_jwt,
        attestation.ear_cose,
        attestation.outcome.verdict,
        attestation.outcome.sim,
        attestation.outcome.until.0,
        instance.map(|instance| *instance.as_bytes()),
        attestation.endorsements,
    ])?;
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::instances::Earlier;
    use super::super::testing::enrolled;
    use super::*;
    use duckblind_protocol::ids::InstanceId;

    const NOW: UnixTime = UnixTime(1_800_000_000);
    const END: UnixTime = UnixTime(NOW.0 + 600);

    fn attestation(verdict: &str, shown: Result<Shown, String>) -> Attestation {
        Attestation {
            evidence: b"evidence".to_vec(),
            endorsements: b"endorsements".to_vec(),
            ear_jwt: verdict.into(),
            ear_cose: b"cose".to_vec(),
            outcome: Attested {
                until: END,
                verdict: verdict.into(),
                sim: true,
            },
            shown,
        }
    }

    fn good(chip: u8, instance: u8) -> Attestation {
        let shown = Shown {
            chip: Digest::from_bytes([chip; 32]),
            instance: Digest::from_bytes([instance; 32]),
            known: Known {
                instance: InstanceId::from_bytes([instance; 32]),
                earlier: Earlier {
                    report_id: Some([instance; 32]),
                    epoch: 1,
                },
            },
        };
        attestation("affirming", Ok(shown))
    }

    fn bad() -> Attestation {
        attestation("contraindicated", Err("E_SIG,E_NONCE".into()))
    }

    /// The stored JWT, which is the verdict here, and the listed refusal.
    async fn standing(store: &Store, node: NodeId) -> (Option<String>, Option<String>) {
        let kept = store.attestation(node).await.unwrap();
        let refused = store.node(node).await.unwrap().unwrap().refused;
        (kept.map(|kept| kept.ear_jwt), refused)
    }

    #[tokio::test]
    async fn a_refusal_is_noted_and_a_good_result_stays_until_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("s")).unwrap();
        let node = enrolled(&store, 1).await;
        let (affirming, why) = (Some("affirming".into()), Some("E_SIG,E_NONCE".into()));
        let refusal = Some("contraindicated".into());

        let attest = async |attestation, now| store.attest(node, attestation, now).await.unwrap();
        assert_eq!(attest(bad(), NOW).await, Noted::Stored);
        assert_eq!(standing(&store, node).await, (refusal.clone(), why.clone()));
        assert_eq!(attest(good(1, 1), NOW).await, Noted::Stored);
        assert_eq!(standing(&store, node).await, (affirming.clone(), None));

        let last = UnixTime(END.0 - 1);
        assert_eq!(attest(bad(), last).await, Noted::EarlierStays);
        assert_eq!(
            standing(&store, node).await,
            (affirming.clone(), why.clone())
        );
        assert_eq!(attest(good(1, 1), last).await, Noted::Stored);
        assert_eq!(standing(&store, node).await, (affirming, None));
        assert_eq!(attest(bad(), END).await, Noted::Stored);
        assert_eq!(standing(&store, node).await, (refusal, why));
    }

    #[tokio::test]
    async fn an_instance_is_its_holders_until_the_result_ends_or_the_holder_leaves() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("s")).unwrap();
        let (one, two) = (enrolled(&store, 1).await, enrolled(&store, 2).await);
        let attest = async |node, now| store.attest(node, good(1, 7), now).await.unwrap();
        assert_eq!(attest(one, NOW).await, Noted::Stored);
        assert_eq!(attest(two, NOW).await, Noted::HeldBy(one));
        assert_eq!(attest(one, NOW).await, Noted::Stored);
        let held = Some(INSTANCE_HELD.to_owned());
        assert_eq!(standing(&store, two).await, (None, held));
        assert_eq!(standing(&store, one).await.1, None);

        // A good result of its own stays the newcomer's.
        store.attest(two, good(1, 8), NOW).await.unwrap();
        assert_eq!(attest(two, NOW).await, Noted::HeldBy(one));
        assert!(standing(&store, two).await.0.is_some());

        assert_eq!(attest(two, END).await, Noted::Stored);
        assert_eq!(attest(one, NOW).await, Noted::HeldBy(two));
        store.leave(two).await.unwrap();
        assert_eq!(attest(one, NOW).await, Noted::Stored);
    }

    #[tokio::test]
    async fn what_two_nodes_share_names_both_and_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("s")).unwrap();
        let mut nodes = Vec::new();
        for byte in [3, 1, 2] {
            nodes.push(enrolled(&store, byte).await);
        }
        let &[one, two, three] = nodes.as_slice() else {
            unreachable!()
        };
        let shared = async |node| store.shared(node).await.unwrap();
        let of = |sighting, also| Shared {
            sighting,
            first: one,
            also,
        };
        store.attest(one, good(7, 1), NOW).await.unwrap();
        store.attest(one, good(7, 1), NOW).await.unwrap();
        assert!(shared(one).await.is_empty(), "its own do not count");
        store.attest(two, good(7, 2), NOW).await.unwrap();
        store.attest(three, good(8, 3), NOW).await.unwrap();
        let chip = of(Sighting::Chip, two);
        assert_eq!(shared(one).await, [chip]);
        assert_eq!(shared(two).await, [chip]);
        assert!(shared(three).await.is_empty());

        // Refused, and seen all the same.
        store.attest(three, good(7, 1), NOW).await.unwrap();
        let both = [of(Sighting::Chip, three), of(Sighting::Instance, three)];
        assert_eq!(shared(one).await, both);
        assert_eq!(shared(three).await, both);
        assert_eq!(shared(two).await, [chip]);

        store.leave(one).await.unwrap();
        assert_eq!(shared(two).await, [chip], "leaving hides nothing");
        let listed = store.list(None, NOW).await.unwrap();
        let listed = listed.iter().find(|node| node.id == two).unwrap();
        assert_eq!(listed.shared, [chip]);
        assert_eq!(
            chip.to_string(),
            format!("chip-under-two-nodes first={one} also={two}")
        );
    }

    #[tokio::test]
    async fn attestations_belong_to_enrolled_nodes_and_leave_with_them() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("s")).unwrap();
        let stranger = NodeId::from_bytes([9; 32]);
        for attestation in [good(1, 1), bad()] {
            let noted = store.attest(stranger, attestation, NOW).await.unwrap();
            assert_eq!(noted, Noted::NotEnrolled);
        }
        let one = enrolled(&store, 1).await;
        store.attest(one, good(1, 1), NOW).await.unwrap();
        assert!(store.shared(one).await.unwrap().is_empty());
        let kept = store.attestation(one).await.unwrap().unwrap();
        let wanted = Kept {
            evidence: b"evidence".to_vec(),
            endorsements: b"endorsements".to_vec(),
            ear_jwt: "affirming".into(),
            ear_cose: b"cose".to_vec(),
        };
        assert_eq!(kept, wanted);
        store.leave(one).await.unwrap();
        assert!(store.attestation(one).await.unwrap().is_none());
    }
}
