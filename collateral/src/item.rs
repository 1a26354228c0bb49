//! One thing that a vendor publishes: where it is, how to know it, how long it holds.

use duckblind_protocol::ids::{Digest, UnixTime};
use reqwest::Url;

use crate::config::Config;
use crate::error::CollateralError;
use crate::window::Window;

/// Why bytes are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotUsable(pub &'static str);

/// What a service answered: its body and, for Intel, the header with the signer's certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) body: Vec<u8>,
    pub(crate) issuer_chain: Option<String>,
}

impl Answer {
    /// Without a header.
    pub(crate) const fn of(body: Vec<u8>) -> Self {
        Self {
            body,
            issuer_chain: None,
        }
    }

    /// The signer's certificates, which must be there.
    pub(crate) fn issuer_chain(&self) -> Result<&str, NotUsable> {
        let header = self.issuer_chain.as_deref();
        header.ok_or(NotUsable(
            "the header with the signer's certificates is missing",
        ))
    }
}

/// When to look for a newer one, long before the old one ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refresh {
    /// A day after it was fetched.
    Daily,
    /// At half of its time.
    HalfWay,
}

impl Refresh {
    /// Services may answer with the same again: no more often than this, in seconds.
    const PAUSE: i64 = 3600;
    const DAY: i64 = 24 * 3600;

    /// From when on.
    pub(crate) fn due(self, window: Window, fetched: UnixTime) -> UnixTime {
        match self {
            Self::Daily => UnixTime(fetched.0.saturating_add(Self::DAY)),
            Self::HalfWay => window
                .middle()
                .max(UnixTime(fetched.0.saturating_add(Self::PAUSE))),
        }
    }
}

/// One thing to have.
pub(crate) trait Item: Sync {
    /// What it is once it is known to be usable.
    type Value: Send;
    /// In errors.
    const WHAT: &'static str;
    /// In file names.
    const KIND: &'static str;
    /// Bytes that it may have.
    const CAP: usize;
    /// Headers that may have the signer's certificates.
    const CHAIN_HEADERS: &'static [&'static str] = &[];
    /// When to look for a newer one.
    const REFRESH: Refresh = Refresh::Daily;

    /// What tells it from others of its kind.
    fn identity(&self) -> String;

    /// Where it is.
    fn url(&self, config: &Config) -> Result<Url, CollateralError>;

    /// Takes what came, from wherever, if it is the right thing and rightly signed. Whether it is
    /// valid now is not asked here.
    fn accept(&self, answer: &Answer) -> Result<Self::Value, NotUsable>;

    /// When it holds; `None`: for good.
    fn window(value: &Self::Value) -> Option<Window>;

    /// Its name on disk and among requests under way. No chip id is in it.
    fn key(&self) -> Key {
        Key {
            kind: Self::KIND,
            digest: Digest::of(format!("{}/{}", Self::KIND, self.identity()).as_bytes()),
        }
    }
}

/// See [`Item::key`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) kind: &'static str,
    pub(crate) digest: Digest,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn refreshing() {
        let window = Window::new(UnixTime(0), UnixTime(100_000)).unwrap();
        let due = |refresh: Refresh, fetched| refresh.due(window, UnixTime(fetched)).0;
        assert_eq!(due(Refresh::Daily, 7), 86_407);
        assert_eq!(due(Refresh::HalfWay, 7), 50_000);
        // The same answer again: not at once.
        assert_eq!(due(Refresh::HalfWay, 60_000), 63_600);
    }
}
