//! The two cookies: which names and attributes they have, over TLS and over plain HTTP.
//!
//! The session cookie is never readable by scripts; the one with the position is, and says nothing but a number.

use crate::wire::Position;

/// Holds the highest position that this browser has seen (R5).
pub const SEEN: &str = "daybook_seen";

/// How this server's cookies are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CookiePolicy {
    /// The browser comes by TLS: `__Host-` and `Secure`. Browsers keep neither over plain HTTP.
    pub secure: bool,
}

impl CookiePolicy {
    /// Name of the session cookie.
    pub fn session_name(self) -> &'static str {
        if self.secure { "__Host-daybook" } else { "daybook" }
    }

    /// `Set-Cookie` of a session token that runs out at `expires_at`; both times in microseconds since 1970.
    pub fn session(self, token: &str, expires_at: i64, now: i64) -> String {
        let seconds = expires_at.saturating_sub(now).max(0) / 1_000_000;
        format!("{}={token}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{}", self.session_name(), self.suffix())
    }

    /// `Set-Cookie` that makes the browser forget its session.
    pub fn no_session(self) -> String {
        self.session("", 0, 0)
    }

    /// `Set-Cookie` of the highest position this browser has seen; kept as long as the browser runs.
    pub fn seen(self, position: Position) -> String {
        format!("{SEEN}={position}; Path=/; SameSite=Lax{}", self.suffix())
    }

    fn suffix(self) -> &'static str {
        if self.secure { "; Secure" } else { "" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn over_tls_the_session_cookie_is_bound_to_this_host() {
        let cookie = CookiePolicy { secure: true }.session("t.o.k", 61_000_000, 1_000_000);
        assert_eq!(cookie, "__Host-daybook=t.o.k; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure");
    }

    #[test]
    fn over_plain_http_browsers_would_drop_a_secure_cookie() {
        let policy = CookiePolicy { secure: false };
        assert_eq!(policy.no_session(), "daybook=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
        assert_eq!(policy.seen(Position(7)), "daybook_seen=7; Path=/; SameSite=Lax");
    }
}
