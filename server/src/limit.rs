//! How often someone may do something. Bounded memory: of all keys only the ones seen last are remembered.

use std::{
    hash::Hash,
    net::IpAddr,
    num::{NonZeroU32, NonZeroUsize},
    sync::{Mutex, PoisonError},
};

use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::NoOpMiddleware,
    state::{InMemoryState, NotKeyed},
};
use lru::LruCache;

const REMEMBERED: NonZeroUsize = NonZeroUsize::new(10_000).expect("not zero");

/// A rate for each key.
pub struct Limit<K: Hash + Eq, C: Clock = DefaultClock> {
    quota: Quota,
    clock: C,
    seen: Mutex<LruCache<K, One<C>>>,
}

type One<C> = RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<<C as Clock>::Instant>>;

impl<K: Hash + Eq> Limit<K> {
    /// So many a minute, all of them at once if need be.
    pub fn per_minute(tries: NonZeroU32) -> Self {
        Self::with_clock(Quota::per_minute(tries), DefaultClock::default())
    }

    /// So many a second, and as many at once as come in `seconds` of it.
    pub fn per_second(tries: NonZeroU32, seconds: NonZeroU32) -> Self {
        Self::with_clock(Quota::per_second(tries).allow_burst(tries.saturating_mul(seconds)), DefaultClock::default())
    }
}

impl<K: Hash + Eq, C: Clock + Clone> Limit<K, C> {
    fn with_clock(quota: Quota, clock: C) -> Self {
        Self { quota, clock, seen: Mutex::new(LruCache::new(REMEMBERED)) }
    }

    /// Counts one try; `Err` is the number of seconds after which the next one is let through.
    pub fn check(&self, key: K) -> Result<(), u32> {
        // A panic elsewhere cannot leave a half-made entry: the counts are still good.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let limiter = seen.get_or_insert(key, || RateLimiter::direct_with_clock(self.quota, self.clock.clone()));
        limiter.check().map_err(|until| {
            let wait = until.wait_time_from(self.clock.now());
            u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1)
        })
    }
}

/// Whoever has one IPv6 address has all 2^64 beside it.
pub fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use governor::clock::FakeRelativeClock;

    use super::*;

    const THREE: NonZeroU32 = NonZeroU32::new(3).unwrap();

    #[test]
    fn after_the_quota_one_waits_and_others_do_not() {
        let clock = FakeRelativeClock::default();
        let limit = Limit::with_clock(Quota::per_minute(THREE), clock.clone());
        for _ in 0..3 {
            assert_eq!(limit.check("eva"), Ok(()));
        }
        let wait = limit.check("eva").unwrap_err();
        assert!((1..=21).contains(&wait), "{wait}");
        assert_eq!(limit.check("jan"), Ok(()));
        clock.advance(Duration::from_secs(u64::from(wait)));
        assert_eq!(limit.check("eva"), Ok(()));
    }

    #[test]
    fn memory_is_bounded() {
        let limit = Limit::per_minute(THREE);
        for key in 0..REMEMBERED.get() + 1000 {
            assert_eq!(limit.check(key), Ok(()));
        }
        assert_eq!(limit.seen.lock().unwrap().len(), REMEMBERED.get());
    }
}
