//! The contract of a store, kept by a server.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use cloakroom::change::Fields;
use cloakroom::store::{
    Answer, Applied, Apply, Create, Created, EndOf, Ended, EndedOf, Happened, ListOf, Login, Page,
    Patience, Rotate, Rotated, Store, User, Verb, WhenFull, Which, Why,
};
use cloakroom::{FieldName, Lifetime, Prefix, SessionId, StoreError, Tag};
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::address::InvalidUrl;
use crate::keys;
use crate::server::{Failure, Server};
use crate::settings::RedisSettings;
use crate::wire::{self, Oddity, Reply, Sealed, users};

/// Sessions in Redis, Valkey or ElastiCache. Clones share their connections.
#[derive(Clone)]
pub struct RedisStore {
    pub(crate) server: Server,
    pub(crate) prefix: Prefix,
}

impl RedisStore {
    /// A store at a URL, with the defaults of [`RedisSettings`].
    ///
    /// | deployment | URL |
    /// |---|---|
    /// | one server, or a primary behind one name | `redis://HOST:PORT`, `unix:///PATH` |
    /// | a cluster; the hosts are some of its nodes | `redis+cluster://HOST:PORT,HOST:PORT` |
    /// | a primary found by sentinels | `redis+sentinel://HOST:PORT,HOST:PORT/PRIMARY` |
    ///
    /// `rediss` is TLS, verified against the system's roots or those of the settings. `USER:PASSWORD@`
    /// stands before the hosts, `/DATABASE` at the end. `valkey` is as good as `redis`, `-` as `+`, and
    /// `?cluster=true` as `+cluster`. Sentinels that want a password of their own find it in
    /// `?sentinel_user=..&sentinel_password=..`.
    ///
    /// Connects at the first use, and again whenever a connection breaks. Errors if the URL can't be
    /// read, or outside of a tokio runtime.
    pub fn open(url: &str, prefix: Prefix) -> Result<Self, InvalidUrl> {
        Self::open_with(url, prefix, &RedisSettings::default())
    }

    /// The same with other settings.
    pub fn open_with(
        url: &str,
        prefix: Prefix,
        settings: &RedisSettings,
    ) -> Result<Self, InvalidUrl> {
        Ok(Self { server: Server::open(url, settings)?, prefix })
    }

    /// Where it is, without credentials: `HOST:PORT`, several of them, or the path of a socket.
    pub fn server(&self) -> &str {
        self.server.name()
    }

    /// A login across slots, which no script can span: room is looked for, if the limit refuses; the
    /// old session is sealed; the new one is made. Two or three trips.
    async fn log_in_elsewhere(
        &self,
        rotate: &Rotate<'_>,
        terms: &Terms<'_>,
        patience: Patience,
    ) -> Result<Rotated, Failure> {
        let rest = left_of(patience);
        let Terms { login, lifetime, remembered, carried, fields } = *terms;
        if login.limit.is_some_and(|limit| limit.when_full == WhenFull::Refuse) {
            let room = wire::room(&self.prefix, rotate.new, &login);
            if !wire::has_room(self.server.call(&room, rest()).await?)? {
                return Ok(Rotated::Full);
            }
        }
        let seal = wire::seal(&self.prefix, rotate, carried, fields);
        let sealed = self.server.call(&seal, rest()).await?;
        let fields = match wire::sealed(rotate.limits, sealed)? {
            Sealed::Done(fields) => fields,
            Sealed::Refused(refusal) => return Ok(Rotated::Refused(refusal)),
            Sealed::Stolen => return Ok(Rotated::Stolen),
        };
        let login = Some(login);
        let new = Create { id: rotate.new, lifetime, remembered, fields: &fields, login };
        let value = self.server.call(&wire::create(&self.prefix, &new), rest()).await;
        // The old session is gone, so it is never said that nothing has happened.
        let value = value.map_err(|f| Failure { happened: Happened::Perhaps, ..f })?;
        Ok(match self.settle(rotate.new, wire::created(rotate.new, value)?) {
            Created::Done(snapshot, pushed_out) => Rotated::Done(snapshot, pushed_out),
            Created::Full => Rotated::Full,
            Created::Taken => Rotated::Taken,
        })
    }

