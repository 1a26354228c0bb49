//! Who may connect, and how much of the host one of them may take.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use duckblind_protocol::ids::NodeId;

/// Which client keys the handshake accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerPolicy {
    /// Any Ed25519 key, within the limits per key and per address.
    Open,
    /// Only these node ids.
    Allow(BTreeSet<NodeId>),
}

impl PeerPolicy {
    /// Whether this key's holder may connect.
    pub fn admits(&self, node: &NodeId) -> bool {
        match self {
            Self::Open => true,
            Self::Allow(nodes) => nodes.contains(node),
        }
    }
}

/// Counts by key with an upper bound; a count is held by a [`Slot`] and given back on its drop.
#[derive(Debug)]
pub struct Slots<K: Hash + Eq + Clone> {
    limit: usize,
    taken: Mutex<HashMap<K, usize>>,
}

impl<K: Hash + Eq + Clone> Slots<K> {
    /// At most `limit` for any one key.
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            taken: Mutex::new(HashMap::new()),
        })
    }

    /// Takes one of `key`'s places, if there is one left.
    pub fn take(self: &Arc<Self>, key: K) -> Option<Slot<K>> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(key.clone()).or_insert(0);
        if *count >= self.limit {
            // A zero limit must not leave an entry behind.
            if *count == 0 {
                taken.remove(&key);
            }
            return None;
        }
        *count += 1;
        Some(Slot {
            of: Arc::clone(self),
            key,
        })
    }

    #[cfg(test)]
    fn keys(&self) -> usize {
        self.taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }
}

/// One place taken in [`Slots`].
#[derive(Debug)]
pub struct Slot<K: Hash + Eq + Clone> {
    of: Arc<Slots<K>>,
    key: K,
}

impl<K: Hash + Eq + Clone> Drop for Slot<K> {
    fn drop(&mut self) {
        let mut taken = self.of.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.key) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                taken.remove(&self.key);
            }
        }
    }
}

/// What counts as one address: an IPv4 address, or an IPv6 network of 64 bits, which is what one
/// subscriber is usually given.
pub fn address_key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_given_back() {
        let slots = Slots::new(2);
        let first = slots.take("a").unwrap();
        let _second = slots.take("a").unwrap();
        assert!(slots.take("a").is_none());
        assert!(slots.take("b").is_some());
        drop(first);
        assert!(slots.take("a").is_some());
    }

    #[test]
    fn nothing_stays_behind() {
        let slots = Slots::new(1);
        drop(slots.take(1));
        assert_eq!(slots.keys(), 0);
        let none = Slots::new(0);
        assert!(none.take(1).is_none());
        assert_eq!(none.keys(), 0);
    }

    #[test]
    fn neighbours_in_one_network_count_together() {
        let key = |text: &str| address_key(text.parse().unwrap());
        assert_eq!(key("2001:db8:1:2::5"), key("2001:db8:1:2:ffff::1"));
        assert_ne!(key("2001:db8:1:2::5"), key("2001:db8:1:3::5"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
    }

    #[test]
    fn an_allow_list_admits_its_members_only() {
        let member = NodeId::from_bytes([1; 32]);
        let policy = PeerPolicy::Allow([member].into());
        assert!(policy.admits(&member));
        assert!(!policy.admits(&NodeId::from_bytes([2; 32])));
        assert!(PeerPolicy::Open.admits(&NodeId::from_bytes([2; 32])));
    }
}
