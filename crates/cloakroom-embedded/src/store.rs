//! The contract of a store, kept by a memory and a file.

use std::fmt;
use std::future::{Future, ready};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_io::Timer;
use cloakroom::engine::{Changes, Engine};
use cloakroom::records::{self, Record, Records, Restored};
use cloakroom::store::{
    Answer, Applied, Apply, Create, Created, EndOf, Ended, EndedOf, Happened, ListOf, Page,
    Patience, Rotate, Rotated, Store, Verb, Which,
};
use cloakroom::{Clock, MemoryStore, Prefix, SessionId, StoreError, Tag, User};
use futures_lite::future::or;
use redb::StorageBackend;
use redb::backends::FileBackend;

use crate::file::{Folder, OpenError};
use crate::queue::{Batch, Failure, Queue};
use crate::sync::thread::{self, JoinHandle};
use crate::writer::{self, Shared};

/// Sessions in a folder of this machine. Clones are handles to the same store; when the last one is
/// dropped, that blocks until what waits is written, and then the folder is free for another.
#[derive(Clone)]
pub struct EmbeddedStore(Arc<Handle>);

/// How an [`EmbeddedStore`] behaves.
#[derive(Clone, Debug)]
pub struct EmbeddedSettings {
    /// When a write is acknowledged. Default: when it is on the disk.
    pub durability: Durability,
    /// What tokens are bound to, together with the cookie's name. A folder serves one application;
    /// sessions that were made under another prefix can't be reached, and expire. Default:
    /// `cloakroom`.
    pub prefix: Prefix,
    /// How many anonymous sessions there can be at once, so that strangers can't fill memory and
    /// disk; users can log in all the same. Default: 100,000.
    pub anonymous_at_most: usize,
    /// What decides what has expired. Default: the system's clock, which from the opening on only
    /// runs forwards.
    pub clock: Clock,
}

/// When a write is acknowledged, and so what a crash can cost.
///
/// | | process killed | power cut, or the system crashes |
/// |---|---|---|
/// | [`EveryWrite`](Self::EveryWrite) | nothing | nothing, on a disk that keeps what it synced |
/// | [`Window`](Self::Window) | the writes of that time, at most | the same |
///
/// What is left is always a state that was: all writes up to some instant, and none after it. Uses
/// that only renewed a session's end are lost for a second at most, in either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// When it is on the disk. Writes that come together share one sync of the disk.
    #[default]
    EveryWrite,
    /// At once; the disk follows after so long at most. A logout of that time may come undone by a
    /// crash. For sessions that are worth little.
    Window(Duration),
}

impl Default for EmbeddedSettings {
    fn default() -> Self {
        Self {
            durability: Durability::EveryWrite,
            prefix: Prefix::default(),
            anonymous_at_most: MemoryStore::ANONYMOUS_AT_MOST,
            clock: Clock::system(),
        }
    }
}

struct Handle {
    shared: Arc<Shared>,
    prefix: Prefix,
    /// Whether a write waits for the disk.
    waits: bool,
    /// Shown in errors.
    name: String,
    writer: Option<JoinHandle<()>>,
}

impl EmbeddedStore {
    /// Opens the sessions of a folder; makes it, for its owner alone, if it is not there. Reads all
    /// of it, checks every checksum, and blocks that long: some microseconds a session, as
    /// `docs/performance-embedded.md` has measured. Waits a second for a process that is just leaving
    /// the folder. In async code call it at the start, or where blocking is allowed.
    pub fn open(folder: impl AsRef<Path>, settings: EmbeddedSettings) -> Result<Self, OpenError> {
        Self::open_on(folder.as_ref(), settings, |file| file)
    }

    fn open_on<B: StorageBackend>(
        folder: &Path,
        settings: EmbeddedSettings,
        with: impl Fn(FileBackend) -> B + Send + 'static,
    ) -> Result<Self, OpenError> {
        let EmbeddedSettings { durability, prefix, anonymous_at_most, clock } = settings;
        let folder = Folder::hold(folder)?;
        let path = folder.file();
        let (waits, window) = match durability {
            Durability::EveryWrite => (true, Duration::ZERO),
            Durability::Window(window) => (false, window),
        };
        let shared = Arc::new(Shared {
            engine: Engine::new(clock, anonymous_at_most),
            queue: Queue::new(window),
            path: path.clone(),
        });
        // Held by what opens the file, and so by the writer, until it ends.
        let open: writer::Open = Box::new(move || folder.open(&with));
        let (mut sessions, records) =
            open().and_then(|sessions| writer::read(&shared, sessions))?;
        sessions.tidy_all()?;
        shared.engine.replace(records, || ());
        let thread = thread::Builder::new().name("cloakroom-writer".into());
        let writer = {
            let shared = shared.clone();
            thread.spawn(move || writer::run(&shared, sessions, &open))
        };
        let name = format!("the file {}", path.display());
        let writer = writer.map_err(|source| OpenError::NotAccessible { path, source })?;
        Ok(Self(Arc::new(Handle { shared, prefix, waits, name, writer: Some(writer) })))
    }

