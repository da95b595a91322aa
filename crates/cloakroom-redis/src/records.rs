//! What an operator does: walk over all sessions, look at one, restore one.
//!
//! A walk is a [`scan`], and a read-only script for each key that it finds, all of a page under way at
//! once.

use cloakroom::records::{Cursor, Page, Record, Records, Restored};
use cloakroom::store::{Answer, Patience, Verb};
use cloakroom::{Prefix, SessionId};
use tokio::task::JoinSet;

use crate::keys;
use crate::scan::{Scanned, scan};
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
    let Scanned { keys, next } =
        scan(server, &keys::every_session(prefix), from, at_most, patience).await?;
    let mut looking = JoinSet::new();
    for id in keys.iter().filter_map(|key| keys::id_in(prefix, key)) {
        let (server, prefix) = (server.clone(), prefix.clone());
        looking.spawn(async move { peek(&server, &prefix, &id, patience).await });
    }
    let mut sessions = Vec::with_capacity(looking.len());
    while let Some(looked) = looking.join_next().await {
        sessions.extend(looked.map_err(Failure::before)??);
    }
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
