//! How any one thing is had: from disk while nothing newer is due, from the vendor otherwise, and
//! from what was carried if there is no other way. Never past its end.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use duckblind_protocol::ids::UnixTime;

use crate::cache::{Cache, Stored};
use crate::client::{Client, Wanted};
use crate::config::{Config, Source};
use crate::error::CollateralError;
use crate::flights::Flights;
use crate::freshness::{Freshness, Part};
use crate::item::{Answer, Item, Key};

/// Seconds after a look for something newer that failed until the next one.
const PAUSE: i64 = 300;

/// A thing, and where it comes from.
pub(crate) struct Found<T> {
    pub(crate) value: T,
    pub(crate) part: Part,
}

impl<T> Found<T> {
    /// `fetched`: when it came.
    pub(crate) fn new<I: Item<Value = T>>(
        value: T,
        freshness: Freshness,
        fetched: UnixTime,
    ) -> Self {
        let window = I::window(&value);
        let due = window.map(|window| I::REFRESH.due(window, fetched));
        let part = Part {
            what: I::WHAT,
            due: due.filter(|_| freshness != Freshness::Carried),
            freshness,
            window,
        };
        Self { value, part }
    }

    fn holds(&self, now: UnixTime) -> bool {
        self.part.window.is_none_or(|window| window.contains(now))
    }

    fn is_due(&self, now: UnixTime) -> bool {
        self.part.due.is_some_and(|due| due <= now)
    }
}

/// Client, disk, and what is under way.
pub(crate) struct Keeper {
    config: Config,
    client: Client,
    cache: Cache,
    flights: Flights<Result<Arc<Answer>, CollateralError>>,
    /// Looks for something newer that failed, and when: whoever asks next does not wait again.
    failures: Mutex<HashMap<Key, (UnixTime, CollateralError)>>,
}

impl Keeper {
    pub(crate) fn new(config: Config, cache_dir: &Path) -> Result<Self, CollateralError> {
        Ok(Self {
            client: Client::new(&config)?,
            cache: Cache::open(cache_dir, config.cache)?,
            flights: Flights::new(),
            failures: Mutex::new(HashMap::new()),
            config,
        })
    }

    /// The newest valid one that can be had.
    pub(crate) async fn obtain<I: Item>(
        &self,
        item: &I,
        carried: Option<Answer>,
        now: UnixTime,
    ) -> Result<Found<I::Value>, CollateralError> {
        let offline = self.config.source == Source::Offline;
        let kept = match self.kept(item, now).await {
            Some((found, _)) if offline || !found.is_due(now) => return Ok(found),
            kept => kept.map(|(found, _)| found),
        };
        let looked = if offline {
            Err(CollateralError::Offline(I::WHAT))
        } else if kept.is_some() {
            self.look_for_newer(item, now).await
        } else {
            self.look(item, self.config.patience.attempts, now).await
        };
        let error = match looked {
            Ok(found) => return Ok(found),
            Err(error) => error,
        };
        if let Some(mut kept) = kept {
            kept.part.freshness = Freshness::KeptAfter(error);
            return Ok(kept);
        }
        carried
            .and_then(|answer| item.accept(&answer).ok())
            .map(|value| Found::new::<I>(value, Freshness::Carried, now))
            .filter(|found| found.holds(now))
            .ok_or(error)
    }

    /// What is on disk, if it is what it should be and valid now.
    async fn kept<I: Item>(&self, item: &I, now: UnixTime) -> Option<(Found<I::Value>, Answer)> {
        let key = item.key();
        let Stored { answer, fetched } = self.cache.load(key).await?;
        let Ok(value) = item.accept(&answer) else {
            self.cache.remove(key).await;
            return None;
        };
        let mut found = Found::new::<I>(value, Freshness::Kept, fetched);
        if fetched > now {
            // The clock went back, so that nobody knows how old it is.
            found.part.due = found.part.due.map(|_| now);
        }
        found.holds(now).then_some((found, answer))
    }

    /// As [`Self::look`], for who can do without: one attempt, and a pause after it if it failed.
    async fn look_for_newer<I: Item>(
        &self,
        item: &I,
        now: UnixTime,
    ) -> Result<Found<I::Value>, CollateralError> {
        let key = item.key();
        self.failures()
            .retain(|_, (at, _)| (0..PAUSE).contains(&now.0.saturating_sub(at.0)));
        if let Some((_, error)) = self.failures().get(&key) {
            return Err(error.clone());
        }
        let looked = self.look(item, 1, now).await;
        if let Err(error) = &looked {
            tracing::warn!(what = I::WHAT, %error, "nothing newer can be had; the kept one is used");
            self.failures().insert(key, (now, error.clone()));
        }
        looked
    }

    /// What the vendor says, asked once for all who want to know.
    async fn look<I: Item>(
        &self,
        item: &I,
        attempts: u32,
        now: UnixTime,
    ) -> Result<Found<I::Value>, CollateralError> {
        // On the heap: most callers never come here, and all would carry it around.
        let fetch = Box::pin(self.fetch(item, attempts, now));
        let answer = self.flights.join(item.key(), fetch).await?;
        let value = self.accept(item, &answer)?;
        Ok(Found::new::<I>(value, Freshness::Fetched, now))
    }

    async fn fetch<I: Item>(
        &self,
        item: &I,
        attempts: u32,
        now: UnixTime,
    ) -> Result<Arc<Answer>, CollateralError> {
        // Somebody may have finished between our look at the disk and now.
        if let Some((found, answer)) = self.kept(item, now).await
            && !found.is_due(now)
        {
            return Ok(Arc::new(answer));
        }
        let wanted = Wanted {
            url: item.url(&self.config)?,
            what: I::WHAT,
            cap: I::CAP,
            chain_headers: I::CHAIN_HEADERS,
            attempts,
        };
        let answer = self.client.get(&wanted).await?;
        let value = self.accept(item, &answer)?;
        if let Some(window) = I::window(&value).filter(|window| !window.contains(now)) {
            return Err(CollateralError::Stale {
                service: wanted.url.origin().ascii_serialization(),
                what: I::WHAT,
                window,
                now,
            });
        }
        let stored = Stored {
            answer: answer.clone(),
            fetched: now,
        };
        self.cache.store(item.key(), stored).await;
        Ok(Arc::new(answer))
    }

    fn accept<I: Item>(&self, item: &I, answer: &Answer) -> Result<I::Value, CollateralError> {
        let url = item.url(&self.config)?;
        item.accept(answer)
            .map_err(|why| CollateralError::NotUsable {
                service: url.origin().ascii_serialization(),
                what: I::WHAT,
                why,
            })
    }

    fn failures(&self) -> MutexGuard<'_, HashMap<Key, (UnixTime, CollateralError)>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