    /// How many records it holds, expired ones that wait for the sweeper included.
    pub fn len(&self) -> usize {
        self.0.shared.engine.len()
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn engine(&self) -> &Engine {
        &self.0.shared.engine
    }

    fn queue(&self) -> &Queue {
        &self.0.shared.queue
    }

    fn failed(&self, verb: Verb, session: Option<SessionId>, failure: Failure) -> StoreError {
        let Failure { happened, reason } = failure;
        let store = self.0.name.clone();
        StoreError { verb, session, store, happened, reason: reason.to_string().into() }
    }

    fn tag_of(&self, user: &User) -> Tag {
        Tag::of_user(&self.0.prefix, user.as_str())
    }

    /// As with a logout, it takes no room worth waiting for, and all data goes at once.
    async fn end_all(&self, end: EndOf<'_>, patience: Patience) -> Result<EndedOf, Failure> {
        let tag = self.tag_of(end.user);
        let note = |changes: Changes<'_>| self.queue().note(changes);
        let (ended, behind) = self.engine().end_of(tag, &end, note);
        self.safe(behind, Deadline::of(patience)).await?;
        Ok(ended)
    }

    /// Waits until there is room for one more write. Nothing has happened before.
    async fn room(&self, until: Deadline) -> Result<(), Failure> {
        while let Some(batch) = self.queue().no_room() {
            // Whether that one could be written is its own affair.
            let _ = until.cut(batch.outcome(), Happened::No).await?;
        }
        Ok(())
    }

    /// Waits until all is on the disk that a verb did or saw.
    async fn safe(
        &self,
        behind: Result<Option<Arc<Batch>>, Failure>,
        until: Deadline,
    ) -> Result<(), Failure> {
        match behind? {
            Some(batch) if self.0.waits => until.cut(batch.outcome(), Happened::Perhaps).await?,
            _ => Ok(()),
        }
    }
}

impl Store for EmbeddedStore {
    fn prefix(&self) -> &Prefix {
        &self.0.prefix
    }

    fn create<'a>(&'a self, new: Create<'a>, patience: Patience) -> Answer<'a, Created> {
        Box::pin(async move {
            let until = Deadline::of(patience);
            let failed = |failure| self.failed(Verb::Create, Some(*new.id), failure);
            self.room(until).await.map_err(failed)?;
            let (created, behind) =
                self.engine().create(&new, |changes| self.queue().note(changes));
            let created = created.map_err(|too_many| {
                failed(Failure { happened: Happened::No, reason: too_many.to_string().into() })
            })?;
            self.safe(behind, until).await.map_err(failed)?;
            Ok(created)
        })
    }

    fn apply<'a>(&'a self, apply: Apply<'a>, patience: Patience) -> Answer<'a, Applied> {
        Box::pin(async move {
            let until = Deadline::of(patience);
            let failed = |failure| self.failed(Verb::Apply, Some(*apply.id), failure);
            let writes = !apply.change.is_read();
            if writes {
                self.room(until).await.map_err(failed)?;
            }
            let (applied, behind) =
                self.engine().apply(&apply, |changes| self.queue().note(changes));
            // A write that found its work done relies on whoever did it.
            let relied_on = writes && matches!(applied, Applied::Done(..));
            let behind = behind.map(|batch| batch.filter(|_| relied_on));
            self.safe(behind, until).await.map_err(failed)?;
            Ok(applied)
        })
    }

    fn rotate<'a>(&'a self, rotate: Rotate<'a>, patience: Patience) -> Answer<'a, Rotated> {
        Box::pin(async move {
            let until = Deadline::of(patience);
            let failed = |failure| self.failed(Verb::Rotate, Some(*rotate.old), failure);
            self.room(until).await.map_err(failed)?;
            let (rotated, behind) =
                self.engine().rotate(&rotate, |changes| self.queue().note(changes));
            self.safe(behind, until).await.map_err(failed)?;
            Ok(rotated)
        })
    }

