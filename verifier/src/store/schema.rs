//! Tables of the state file and how it is kept safe on disk.

use rusqlite::Connection;

use super::StoreError;

/// Version of the tables, in SQLite's `user_version`.
pub(super) const VERSION: i64 = 1;

const TABLES: &str = "
CREATE TABLE challenges (
    id BLOB PRIMARY KEY CHECK (length(id) = 16),
    nonce BLOB NOT NULL CHECK (length(nonce) = 32),
    commitment BLOB CHECK (length(commitment) = 32),
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX challenges_expire ON challenges (expires);

CREATE TABLE server_nonces (
    nonce BLOB PRIMARY KEY CHECK (length(nonce) = 32),
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX server_nonces_expire ON server_nonces (expires);

CREATE TABLE nodes (
    id BLOB PRIMARY KEY CHECK (length(id) = 32),
    key BLOB NOT NULL CHECK (length(key) = 32),
    address TEXT NOT NULL,
    class TEXT NOT NULL CHECK (class IN ('l0', 'l2')),
    enrolled INTEGER NOT NULL,
    seen INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE attestations (
    node BLOB PRIMARY KEY REFERENCES nodes (id) ON DELETE CASCADE,
    evidence BLOB NOT NULL,
    ear_jwt TEXT NOT NULL,
    ear_cose BLOB NOT NULL,
    verdict TEXT NOT NULL,
    sim INTEGER NOT NULL,
    until INTEGER NOT NULL
) STRICT;

-- Outlives the node's row: a chip that moves between identities stays visible.
CREATE TABLE sightings (
    kind TEXT NOT NULL CHECK (kind IN ('chip', 'instance')),
    value BLOB NOT NULL CHECK (length(value) = 32),
    node BLOB NOT NULL CHECK (length(node) = 32),
    seen INTEGER NOT NULL,
    PRIMARY KEY (kind, value, node)
) STRICT, WITHOUT ROWID;
CREATE INDEX sightings_of_node ON sightings (node);

CREATE TABLE instances (
    id BLOB PRIMARY KEY CHECK (length(id) = 32),
    report_id BLOB NOT NULL CHECK (length(report_id) = 32),
    epoch INTEGER NOT NULL,
    seen INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

/// Sets the connection up and makes the tables of a new file.
pub(super) fn prepare(connection: &mut Connection) -> Result<(), StoreError> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "secure_delete", true)?;

    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match found {
        0 => {
            transaction.execute_batch(TABLES)?;
            transaction.pragma_update(None, "user_version", VERSION)?;
        }
        VERSION => {}
        found => return Err(StoreError::Newer { found }),
    }
    transaction.commit()?;
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn durable_settings_are_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut db = Connection::open(dir.path().join("s")).unwrap();
        prepare(&mut db).unwrap();
        let mode: String = db
            .pragma_query_value(None, "journal_mode", |r| r.get(0))
            .unwrap();
        let sync: i64 = db
            .pragma_query_value(None, "synchronous", |r| r.get(0))
            .unwrap();
        assert_eq!((mode.as_str(), sync), ("wal", 2));
    }

    #[test]
    fn a_newer_file_is_refused_by_version() {
        let dir = tempfile::tempdir().unwrap();
        let mut db = Connection::open(dir.path().join("s")).unwrap();
        prepare(&mut db).unwrap();
        db.pragma_update(None, "user_version", VERSION + 1).unwrap();
        assert!(matches!(
            prepare(&mut db),
            Err(StoreError::Newer { found: 2 })
        ));
    }
}
