//! Network addresses: one of them or a network of them ([`Network`]), and how much of a visitor's
//! address a session keeps ([`AddressPrivacy`]).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// An address, or a network of them, written `10.0.0.0/8`, `127.0.0.1` or `2001:db8::/32`.
///
/// An IPv4 address that comes as IPv6 (`::ffff:10.0.0.1`, as sockets for both report it) is the
/// IPv4 address. Bits beyond the prefix are refused, for they show that something else was meant.
///
/// ```
/// use cloakroom::Network;
/// let ours: Network = "10.0.0.0/8".parse()?;
/// assert!(ours.contains("10.1.2.3".parse()?));
/// assert!(ours.contains("::ffff:10.1.2.3".parse()?));
/// assert_eq!(ours.to_string(), "10.0.0.0/8");
/// let wrong = "10.0.0.1/8".parse::<Network>().unwrap_err();
/// assert!(wrong.to_string().contains("write 10.0.0.0/8 for the network"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    /// Canonical, and without bits beyond the prefix.
    first: IpAddr,
    /// At most 32 for IPv4 and 128 for IPv6.
    prefix: u8,
}

impl Network {
    /// The first address of the network; the address itself if it is one alone.
    pub fn first(&self) -> IpAddr {
        self.first
    }

    /// How many leading bits all of its addresses share.
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Whether it is one address alone.
    pub fn is_one_address(&self) -> bool {
        self.prefix == bits(self.first)
    }

    /// Whether the address is in the network.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.first.is_ipv4() && first(address, self.prefix) == self.first
    }

    /// Whether the other is of the same kind, and known not to be in the same town: less than the
    /// first 24 bits of IPv4, or 48 of IPv6, are the same.
    pub(crate) fn is_far_from(&self, other: &Self) -> bool {
        let most = if self.first.is_ipv4() { 24 } else { 48 };
        let known = self.prefix.min(other.prefix).min(most);
        self.first.is_ipv4() == other.first.is_ipv4()
            && first(self.first, known) != first(other.first, known)
    }

    /// The network of that prefix around an address.
    fn around(address: IpAddr, prefix: u8) -> Self {
        let address = address.to_canonical();
        Self { first: first(address, prefix), prefix: prefix.min(bits(address)) }
    }
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        Self::around(address, 128)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_one_address() {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}/{}", self.first, self.prefix)
        }
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let wrong = |wrong| InvalidNetwork { text: text.chars().take(60).collect(), wrong };
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong(Wrong::NotAnAddress))?;
        let Some(prefix) = prefix else { return Ok(address.into()) };
        let digits = prefix.bytes().all(|byte| byte.is_ascii_digit());
        let prefix = prefix.parse::<u8>().ok().filter(|prefix| digits && *prefix <= bits(address));
        let prefix = prefix.ok_or_else(|| wrong(Wrong::Prefix { at_most: bits(address) }))?;
        let stray = first(address, prefix) != address;
        // `::ffff:10.0.0.0/104` is `10.0.0.0/8`; a network that holds all such addresses stays IPv6.
        let network = match (address.to_canonical(), prefix.checked_sub(96)) {
            (v4 @ IpAddr::V4(_), Some(left)) if address.is_ipv6() => Self::around(v4, left),
            _ => Self { first: first(address, prefix), prefix },
        };
        if stray {
            return Err(wrong(Wrong::BitsBeyond { network, address: address.to_canonical() }));
        }
        Ok(network)
    }
}

/// How many bits an address of this kind has.
fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// The address with every bit after the first `prefix` cleared.
fn first(address: IpAddr, prefix: u8) -> IpAddr {
    let beyond = u32::from(bits(address).saturating_sub(prefix));
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(beyond).unwrap_or(0);
            Ipv4Addr::from_bits(v4.to_bits() & mask).into()
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(beyond).unwrap_or(0);
            Ipv6Addr::from_bits(v6.to_bits() & mask).into()
        }
    }
}

/// The text is no [`Network`], or none that may be trusted.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{text:?} {wrong}")]
pub struct InvalidNetwork {
    text: String,
    wrong: Wrong,
}

impl InvalidNetwork {
    pub(crate) fn everybody(network: &Network) -> Self {
        Self { text: network.to_string(), wrong: Wrong::Everybody }
    }
}

#[derive(Clone, Debug, thiserror::Error)]
enum Wrong {
    #[error(
        "is no IP address and no network: write one like 127.0.0.1, 10.0.0.0/8 or 2001:db8::/32; \
         names of hosts are not looked up"
    )]
    NotAnAddress,
    #[error("has no such prefix: after the / comes a number from 0 to {at_most}")]
    Prefix { at_most: u8 },
    #[error(
        "has bits beyond its prefix: write {network} for the network, or {address} for the one \
         address"
    )]
    BitsBeyond { network: Network, address: IpAddr },
    #[error(
        "would trust everybody, and whoever is trusted can name any address as the client's: name \
         the networks of your proxies, like 10.0.0.0/8"
    )]
    Everybody,
}

