//! How often one may try to sign in, from one address and for one e-mail. Bounded memory: of all keys only the ones
//! seen last are remembered.

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
    pub fn per_minute(tries: NonZeroU32) -> Self {
        Self::with_clock(tries, DefaultClock::default())
    }
}

impl<K: Hash + Eq, C: Clock + Clone> Limit<K, C> {
    fn with_clock(tries_per_minute: NonZeroU32, clock: C) -> Self {
        Self { quota: Quota::per_minute(tries_per_minute), clock, seen: Mutex::new(LruCache::new(REMEMBERED)) }
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

/// Both limits on signing in.
pub struct SignInLimits {
    clients: Limit<IpAddr>,
    emails: Limit<String>,
}

impl SignInLimits {
    /// Tries a minute from one address and for one e-mail.
    pub fn new(per_client: NonZeroU32, per_email: NonZeroU32) -> Self {
        Self { clients: Limit::per_minute(per_client), emails: Limit::per_minute(per_email) }
    }

    /// Counts one try; `Err` is after how many seconds to come back. `email` in lower case.
    pub fn check(&self, client: IpAddr, email: &str) -> Result<(), u32> {
        self.clients.check(network(client))?;
        self.emails.check(email.to_owned())
    }

    /// Counts one try for `email` alone, by someone who is signed in.
    pub fn check_email(&self, email: &str) -> Result<(), u32> {
        self.emails.check(email.to_owned())
    }
}

impl Default for SignInLimits {
    fn default() -> Self {
        const PER_CLIENT: NonZeroU32 = NonZeroU32::new(30).expect("not zero");
        const PER_EMAIL: NonZeroU32 = NonZeroU32::new(10).expect("not zero");
        Self::new(PER_CLIENT, PER_EMAIL)
    }
}

/// Whoever has one IPv6 address has all 2^64 beside it.
fn network(client: IpAddr) -> IpAddr {
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

    #[test]
    fn after_the_quota_one_waits_and_others_do_not() {
        let clock = FakeRelativeClock::default();
        let limit = Limit::with_clock(NonZeroU32::new(3).unwrap(), clock.clone());
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
        let limit = Limit::per_minute(NonZeroU32::new(3).unwrap());
        for key in 0..REMEMBERED.get() + 1000 {
            assert_eq!(limit.check(key), Ok(()));
        }
        assert_eq!(limit.seen.lock().unwrap().len(), REMEMBERED.get());
    }

    #[test]
    fn addresses_of_one_ipv6_network_count_as_one() {
        let limits = SignInLimits::new(NonZeroU32::new(2).unwrap(), NonZeroU32::new(100).unwrap());
        let check = |address: &str| limits.check(address.parse().unwrap(), "eva@example.org");
        assert_eq!(check("2001:db8::1"), Ok(()));
        assert_eq!(check("2001:db8::2"), Ok(()));
        assert!(check("2001:db8::ffff:3").is_err());
        assert_eq!(check("2001:db8:1::1"), Ok(()));
        assert_eq!(check("192.0.2.1"), Ok(()));
        assert_eq!(check("::ffff:192.0.2.1"), Ok(()));
        assert!(check("192.0.2.1").is_err());
    }
}
