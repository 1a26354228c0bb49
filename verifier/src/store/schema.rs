//! Tables of the state file and how it is kept safe on disk.

use rusqlite::Connection;

use super::StoreError;

/// What makes version 1 of the tables from nothing, version 2 from version 1, and so on. A file's
/// version is SQLite's `user_version`.
const STEPS: [&str; 3] = [VERSION_1, VERSION_2, VERSION_3];
/// Version of the tables.
#[expect(clippy::cast_possible_wrap, reason = "a handful")]
pub(super) const VERSION: i64 = STEPS.len() as i64;

const VERSION_1: &str = "
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

const VERSION_2: &str = "
-- The node that alone may answer it; none: a requester's.
ALTER TABLE challenges ADD COLUMN node BLOB REFERENCES nodes (id) ON DELETE CASCADE;
CREATE INDEX challenges_of_node ON challenges (node) WHERE node IS NOT NULL;

-- Why the newest attestation was refused; none: it was accepted, or there was none.
ALTER TABLE nodes ADD COLUMN refused TEXT;

-- The enclave instance of an accepted result, as in sightings; none: the result is a refusal.
ALTER TABLE attestations ADD COLUMN instance BLOB CHECK (length(instance) = 32);
CREATE INDEX attestations_of_instance ON attestations (instance) WHERE instance IS NOT NULL;

-- Who came first: 1, 2, ... What was noted before does not say, and goes.
DELETE FROM sightings;
ALTER TABLE sightings ADD COLUMN place INTEGER NOT NULL DEFAULT 1;
CREATE INDEX sightings_by_place ON sightings (kind, value, place);
";

const VERSION_3: &str = "
-- The vendor's documents that were at hand; what was kept before had none.
ALTER TABLE attestations ADD COLUMN endorsements BLOB NOT NULL DEFAULT x'a0';

-- Not every platform tells one life of a guest from the next.
CREATE TABLE instances_3 (
    id BLOB PRIMARY KEY CHECK (length(id) = 32),
    report_id BLOB CHECK (length(report_id) = 32),
    epoch INTEGER NOT NULL,
    seen INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO instances_3 SELECT id, report_id, epoch, seen FROM instances;
DROP TABLE instances;
ALTER TABLE instances_3 RENAME TO instances;

-- Numbers of vendors' documents that must not go back.
CREATE TABLE floors (
    kind TEXT NOT NULL CHECK (kind IN ('crl', 'tcb-evaluation')),
    issuer BLOB NOT NULL CHECK (length(issuer) = 32),
    number INTEGER NOT NULL CHECK (number >= 0),
    PRIMARY KEY (kind, issuer)
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
    let done = usize::try_from(found).map_err(|_| StoreError::Row("version"))?;
    let missing = STEPS.get(done..).ok_or(StoreError::Newer { found })?;
    for step in missing {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", VERSION)?;
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
            Err(StoreError::Newer { found }) if found == VERSION + 1
        ));
    }

    #[test]
    fn a_file_of_version_1_is_brought_up_to_date_with_what_it_holds() {
        let dir = tempfile::tempdir().unwrap();
        let mut db = Connection::open(dir.path().join("s")).unwrap();
        db.execute_batch(VERSION_1).unwrap();
        db.pragma_update(None, "user_version", 1).unwrap();
        db.execute_batch(
            "INSERT INTO nodes VALUES (zeroblob(32), zeroblob(32), 'a:1', 'l2', 1, 1);
             INSERT INTO attestations VALUES (zeroblob(32), x'', 'jwt', x'', 'affirming', 0, 9);
             INSERT INTO sightings VALUES ('chip', zeroblob(32), zeroblob(32), 1);
             INSERT INTO instances VALUES (zeroblob(32), zeroblob(32), 7, 9);
             INSERT INTO challenges VALUES (zeroblob(16), zeroblob(32), NULL, 9);",
        )
        .unwrap();
        for _ in 0..2 {
            prepare(&mut db).unwrap();
            let upgraded: bool = db
                .query_row(
                    "SELECT n.refused IS NULL AND a.instance IS NULL AND c.node IS NULL
                         AND a.endorsements = x'a0'
                         AND NOT EXISTS (SELECT 1 FROM sightings)
                         AND EXISTS (SELECT 1 FROM instances WHERE epoch = 7)
                     FROM nodes n, attestations a, challenges c",
                    [],
                    |row| row.get(0),
                )
                .unwrap();
            assert!(upgraded);
        }
    }
}
