//! What an operator does: walk over all sessions, look at one, restore one.
//!
//! A walk is a `SCAN`, page by page, and a read-only script for each key that it finds, all of a page
//! under way at once. Its cursor names the process of the server that gave it: another one, after a
//! restart or a failover, has its keys in another order, and the walk begins anew.

use cloakroom::records::{Cursor, Page, Record, Records, Restored};
use cloakroom::store::{Answer, Patience, Verb};
use cloakroom::{Prefix, SessionId};
use tokio::task::JoinSet;

use crate::keys;
use crate::server::{Failure, Server};
use crate::store::RedisStore;
use crate::wire;

impl Records for RedisStore {
    fn walk<'a>(&'a self, from: &'a Cursor, at_most: u32, patience: Patience) -> Answer<'a, Page> {
        Box::pin(async move {
            let page = page(&self.server, &self.prefix, from, at_most, patience).await;
            page.map_err(|failure| self.failed(Verb::Walk, None, failure))
        })
    }

    fn peek<'a>(&'a self, id: &'a SessionId, patience: Patience) -> Answer<'a, Option<Record>> {
        Box::pin(async move {
            let found = peek(&self.server, &self.prefix, id, patience).await;
            let found = found.map_err(|failure| self.failed(Verb::Peek, Some(*id), failure))?;
            Ok(found.filter(|record| record.id == *id))
        })
    }

    fn restore<'a>(&'a self, record: &'a Record, patience: Patience) -> Answer<'a, Restored> {
        Box::pin(async move {
            let restored = restore(&self.server, &self.prefix, record, patience).await;
            restored.map_err(|failure| self.failed(Verb::Restore, Some(record.id), failure))
        })
    }
}

async fn page(
    server: &Server,
    prefix: &Prefix,
    from: &Cursor,
    at_most: u32,
    patience: Patience,
) -> Result<Page, Failure> {
    let mut from = from.as_str().split(' ');
    let (at, process, place) = (from.next(), from.next(), from.next());
    // A place that is none is refused by the server, in words that nobody would understand.
    let place = place.filter(|place| place.parse::<u64>().is_ok()).unwrap_or("0");
    let nodes = server.nodes(patience).await?;
    // One that isn't there any more, as after a failover: the walk begins anew, and misses nobody.
    let known = nodes.iter().position(|(name, _)| Some(&**name) == at);
    let mut nodes = nodes.iter().skip(known.unwrap_or(0));
    let Some((name, node)) = nodes.next() else {
        return Ok(Page { sessions: Vec::new(), next: None });
    };
    let place = if known.is_some() { place } else { "0" };
    let mut scan = redis::cmd("SCAN");
    scan.arg(place).arg("MATCH").arg(keys::every_session(prefix)).arg("COUNT").arg(at_most.max(1));
    let (next, found) = wire::scanned(server.ask(node, &scan, patience).await?)?;
    // Asked after the scan: that it is the same process now means that it was then.
    let about = server.ask(node, redis::cmd("INFO").arg("server"), patience).await?;
    let same = wire::process(&about);
    if place != "0" && process != Some(&same) {
        return Ok(Page { sessions: Vec::new(), next: Some(Cursor::new(name.clone())) });
    }
    let mut looking = JoinSet::new();
    for id in found.iter().filter_map(|key| keys::id_in(prefix, key)) {
        let (server, prefix) = (server.clone(), prefix.clone());
        looking.spawn(async move { peek(&server, &prefix, &id, patience).await });
    }
    let mut sessions = Vec::with_capacity(looking.len());
    while let Some(looked) = looking.join_next().await {
        sessions.extend(looked.map_err(Failure::before)??);
    }
    let next = match nodes.next() {
        _ if next != "0" => Some(Cursor::new(format!("{name} {same} {next}"))),
        other => other.map(|(name, _)| Cursor::new(name.clone())),
    };
    Ok(Page { sessions, next })
}

/// The session of that tag and hash, of whatever kind.
async fn peek(
    server: &Server,
    prefix: &Prefix,
    id: &SessionId,
    patience: Patience,
) -> Result<Option<Record>, Failure> {
    Ok(wire::peeked(id, server.call(&wire::peek(prefix, id), patience).await?)?)
}

async fn restore(
    server: &Server,
    prefix: &Prefix,
    record: &Record,
    patience: Patience,
) -> Result<Restored, Failure> {
    record.check().map_err(Failure::before)?;
    Ok(wire::restored(server.call(&wire::restore(prefix, record), patience).await?)?)
}
