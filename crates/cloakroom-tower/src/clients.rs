//! What the headers of a request say of its client.

use std::net::IpAddr;

use cloakroom::{AddressPrivacy, Client, Device, DeviceHeaders, Label, TrustedProxies};
use http::HeaderMap;
use http::header::USER_AGENT;

/// How an application reads who its clients are, for [`LoggingIn::from_client`]. The default trusts
/// no proxy, keeps a truncated address, and has no label.
///
/// ```
/// use cloakroom_tower::Clients;
/// use http::{HeaderMap, HeaderValue, header};
///
/// let mut headers = HeaderMap::new();
/// let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";
/// headers.insert(header::USER_AGENT, HeaderValue::from_static(firefox));
/// headers.insert("x-forwarded-for", HeaderValue::from_static("198.51.100.1"));
///
/// // Nobody said that this peer is a proxy, so what it forwards is hearsay.
/// let client = Clients::default().of(&headers, Some("203.0.113.7".parse()?));
/// assert_eq!(client.device.to_string(), "Firefox on Linux");
/// assert_eq!(client.address.unwrap().to_string(), "203.0.113.0/24");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [`LoggingIn::from_client`]: cloakroom::LoggingIn::from_client
#[derive(Clone, Debug, Default)]
pub struct Clients {
    /// Who may say for whom it asks.
    pub proxies: TrustedProxies,
    /// How much of an address is kept.
    pub privacy: AddressPrivacy,
    /// Which of your applications this is.
    pub label: Option<Label>,
}

impl Clients {
    /// The client of a request that came from `peer`; `None` where that has no address, as behind a
    /// Unix socket.
    pub fn of(&self, headers: &HeaderMap, peer: Option<IpAddr>) -> Client {
        let first = |name: &str| headers.get(name).map_or(&b""[..], |value| value.as_bytes());
        let device = Device::from_headers(&DeviceHeaders {
            user_agent: first(USER_AGENT.as_str()),
            brands: first("sec-ch-ua"),
            platform: first("sec-ch-ua-platform"),
        });
        let forwarded = headers.get_all(self.proxies.header().name());
        let lines = || forwarded.iter().map(|line| line.as_bytes());
        let address = peer.and_then(|peer| self.privacy.keep(self.proxies.client(peer, lines())));
        Client { device, address, label: self.label.clone() }
    }
}
