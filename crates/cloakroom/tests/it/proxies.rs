//! Who names the client: the proxies that are trusted, and nobody else.

use std::net::IpAddr;

use cloakroom::{ForwardedHeader, TrustedProxies};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

const PROXIES: &str = "10.0.0.0/8,127.0.0.1,fd00::/8";

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn client(header: ForwardedHeader, peer: &str, lines: &[&str]) -> String {
    let proxies: TrustedProxies = PROXIES.parse().unwrap();
    let lines = lines.iter().map(|line| line.as_bytes());
    proxies.by(header).client(address(peer), lines).to_string()
}

// Proves R53.
#[test]
fn the_client_is_the_last_address_that_is_no_trusted_proxy() {
    for (peer, lines, expected) in [
        // Nobody of ours: the peer, whatever it says.
        ("198.51.100.9", &["203.0.113.7"][..], "198.51.100.9"),
        ("198.51.100.9", &["10.0.0.1"], "198.51.100.9"),
        ("::ffff:198.51.100.9", &["203.0.113.7"], "198.51.100.9"),
        // One proxy, and more.
        ("10.0.0.1", &["203.0.113.7"], "203.0.113.7"),
        ("::ffff:10.0.0.1", &["203.0.113.7"], "203.0.113.7"),
        ("fd00::1", &["2001:db8::7"], "2001:db8::7"),
        ("10.0.0.1", &["203.0.113.7, 10.0.0.3, 10.0.0.2"], "203.0.113.7"),
        ("10.0.0.1", &["203.0.113.7,10.0.0.2\t"], "203.0.113.7"),
        // What the client put before it.
        ("10.0.0.1", &["6.6.6.6, 203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", &["10.0.0.9, 203.0.113.7, 10.0.0.2"], "203.0.113.7"),
        ("10.0.0.1", &["nonsense, \u{fe0f}, 203.0.113.7"], "203.0.113.7"),
        // Several lines are one list.
        ("10.0.0.1", &["6.6.6.6", "203.0.113.7, 10.0.0.3", "10.0.0.2"], "203.0.113.7"),
        // Ports, brackets, IPv4 as IPv6.
        ("10.0.0.1", &["203.0.113.7:49152"], "203.0.113.7"),
        ("10.0.0.1", &["[2001:db8::7]:443"], "2001:db8::7"),
        ("10.0.0.1", &["[2001:db8::7]"], "2001:db8::7"),
        ("10.0.0.1", &["203.0.113.7, ::ffff:10.0.0.2"], "203.0.113.7"),
        ("10.0.0.1", &["::ffff:203.0.113.7"], "203.0.113.7"),
        // All of them ours: the first.
        ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", &[], "10.0.0.1"),
        // What is no address ends it, and nothing is skipped.
        ("10.0.0.1", &[""], "10.0.0.1"),
        ("10.0.0.1", &["6.6.6.6", ""], "10.0.0.1"),
        ("10.0.0.1", &["6.6.6.6,"], "10.0.0.1"),
        ("10.0.0.1", &["6.6.6.6, unknown"], "10.0.0.1"),
        ("10.0.0.1", &["6.6.6.6, unknown, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", &["6.6.6.6, 10.0.0.0/8"], "10.0.0.1"),
        ("10.0.0.1", &["6.6.6.6, 1.2.3.4.5"], "10.0.0.1"),
        ("10.0.0.1", &["6.6.6.6, 1.2.3.4:"], "10.0.0.1"),
        ("10.0.0.1", &["6.6.6.6, [2001:db8::7"], "10.0.0.1"),
        ("10.0.0.1", &["6.6.6.6, [2001:db8::7]443"], "10.0.0.1"),
        ("10.0.0.1", &["6.6.6.6, [203.0.113.7]"], "10.0.0.1"),
        ("10.0.0.1", &["6.6.6.6, fe80::1%eth0"], "10.0.0.1"),
        ("10.0.0.1", &["6.6.6.6, for=203.0.113.7"], "10.0.0.1"),
    ] {
        let found = client(ForwardedHeader::XForwardedFor, peer, lines);
        assert_eq!(found, expected, "{peer} {lines:?}");
    }
    assert_eq!(
        TrustedProxies::default().client(address("127.0.0.1"), [b"203.0.113.7".as_slice()]),
        address("127.0.0.1"),
        "nobody is trusted unless named"
    );
    let latin = [b"6.6.6.6, \xff".as_slice()];
    let proxies: TrustedProxies = PROXIES.parse().unwrap();
    assert_eq!(proxies.client(address("10.0.0.1"), latin), address("10.0.0.1"));
}

#[test]
fn the_standard_header_is_read_in_the_forms_of_its_rfc() {
    for (lines, expected) in [
        (&["for=203.0.113.7"][..], "203.0.113.7"),
        (&["For=\"[2001:db8:cafe::17]:4711\""], "2001:db8:cafe::17"),
        (&["for=192.0.2.60;proto=http;by=203.0.113.43"], "192.0.2.60"),
        (&["proto=https; FOR=\"192.0.2.60:_port\" ; by=_me;"], "192.0.2.60"),
        (&["for=192.0.2.43, for=10.0.0.2"], "192.0.2.43"),
        (&["for=6.6.6.6", "for=192.0.2.43;by=10.0.0.2", "for=10.0.0.2"], "192.0.2.43"),
        (&["for=192.0.2.43:80"], "192.0.2.43"),
        (&["host=\"a;for=6.6.6.6;b\";for=192.0.2.43"], "192.0.2.43"),
        (&["host=\"\\\";for=6.6.6.6;b=\\\"\";for=192.0.2.43"], "192.0.2.43"),
        // An element before what a trusted proxy wrote may be anything.
        (&["x=\", for=192.0.2.43"], "192.0.2.43"),
        // Names that hide, and elements that are none.
        (&["for=6.6.6.6, for=unknown"], "10.0.0.1"),
        (&["for=6.6.6.6, for=_hidden"], "10.0.0.1"),
        (&["for=6.6.6.6, proto=https"], "10.0.0.1"),
        (&["for=6.6.6.6, for="], "10.0.0.1"),
        (&["for=6.6.6.6, 203.0.113.7"], "10.0.0.1"),
        (&["for=6.6.6.6;for=192.0.2.43"], "10.0.0.1"),
        (&["for=6.6.6.6;;by=_a"], "10.0.0.1"),
        (&["for=\"6.6.6.6"], "10.0.0.1"),
        (&["for=\"6.6.6.6\"x"], "10.0.0.1"),
        (&["for=6.6.6.6\""], "10.0.0.1"),
        (&["for=6.6.6.6 7"], "10.0.0.1"),
        // A comma that a client brought into a quoted string.
        (&["for=192.0.2.43;host=\"a,for=6.6.6.6\""], "10.0.0.1"),
        (&["for=192.0.2.43;host=\"a,for=6.6.6.6;b=\""], "10.0.0.1"),
        (&["for=192.0.2.43;host=\"a,for=6.6.6.6;b=\\\"\""], "10.0.0.1"),
        (&["for=192.0.2.43;host=\"a,for=6.6.6.6,b\""], "10.0.0.1"),
    ] {
        let found = client(ForwardedHeader::Forwarded, "10.0.0.1", lines);
        assert_eq!(found, expected, "{lines:?}");
    }
    let found = client(ForwardedHeader::Forwarded, "198.51.100.9", &["for=203.0.113.7"]);
    assert_eq!(found, "198.51.100.9");
}

#[test]
fn a_list_of_proxies_is_read_or_refused_with_what_to_type() {
    for (text, trusted, stranger) in [
        ("10.0.0.0/8,127.0.0.1", "10.9.9.9", "127.0.0.2"),
        (" 2001:db8::/32 , ::1 ", "::1", "::2"),
        ("", "", "127.0.0.1"),
        ("  ", "", "::1"),
    ] {
        let proxies: TrustedProxies = text.parse().unwrap();
        assert!(trusted.is_empty() || proxies.trusts(address(trusted)), "{text}");
        assert!(!proxies.trusts(address(stranger)), "{text}");
    }
    for (text, says) in [
        ("10.0.0.0/8,", "\"\" is no IP address"),
        ("10.0.0.0/8,proxy", "\"proxy\" is no IP address"),
        ("10.0.0.0/8 127.0.0.1", "from 0 to 32"),
        ("127.0.0.1,10.0.0.1/8", "\"10.0.0.1/8\" has bits beyond its prefix: write 10.0.0.0/8"),
        ("0.0.0.0/0", "\"0.0.0.0/0\" would trust everybody"),
        ("10.0.0.0/8,::/0", "\"::/0\" would trust everybody"),
        ("::ffff:0.0.0.0/96", "\"0.0.0.0/0\" would trust everybody"),
    ] {
        let error = text.parse::<TrustedProxies>().unwrap_err().to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
}

fn an_address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(IpAddr::from),
        any::<[u8; 16]>().prop_map(|bytes| IpAddr::from(bytes).to_canonical()),
    ]
}

/// What an attacker sends: addresses, ours among them, in every form, and pieces of the grammar.
fn a_tale() -> impl Strategy<Value = String> {
    let pieces = ["6.6.6.6", "10.0.0.1", "::1", "for=", "For=6.6.6.6", "host=", "x=", "\"", "\\"];
    let marks = [",", ", ", ";", ";for=6.6.6.6", "=", " ", "[", "]", ":80", "unknown", "_h", ""];
    let piece = select([&pieces[..], &marks[..]].concat()).prop_map(str::to_owned);
    vec(prop_oneof![4 => piece, 1 => "\\PC{0,4}"], 0..12).prop_map(|pieces| pieces.concat())
}

/// How each proxy writes down whom it got the request from.
fn entry(header: ForwardedHeader, from: IpAddr, port: bool, host: Option<&str>) -> String {
    let named = match (from, port) {
        (IpAddr::V6(v6), true) => format!("[{v6}]:443"),
        (v4, true) => format!("{v4}:443"),
        (address, false) => address.to_string(),
    };
    match (header, host) {
        (ForwardedHeader::XForwardedFor, _) => named,
        (ForwardedHeader::Forwarded, None) => format!("for=\"{named}\""),
        (ForwardedHeader::Forwarded, Some(host)) => {
            let host = host.replace('\\', "\\\\").replace('"', "\\\"");
            format!("for=\"{named}\";host=\"{host}\"")
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    // Proves R53.
    #[test]
    fn nobody_but_a_trusted_proxy_names_the_client(
        visitor in an_address(),
        tales in vec(a_tale(), 0..3),
        host in proptest::option::of(a_tale()),
        // Each proxy on the way: its address, and whether it writes ports and a line of its own.
        way in vec((1u8..255, any::<bool>(), any::<bool>()), 1..4),
        header in select(vec![ForwardedHeader::XForwardedFor, ForwardedHeader::Forwarded]),
    ) {
        let proxies: TrustedProxies = PROXIES.parse().unwrap();
        prop_assume!(!proxies.trusts(visitor));
        let proxies = proxies.by(header);
        let mut lines = tales;
        let (mut from, mut ours) = (visitor, Vec::new());
        for (number, port, own_line) in way {
            let entry = entry(header, from, port, host.as_deref());
            match lines.last_mut().filter(|_| !own_line) {
                Some(last) => *last = format!("{last}, {entry}"),
                None => lines.push(entry),
            }
            from = IpAddr::from([10, 0, 0, number]);
            ours.push(from);
        }
        let found = proxies.client(from, lines.iter().map(|line| line.as_bytes()));
        // A comma in a host ends the reading early, at one of ours; never in a stranger's words.
        let host_parts = header == ForwardedHeader::Forwarded
            && host.is_some_and(|host| host.contains(','));
        prop_assert!(found == visitor || host_parts && ours.contains(&found), "{found} {lines:?}");
    }

    #[test]
    fn who_is_not_trusted_is_the_client(peer in an_address(), tales in vec(a_tale(), 0..3)) {
        let proxies: TrustedProxies = PROXIES.parse().unwrap();
        prop_assume!(!proxies.trusts(peer));
        for header in [ForwardedHeader::XForwardedFor, ForwardedHeader::Forwarded] {
            let lines = tales.iter().map(|line| line.as_bytes());
            prop_assert_eq!(proxies.clone().by(header).client(peer, lines), peer);
        }
    }

    // Proves R53.
    #[test]
    fn any_bytes_are_taken(lines in vec(vec(any::<u8>(), 0..200), 0..4), text in "\\PC{0,60}") {
        let proxies: TrustedProxies = PROXIES.parse().unwrap();
        for header in [ForwardedHeader::XForwardedFor, ForwardedHeader::Forwarded] {
            let lines = lines.iter().map(Vec::as_slice);
            proxies.clone().by(header).client(address("10.0.0.1"), lines);
        }
        // Read or refused; what matters is that it comes back.
        let _ = text.parse::<TrustedProxies>();
    }
}
