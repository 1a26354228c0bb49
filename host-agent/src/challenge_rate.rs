//! How many challenges of a peer reach the enclave: a token bucket for each key and one for each
//! address, in tables that cannot grow without end.
//!
//! A hardware report is slow and the platform makes few of them, so whoever asks for many takes
//! them from everybody else.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use duckblind_protocol::ids::NodeId;

use crate::peers::address_key;

const MINUTE: Duration = Duration::from_mins(1);
/// How many keys, and how many addresses, are kept in mind.
const MAX_KEPT: usize = 16_384;

/// The buckets of all peers. A full one holds what a minute brings.
#[derive(Debug)]
pub struct ChallengeRate(Mutex<Buckets>);

#[derive(Debug)]
struct Buckets {
    by_peer: Table<NodeId>,
    by_address: Table<IpAddr>,
}

/// Buckets by key: when each will be full again.
#[derive(Debug)]
struct Table<K: Hash + Eq> {
    /// What one challenge costs.
    step: Duration,
    full_at: HashMap<K, Instant>,
}

impl ChallengeRate {
    /// Full buckets for everybody, for so many challenges a minute; neither is 0.
    pub fn new(per_peer: u32, per_address: u32) -> Self {
        Self(Mutex::new(Buckets {
            by_peer: Table::new(per_peer),
            by_address: Table::new(per_address),
        }))
    }

    /// Lets one challenge through, or says how long to wait for the next. What is not let through
    /// costs nothing.
    pub fn admit(&self, peer: NodeId, address: IpAddr, now: Instant) -> Result<(), Duration> {
        let address = address_key(address);
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = buckets
            .by_peer
            .wait(&peer, now)
            .max(buckets.by_address.wait(&address, now));
        if !wait.is_zero() {
            return Err(wait);
        }
        buckets.by_peer.take(peer, now);
        buckets.by_address.take(address, now);
        Ok(())
    }
}

impl<K: Hash + Eq> Table<K> {
    fn new(per_minute: u32) -> Self {
        Self {
            step: MINUTE / per_minute.max(1),
            full_at: HashMap::new(),
        }
    }

    /// How long until one may be taken.
    fn wait(&mut self, key: &K, now: Instant) -> Duration {
        if let Some(full_at) = self.full_at.get(key) {
            let missing = full_at.saturating_duration_since(now);
            return (missing + self.step).saturating_sub(MINUTE);
        }
        if self.full_at.len() >= MAX_KEPT {
            // A full bucket says nothing and can go.
            self.full_at.retain(|_, full_at| *full_at > now);
        }
        if self.full_at.len() >= MAX_KEPT {
            return self.step;
        }
        Duration::ZERO
    }

    fn take(&mut self, key: K, now: Instant) {
        let full_at = self.full_at.entry(key).or_insert(now);
        *full_at = (*full_at).max(now) + self.step;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn peer(number: u64) -> NodeId {
        let mut bytes = [0; 32];
        for (to, from) in bytes.iter_mut().zip(number.to_le_bytes()) {
            *to = from;
        }
        NodeId::from_bytes(bytes)
    }

    #[test]
    fn a_minutes_worth_at_once_then_the_rate_and_each_key_by_itself() {
        let rate = ChallengeRate::new(4, 100);
        let start = Instant::now();
        for _ in 0..4 {
            rate.admit(peer(1), HOME, start).unwrap();
        }
        let wait = rate.admit(peer(1), HOME, start).unwrap_err();
        assert_eq!(wait, Duration::from_secs(15));
        rate.admit(peer(2), HOME, start).unwrap();
        let later = start + wait;
        let early = start + Duration::from_millis(14_999);
        assert!(rate.admit(peer(1), HOME, early).is_err());
        rate.admit(peer(1), HOME, later).unwrap();
        assert!(rate.admit(peer(1), HOME, later).is_err());
        // Full again, and no fuller.
        let much_later = start + 10 * MINUTE;
        for _ in 0..4 {
            rate.admit(peer(1), HOME, much_later).unwrap();
        }
        assert!(rate.admit(peer(1), HOME, much_later).is_err());
    }

    #[test]
    fn new_keys_do_not_help_an_address_and_a_refusal_costs_nothing() {
        let rate = ChallengeRate::new(2, 3);
        let start = Instant::now();
        for number in 0..3 {
            rate.admit(peer(number), HOME, start).unwrap();
        }
        let wait = rate.admit(peer(9), HOME, start).unwrap_err();
        assert_eq!(wait, Duration::from_secs(20));
        for number in 10..1000 {
            rate.admit(peer(number), HOME, start).unwrap_err();
        }
        assert_eq!(rate.0.lock().unwrap().by_peer.full_at.len(), 3);
        // The greedy key's neighbours lose nothing by its refusals.
        let elsewhere: IpAddr = "2001:db8::1".parse().unwrap();
        let neighbour: IpAddr = "2001:db8::2".parse().unwrap();
        for _ in 0..2 {
            rate.admit(peer(5), elsewhere, start).unwrap();
        }
        rate.admit(peer(5), elsewhere, start).unwrap_err();
        rate.admit(peer(6), neighbour, start).unwrap();
        rate.admit(peer(7), neighbour, start).unwrap_err();
    }

    #[test]
    fn the_tables_stay_bounded_and_forget_who_has_rested() {
        let rate = ChallengeRate::new(60, 60);
        let start = Instant::now();
        for number in 0..u32::try_from(MAX_KEPT).unwrap() {
            let address = IpAddr::V4(Ipv4Addr::from_bits(number));
            rate.admit(peer(number.into()), address, start).unwrap();
        }
        let newcomer: IpAddr = "203.0.113.1".parse().unwrap();
        rate.admit(peer(1 << 40), newcomer, start).unwrap_err();
        let later = start + Duration::from_secs(2);
        rate.admit(peer(1 << 40), newcomer, later).unwrap();
        assert_eq!(rate.0.lock().unwrap().by_peer.full_at.len(), 1);
    }
}
