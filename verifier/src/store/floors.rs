//! Numbers of vendors' documents that must not go back: kept across restarts.

use duckblind_attestation::appraise::Floors;
use duckblind_protocol::ids::Digest;
use rusqlite::{Connection, params};

use super::{Store, StoreError};

const CRL: &str = "crl";
const TCB_EVALUATION: &str = "tcb-evaluation";

impl Store {
    /// The highest numbers seen so far.
    pub async fn floors(&self) -> Result<Floors, StoreError> {
        self.read(|db| {
            Ok(Floors {
                crl_numbers: numbers(db, CRL)?.collect::<Result<_, _>>()?,
                tcb_evaluations: numbers(db, TCB_EVALUATION)?.collect::<Result<_, _>>()?,
            })
        })
        .await
    }

    /// Keeps what is higher than before, in whatever order writes come.
    pub async fn raise_floors(&self, floors: Floors) -> Result<(), StoreError> {
        self.transaction(move |db| {
            for (issuer, number) in floors.crl_numbers {
                raise(db, CRL, &issuer, i64::try_from(number).unwrap_or(i64::MAX))?;
            }
            for (issuer, number) in floors.tcb_evaluations {
                raise(db, TCB_EVALUATION, &issuer, number.into())?;
            }
            Ok(())
        })
        .await
    }
}

fn numbers<N: TryFrom<i64>>(
    db: &Connection,
    kind: &str,
) -> Result<impl Iterator<Item = Result<(Digest, N), StoreError>>, StoreError> {
    let mut select = db.prepare_cached("SELECT issuer, number FROM floors WHERE kind = ?1")?;
    let rows = select.query_map([kind], |row| {
        Ok((Digest::from_bytes(row.get(0)?), row.get::<_, i64>(1)?))
    })?;
    let rows: Vec<_> = rows.collect::<Result<_, _>>()?;
    Ok(rows.into_iter().map(|(issuer, number)| {
        let number = N::try_from(number).map_err(|_| StoreError::Row("floor"))?;
        Ok((issuer, number))
    }))
}

fn raise(db: &Connection, kind: &str, issuer: &Digest, number: i64) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO floors (kind, issuer, number) VALUES (?1, ?2, ?3)
         ON CONFLICT (kind, issuer) DO UPDATE SET number = max(number, excluded.number)",
    )?
    .execute(params![kind, issuer.as_bytes(), number])?;
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn they_only_rise_and_outlive_the_process() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let of = |crl, tcb| Floors {
            crl_numbers: [(a, crl)].into(),
            tcb_evaluations: [(a, tcb), (b, 3)].into(),
        };
        let store = Store::open(&path).unwrap();
        assert_eq!(store.floors().await.unwrap(), Floors::default());
        for (floors, wanted) in [
            (of(5, 17), of(5, 17)),
            (of(4, 18), of(5, 18)),
            (of(6, 2), of(6, 18)),
        ] {
            store.raise_floors(floors).await.unwrap();
            assert_eq!(store.floors().await.unwrap(), wanted);
        }
        drop(store);
        let again = Store::open(&path).unwrap();
        assert_eq!(again.floors().await.unwrap(), of(6, 18));
    }
}
