//! The contract of a store, kept by a server.

use std::fmt;

use cloakroom::change::Fields;
use cloakroom::store::{
    Answer, Applied, Apply, Create, Created, Ended, Happened, Login, Patience, Rotate, Rotated,
    Store, Verb, WhenFull, Why,
};
use cloakroom::{FieldName, Lifetime, Prefix, SessionId, StoreError};
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::address::InvalidUrl;
use crate::keys;
use crate::server::{Failure, Server};
use crate::settings::RedisSettings;
use crate::wire::{self, Oddity, Reply, Sealed};

/// Sessions in Redis, Valkey or ElastiCache. Clones share their connections.
#[derive(Clone)]
pub struct RedisStore {
    server: Server,
    prefix: Prefix,
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
        Patience(patience): Patience,
    ) -> Result<Rotated, Failure> {
        let begun = Instant::now();
        let rest = || Patience(patience.saturating_sub(begun.elapsed()));
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
        };
        let login = Some(login);
        let new = Create { id: rotate.new, lifetime, remembered, fields: &fields, login };
        let value = self.server.call(&wire::create(&self.prefix, &new), rest()).await;
        // The old session is gone, so it is never said that nothing has happened.
        let value = value.map_err(|f| Failure { happened: Happened::Perhaps, ..f })?;
        Ok(match self.settle(rotate.new, wire::created(rotate.new, value)?) {
            Created::Done(snapshot) => Rotated::Done(snapshot),
            Created::Full => Rotated::Full,
            Created::Taken => Rotated::Taken,
        })
    }

    fn failed(&self, verb: Verb, session: Option<SessionId>, failure: Failure) -> StoreError {
        let Failure { happened, reason } = failure;
        StoreError { verb, session, store: self.server.name().to_owned(), happened, reason }
    }

    /// Takes what a reply says besides its outcome: logs what is odd, and has the sessions that a
    /// login pushed out made markers of. They ended when they left the index; that is tidying.
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
        for pushed_out in reply.pushed_out {
            tracing::info!(event = "pushed_out", session = %pushed_out, "ended by a login over the limit");
            self.abandon(pushed_out);
        }
        reply.outcome
    }
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
            Ok(self.settle(new.id, reply))
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
                && self.server.parts(
                    &keys::session(&self.prefix, rotate.old),
                    &keys::session(&self.prefix, rotate.new),
                )
            {
                let terms = Terms { login, lifetime, remembered, carried, fields };
                let rotated = self.log_in_elsewhere(&rotate, &terms, patience).await;
                return rotated.map_err(|f| self.failed(Verb::Rotate, Some(*rotate.old), f));
            }
            let call = wire::rotate(&self.prefix, &rotate);
            let value = self.server.call(&call, patience).await;
            let reply = value.and_then(|v| Ok(wire::rotated(rotate.new, rotate.limits, v)?));
            let reply = reply.map_err(|f| self.failed(Verb::Rotate, Some(*rotate.old), f))?;
            Ok(self.settle(rotate.old, reply))
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

    fn check(&self, patience: Patience) -> Answer<'_, ()> {
        Box::pin(async move {
            self.server.ping(patience).await.map_err(|f| self.failed(Verb::Check, None, f))
        })
    }

    fn abandon(&self, id: SessionId) {
        let store = self.clone();
        // Outside of a runtime there is nothing to send with; the session expires by itself.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                if let Err(error) = store.end(&id, store.server.in_the_background()).await {
                    tracing::warn!(%error, "a session could not be ended; it expires by itself");
                }
            });
        }
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
