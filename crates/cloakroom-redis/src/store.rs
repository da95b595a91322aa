//! The contract of a store, kept by a server.

use std::fmt;
use std::time::Duration;

use cloakroom::store::{
    Answer, Applied, Apply, Create, Created, Ended, Patience, Rotate, Rotated, Store, Verb,
};
use cloakroom::{Prefix, SessionId, StoreError};
use tokio::runtime::Handle;

use crate::server::{Failure, InvalidUrl, Server};
use crate::wire::{self, Oddity, Reply};

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
                if let Err(error) = store.end(&id, IN_THE_BACKGROUND).await {
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