/// How much of a visitor's network address a session keeps. Addresses are personal data: keep what
/// your visitors need to know their sessions apart.
///
/// ```
/// use cloakroom::AddressPrivacy;
/// let keep = |privacy: AddressPrivacy, address: &str| {
///     privacy.keep(address.parse().unwrap()).map(|kept| kept.to_string())
/// };
/// assert_eq!(keep(AddressPrivacy::Truncated, "203.0.113.7").unwrap(), "203.0.113.0/24");
/// assert_eq!(keep(AddressPrivacy::Truncated, "2001:db8:1:2::3").unwrap(), "2001:db8:1::/48");
/// assert_eq!(keep(AddressPrivacy::Full, "203.0.113.7").unwrap(), "203.0.113.7");
/// assert_eq!(keep(AddressPrivacy::None, "203.0.113.7"), None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressPrivacy {
    /// The whole address.
    Full,
    /// The first 24 bits of an IPv4 address, the first 48 of an IPv6 one.
    ///
    /// That is what Google's Universal Analytics kept with IP masking on, and it became the custom:
    /// it still tells the town. 48 bits are the most that one site gets (RFC 6177), so a household
    /// never has a longer prefix for itself. It makes the address coarse, not the visitor
    /// anonymous: 256 addresses are soon tried. Of a 6to4 address (`2002::/16`), which has an IPv4
    /// address inside, 40 bits are kept.
    #[default]
    Truncated,
    /// Nothing.
    None,
}

impl AddressPrivacy {
    /// What may be kept of the address; the rest is gone from here on.
    pub fn keep(self, address: IpAddr) -> Option<Network> {
        match (self, address.to_canonical()) {
            (Self::None, _) => None,
            (Self::Full, address) => Some(address.into()),
            (Self::Truncated, address @ IpAddr::V4(_)) => Some(Network::around(address, 24)),
            (Self::Truncated, IpAddr::V6(v6)) => {
                let kept = if v6.segments()[0] == 0x2002 { 40 } else { 48 };
                Some(Network::around(v6.into(), kept))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_holds_its_addresses_and_no_others() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.255.255", "11.0.0.0"),
            ("10.0.0.0/8", "::ffff:10.1.2.3", "::10.1.2.3"),
            ("127.0.0.1", "127.0.0.1", "127.0.0.2"),
            ("192.0.2.128/25", "192.0.2.128", "192.0.2.127"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("::/0", "2001:db8::1", "127.0.0.1"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("::1", "::1", "::2"),
            ("::ffff:10.0.0.0/104", "10.9.9.9", "11.0.0.0"),
            ("::ffff:127.0.0.1", "127.0.0.1", "::1"),
        ] {
            let parsed: Network = network.parse().unwrap();
            assert!(parsed.contains(address(inside)), "{network} {inside}");
            assert!(!parsed.contains(address(outside)), "{network} {outside}");
            assert_eq!(parsed.to_string().parse::<Network>().unwrap(), parsed, "{network}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused_with_what_to_type() {
        for (text, says) in [
            ("", "\"\" is no IP address"),
            ("proxy.local", "\"proxy.local\" is no IP address"),
            (" 10.0.0.1", "is no IP address"),
            ("10.0.0", "is no IP address"),
            ("10.0.0.1:80", "is no IP address"),
            ("[::1]", "is no IP address"),
            ("fe80::1%eth0", "is no IP address"),
            ("10.0.0.0/33", "from 0 to 32"),
            ("10.0.0.0/", "from 0 to 32"),
            ("10.0.0.0/+8", "from 0 to 32"),
            ("10.0.0.0/255.0.0.0", "from 0 to 32"),
            ("::/129", "from 0 to 128"),
            ("10.0.0.1/8", "write 10.0.0.0/8 for the network, or 10.0.0.1 for the one"),
            ("2001:db8::1/32", "write 2001:db8::/32 for the network"),
            ("::ffff:10.0.0.1/104", "write 10.0.0.0/8 for the network, or 10.0.0.1"),
        ] {
            let error = text.parse::<Network>().unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
        assert!("x".repeat(9_999).parse::<Network>().unwrap_err().to_string().len() < 300);
    }

    #[test]
    fn what_is_truncated_never_tells_two_visitors_of_a_network_apart() {
        for (one, other, kept) in [
            ("203.0.113.7", "203.0.113.250", "203.0.113.0/24"),
            ("::ffff:203.0.113.7", "203.0.113.8", "203.0.113.0/24"),
            ("2001:db8:1:2::3", "2001:db8:1:ffff::9", "2001:db8:1::/48"),
            ("::1", "::2", "::/48"),
            // 203.0.113.7 and 203.0.113.8, as 6to4.
            ("2002:cb00:7107::1", "2002:cb00:7108::1", "2002:cb00:7100::/40"),
        ] {
            for text in [one, other] {
                let network = AddressPrivacy::Truncated.keep(address(text)).unwrap();
                assert_eq!(network.to_string(), kept, "{text}");
            }
        }
    }
}
