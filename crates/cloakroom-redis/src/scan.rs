//! Keys by their pattern, page by page and node by node, for an operator's tools.
//!
//! A cursor names the node, and the process that gave it: another process, after a restart, has its keys
//! in another order. Where a place is not known any more the scan begins anew, and misses nothing.

use cloakroom::records::Cursor;
use cloakroom::store::Patience;

use crate::server::{Failure, Server};
use crate::wire;

/// Some of the keys.
pub(crate) struct Scanned {
    pub(crate) keys: Vec<Vec<u8>>,
    pub(crate) next: Option<Cursor>,
}

pub(crate) async fn scan(
    server: &Server,
    pattern: &str,
    from: &Cursor,
    at_most: u32,
    patience: Patience,
) -> Result<Scanned, Failure> {
    let mut from = from.as_str().split(' ');
    let (at, process, place) = (from.next(), from.next(), from.next());
    let nodes = server.nodes(patience).await?;
    let known = nodes.iter().position(|(name, _)| Some(&**name) == at);
    let mut nodes = nodes.iter().skip(known.unwrap_or(0));
    let Some((name, node)) = nodes.next() else {
        return Ok(Scanned { keys: Vec::new(), next: None });
    };
    // A place that is none is refused by the server, in words that nobody would understand.
    let is_place = |place: &&str| known.is_some() && place.parse::<u64>().is_ok();
    let place = place.filter(is_place).unwrap_or("0");
    let mut scan = redis::cmd("SCAN");
    scan.arg(place).arg("MATCH").arg(pattern).arg("COUNT").arg(at_most.max(1));
    let (next, keys) = wire::scanned(server.ask(node, &scan, patience).await?)?;
    // Asked after the scan: that it is the same process now means that it was then.
    let about = server.ask(node, redis::cmd("INFO").arg("server"), patience).await?;
    let same = wire::process(&about);
    if place != "0" && process != Some(&same) {
        return Ok(Scanned { keys: Vec::new(), next: Some(Cursor::new(name.clone())) });
    }
    let next = match nodes.next() {
        _ if next != "0" => Some(Cursor::new(format!("{name} {same} {next}"))),
        other => other.map(|(name, _)| Cursor::new(name.clone())),
    };
    Ok(Scanned { keys, next })
}
