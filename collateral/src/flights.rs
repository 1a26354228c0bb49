//! Many ask for the same thing at once: one goes and gets it, all have its outcome.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::OnceCell;

use crate::item::Key;

/// What is under way, by what is sought.
pub(crate) struct Flights<T> {
    under_way: Mutex<HashMap<Key, Weak<OnceCell<T>>>>,
}

impl<T: Clone> Flights<T> {
    pub(crate) fn new() -> Self {
        Self {
            under_way: Mutex::new(HashMap::new()),
        }
    }

    /// The outcome of the one `work` for `key` that is under way, be it this or an earlier one. If
    /// who began it gives up waiting, the next in line begins anew.
    pub(crate) async fn join(&self, key: Key, work: impl Future<Output = T>) -> T {
        let cell = self.cell(key);
        cell.get_or_init(|| work).await.clone()
    }

    fn cell(&self, key: Key) -> Arc<OnceCell<T>> {
        // Nothing in here panics; and if it did, the map would still be whole.
        let mut map = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // What nobody waits for any more is over.
        map.retain(|_, cell| cell.strong_count() > 0);
        let existing = map.get(&key).and_then(Weak::upgrade);
        // A finished one is news of the past, even if somebody still holds it.
        if let Some(cell) = existing.filter(|cell| !cell.initialized()) {
            return cell;
        }
        let cell = Arc::new(OnceCell::new());
        map.insert(key, Arc::downgrade(&cell));
        cell
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use duckblind_protocol::ids::Digest;

    use super::*;

    fn key(name: &str) -> Key {
        Key {
            kind: "test",
            digest: Digest::of(name.as_bytes()),
        }
    }

    #[tokio::test]
    async fn one_works_and_all_have_the_outcome() {
        let flights = Flights::new();
        let worked = AtomicU32::new(0);
        let work = || async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            worked.fetch_add(1, Ordering::SeqCst)
        };
        let one = || flights.join(key("a"), work());
        let other = flights.join(key("b"), work());
        let (a, b, c, _) = tokio::join!(one(), one(), one(), other);
        assert!(a == b && b == c);
        assert_eq!(worked.load(Ordering::SeqCst), 2);
        // Later is another time.
        one().await;
        assert_eq!(worked.load(Ordering::SeqCst), 3);
        assert_eq!(flights.under_way.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn who_gives_up_leaves_the_work_to_the_next() {
        let flights = Arc::new(Flights::new());
        let first = tokio::spawn({
            let flights = flights.clone();
            async move { flights.join(key("a"), std::future::pending::<u8>()).await }
        });
        tokio::task::yield_now().await;
        let second = tokio::spawn({
            let flights = flights.clone();
            async move { flights.join(key("a"), async { 7 }).await }
        });
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        first.abort();
        assert_eq!(second.await.unwrap(), 7);
    }
}
