//! The registry: who enrolled, from where, of which class, and when it was last heard of.

use duckblind_protocol::ids::{NodeId, PublicKey, UnixTime};
use duckblind_protocol::order::Class;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::sightings::{self, Shared};
use super::{Store, StoreError};

/// How many nodes may be enrolled.
pub const MAX_NODES: i64 = 10_000;
/// How many a list shows.
pub const MAX_LISTED: i64 = 1_000;
/// A node not heard of for this long, in seconds, is dropped: 30 days.
pub const FORGET_AFTER_SECONDS: i64 = 30 * 86_400;

/// A node that enrols.
#[derive(Clone, Debug)]
pub struct NewNode {
    /// Its transport key; its id is that key's hash.
    pub key: PublicKey,
    /// Where requesters reach it, host and port.
    pub address: String,
    /// What it may be given.
    pub class: Class,
}

/// A node as the list shows it.
#[derive(Clone, Debug)]
pub struct ListedNode {
    /// Its id.
    pub id: NodeId,
    /// Its transport key.
    pub key: PublicKey,
    /// Where requesters reach it.
    pub address: String,
    /// Its class.
    pub class: Class,
    /// Its result, if it has one.
    pub attested: Option<Attested>,
    /// When it was last heard of.
    pub seen: UnixTime,
    /// Why its newest attestation was refused; none if it was not.
    pub refused: Option<String>,
    /// What it shares with other nodes.
    pub shared: Vec<Shared>,
}

/// A node's result: its last good one until that ends, then whatever came last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attested {
    /// When its signed result ends.
    pub until: UnixTime,
    /// The verdict's name.
    pub verdict: String,
    /// Whether a simulator's root signed it.
    pub sim: bool,
}

/// The columns that [`listed`] reads.
const SELECT_NODE: &str =
    "SELECT n.id, n.key, n.address, n.class, n.seen, a.until, a.verdict, a.sim, n.refused
     FROM nodes n LEFT JOIN attestations a ON a.node = n.id";

impl Store {
    /// Enrols a node, or takes its new address and class. `false`: the registry is full.
    pub async fn enrol(&self, node: NewNode, now: UnixTime) -> Result<bool, StoreError> {
        self.transaction(move |db| {
            let forgotten = now.0.saturating_sub(FORGET_AFTER_SECONDS);
            db.execute("DELETE FROM nodes WHERE seen < ?1", [forgotten])?;
            db.execute("DELETE FROM sightings WHERE seen < ?1", [forgotten])?;
            db.execute("DELETE FROM instances WHERE seen < ?1", [forgotten])?;
            let id = NodeId::of_key(&node.key);
            let others: i64 = db.query_row(
                "SELECT count(*) FROM nodes WHERE id <> ?1",
                [id.as_bytes()],
                |row| row.get(0),
            )?;
            if others >= MAX_NODES {
                return Ok(false);
            }
            db.execute(
                "INSERT INTO nodes (id, key, address, class, enrolled, seen)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?5)
                 ON CONFLICT (id) DO UPDATE SET
                     address = excluded.address, class = excluded.class, seen = excluded.seen",
                params![
                    id.as_bytes(),
                    node.key.as_bytes(),
                    node.address,
                    node.class.to_string(),
                    now.0
                ],
            )?;
            Ok(true)
        })
        .await
    }

    /// The transport key of an enrolled node.
    pub async fn node_key(&self, id: NodeId) -> Result<Option<PublicKey>, StoreError> {
        self.read(move |db| {
            Ok(db
                .prepare_cached("SELECT key FROM nodes WHERE id = ?1")?
                .query_row([id.as_bytes()], |row| row.get::<_, [u8; 32]>(0))
                .optional()?
                .map(PublicKey::from_bytes))
        })
        .await
    }

    /// Notes that a node lives. `false`: it is not enrolled.
    pub async fn seen(&self, id: NodeId, now: UnixTime) -> Result<bool, StoreError> {
        self.transaction(move |db| {
            let rows = db
                .prepare_cached("UPDATE nodes SET seen = ?2 WHERE id = ?1")?
                .execute(params![id.as_bytes(), now.0])?;
            Ok(rows == 1)
        })
        .await
    }

    /// Takes a node off the registry, its attestation too. `false`: it was not there.
    pub async fn leave(&self, id: NodeId) -> Result<bool, StoreError> {
        self.transaction(move |db| {
            Ok(db.execute("DELETE FROM nodes WHERE id = ?1", [id.as_bytes()])? == 1)
        })
        .await
    }

    /// One enrolled node.
    pub async fn node(&self, id: NodeId) -> Result<Option<ListedNode>, StoreError> {
        self.read(move |db| {
            let mut select = db.prepare_cached(&format!("{SELECT_NODE} WHERE n.id = ?1"))?;
            let mut rows = select.query([id.as_bytes()])?;
            rows.next()?.map(|row| listed(db, row)).transpose()
        })
        .await
    }

