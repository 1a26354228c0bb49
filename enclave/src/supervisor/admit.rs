//! From a sealed job to an admitted one, or to a coded refusal.
//!
//! In this order: a free place, key statement current or the one before, opens, signature,
//! sections, not seen before, ticket live, expiry, class, requester, limits. A refusal up to the
//! ticket uses nothing up; from then on ticket and job id are spent, whatever comes after.

use duckblind_attestation::config::{ConfigLimits, Requesters};
use duckblind_protocol::body::Section;
use duckblind_protocol::ids::Digest;
use duckblind_protocol::job_code::JobCode;
use duckblind_protocol::open::OpenedJob;
use duckblind_protocol::order::{Class, Order};
use duckblind_protocol::sealed_job::SealedJob;
use tokio::sync::OwnedSemaphorePermit;

use crate::clock::BootTime;
use crate::supervisor::shared::Shared;

/// The class of this node: an attested enclave.
const OWN_CLASS: Class = Class::L2;

/// When a place may be free again, milliseconds.
const BUSY_RETRY_MS: u32 = 500;

/// A job that may run, once.
pub struct Admitted {
    /// Order and keys.
    pub opened: OpenedJob,
    /// The sealed query section.
    pub section: Vec<u8>,
    /// What it is sealed to.
    pub key_statement: Digest,
    /// When its ticket was issued.
    pub ticket_at: BootTime,
    /// When it was admitted.
    pub accepted_at: BootTime,
    /// Its place; free again when dropped.
    pub place: OwnedSemaphorePermit,
}

/// Why a job may not run.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which sealing, if it got so far.
    pub enc: Option<Digest>,
    /// Why.
    pub code: JobCode,
    /// When another try makes sense.
    pub retry_after_ms: Option<u32>,
}

/// Judges a job frame.
pub fn admit(shared: &Shared, payload: &[u8], now: BootTime) -> Result<Admitted, Refusal> {
    let sealed = SealedJob::decode(payload).map_err(|_| Refusal {
        enc: None,
        code: JobCode::Malformed,
        retry_after_ms: None,
    })?;
    let enc = sealed.enc_digest();
    judge(shared, sealed, now).map_err(|code| Refusal {
        enc: Some(enc),
        code,
        retry_after_ms: (code == JobCode::Busy).then_some(BUSY_RETRY_MS),
    })
}

fn judge(shared: &Shared, sealed: SealedJob, now: BootTime) -> Result<Admitted, JobCode> {
    if !shared.is_serving() {
        return Err(JobCode::Draining);
    }
    let place = shared
        .slots
        .clone()
        .try_acquire_owned()
        .map_err(|_| JobCode::Busy)?;
    let key_statement = sealed.key_statement;
    let (opened, issued) = shared.epochs.open(&sealed, now)?;
    let order = &opened.order;
    if now.since(issued) > order.expiry_ms.min(shared.timeouts.expiry_ms).into() {
        return Err(JobCode::OrderExpired);
    }
    good_enough(OWN_CLASS, order.class)?;
    may_ask(&shared.requesters, order)?;
    within(&shared.limits, order)?;
    let section = only_query_section(sealed)?;
    Ok(Admitted {
        opened,
        section,
        key_statement,
        ticket_at: issued,
        accepted_at: now,
        place,
    })
}

/// A job may run on a node of a higher class than it asks for, never on one of a lower.
fn good_enough(own: Class, asked: Class) -> Result<(), JobCode> {
    if own < asked {
        Err(JobCode::ClassTooLow)
    } else {
        Ok(())
    }
}

fn may_ask(requesters: &Requesters, order: &Order) -> Result<(), JobCode> {
    match requesters {
        Requesters::Any => Ok(()),
        Requesters::Keys(keys) if keys.contains(&order.requester) => Ok(()),
        Requesters::Keys(_) => Err(JobCode::RequesterNotAllowed),
    }
}

fn within(most: &ConfigLimits, order: &Order) -> Result<(), JobCode> {
    let asked = &order.limits;
    if asked.wall_ms == 0 || asked.memory_bytes == 0 || asked.threads == 0 {
        return Err(JobCode::Malformed);
    }
    if asked.wall_ms > most.wall_ms
        || asked.memory_bytes > most.memory_bytes
        || asked.result_bytes > most.result_bytes
        || asked.threads > most.threads
    {
        return Err(JobCode::LimitTooHigh);
    }
    // Endpoints are for a fetcher; the one provider here has none to reach.
    if order.endpoints.is_empty() {
        Ok(())
    } else {
        Err(JobCode::ProviderUnknown)
    }
}

fn only_query_section(sealed: SealedJob) -> Result<Vec<u8>, JobCode> {
    let mut sections = sealed.sections.into_iter();
    match (sections.next(), sections.next()) {
        (Some(section), None) if section.name == Section::Query => Ok(section.ciphertext),
        (Some(_), _) => Err(JobCode::ProviderUnknown),
        (None, _) => Err(JobCode::Malformed),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use duckblind_protocol::ids::{JobId, PublicKey, Ticket};
    use duckblind_protocol::order::Limits;

    const MOST: ConfigLimits = ConfigLimits {
        max_jobs: 1,
        standbys: 0,
        wall_ms: 10,
        memory_bytes: 20,
        result_bytes: 30,
        threads: 4,
    };

    fn order() -> Order {
        Order {
            v: 1,
            job: JobId::from_bytes([1; 16]),
            ticket: Ticket::from_bytes([2; 16]),
            class: Class::L2,
            limits: Limits {
                wall_ms: 10,
                memory_bytes: 20,
                result_bytes: 30,
                threads: 4,
            },
            expiry_ms: 1,
            endpoints: vec![],
            inputs: vec![],
            sections: vec![],
            requester: PublicKey::from_bytes([3; 32]),
        }
    }

    #[test]
    fn each_limit_is_a_ceiling() {
        assert_eq!(within(&MOST, &order()), Ok(()));
        let raise: [fn(&mut Limits); 4] = [
            |l| l.wall_ms += 1,
            |l| l.memory_bytes += 1,
            |l| l.result_bytes += 1,
            |l| l.threads += 1,
        ];
        for raise in raise {
            let mut order = order();
            raise(&mut order.limits);
            assert_eq!(within(&MOST, &order), Err(JobCode::LimitTooHigh));
        }
        let zero: [fn(&mut Limits); 3] =
            [|l| l.wall_ms = 0, |l| l.memory_bytes = 0, |l| l.threads = 0];
        for zero in zero {
            let mut order = order();
            zero(&mut order.limits);
            assert_eq!(within(&MOST, &order), Err(JobCode::Malformed));
        }
    }

    #[test]
    fn no_job_on_a_node_of_a_lower_class() {
        assert_eq!(good_enough(Class::L0, Class::L2), Err(JobCode::ClassTooLow));
        for (own, asked) in [
            (Class::L0, Class::L0),
            (Class::L2, Class::L0),
            (Class::L2, Class::L2),
        ] {
            assert_eq!(good_enough(own, asked), Ok(()));
        }
    }

    #[test]
    fn only_listed_requesters() {
        let order = order();
        let other = PublicKey::from_bytes([4; 32]);
        assert_eq!(may_ask(&Requesters::Any, &order), Ok(()));
        let listed = Requesters::Keys(vec![other, order.requester]);
        assert_eq!(may_ask(&listed, &order), Ok(()));
        assert_eq!(
            may_ask(&Requesters::Keys(vec![other]), &order),
            Err(JobCode::RequesterNotAllowed)
        );
    }
}
