//! Where a host's name leads: looked up at each connect, and once in a while as long as a connection
//! made by it stands. An endpoint moves by its name alone, and what answered there before may go on
//! answering.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::lookup_host;

/// The addresses of a host, at least one.
pub(crate) async fn addresses(host: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
    let addresses: Vec<_> = lookup_host((host, port)).await?.collect();
    if addresses.is_empty() {
        return Err(std::io::Error::other("the host's name has no address"));
    }
    Ok(addresses)
}

/// Whether it can lead elsewhere one day.
pub(crate) fn is_name(host: &str) -> bool {
    host.parse::<IpAddr>().is_err()
}

/// Waits until a name no longer leads to one of these addresses, at one of which a connection ends. A
/// resolver that fails says nothing about that.
pub(crate) async fn leads_elsewhere(host: &str, port: u16, from: &[IpAddr], every: Duration) {
    loop {
        // A sleep, because no resolver tells anybody of a change.
        tokio::time::sleep(every).await;
        if let Ok(now) = addresses(host, port).await
            && !from.iter().all(|old| now.iter().any(|new| new.ip() == *old))
        {
            return;
        }
    }
}