    /// Nodes heard of since `alive_since`, of one class or of all, by id. Beyond [`MAX_LISTED`],
    /// those heard of last.
    pub async fn list(
        &self,
        class: Option<Class>,
        alive_since: UnixTime,
    ) -> Result<Vec<ListedNode>, StoreError> {
        self.read(move |db| {
            let mut select = db.prepare_cached(&format!(
                "{SELECT_NODE} WHERE n.seen >= ?1 AND (?2 IS NULL OR n.class = ?2)
                 ORDER BY n.seen DESC, n.id LIMIT ?3"
            ))?;
            let mut rows = select.query(params![
                alive_since.0,
                class.map(|class| class.to_string()),
                MAX_LISTED
            ])?;
            let mut nodes = Vec::new();
            while let Some(row) = rows.next()? {
                nodes.push(listed(db, row)?);
            }
            nodes.sort_by_key(|node| node.id);
            Ok(nodes)
        })
        .await
    }

    /// How many nodes of each class were heard of since `alive_since`.
    pub async fn count(&self, alive_since: UnixTime) -> Result<[(Class, u64); 2], StoreError> {
        self.read(move |db| {
            let mut of =
                db.prepare_cached("SELECT count(*) FROM nodes WHERE class = ?1 AND seen >= ?2")?;
            let mut count = |class: Class| -> Result<(Class, u64), StoreError> {
                let found: i64 =
                    of.query_row(params![class.to_string(), alive_since.0], |row| row.get(0))?;
                Ok((class, u64::try_from(found).unwrap_or(0)))
            };
            Ok([count(Class::L0)?, count(Class::L2)?])
        })
        .await
    }
}

fn listed(db: &Connection, row: &Row<'_>) -> Result<ListedNode, StoreError> {
    let id = NodeId::from_bytes(row.get(0)?);
    let attested = match (row.get(5)?, row.get(6)?, row.get(7)?) {
        (Some(until), Some(verdict), Some(sim)) => Some(Attested {
            until: UnixTime(until),
            verdict,
            sim,
        }),
        _ => None,
    };
    Ok(ListedNode {
        id,
        key: PublicKey::from_bytes(row.get(1)?),
        address: row.get(2)?,
        class: class_of(&row.get::<_, String>(3)?)?,
        attested,
        seen: UnixTime(row.get(4)?),
        refused: row.get(8)?,
        shared: sightings::shared(db, id)?,
    })
}

fn class_of(name: &str) -> Result<Class, StoreError> {
    match name {
        "l0" => Ok(Class::L0),
        "l2" => Ok(Class::L2),
        _ => Err(StoreError::Row("node class")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime(1_800_000_000);

    fn node(byte: u8, class: Class) -> NewNode {
        NewNode {
            key: PublicKey::from_bytes([byte; 32]),
            address: format!("127.0.0.1:{byte}"),
            class,
        }
    }

    #[tokio::test]
    async fn a_node_comes_lives_and_goes() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("s")).unwrap();
        let one = node(1, Class::L2);
        let id = NodeId::of_key(&one.key);
        assert!(!store.seen(id, NOW).await.unwrap());
        assert!(store.enrol(one.clone(), NOW).await.unwrap());
        assert_eq!(store.node_key(id).await.unwrap(), Some(one.key));

        let later = UnixTime(NOW.0 + 1000);
        assert!(store.list(None, later).await.unwrap().is_empty());
        assert!(store.seen(id, later).await.unwrap());
        assert_eq!(
            store.list(None, later).await.unwrap().first().unwrap().id,
            id
        );

        assert!(store.leave(id).await.unwrap());
        assert!(!store.leave(id).await.unwrap());
        assert_eq!(store.node_key(id).await.unwrap(), None);
    }

    #[tokio::test]
    async fn lists_and_counts_are_by_class() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("s")).unwrap();
        store.enrol(node(1, Class::L2), NOW).await.unwrap();
        store.enrol(node(2, Class::L0), NOW).await.unwrap();
        store.enrol(node(3, Class::L2), NOW).await.unwrap();
        assert_eq!(store.list(Some(Class::L2), NOW).await.unwrap().len(), 2);
        assert_eq!(store.list(Some(Class::L0), NOW).await.unwrap().len(), 1);
        assert_eq!(store.list(None, NOW).await.unwrap().len(), 3);
        assert_eq!(
            store.count(NOW).await.unwrap(),
            [(Class::L0, 1), (Class::L2, 2)]
        );
    }

    #[tokio::test]
    async fn enrolling_again_moves_a_node_and_old_ones_are_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("s")).unwrap();
        store.enrol(node(1, Class::L2), NOW).await.unwrap();
        let mut moved = node(1, Class::L2);
        moved.address = "192.0.2.1:4433".into();
        store.enrol(moved, NOW).await.unwrap();
        let nodes = store.list(None, NOW).await.unwrap();
        assert_eq!(nodes.len(), 1);
        assert_eq!(nodes.first().unwrap().address, "192.0.2.1:4433");

        let much_later = UnixTime(NOW.0 + FORGET_AFTER_SECONDS + 1);
        store.enrol(node(2, Class::L2), much_later).await.unwrap();
        assert_eq!(store.list(None, UnixTime(0)).await.unwrap().len(), 1);
    }
}
