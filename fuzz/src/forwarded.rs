//! Who a request came from, by what proxies wrote. The first line of the input is what a client made
//! up, the second names the trusted proxies, the third is the peer; the rest are lines of the header as
//! the outermost proxy sent them on.

use std::net::IpAddr;

use cloakroom::{AddressPrivacy, ForwardedHeader, Network, TrustedProxies};

pub(crate) fn run(input: &[u8]) {
    let mut lines = input.split(|byte| *byte == b'\n');
    let made_up = lines.next().unwrap_or_default();
    let text = |line: Option<&[u8]>| String::from_utf8_lossy(line.unwrap_or_default()).into_owned();
    let trusted = text(lines.next());
    networks(&trusted);
    let Ok(trusted) = trusted.parse::<TrustedProxies>() else { return };
    let peer: IpAddr = text(lines.next()).parse().unwrap_or([127, 0, 0, 1].into());
    let lines: Vec<&[u8]> = lines.collect();

    for header in [ForwardedHeader::XForwardedFor, ForwardedHeader::Forwarded] {
        let proxies = trusted.clone().by(header);
        let client = proxies.client(peer, lines.iter().copied());
        if !proxies.trusts(peer.to_canonical()) {
            assert_eq!(client, peer.to_canonical(), "a stranger's word was taken");
        }
        // What stands to the left of whom a proxy vouched for, nobody did.
        if !proxies.trusts(client) {
            let mut more = lines.clone();
            more.insert(0, made_up);
            assert_eq!(proxies.client(peer, more.iter().copied()), client, "a client's tale");
            if let Some(first) = lines.first() {
                let joined = [made_up, b", ", first].concat();
                more[1] = &joined;
                assert_eq!(
                    proxies.client(peer, more[1..].iter().copied()),
                    client,
                    "a client's tale"
                );
            }
        }
        if header == ForwardedHeader::XForwardedFor {
            assert_eq!(client, reference(&proxies, peer, &lines), "another reading");
        }
        kept(client);
    }
}

/// The list from its start: the last step that leads on from the peer through trusted ones.
fn reference(proxies: &TrustedProxies, peer: IpAddr, lines: &[&[u8]]) -> IpAddr {
    let list = lines.join(&b","[..]);
    let mut chain: Vec<Option<IpAddr>> = if lines.is_empty() {
        Vec::new()
    } else {
        list.split(|byte| *byte == b',').map(address).collect()
    };
    chain.push(Some(peer.to_canonical()));
    let mut client = peer.to_canonical();
    for entry in chain.iter().rev().skip(1) {
        if !proxies.trusts(client) {
            break;
        }
        let Some(before) = entry else { break };
        client = *before;
    }
    client
}

/// `192.0.2.1`, `192.0.2.1:port`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:port`.
fn address(entry: &[u8]) -> Option<IpAddr> {
    let entry = std::str::from_utf8(entry).ok()?.trim_matches([' ', '\t']);
    let port = |text: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    };
    let v6 = |text: &str| text.parse::<std::net::Ipv6Addr>().ok().map(IpAddr::from);
    let v4 = |text: &str| text.parse::<std::net::Ipv4Addr>().ok().map(IpAddr::from);
    let found = match (entry.strip_prefix('['), entry.matches(':').count()) {
        (Some(rest), _) => match rest.split_once(']')? {
            (inner, "") => v6(inner),
            (inner, after) => after.strip_prefix(':').filter(|it| port(it)).and_then(|_| v6(inner)),
        },
        (None, 0) => v4(entry),
        (None, 1) => {
            let (inner, after) = entry.split_once(':')?;
            // No IPv6 address has one colon alone.
            port(after).then(|| v4(inner)).flatten()
        }
        (None, _) => v6(entry),
    };
    found.map(|address| address.to_canonical())
}

/// A network that is read holds its own first address, and is written as it is read again.
fn networks(text: &str) {
    for text in text.split(',') {
        let Ok(network) = text.trim().parse::<Network>() else { continue };
        assert!(network.contains(network.first()));
        assert_eq!(network.to_string().parse::<Network>().unwrap(), network);
        assert_eq!(network.is_one_address(), !network.to_string().contains('/'));
    }
}

fn kept(address: IpAddr) {
    assert_eq!(AddressPrivacy::None.keep(address), None);
    let full = AddressPrivacy::Full.keep(address).unwrap();
    assert!(full.is_one_address() && full.first() == address.to_canonical());
    let truncated = AddressPrivacy::Truncated.keep(address).unwrap();
    assert!(truncated.contains(address) && !truncated.is_one_address());
    assert!(truncated.prefix() <= if address.to_canonical().is_ipv4() { 24 } else { 48 });
    assert_eq!(truncated.to_string().parse::<Network>().unwrap(), truncated);
}
