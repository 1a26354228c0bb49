//! Requests per second of each peer: a token bucket apiece, in a table that cannot grow.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::peer::Peer;

/// How many peers are kept in mind.
const MAX_PEERS: usize = 16_384;

/// What one peer may ask for.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// Requests per second, lasting. At least 1.
    pub per_second: u32,
    /// Requests at once. At least 1.
    pub burst: u32,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

/// The buckets of all peers.
#[derive(Debug)]
pub struct RateLimit {
    rate: Rate,
    peers: Mutex<HashMap<Peer, Bucket>>,
}

impl RateLimit {
    /// Full buckets for everybody.
    pub fn new(rate: Rate) -> Self {
        Self {
            rate,
            peers: Mutex::default(),
        }
    }

    /// Lets one request through, or says how long to wait for the next.
    pub fn admit(&self, address: IpAddr, now: Instant) -> Result<(), Duration> {
        let (per_second, burst) = (f64::from(self.rate.per_second), f64::from(self.rate.burst));
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let peer = Peer::of(address);
        if peers.len() >= MAX_PEERS && !peers.contains_key(&peer) {
            // A bucket that has filled up again says nothing and can go.
            peers.retain(|_, bucket| {
                now.saturating_duration_since(bucket.at).as_secs_f64() * per_second + bucket.tokens
                    < burst
            });
            if peers.len() >= MAX_PEERS {
                return Err(Duration::from_secs(1));
            }
        }
        let bucket = peers.entry(peer).or_insert(Bucket {
            tokens: burst,
            at: now,
        });
        let since = now.saturating_duration_since(bucket.at).as_secs_f64();
        bucket.tokens = (bucket.tokens + since * per_second).min(burst);
        bucket.at = now;
        if bucket.tokens < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - bucket.tokens) / per_second));
        }
        bucket.tokens -= 1.0;
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn a_burst_then_the_rate_and_each_peer_by_itself() {
        let limit = RateLimit::new(Rate {
            per_second: 2,
            burst: 3,
        });
        let start = Instant::now();
        let (one, two) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        for _ in 0..3 {
            limit.admit(one, start).unwrap();
        }
        let wait = limit.admit(one, start).unwrap_err();
        assert_eq!(wait, Duration::from_millis(500));
        limit.admit(two, start).unwrap();
        limit.admit(one, start + wait).unwrap();
        limit.admit(one, start + wait).unwrap_err();
    }

    #[test]
    fn the_table_stays_bounded_and_frees_idle_peers() {
        let limit = RateLimit::new(Rate {
            per_second: 1,
            burst: 1,
        });
        let start = Instant::now();
        for n in 0..u32::try_from(MAX_PEERS).unwrap() {
            limit
                .admit(IpAddr::V4(Ipv4Addr::from_bits(n)), start)
                .unwrap();
        }
        let newcomer = IpAddr::from([203, 0, 113, 1]);
        limit.admit(newcomer, start).unwrap_err();
        limit
            .admit(newcomer, start + Duration::from_secs(2))
            .unwrap();
        assert_eq!(limit.peers.lock().unwrap().len(), 1);
    }
}
