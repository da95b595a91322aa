//! The contract of a store, kept by a server.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use cloakroom::store::{
    Answer, Applied, Apply, Create, Created, EndOf, Ended, EndedOf, ListOf, Page, Patience, Rotate,
    Rotated, Store, Verb, Which,
};
use cloakroom::{Prefix, SessionId, StoreError, Tag, User};
use tokio::runtime::Handle;

use crate::keys;
use crate::server::{Failure, InvalidUrl, Server};
use crate::wire::{self, Oddity, Reply, users};

/// How long work that nobody waits for may take.
const IN_THE_BACKGROUND: Patience = Patience(Duration::from_secs(5));

/// Sessions in Redis, Valkey or ElastiCache. Clones share one connection.
#[derive(Clone)]
pub struct RedisStore {
    pub(crate) server: Server,
    pub(crate) prefix: Prefix,
}

impl RedisStore {
    /// A store at a URL: `redis://`, `rediss://` (TLS, system roots) or `unix://`, with user,
    /// password and database. Connects at the first use, and again whenever the connection breaks.
    ///
    /// An attempt to connect takes a second at most; a request waits no longer than its patience.
    ///
    /// Errors if the URL can't be read, or outside of a tokio runtime.
    pub fn open(url: &str, prefix: Prefix) -> Result<Self, InvalidUrl> {
        Ok(Self { server: Server::open(url)?, prefix })
    }

    /// Where it is, without credentials: `HOST:PORT`, or the path of a socket.
    pub fn server(&self) -> &str {
        self.server.name()
    }

    pub(crate) fn failed(
        &self,
        verb: Verb,
        session: Option<SessionId>,
        failure: Failure,
    ) -> StoreError {
        let Failure { happened, reason, .. } = failure;
        StoreError { verb, session, store: self.server.name().to_owned(), happened, reason }
    }

    pub(crate) fn tag_of(&self, user: &User) -> Tag {
        Tag::of_user(&self.prefix, user.as_str())
    }

    /// Takes what a reply says besides its outcome: logs what is odd.
    fn settle<T>(&self, id: &SessionId, reply: Reply<T>) -> T {
        match reply.oddity {
            None => {}
            Some(Oddity::Damaged(what)) => {
                tracing::warn!(event = "damaged", session = %id, what, "what stood under a session's key was no session, and was removed");
            }
            Some(Oddity::Newer) => {
                tracing::error!(event = "newer_layout", session = %id, "a session was written by a later version of Cloakroom, and left alone");
            }
        }
        reply.outcome
    }

    /// Makes markers of the sessions that a login pushed out. They ended when they left the index;
    /// that is tidying.
    fn remove_pushed_out(&self, pushed_out: &[SessionId]) {
        for id in pushed_out {
            tracing::info!(event = "pushed_out", session = %id, "ended by a login over the limit");
            self.abandon(*id);
        }
    }

    async fn end_in_one_step(
        &self,
        end: &EndOf<'_>,
        patience: Patience,
    ) -> Result<EndedOf, Failure> {
        let tag = self.tag_of(end.user);
        // What has another tag is not the user's.
        if end.asked_by.is_some_and(|id| id.tag() != tag) {
            return Ok(EndedOf::Unknown);
        }
        if matches!(end.which, Which::One(id) if id.tag() != tag) {
            return Ok(EndedOf::Done(0));
        }
        let value = self.server.call(&users::end_of(&self.prefix, tag, end), patience).await?;
        let reply = users::ended_of(value)?;
        Ok(match end.asked_by {
            Some(asker) => self.settle(asker, reply),
            None => reply.outcome,
        })
    }

    /// Removes what was held by sessions that were ended all at once, some hundreds in a step, so
    /// that nobody else waits long.
    pub(crate) async fn tidy(&self, tag: Tag, patience: Patience) -> Result<(), Failure> {
        loop {
            let list = users::list(keys::ended_of(&self.prefix, tag), None, Page::AT_MOST);
            let (_, ids) = users::listed(tag, self.server.call(&list, patience).await?)?;
            if ids.is_empty() {
                return Ok(());
            }
            self.server.call(&users::tidy(&self.prefix, tag, &ids), patience).await?;
        }
    }
}

impl Store for RedisStore {
    fn prefix(&self) -> &Prefix {
        &self.prefix
    }

    fn create<'a>(&'a self, new: Create<'a>, patience: Patience) -> Answer<'a, Created> {
        Box::pin(async move {
            let call = wire::create(&self.prefix, &new);
            let value = self.server.call(&call, patience).await;
            let reply = value.and_then(|value| Ok(wire::created(new.id, value)?));
            let reply = reply.map_err(|f| self.failed(Verb::Create, Some(*new.id), f))?;
            let created = self.settle(new.id, reply);
            if let Created::Done(_, pushed_out) = &created {
                self.remove_pushed_out(pushed_out);
            }
            Ok(created)
        })
    }

