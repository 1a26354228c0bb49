//! What accepted evidence showed of each enclave instance: its report id must stay, its epoch must
//! not go back.

use duckblind_protocol::ids::{InstanceId, UnixTime};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{Store, StoreError};

/// What earlier evidence showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Earlier {
    /// One life of one guest, where the platform tells lives apart.
    pub report_id: Option<[u8; 32]>,
    /// The latest epoch seen.
    pub epoch: u64,
}

/// An instance and what is known of it.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// One boot of an enclave.
    pub instance: InstanceId,
    /// What its evidence showed.
    pub earlier: Earlier,
}

impl Store {
    /// What is known of an instance.
    pub async fn earlier(&self, instance: InstanceId) -> Result<Option<Earlier>, StoreError> {
        let row = self
            .read(move |db| {
                Ok(db
                    .prepare_cached("SELECT report_id, epoch FROM instances WHERE id = ?1")?
                    .query_row([instance.as_bytes()], |row| {
                        Ok((row.get::<_, Option<[u8; 32]>>(0)?, row.get::<_, i64>(1)?))
                    })
                    .optional()?)
            })
            .await?;
        row.map(|(report_id, epoch)| {
            let epoch = u64::try_from(epoch).map_err(|_| StoreError::Row("epoch"))?;
            Ok(Earlier { report_id, epoch })
        })
        .transpose()
    }
}

/// Notes what accepted evidence showed. An epoch never goes back, in whatever order writes come.
pub(super) fn note(db: &Connection, known: &Known, now: UnixTime) -> Result<(), StoreError> {
    let epoch = i64::try_from(known.earlier.epoch).unwrap_or(i64::MAX);
    db.prepare_cached(
        "INSERT INTO instances (id, report_id, epoch, seen) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (id) DO UPDATE SET
             epoch = max(epoch, excluded.epoch), seen = excluded.seen",
    )?
    .execute(params![
        known.instance.as_bytes(),
        known.earlier.report_id,
        epoch,
        now.0
    ])?;
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn epochs_do_not_go_back() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("s")).unwrap();
        let instance = InstanceId::from_bytes([1; 32]);
        assert_eq!(store.earlier(instance).await.unwrap(), None);
        for (epoch, wanted) in [(3, 3), (2, 3), (4, 4)] {
            let known = Known {
                instance,
                earlier: Earlier {
                    report_id: Some([9; 32]),
                    epoch,
                },
            };
            store
                .transaction(move |db| note(db, &known, UnixTime(1)))
                .await
                .unwrap();
            let earlier = Earlier {
                report_id: Some([9; 32]),
                epoch: wanted,
            };
            assert_eq!(store.earlier(instance).await.unwrap(), Some(earlier));
        }
    }
}
