//! Who may say which address a request came from: the proxies that you name, and nobody else.
//!
//! A header that names the client can be sent by anyone. Each proxy adds, at the end, the address
//! that it got the request from; so the list is read from its end, one step for each proxy that is
//! trusted:
//!
//! 1. The peer of the connection is certain. If it isn't a trusted proxy, it is the client.
//! 2. If it is, the last entry is what it wrote. If that is no trusted proxy, it is the client; if
//!    it is one, the entry before is what that one wrote, and so on.
//! 3. At an entry that is no address (`unknown`, `_hidden`, nothing, nonsense) the answer is the
//!    address that led there. Nothing is skipped: what stands further left, nobody vouched for.
//! 4. One header is read, the one that you chose: a proxy that writes one of them passes on the
//!    other as the client sent it.
//!
//! In production, trust the addresses of proxies, not a network in which clients live too, and see
//! to it that the outermost proxy can't be gone around.

use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use crate::address::{InvalidNetwork, Network};

/// The header in which proxies name whom they got a request from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`, which nearly all of them write.
    #[default]
    XForwardedFor,
    /// `Forwarded`, RFC 7239.
    Forwarded,
}

impl ForwardedHeader {
    /// The name of the header, in small letters.
    pub const fn name(self) -> &'static str {
        match self {
            Self::XForwardedFor => "x-forwarded-for",
            Self::Forwarded => "forwarded",
        }
    }
}

/// The proxies that may name the client, and the header in which they do. By default there are
/// none, and the client is the peer of the connection.
///
/// ```
/// use cloakroom::TrustedProxies;
/// let proxies: TrustedProxies = "10.0.0.0/8, 127.0.0.1".parse()?;
/// let header = [b"6.6.6.6, 203.0.113.7, 10.0.0.2".as_slice()];
///
/// // From our proxy: its own entry, then that of the proxy before it. 6.6.6.6 is a client's tale.
/// assert_eq!(proxies.client("10.0.0.1".parse()?, header).to_string(), "203.0.113.7");
/// // From anybody else: nothing of it counts.
/// assert_eq!(proxies.client("198.51.100.9".parse()?, header).to_string(), "198.51.100.9");
///
/// let wrong = "10.0.0.0/8,proxy.local".parse::<TrustedProxies>().unwrap_err();
/// assert!(wrong.to_string().starts_with("\"proxy.local\" is no IP address"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    networks: Vec<Network>,
    header: ForwardedHeader,
}

impl TrustedProxies {
    /// Trusts what is in these networks, by `X-Forwarded-For`. A network of everybody (`0.0.0.0/0`)
    /// is refused: any client could then name any address as its own.
    pub fn new(networks: impl IntoIterator<Item = Network>) -> Result<Self, InvalidNetwork> {
        let networks: Vec<Network> = networks.into_iter().collect();
        match networks.iter().find(|network| network.prefix() == 0) {
            Some(everybody) => Err(InvalidNetwork::everybody(everybody)),
            None => Ok(Self { networks, header: ForwardedHeader::default() }),
        }
    }

    /// Reads this header in the place of `X-Forwarded-For`.
    #[must_use]
    pub fn by(self, header: ForwardedHeader) -> Self {
        Self { header, ..self }
    }

    /// The header to hand to [`client`](Self::client).
    pub fn header(&self) -> ForwardedHeader {
        self.header
    }

    /// Whether this peer is a proxy that may name the client.
    pub fn trusts(&self, peer: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(peer))
    }

    /// The address of the client, of a request that came from `peer` with these lines of
    /// [`header`](Self::header), in the order in which they came. Takes anything.
    pub fn client<'a>(
        &self,
        peer: IpAddr,
        lines: impl IntoIterator<Item = &'a [u8], IntoIter: DoubleEndedIterator>,
    ) -> IpAddr {
        let peer = peer.to_canonical();
        // Several lines are one list, in their order (RFC 9110 5.3).
        let entries = lines.into_iter().rev().flat_map(|line| line.rsplit(|byte| *byte == b','));
        let mut named = entries.map(|entry| match self.header {
            ForwardedHeader::XForwardedFor => node(text_of(entry)?),
            ForwardedHeader::Forwarded => node(forwarded_for(text_of(entry)?)?),
        });
        let mut client = peer;
        while self.trusts(client) {
            match named.next() {
                Some(Some(before)) => client = before,
                Some(None) | None => break,
            }
        }
        client
    }
}

/// Addresses and networks parted by commas, as on a command line: `10.0.0.0/8,127.0.0.1`. Nothing
/// but space is nobody.
impl FromStr for TrustedProxies {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let networks: Result<Vec<Network>, _> =
            text.split(',').map(|network| network.trim().parse()).collect();
        Self::new(networks?)
    }
}

const SPACE: [char; 2] = [' ', '\t'];

fn text_of(entry: &[u8]) -> Option<&str> {
    Some(std::str::from_utf8(entry).ok()?.trim_matches(SPACE))
}

/// The `for` of one element of `Forwarded`: `for=192.0.2.43;proto=https;host="a.example"`.
///
/// Elements were parted at every comma, also at one inside a quoted string, where a client may have
/// chosen what stands (`host`). The piece behind such a comma has a quote too many; so here all must
/// be well formed.
fn forwarded_for(element: &str) -> Option<&str> {
    let mut node = None;
    let mut rest = element;
    loop {
        let (name, after) = rest.split_once('=')?;
        let name = name.trim_matches(SPACE);
        let (value, after) = value(after)?;
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
            return None;
        }
        if name.eq_ignore_ascii_case("for") && node.replace(value).is_some() {
            return None;
        }
        let after = after.trim_start_matches(SPACE);
        match after.strip_prefix(';') {
            None if after.is_empty() => return node,
            None => return None,
            Some(next) if next.trim_matches(SPACE).is_empty() => return node,
            Some(next) => rest = next,
        }
    }
}

/// A token or a quoted string, and what follows it. Addresses are taken as tokens too, though a
/// colon and brackets ask for quotes: proxies forget them.
fn value(text: &str) -> Option<(&str, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([';', ' ', '\t']).unwrap_or(text.len());
        let (token, after) = text.split_at(end);
        return (!token.contains(['"', '\\'])).then_some((token, after));
    };
    let mut escaped = false;
    let end = quoted.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })?;
    Some((&quoted[..end], &quoted[end + 1..]))
}

/// An address, with or without brackets and port. A node of RFC 7239 may also be `unknown` or an
/// obfuscated name, which is no address.
fn node(text: &str) -> Option<IpAddr> {
    let is_port = |port: &str| {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        !port.is_empty() && port.bytes().all(known)
    };
    let address = if let Some(bracketed) = text.strip_prefix('[') {
        let (v6, port) = bracketed.split_once(']')?;
        if !port.is_empty() && !port.strip_prefix(':').is_some_and(is_port) {
            return None;
        }
        v6.parse::<Ipv6Addr>().ok()?.into()
    } else {
        match text.split_once(':') {
            // One colon parts a port, more of them are an IPv6 address.
            Some((v4, port)) if !port.contains(':') && is_port(port) => v4.parse().ok()?,
            _ => text.parse::<IpAddr>().ok()?,
        }
    };
    Some(address.to_canonical())
}
