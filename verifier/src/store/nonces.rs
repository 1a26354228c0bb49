//! Single-use nonces: challenges for evidence, and server nonces for signed node requests.
//!
//! Taking one is a delete inside one synced transaction. What was taken is gone before anybody
//! hears of it, so that neither a race nor a restart gives it out twice.

use duckblind_protocol::ids::{ChallengeId, Digest, NodeId, Nonce, UnixTime};
use duckblind_protocol::key_statement::nonce_commitment;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{Store, StoreError};

/// How long a nonce lives, in seconds.
pub const LIFETIME_SECONDS: i64 = 120;
/// How many of one kind may be alive.
pub const MAX_LIVE: i64 = 100_000;

/// A challenge to hand out.
#[derive(Clone, Copy, Debug)]
pub struct NewChallenge {
    /// Its name.
    pub id: ChallengeId,
    /// The verifier's part of the nonce.
    pub nonce: Nonce,
    /// What it is for.
    pub purpose: Purpose,
}

/// Who may answer a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Whoever brings the nonce that was committed to, if there was a commitment.
    Requester(Option<Digest>),
    /// This node, for its own standing.
    Node(NodeId),
}

/// A challenge that was alive and is now used up.
#[derive(Debug)]
pub struct TakenChallenge {
    nonce: Nonce,
    commitment: Option<Digest>,
}

/// The two parts of a challenge's nonce, the second as it was committed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NonceParts {
    /// The verifier's.
    pub verifier: Nonce,
    /// The requester's, if it took part.
    pub requester: Option<Nonce>,
}

/// The requester's nonce is not what it committed to, or is missing, or was not announced.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the requester's nonce does not fit the commitment of this challenge")]
pub struct CommitmentMismatch;

impl TakenChallenge {
    /// Opens the commitment.
    pub fn open(self, requester: Option<Nonce>) -> Result<NonceParts, CommitmentMismatch> {
        let fits = match (&self.commitment, &requester) {
            (None, None) => true,
            (Some(commitment), Some(nonce)) => commitment.ct_eq(&nonce_commitment(nonce)),
            _ => false,
        };
        if !fits {
            return Err(CommitmentMismatch);
        }
        Ok(NonceParts {
            verifier: self.nonce,
            requester,
        })
    }
}

impl Store {
    /// Keeps a challenge for its lifetime; of a node's, only the newest.
    pub async fn keep_challenge(
        &self,
        challenge: NewChallenge,
        now: UnixTime,
    ) -> Result<(), StoreError> {
        let (commitment, node) = match challenge.purpose {
            Purpose::Requester(commitment) => (commitment, None),
            Purpose::Node(node) => (None, Some(node)),
        };
        self.transaction(move |db| {
            match &node {
                // One for each node, and nodes are counted: strangers cannot crowd them out.
                Some(node) => db
                    .prepare_cached("DELETE FROM challenges WHERE node = ?1")?
                    .execute([node.as_bytes()])?,
                None => make_room(db, "challenges", "id", "node IS NULL", now)?,
            };
            db.prepare_cached(
                "INSERT INTO challenges (id, nonce, commitment, node, expires)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                challenge.id.as_bytes(),
                challenge.nonce.as_bytes(),
                commitment.map(|digest| *digest.as_bytes()),
                node.map(|node| *node.as_bytes()),
                now.0.saturating_add(LIFETIME_SECONDS),
            ])?;
            Ok(())
        })
        .await
    }

    /// Uses a challenge up that `node`, or with none a requester, may answer. `None`: there is
    /// none of this name alive; another's stays as it is.
    pub async fn take_challenge(
        &self,
        id: ChallengeId,
        node: Option<NodeId>,
        now: UnixTime,
    ) -> Result<Option<TakenChallenge>, StoreError> {
        let row = self
            .transaction(move |db| {
                Ok(db
                    .prepare_cached(
                        "DELETE FROM challenges WHERE id = ?1 AND node IS ?2
                         RETURNING nonce, commitment, expires",
                    )?
                    .query_row(
                        params![id.as_bytes(), node.map(|node| *node.as_bytes())],
                        |row| {
                            Ok((
                                row.get::<_, [u8; 32]>(0)?,
                                row.get::<_, Option<[u8; 32]>>(1)?,
                                row.get::<_, i64>(2)?,
                            ))
                        },
                    )
                    .optional()?)
            })
            .await?;
        Ok(row
            .filter(|(_, _, expires)| now.0 < *expires)
            .map(|(nonce, commitment, _)| TakenChallenge {
                nonce: Nonce::from_bytes(nonce),
                commitment: commitment.map(Digest::from_bytes),
            }))
    }

    /// Keeps a server nonce for its lifetime.
    pub async fn keep_server_nonce(&self, nonce: Nonce, now: UnixTime) -> Result<(), StoreError> {
        self.transaction(move |db| {
            make_room(db, "server_nonces", "nonce", "TRUE", now)?;
            db.prepare_cached("INSERT INTO server_nonces (nonce, expires) VALUES (?1, ?2)")?
                .execute(params![
                    nonce.as_bytes(),
                    now.0.saturating_add(LIFETIME_SECONDS)
                ])?;
            Ok(())
        })
        .await
    }

    /// Uses a server nonce up; whether it was alive.
    pub async fn take_server_nonce(&self, nonce: Nonce, now: UnixTime) -> Result<bool, StoreError> {
        let expires = self
            .transaction(move |db| {
                Ok(db
                    .prepare_cached("DELETE FROM server_nonces WHERE nonce = ?1 RETURNING expires")?
                    .query_row([nonce.as_bytes()], |row| row.get::<_, i64>(0))
                    .optional()?)
            })
            .await?;
        Ok(expires.is_some_and(|expires| now.0 < expires))
    }
}