    fn apply<'a>(&'a self, apply: Apply<'a>, patience: Patience) -> Answer<'a, Applied> {
        Box::pin(async move {
            let call = wire::apply(&self.prefix, &apply);
            let value = self.server.call(&call, patience).await;
            let reply = value.and_then(|value| Ok(wire::applied(apply.limits, value)?));
            let reply = reply.map_err(|f| self.failed(Verb::Apply, Some(*apply.id), f))?;
            Ok(self.settle(apply.id, reply))
        })
    }

    fn rotate<'a>(&'a self, rotate: Rotate<'a>, patience: Patience) -> Answer<'a, Rotated> {
        Box::pin(async move {
            let call = wire::rotate(&self.prefix, &rotate);
            let value = self.server.call(&call, patience).await;
            let reply = value.and_then(|v| Ok(wire::rotated(rotate.new, rotate.limits, v)?));
            let reply = reply.map_err(|f| self.failed(Verb::Rotate, Some(*rotate.old), f))?;
            let rotated = self.settle(rotate.old, reply);
            if let Rotated::Done(_, pushed_out) = &rotated {
                self.remove_pushed_out(pushed_out);
            }
            Ok(rotated)
        })
    }

    fn end<'a>(&'a self, id: &'a SessionId, patience: Patience) -> Answer<'a, Ended> {
        Box::pin(async move {
            let value = self.server.call(&wire::end(&self.prefix, id), patience).await;
            let reply = value.and_then(|value| Ok(wire::ended(value)?));
            let reply = reply.map_err(|f| self.failed(Verb::End, Some(*id), f))?;
            Ok(self.settle(id, reply))
        })
    }

    fn sessions_of<'a>(&'a self, list: ListOf<'a>, patience: Patience) -> Answer<'a, Page> {
        Box::pin(async move {
            let failed = |failure| self.failed(Verb::SessionsOf, None, failure);
            let tag = self.tag_of(list.user);
            let at_most = list.at_most.get().min(Page::AT_MOST);
            let call = users::list(keys::index_of(&self.prefix, tag), list.after, at_most);
            let value = self.server.call(&call, patience).await.map_err(failed)?;
            let (page, ids) = users::listed(tag, value).map_err(|g| failed(g.into()))?;
            if ids.is_empty() {
                return Ok(page);
            }
            let call = users::look(&self.prefix, list.user, tag, &ids);
            let value = self.server.call(&call, patience).await.map_err(failed)?;
            let sessions = users::looked(&ids, value).map_err(|g| failed(g.into()))?;
            Ok(Page { sessions, ..page })
        })
    }

    fn count_of<'a>(&'a self, user: &'a User, patience: Patience) -> Answer<'a, u64> {
        Box::pin(async move {
            let call = users::count(&self.prefix, self.tag_of(user));
            let value = self.server.call(&call, patience).await;
            let count = value.and_then(|value| Ok(users::counted(value)?));
            count.map_err(|f| self.failed(Verb::CountOf, None, f))
        })
    }

    fn end_of<'a>(&'a self, end: EndOf<'a>, patience: Patience) -> Answer<'a, EndedOf> {
        Box::pin(async move {
            let failed = |f| self.failed(Verb::EndOf, end.asked_by.copied(), f);
            let ended = self.end_in_one_step(&end, patience).await.map_err(failed)?;
            let left = matches!(ended, EndedOf::Done(count) if count > 0);
            if left && !matches!(end.which, Which::One(_)) {
                let (store, tag) = (self.clone(), self.tag_of(end.user));
                in_the_background(async move {
                    if let Err(failure) = store.tidy(tag, IN_THE_BACKGROUND).await {
                        let error = store.failed(Verb::EndOf, None, failure);
                        tracing::warn!(%error, "ended sessions could not be removed; they expire by themselves");
                    }
                });
            }
            Ok(ended)
        })
    }

    fn erase<'a>(&'a self, user: &'a User, patience: Patience) -> Answer<'a, u64> {
        Box::pin(async move {
            let failed = |failure| self.failed(Verb::Erase, None, failure);
            let all = EndOf { user, which: Which::All, asked_by: None };
            let ended = self.end_in_one_step(&all, patience).await.map_err(failed)?;
            self.tidy(self.tag_of(user), patience).await.map_err(failed)?;
            match ended {
                EndedOf::Done(count) => Ok(count),
                // Nobody's session asked for it.
                EndedOf::Unknown | EndedOf::Ended => Ok(0),
            }
        })
    }

    fn check(&self, patience: Patience) -> Answer<'_, ()> {
        Box::pin(async move {
            self.server.ping(patience).await.map_err(|f| self.failed(Verb::Check, None, f))
        })
    }

    fn abandon(&self, id: SessionId) {
        let store = self.clone();
        in_the_background(async move {
            if let Err(error) = store.end(&id, IN_THE_BACKGROUND).await {
                tracing::warn!(%error, "a session could not be ended; it expires by itself");
            }
        });
    }
}

/// Outside of a runtime there is nothing to send with, and what it would have done is left to time.
fn in_the_background(work: impl Future<Output = ()> + Send + 'static) {
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(work);
    }
}

impl fmt::Debug for RedisStore {
    // Without credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("server", &self.server.name())
            .field("prefix", &self.prefix)
            .finish()
    }
}