    fn end<'a>(&'a self, id: &'a SessionId, patience: Patience) -> Answer<'a, Ended> {
        Box::pin(async move {
            let until = Deadline::of(patience);
            let failed = |failure| self.failed(Verb::End, Some(*id), failure);
            // A logout takes no room worth waiting for. One that finds it done waits all the same
            // until that is safe.
            let (ended, behind) = self.engine().end(id, |changes| self.queue().note(changes));
            self.safe(behind, until).await.map_err(failed)?;
            Ok(ended)
        })
    }

    /// From memory: it costs no disk, and waits for none.
    fn sessions_of<'a>(&'a self, list: ListOf<'a>, _: Patience) -> Answer<'a, Page> {
        Box::pin(ready(Ok(self.engine().sessions_of(self.tag_of(list.user), &list))))
    }

    fn count_of<'a>(&'a self, user: &'a User, _: Patience) -> Answer<'a, u64> {
        Box::pin(ready(Ok(self.engine().count_of(self.tag_of(user)))))
    }

    fn end_of<'a>(&'a self, end: EndOf<'a>, patience: Patience) -> Answer<'a, EndedOf> {
        let ended = self.end_all(end, patience);
        Box::pin(async move {
            ended.await.map_err(|f| self.failed(Verb::EndOf, end.asked_by.copied(), f))
        })
    }

    fn erase<'a>(&'a self, user: &'a User, patience: Patience) -> Answer<'a, u64> {
        let all = EndOf { user, which: Which::All, asked_by: None };
        Box::pin(async move {
            let ended = self.end_all(all, patience).await;
            Ok(ended.map_err(|failure| self.failed(Verb::Erase, None, failure))?.count())
        })
    }

    /// Whether the file can be written: waits for what is being written now, and writes nothing.
    fn check(&self, patience: Patience) -> Answer<'_, ()> {
        Box::pin(async move {
            let checked = self.safe(self.queue().behind(), Deadline::of(patience)).await;
            checked.map_err(|failure| self.failed(Verb::Check, None, failure))
        })
    }

    fn abandon(&self, id: SessionId) {
        let (_, behind) = self.engine().end(&id, |changes| self.queue().note(changes));
        if let Err(failure) = behind {
            tracing::warn!(session = %id, %failure, "a session could not be ended; it expires by itself");
        }
    }
}

impl Records for EmbeddedStore {
    fn walk<'a>(
        &'a self,
        from: &'a records::Cursor,
        at_most: u32,
        _: Patience,
    ) -> Answer<'a, records::Page> {
        let open = self.queue().behind().map_err(|failure| self.failed(Verb::Walk, None, failure));
        Box::pin(ready(open.map(|_| self.engine().walk(from, at_most))))
    }

    fn peek<'a>(&'a self, id: &'a SessionId, _: Patience) -> Answer<'a, Option<Record>> {
        let failed = |failure| self.failed(Verb::Peek, Some(*id), failure);
        let open = self.queue().behind().map_err(failed);
        Box::pin(ready(open.map(|_| self.engine().peek(id))))
    }

    fn restore<'a>(&'a self, record: &'a Record, patience: Patience) -> Answer<'a, Restored> {
        Box::pin(async move {
            let until = Deadline::of(patience);
            let failed = |failure| self.failed(Verb::Restore, Some(record.id), failure);
            self.room(until).await.map_err(failed)?;
            let (restored, behind) =
                self.engine().restore(record, |changes| self.queue().note(changes));
            let restored = restored.map_err(|wrong| {
                failed(Failure { happened: Happened::No, reason: wrong.to_string().into() })
            })?;
            self.safe(behind, until).await.map_err(failed)?;
            Ok(restored)
        })
    }
}

impl fmt::Debug for EmbeddedStore {
    // Says how much it holds, and nothing of what.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedStore")
            .field("path", &self.0.shared.path)
            .field("records", &self.len())
            .finish_non_exhaustive()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.queue.end();
        if let Some(writer) = self.writer.take() {
            // One that panicked has said so.
            let _ = writer.join();
        }
    }
}

/// When the caller's patience ends. `None` is too far away to be told.
#[derive(Clone, Copy)]
struct Deadline(Option<Instant>, Duration);

impl Deadline {
    fn of(Patience(patience): Patience) -> Self {
        Self(Instant::now().checked_add(patience), patience)
    }

    async fn cut<T>(
        self,
        waiting: impl Future<Output = T>,
        happened: Happened,
    ) -> Result<T, Failure> {
        let Self(at, patience) = self;
        let late = async {
            at.map_or_else(Timer::never, Timer::at).await;
            Err(Failure { happened, reason: format!("no answer within {patience:?}").into() })
        };
        or(async { Ok(waiting.await) }, late).await
    }
}

#[cfg(test)]
mod tests;

#[cfg(all(test, shuttle))]
mod models;
