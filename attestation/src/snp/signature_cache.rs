//! Signatures that verified before: the same chain stands behind all evidence of one machine.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use duckblind_protocol::ids::{Digest, Hasher};

/// Remembers which (key, signed bytes, signature) verified, and nothing else: dates, names,
/// revocation and roots are looked at every time. Holds a bounded number and forgets the oldest.
#[derive(Debug)]
pub struct SignatureCache {
    capacity: usize,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    digests: HashSet<Digest>,
    /// The same, oldest first.
    order: VecDeque<Digest>,
}

impl SignatureCache {
    /// For at most `capacity` signatures, 64 bytes or so each. A machine's chain has four.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            known: Mutex::default(),
        }
    }

    /// One that remembers nothing.
    pub fn none() -> Self {
        Self::new(0)
    }

    /// Whether it verified before, or `verify` says so now.
    pub(crate) fn verified(
        &self,
        key: &[u8],
        signed: &[u8],
        signature: &[u8],
        verify: impl FnOnce() -> bool,
    ) -> bool {
        if self.capacity == 0 {
            return verify();
        }
        let digest = digest(&[key, signed, signature]);
        if self.lock().digests.contains(&digest) {
            return true;
        }
        // Not under the lock: others have signatures to verify meanwhile.
        let verified = verify();
        if verified {
            self.remember(digest);
        }
        verified
    }

    fn remember(&self, digest: Digest) {
        let mut known = self.lock();
        if !known.digests.insert(digest) {
            return;
        }
        known.order.push_back(digest);
        if known.order.len() > self.capacity
            && let Some(oldest) = known.order.pop_front()
        {
            known.digests.remove(&oldest);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Each part after its length, so that bytes cannot move from one to the next.
fn digest(parts: &[&[u8]]) -> Digest {
    let mut hasher = Hasher::new();
    for part in parts {
        hasher.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hasher.update(part);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(cache: &SignatureCache, parts: [&[u8]; 3], answer: bool) -> (bool, bool) {
        let mut asked = false;
        let [key, signed, signature] = parts;
        let verified = cache.verified(key, signed, signature, || {
            asked = true;
            answer
        });
        (verified, asked)
    }

    #[test]
    fn only_what_verified_is_remembered_and_only_exactly_that() {
        let cache = SignatureCache::new(8);
        let parts: [&[u8]; 3] = [b"key", b"signed", b"signature"];
        assert_eq!(asked(&cache, parts, false), (false, true));
        assert_eq!(asked(&cache, parts, true), (true, true));
        assert_eq!(asked(&cache, parts, false), (true, false));
        let others: [[&[u8]; 3]; 4] = [
            [b"kex", b"signed", b"signature"],
            [b"key", b"signex", b"signature"],
            [b"key", b"signed", b"signaturx"],
            [b"keysi", b"gned", b"signature"],
        ];
        for other in others {
            assert_eq!(asked(&cache, other, false), (false, true));
        }
    }

    #[test]
    fn the_oldest_is_forgotten() {
        let cache = SignatureCache::new(2);
        for signed in [b"a", b"b", b"b", b"c"] {
            asked(&cache, [b"", signed, b""], true);
        }
        assert_eq!(asked(&cache, [b"", b"a", b""], false), (false, true));
        assert_eq!(asked(&cache, [b"", b"b", b""], false), (true, false));
        assert_eq!(asked(&cache, [b"", b"c", b""], false), (true, false));
    }

    #[test]
    fn none_remembers_nothing() {
        let cache = SignatureCache::none();
        assert_eq!(asked(&cache, [b"", b"", b""], true), (true, true));
        assert_eq!(asked(&cache, [b"", b"", b""], false), (false, true));
    }
}