/// Drops what has expired, and the oldest of `which` if there are too many: to refuse the newest
/// would let anyone who asks often enough lock all others out, while the oldest has had its time.
/// How many went. The texts are ours, never input.
fn make_room(
    db: &Connection,
    table: &'static str,
    key: &'static str,
    which: &'static str,
    now: UnixTime,
) -> Result<usize, StoreError> {
    let expired = db
        .prepare_cached(&format!("DELETE FROM {table} WHERE expires <= ?1"))?
        .execute([now.0])?;
    let oldest = db
        .prepare_cached(&format!(
            "DELETE FROM {table} WHERE {key} IN (
                SELECT {key} FROM {table} WHERE {which} ORDER BY expires LIMIT
                    max(0, 1 - ?1 + (SELECT count(*) FROM {table} WHERE {which})))"
        ))?
        .execute([MAX_LIVE])?;
    Ok(expired + oldest)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::testing::enrolled;
    use super::*;

    const NOW: UnixTime = UnixTime(1_800_000_000);

    fn challenge(commitment: Option<Digest>) -> NewChallenge {
        NewChallenge {
            id: ChallengeId::random().unwrap(),
            nonce: Nonce::random().unwrap(),
            purpose: Purpose::Requester(commitment),
        }
    }

    #[tokio::test]
    async fn once_only_also_across_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        let (used, open) = (challenge(None), challenge(None));
        let nonce = Nonce::random().unwrap();
        {
            let store = Store::open(&path).unwrap();
            store.keep_challenge(used, NOW).await.unwrap();
            store.keep_challenge(open, NOW).await.unwrap();
            store.keep_server_nonce(nonce, NOW).await.unwrap();
            assert!(
                store
                    .take_challenge(used.id, None, NOW)
                    .await
                    .unwrap()
                    .is_some()
            );
            assert!(
                store
                    .take_challenge(used.id, None, NOW)
                    .await
                    .unwrap()
                    .is_none()
            );
            assert!(store.take_server_nonce(nonce, NOW).await.unwrap());
        }
        let store = Store::open(&path).unwrap();
        assert!(
            store
                .take_challenge(used.id, None, NOW)
                .await
                .unwrap()
                .is_none()
        );
        assert!(!store.take_server_nonce(nonce, NOW).await.unwrap());
        let parts = store
            .take_challenge(open.id, None, NOW)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(parts.open(None).unwrap().verifier, open.nonce);
    }

    #[tokio::test]
    async fn a_nodes_challenge_is_its_own_and_its_newest() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("state")).unwrap();
        let mut nodes = Vec::new();
        for byte in [1, 2] {
            nodes.push(enrolled(&store, byte).await);
        }
        let of = |node: &NodeId| NewChallenge {
            purpose: Purpose::Node(*node),
            ..challenge(None)
        };
        let (one, two) = (nodes.first().unwrap(), nodes.last().unwrap());
        let (older, newest, anyones) = (of(one), of(one), challenge(None));
        for each in [older, newest, anyones] {
            store.keep_challenge(each, NOW).await.unwrap();
        }
        let take = async |id, node: Option<&NodeId>| {
            let taken = store.take_challenge(id, node.copied(), NOW).await.unwrap();
            taken.is_some()
        };
        assert!(!take(older.id, Some(one)).await);
        assert!(!take(newest.id, Some(two)).await);
        assert!(!take(newest.id, None).await);
        assert!(!take(anyones.id, Some(one)).await);
        // None of these used anything up.
        assert!(take(anyones.id, None).await);
        assert!(take(newest.id, Some(one)).await);
        assert!(!take(newest.id, Some(one)).await);
    }

    #[tokio::test]
    async fn too_many_cost_the_oldest_and_no_nodes() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("state")).unwrap();
        let node = enrolled(&store, 1).await;
        let nodes = NewChallenge {
            purpose: Purpose::Node(node),
            ..challenge(None)
        };
        let (oldest, newest) = (challenge(None), challenge(None));
        store.keep_challenge(nodes, NOW).await.unwrap();
        store.keep_challenge(oldest, NOW).await.unwrap();
        let later = UnixTime(NOW.0 + 1);
        store
            .transaction(move |db| {
                Ok(db.execute(
                    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
                     INSERT INTO challenges (id, nonce, expires)
                     SELECT randomblob(16), zeroblob(32), ?2 FROM n",
                    params![MAX_LIVE - 1, later.0 + LIFETIME_SECONDS],
                )?)
            })
            .await
            .unwrap();
        store.keep_challenge(newest, later).await.unwrap();
        let take = async |id, node| {
            store
                .take_challenge(id, node, later)
                .await
                .unwrap()
                .is_some()
        };
        assert!(!take(oldest.id, None).await);
        assert!(take(newest.id, None).await);
        assert!(take(nodes.id, Some(node)).await);
    }

    #[tokio::test]
    async fn of_many_takers_one_wins() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        let (one, two) = (Store::open(&path).unwrap(), Store::open(&path).unwrap());
        let wanted = challenge(None);
        one.keep_challenge(wanted, NOW).await.unwrap();
        let takers: Vec<_> = (0..16)
            .map(|n| {
                let store = if n % 2 == 0 { one.clone() } else { two.clone() };
                tokio::spawn(
                    async move { store.take_challenge(wanted.id, None, NOW).await.unwrap() },
                )
            })
            .collect();
        let mut won = 0;
        for taker in takers {
            won += usize::from(taker.await.unwrap().is_some());
        }
        assert_eq!(won, 1);
    }

    #[tokio::test]
    async fn expired_ones_are_gone() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("state")).unwrap();
        let (late, intime) = (challenge(None), challenge(None));
        store.keep_challenge(late, NOW).await.unwrap();
        store.keep_challenge(intime, NOW).await.unwrap();
        let end = UnixTime(NOW.0 + LIFETIME_SECONDS);
        assert!(
            store
                .take_challenge(late.id, None, end)
                .await
                .unwrap()
                .is_none()
        );
        let just_before = UnixTime(end.0 - 1);
        assert!(
            store
                .take_challenge(intime.id, None, just_before)
                .await
                .unwrap()
                .is_some()
        );
        let nonce = Nonce::random().unwrap();
        store.keep_server_nonce(nonce, NOW).await.unwrap();
        assert!(!store.take_server_nonce(nonce, end).await.unwrap());
    }

    #[tokio::test]
    async fn commitments_open_with_their_nonce_only() {
        let (mine, other) = (Nonce::random().unwrap(), Nonce::random().unwrap());
        let nonce = Nonce::random().unwrap();
        let taken = |commitment| TakenChallenge { nonce, commitment };
        let committed = Some(nonce_commitment(&mine));
        assert_eq!(
            taken(committed).open(Some(mine)).unwrap().requester,
            Some(mine)
        );
        assert_eq!(taken(committed).open(Some(other)), Err(CommitmentMismatch));
        assert_eq!(taken(committed).open(None), Err(CommitmentMismatch));
        assert_eq!(taken(None).open(Some(mine)), Err(CommitmentMismatch));
    }
}
