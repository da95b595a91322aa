//! The store without a server: sessions in the memory of one process. Nothing survives it.
//!
//! It is for tests, demos and the first hour; two instances don't share it. It keeps the whole
//! contract: atomic per session, expiry checked whenever a session is read, a sweeper that ends
//! with the store, and a cap on anonymous sessions, so that strangers can't fill the memory.
//!
//! ```
//! use cloakroom::{Manager, MemoryStore, Settings};
//! let manager = Manager::new(MemoryStore::new(), Settings::default());
//! ```

use std::fmt;
use std::future::ready;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::clock::Clock;
use crate::engine::Engine;
use crate::records::{self, Record, Records, Restored};
use crate::store::{
    Answer, Applied, Apply, Create, Created, EndOf, Ended, EndedOf, Happened, ListOf, Page,
    Patience, Rotate, Rotated, Store, StoreError, User, Verb, Which,
};
use crate::sync::mpsc::{self, RecvTimeoutError};
use crate::sync::thread;
use crate::token::{Prefix, SessionId, Tag};

/// A store in the memory of this process. Clones are handles to the same sessions.
#[derive(Clone)]
pub struct MemoryStore(Arc<Inner>);

const SWEPT_EVERY: Duration = Duration::from_secs(1);

struct Inner {
    engine: Engine,
    /// Nobody else is in this memory, so it needs no other.
    prefix: Prefix,
    /// Dropped with the store, which ends the sweeper.
    _sweeper: mpsc::Sender<()>,
}

impl MemoryStore {
    /// How many anonymous sessions there can be at once, unless told otherwise.
    pub const ANONYMOUS_AT_MOST: usize = 100_000;

    /// An empty store on the system's clock.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(Clock::system())
    }

    /// An empty store on the given clock.
    #[must_use]
    pub fn with_clock(clock: Clock) -> Self {
        Self::with_cap(clock, Self::ANONYMOUS_AT_MOST)
    }

    /// An empty store that refuses to make more anonymous sessions at once than `at_most`. One
    /// more is answered with an error that is a 503. Users can log in all the same.
    #[must_use]
    pub fn with_cap(clock: Clock, at_most: usize) -> Self {
        let (sender, receiver) = mpsc::channel();
        let inner = Arc::new(Inner {
            engine: Engine::new(clock, at_most),
            prefix: Prefix::default(),
            _sweeper: sender,
        });
        let swept = Arc::downgrade(&inner);
        let thread = thread::Builder::new().name("cloakroom-sweeper".into());
        if let Err(error) = thread.spawn(move || sweep_until_dropped(&swept, &receiver)) {
            // Expiry is checked on every read: without a sweeper memory is freed later, that's all.
            tracing::warn!(%error, "the memory store has no sweeper");
        }
        Self(inner)
    }

    /// Removes expired sessions, at most 64,000 of them, and says how many. The store does so by
    /// itself every second.
    pub fn sweep(&self) -> usize {
        self.0.engine.sweep(|_| ())
    }

    fn tag_of(&self, user: &User) -> Tag {
        Tag::of_user(&self.0.prefix, user.as_str())
    }

    /// How many records it holds, expired ones that wait for the sweeper included.
    pub fn len(&self) -> usize {
        self.0.engine.len()
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    // Says how much it holds, and nothing of what.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("records", &self.len()).finish_non_exhaustive()
    }
}

impl Store for MemoryStore {
    fn prefix(&self) -> &Prefix {
        &self.0.prefix
    }

    fn create<'a>(&'a self, new: Create<'a>, _: Patience) -> Answer<'a, Created> {
        let (created, ()) = self.0.engine.create(&new, |_| ());
        Box::pin(ready(created.map_err(|too_many| StoreError {
            verb: Verb::Create,
            session: Some(*new.id),
            store: "memory".into(),
            happened: Happened::No,
            reason: too_many.into(),
        })))
    }

    fn apply<'a>(&'a self, apply: Apply<'a>, _: Patience) -> Answer<'a, Applied> {
        Box::pin(ready(Ok(self.0.engine.apply(&apply, |_| ()).0)))
    }

    fn rotate<'a>(&'a self, rotate: Rotate<'a>, _: Patience) -> Answer<'a, Rotated> {
        Box::pin(ready(Ok(self.0.engine.rotate(&rotate, |_| ()).0)))
    }

    fn end<'a>(&'a self, id: &'a SessionId, _: Patience) -> Answer<'a, Ended> {
        Box::pin(ready(Ok(self.0.engine.end(id, |_| ()).0)))
    }

    fn sessions_of<'a>(&'a self, list: ListOf<'a>, _: Patience) -> Answer<'a, Page> {
        Box::pin(ready(Ok(self.0.engine.sessions_of(self.tag_of(list.user), &list))))
    }

    fn count_of<'a>(&'a self, user: &'a User, _: Patience) -> Answer<'a, u64> {
        Box::pin(ready(Ok(self.0.engine.count_of(self.tag_of(user)))))
    }

    fn end_of<'a>(&'a self, end: EndOf<'a>, _: Patience) -> Answer<'a, EndedOf> {
        Box::pin(ready(Ok(self.0.engine.end_of(self.tag_of(end.user), &end, |_| ()).0)))
    }

    fn erase<'a>(&'a self, user: &'a User, patience: Patience) -> Answer<'a, u64> {
        Box::pin(async move {
            let all = EndOf { user, which: Which::All, asked_by: None };
            Ok(self.end_of(all, patience).await?.count())
        })
    }

    fn check(&self, _: Patience) -> Answer<'_, ()> {
        Box::pin(ready(Ok(())))
    }

    fn abandon(&self, id: SessionId) {
        let _ = self.0.engine.end(&id, |_| ());
    }
}

impl Records for MemoryStore {
    fn walk<'a>(
        &'a self,
        from: &'a records::Cursor,
        at_most: u32,
        _: Patience,
    ) -> Answer<'a, records::Page> {
        Box::pin(ready(Ok(self.0.engine.walk(from, at_most))))
    }

    fn peek<'a>(&'a self, id: &'a SessionId, _: Patience) -> Answer<'a, Option<Record>> {
        Box::pin(ready(Ok(self.0.engine.peek(id))))
    }

    fn restore<'a>(&'a self, record: &'a Record, _: Patience) -> Answer<'a, Restored> {
        let (restored, ()) = self.0.engine.restore(record, |_| ());
        Box::pin(ready(restored.map_err(|wrong| StoreError {
            verb: Verb::Restore,
            session: Some(record.id),
            store: "memory".into(),
            happened: Happened::No,
            reason: wrong.into(),
        })))
    }
}

fn sweep_until_dropped(store: &Weak<Inner>, dropped: &mpsc::Receiver<()>) {
    while let Err(RecvTimeoutError::Timeout) = dropped.recv_timeout(SWEPT_EVERY) {
        let Some(store) = store.upgrade() else { return };
        store.engine.sweep(|_| ());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sweeper_ends_with_its_store() {
        let store = MemoryStore::new();
        let (sender, receiver) = mpsc::channel::<()>();
        let swept = Arc::downgrade(&store.0);
        let sweeper = thread::spawn(move || sweep_until_dropped(&swept, &receiver));
        // As the store does when it is dropped; the sweeper hears it at once.
        drop((store, sender));
        sweeper.join().unwrap();
    }
}
