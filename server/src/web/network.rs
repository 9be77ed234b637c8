//! Addresses: where browsers find this server, and where a client really is behind proxies.

use std::{net::IpAddr, str::FromStr};

use axum::http::{HeaderMap, Uri};

/// An origin, as `--public-url` gives it: `https://daybook.example`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl(String);

impl PublicUrl {
    /// As browsers write it in `Origin`.
    pub fn origin(&self) -> &str {
        &self.0
    }

    pub fn is_https(&self) -> bool {
        self.0.starts_with("https:")
    }
}

impl FromStr for PublicUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let error = || format!("not an origin like https://daybook.example: {text:?}");
        let uri: Uri = text.parse().map_err(|_| error())?;
        let scheme = uri.scheme_str().filter(|scheme| ["http", "https"].contains(scheme)).ok_or_else(error)?;
        let authority = uri.authority().map(|authority| authority.as_str().to_ascii_lowercase()).ok_or_else(error)?;
        if authority.contains('@') || uri.query().is_some() || !matches!(uri.path(), "" | "/") {
            return Err(error());
        }
        // Browsers leave the scheme's own port out.
        let own_port = if scheme == "https" { ":443" } else { ":80" };
        Ok(Self(format!("{scheme}://{}", authority.strip_suffix(own_port).unwrap_or(&authority))))
    }
}

/// One address, or a network in CIDR form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    /// Leading bits that count.
    prefix: u32,
}

impl Network {
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address.to_canonical(), address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                same_prefix(ours.to_bits().into(), theirs.to_bits().into(), 32, self.prefix)
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => same_prefix(ours.to_bits(), theirs.to_bits(), 128, self.prefix),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

fn same_prefix(ours: u128, theirs: u128, bits: u32, prefix: u32) -> bool {
    (ours ^ theirs).checked_shr(bits - prefix).is_none_or(|difference| difference == 0)
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let error = || format!("neither an address nor a network like 10.0.0.0/8: {text:?}");
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| error())?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(bits), |prefix| prefix.parse().map_err(|_| error()))?;
        if prefix > bits { Err(error()) } else { Ok(Self { address, prefix }) }
    }
}

/// The client's address: the peer's, unless the peer is a proxy we trust; then what it and the proxies before it said,
/// back to the first that we do not trust.
pub fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut client = peer.to_canonical();
    let forwarded = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let hops: Vec<&str> = forwarded.flat_map(|value| value.split(',')).map(str::trim).collect();
    for hop in hops.into_iter().rev() {
        if !is_trusted(client) {
            break;
        }
        let Ok(address) = hop.parse::<IpAddr>() else { break };
        client = address.to_canonical();
    }
    client
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forwarded(value: &'static str) -> HeaderMap {
        [(axum::http::HeaderName::from_static("x-forwarded-for"), axum::http::HeaderValue::from_static(value))]
            .into_iter()
            .collect()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_stranger_cannot_say_where_it_is() {
        assert_eq!(client_address(ip("203.0.113.9"), &forwarded("127.0.0.1"), &[]), ip("203.0.113.9"));
        let trusted = ["10.0.0.0/8".parse().expect("a network")];
        assert_eq!(client_address(ip("203.0.113.9"), &forwarded("127.0.0.1"), &trusted), ip("203.0.113.9"));
    }

    #[test]
    fn behind_trusted_proxies_the_last_untrusted_hop_is_the_client() {
        let trusted = ["10.0.0.0/8".parse().expect("a network"), "::1".parse().expect("a network")];
        let headers = forwarded("198.51.100.1, 203.0.113.9, 10.1.1.1");
        assert_eq!(client_address(ip("10.0.0.2"), &headers, &trusted), ip("203.0.113.9"));
        assert_eq!(client_address(ip("::ffff:10.0.0.2"), &headers, &trusted), ip("203.0.113.9"));
        assert_eq!(client_address(ip("::1"), &forwarded("nonsense"), &trusted), ip("::1"));
    }

    #[test]
    fn a_network_holds_what_shares_its_prefix() {
        let network: Network = "192.168.4.0/22".parse().expect("a network");
        assert!(network.contains(ip("192.168.7.255")) && !network.contains(ip("192.168.8.0")));
        let all: Network = "0.0.0.0/0".parse().expect("a network");
        assert!(all.contains(ip("8.8.8.8")) && !all.contains(ip("2001:db8::1")));
        for wrong in ["10.0.0.0/33", "10.0.0/8", "", "a/8", "10.0.0.0/-1"] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_public_url_is_an_origin_and_nothing_more() {
        assert_eq!(
            "https://Daybook.Example:443/".parse::<PublicUrl>().expect("an origin").origin(),
            "https://daybook.example"
        );
        assert_eq!("http://h:8080".parse::<PublicUrl>().expect("an origin").origin(), "http://h:8080");
        for wrong in ["daybook.example", "ftp://x", "https://x/path", "https://u@x", "https://x?q"] {
            assert!(wrong.parse::<PublicUrl>().is_err(), "{wrong}");
        }
    }
}