    pub(crate) fn failed(
        &self,
        verb: Verb,
        session: Option<SessionId>,
        failure: Failure,
    ) -> StoreError {
        let Failure { happened, reason } = failure;
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

    fn remove_pushed_out_by(&self, rotated: &Rotated) {
        if let Rotated::Done(_, pushed_out) = rotated {
            self.remove_pushed_out(pushed_out);
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

    /// Removes what was held by sessions that were ended all at once.
    pub(crate) async fn tidy(
        &self,
        tag: Tag,
        pace: Pace,
        patience: impl Fn() -> Patience,
    ) -> Result<(), Failure> {
        loop {
            let begun = Instant::now();
            let list = users::list(keys::ended_of(&self.prefix, tag), None, pace.at_once);
            let (_, ids) = users::listed(tag, self.server.call(&list, patience()).await?)?;
            if ids.is_empty() {
                return Ok(());
            }
            self.server.call(&users::tidy(&self.prefix, tag, &ids), patience()).await?;
            // A sleep, because nobody waits for this, and the rest is what it is about.
            tokio::time::sleep(begun.elapsed().min(Pace::LONGEST_STEP) * pace.rests).await;
        }
    }
}

/// How ended sessions are removed, so that others notice little of it: so many in a step, and then a
/// rest of so many times as long as that took.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    at_once: u32,
    rests: u32,
}

impl Pace {
    /// Nobody waits for it: less than a hundredth of the server's time, so that of a hundred requests of
    /// others not one meets it.
    const UNNOTICED: Self = Self { at_once: 20, rests: 120 };
    /// Somebody does: half of it.
    pub(crate) const AWAITED: Self = Self { at_once: 200, rests: 1 };
    /// A step that took longer waited for the server, and kept nobody else from it.
    const LONGEST_STEP: Duration = Duration::from_millis(10);
}

/// What is said of a login; see [`Why::Login`].
struct Terms<'a> {
    login: Login<'a>,
    lifetime: Lifetime,
    remembered: bool,
    carried: &'a [FieldName],
    fields: &'a Fields,
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
            if let Why::Login { login, lifetime, remembered, carried, fields } = rotate.why
                && self.server.parts(rotate.old.tag(), rotate.new.tag())
            {
                let terms = Terms { login, lifetime, remembered, carried, fields };
                let rotated = self.log_in_elsewhere(&rotate, &terms, patience).await;
                let rotated =
                    rotated.map_err(|f| self.failed(Verb::Rotate, Some(*rotate.old), f))?;
                self.remove_pushed_out_by(&rotated);
                return Ok(rotated);
            }
            let call = wire::rotate(&self.prefix, &rotate);
            let value = self.server.call(&call, patience).await;
            let reply = value.and_then(|v| Ok(wire::rotated(rotate.new, rotate.limits, v)?));
            let reply = reply.map_err(|f| self.failed(Verb::Rotate, Some(*rotate.old), f))?;
            let rotated = self.settle(rotate.old, reply);
            self.remove_pushed_out_by(&rotated);
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
            let rest = left_of(patience);
            let tag = self.tag_of(list.user);
            let at_most = list.at_most.get().min(Page::AT_MOST);
            let call = users::list(keys::index_of(&self.prefix, tag), list.after, at_most);
            let value = self.server.call(&call, rest()).await.map_err(failed)?;
            let (page, ids) = users::listed(tag, value).map_err(|g| failed(g.into()))?;
            if ids.is_empty() {
                return Ok(page);
            }
            let call = users::look(&self.prefix, list.user, tag, &ids);
            let value = self.server.call(&call, rest()).await.map_err(failed)?;
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
                    let each = || store.server.in_the_background();
                    if let Err(failure) = store.tidy(tag, Pace::UNNOTICED, each).await {
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
            let rest = left_of(patience);
            let ended = self.end_in_one_step(&all, rest()).await.map_err(failed)?;
            let tidied = self.tidy(self.tag_of(user), Pace::AWAITED, rest).await;
            // They have ended by now, so it is never said that nothing has happened.
            let tidied = tidied.map_err(|f| Failure { happened: Happened::Perhaps, ..f });
            tidied.map_err(failed)?;
            Ok(ended.count())
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
            if let Err(error) = store.end(&id, store.server.in_the_background()).await {
                tracing::warn!(%error, "a session could not be ended; it expires by itself");
            }
        });
    }
}

/// What is left of the patience for a verb that takes several calls.
fn left_of(Patience(patience): Patience) -> impl Fn() -> Patience {
    let begun = Instant::now();
    move || Patience(patience.saturating_sub(begun.elapsed()))
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
