//! How often one may try to sign in, from one address and for one e-mail.

use std::{net::IpAddr, num::NonZeroU32};

use crate::limit::{Limit, network};

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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

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
