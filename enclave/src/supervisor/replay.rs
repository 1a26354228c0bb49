//! The job ids that an epoch's key has opened: none runs twice. Wiped with the key.

use std::hash::{BuildHasher as _, RandomState};

use duckblind_protocol::ids::JobId;
use zeroize::Zeroize as _;

/// Job ids of one epoch, at most; then the epoch ends early.
pub const MAX_JOBS: usize = 1 << 18;

const FIRST_SLOTS: usize = 256;
const EMPTY: [u8; JobId::LEN] = [0; JobId::LEN];

/// A set of job ids in one flat table (open addressing), so that wiping it wipes all of it. The
/// standard set leaves what it held behind.
pub struct ReplaySet {
    /// [`EMPTY`] or an id; a power of two of them, at most half full.
    slots: Vec<[u8; JobId::LEN]>,
    count: usize,
    /// Whether the id of all zeros is in it: as a slot it means nothing.
    zero: bool,
    /// Ids are chosen by requesters: a secret hash keeps them from piling up.
    hash: RandomState,
}

impl Default for ReplaySet {
    fn default() -> Self {
        Self {
            slots: vec![EMPTY; FIRST_SLOTS],
            count: 0,
            zero: false,
            hash: RandomState::new(),
        }
    }
}

impl ReplaySet {
    fn place(&self, id: &[u8; JobId::LEN]) -> usize {
        let mask = self.slots.len() - 1;
        // Truncation is fine: only the low bits are used.
        #[allow(clippy::cast_possible_truncation)]
        let mut place = self.hash.hash_one(id) as usize & mask;
        while let Some(slot) = self.slots.get(place) {
            if slot == id || *slot == EMPTY {
                break;
            }
            place = (place + 1) & mask;
        }
        place
    }

    /// Whether the job was seen.
    pub fn contains(&self, job: &JobId) -> bool {
        let id = job.as_bytes();
        if *id == EMPTY {
            return self.zero;
        }
        self.slots.get(self.place(id)) == Some(id)
    }

    /// Adds a job; false if it was seen before.
    pub fn insert(&mut self, job: &JobId) -> bool {
        if self.contains(job) {
            return false;
        }
        let id = job.as_bytes();
        if *id == EMPTY {
            self.zero = true;
            return true;
        }
        if (self.count + 1) * 2 > self.slots.len() {
            self.grow();
        }
        let place = self.place(id);
        if let Some(slot) = self.slots.get_mut(place) {
            *slot = *id;
            self.count += 1;
        }
        true
    }

    /// Whether the epoch must end before it takes another job.
    pub fn is_full(&self) -> bool {
        self.count >= MAX_JOBS
    }

    fn grow(&mut self) {
        let doubled = vec![EMPTY; self.slots.len() * 2];
        let mut old = std::mem::replace(&mut self.slots, doubled);
        for id in old.iter().filter(|id| **id != EMPTY) {
            let place = self.place(id);
            if let Some(slot) = self.slots.get_mut(place) {
                *slot = *id;
            }
        }
        old.zeroize();
    }
}

impl Drop for ReplaySet {
    fn drop(&mut self) {
        self.slots.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn like_any_other_set(ids in proptest::collection::vec(0u16..600, 0..2000)) {
            let mut ours = ReplaySet::default();
            let mut theirs = BTreeSet::new();
            for id in ids {
                // 0 gives the id of all zeros.
                let mut bytes = [0; JobId::LEN];
                bytes[..2].copy_from_slice(&id.to_be_bytes());
                let job = JobId::from_bytes(bytes);
                prop_assert_eq!(ours.contains(&job), theirs.contains(&id));
                prop_assert_eq!(ours.insert(&job), theirs.insert(id));
                prop_assert!(ours.contains(&job));
            }
        }
    }

    #[test]
    fn says_when_it_is_full() {
        let mut set = ReplaySet::default();
        for n in 1..=MAX_JOBS as u128 {
            assert!(!set.is_full());
            assert!(set.insert(&JobId::from_bytes(n.to_be_bytes())));
        }
        assert!(set.is_full());
        assert!(!set.insert(&JobId::from_bytes(1u128.to_be_bytes())));
    }
}
