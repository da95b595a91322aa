//! What a handler holds: the session of its request.
//!
//! **No `.await`, no trip.** `set` and `remove` wait; the next awaited change takes them along in
//! the order written, the rest leave just before the response head. Reads see what waits and never
//! send it. The first awaited operation brings the whole session here, so that later reads are
//! free. Nobody calls `save`.
//!
//! ```
//! use cloakroom::{Field, Manager, MemoryStore, Settings, User};
//! # pollster::block_on(async {
//! const VISITS: Field<u64> = Field::new("visits");
//!
//! let manager = Manager::new(MemoryStore::new(), Settings::default());
//! let visit = manager.open([]); // a request without cookies
//! let session = visit.session();
//!
//! assert!(session.if_logged_in().increment(VISITS, 1).await?.is_none()); // and makes no session
//! let _ = session.log_in(User::new("alice")?).await?;
//! let (user, visits) = session.if_logged_in().increment(VISITS, 1).await?.unwrap();
//! assert_eq!((user.as_str(), visits), ("alice", 1));
//!
//! let head = visit.close(200).await;
//! assert!(head.set_cookie.unwrap().starts_with("__Host-session="));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```

mod others;

use std::future::{Future, IntoFuture};
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::change::{Fields, Operation};
use crate::client::{Client, Difference};
use crate::expiry::{Lifetime, Timestamp, Touch};
use crate::field::{AtRest, Counter, Field, FieldName, Kept, List, Value, list_item};
use crate::outcome::{LogIn, Performed, SessionError};
use crate::store::{OnlyIf, SessionLimit, Snapshot, User};
use crate::token::SessionId;
use crate::visit::{LoginTerms, Visit, now_of};

/// How often [`Session::update`] tries before it answers [`SessionError::Contended`].
pub const UPDATE_TRIES: u32 = 64;

/// The session of one request. Clones are the same session.
///
/// | | trips |
/// |---|---|
/// | `set`, `remove` | 0; what waits leaves with the next change, or in 1 before the head |
/// | the first of `get`, `user`, `id`, `expires_at`, … | 1, and 0 without a cookie |
/// | each later one | 0 |
/// | `increment`, `take`, `append` | 1 |
/// | `update` | 1, after the first read; 1 more for each time somebody else was quicker |
/// | `log_in`, `log_out`, `rotate` | 1 |
/// | `log_in`, `rotate` that keep [sealed](crate::sealed) fields | 1 more, before the head |
/// | `if_logged_in().revoke`, `revoke_others`, `log_out_everywhere` | 1, after the first read |
/// | `if_logged_in().sessions` | 2, after the first read |
///
/// A new visitor's first write makes an anonymous session, in 1 trip. With a cookie whose session
/// has expired it takes 2.
///
/// After the response head has left, as in a stream of events or behind a WebSocket, every read is 1
/// trip: it sees a logout at once.
///
/// # Errors
///
/// What a method says of errors is besides these. Each is a [`SessionError`] that knows its status;
/// `cloakroom-tower` makes it a response.
///
/// | when | what |
/// |---|---|
/// | any trip | [`Unavailable`](SessionError::Unavailable), [`OutOfPatience`](SessionError::OutOfPatience): 503, after [`Settings::patience`](crate::Settings) at most |
/// | a write to a session that was ended, or expired during the request | [`Ended`](SessionError::Ended): 409, nothing was written |
/// | a value over [`Settings::limits`](crate::Settings), a counter out of its range | [`Refused`](SessionError::Refused): 422, nothing was written |
/// | what is kept is of another type | [`NotDecodable`](SessionError::NotDecodable): 422, and it stays |
/// | a sealed field without keys | [`NoFieldKeys`](SessionError::NoFieldKeys): 500 |
/// | a new token, without randomness in the operating system | [`NoRandomness`](SessionError::NoRandomness): 503 |
/// | a login, a rotation, a waiting write or a newcomer's first write after the head has left | [`HeadHasLeft`](SessionError::HeadHasLeft): 500 |
#[derive(Clone, Debug)]
pub struct Session(Arc<Visit>);

impl Session {
    pub(crate) fn of(visit: Arc<Visit>) -> Self {
        Self(visit)
    }

    /// What the field holds; `None` if nothing, or if there is no session.
    #[doc(alias = "load")]
    pub async fn get<T: Value>(&self, field: Field<T>) -> Result<Option<T>, SessionError> {
        Ok(self.get_if(field, OnlyIf::Alive).await?.flatten())
    }

    /// Sets the field. Waits until the next awaited change, or the response head, takes it along.
    ///
    /// Errors at once if the value is too large, if the session is known to have ended, or if the
    /// head has left.
    #[doc(alias = "insert")]
    pub fn set<T: Value>(&self, field: Field<T>, value: impl Into<T>) -> Result<(), SessionError> {
        let value = self.encode(field.name(), &value.into())?;
        self.0.write(field.name().clone(), Some(value))
    }

    /// Removes the field. Waits as [`Session::set`] does.
    #[doc(alias = "delete")]
    pub fn remove<T>(&self, field: Field<T>) -> Result<(), SessionError> {
        self.0.write(field.name().clone(), None)
    }

    /// Reads the field and removes it in one step: of several requests, one gets it.
    #[doc(alias = "flash")]
    pub async fn take<T: Value>(&self, field: Field<T>) -> Result<Option<T>, SessionError> {
        Ok(self.take_if(field, OnlyIf::Alive).await?.flatten())
    }

    /// Adds `by` to the counter, which begins at 0, and returns the sum. Exact however many do so
    /// at once. Refused where it would leave the range of `T`.
    ///
    /// An error of the kind [`Unavailable`](SessionError::Unavailable) may say that it is unknown
    /// whether it happened; it is never repeated by itself.
    #[doc(alias = "incr")]
    pub async fn increment<T: Counter>(&self, field: Field<T>, by: i64) -> Result<T, SessionError> {
        self.increment_if(field, by, OnlyIf::Alive).await?.ok_or(SessionError::Ended)
    }

    /// Appends an item to the list, which begins empty, and keeps the newest `keep` items. One
    /// step, and nothing is read: for what was viewed last, or a queue of messages.
    #[doc(alias = "push")]
    pub async fn append<T: Serialize + DeserializeOwned>(
        &self,
        field: Field<List<T>>,
        item: &T,
        keep: NonZeroU32,
    ) -> Result<(), SessionError> {
        self.append_if(field, item, keep, OnlyIf::Alive).await?.ok_or(SessionError::Ended)
    }

    /// Reads the field, lets `change` make the new value, and stores it if nobody was quicker;
    /// else does so again, up to [`UPDATE_TRIES`] times. `change` may run several times.
    #[doc(alias = "compare_and_set")]
    pub async fn update<T: Value>(
        &self,
        field: Field<T>,
        change: impl FnMut(Option<T>) -> T,
    ) -> Result<T, SessionError> {
        self.update_if(field, change, OnlyIf::Alive).await?.ok_or(SessionError::Ended)
    }

    /// The same operations for somebody who is logged in; those that go to the store are decided
    /// there, in the same step. They answer `None` for everybody else, and never make a session. Travels nowhere by itself.
    #[must_use]
    pub fn if_logged_in(&self) -> IfLoggedIn<'_> {
        IfLoggedIn(self)
    }

    /// Who is logged in.
    pub async fn user(&self) -> Result<Option<User>, SessionError> {
        Ok(self.0.look(|_, snapshot, _| snapshot.user.clone()).await?.flatten())
    }

    /// Logs the user in, when awaited: issues a new token, ends the old session, and enforces the
    /// limit of sessions per user, in one step. Answers [`LogIn::Full`], and changes nothing, if the
    /// limit refuses one more. Both timeouts begin anew, so it is also the way to
    /// ask for the password again.
    ///
    /// The same user logging in again keeps every field. One who comes from an anonymous session
    /// keeps those that [`Settings::carried_into_login`](crate::Settings) names, of what is kept
    /// and of what waits. Another user keeps nothing. Fields for the new session are given here:
    ///
    /// ```
    /// # use cloakroom::{Field, LogIn, Manager, MemoryStore, Settings, User};
    /// # pollster::block_on(async {
    /// # let manager = Manager::new(MemoryStore::new(), Settings::default());
    /// # let visit = manager.open([]);
    /// # let session = visit.session();
    /// const ROLE: Field<String> = Field::new("role");
    /// let login = session.log_in(User::new("alice")?).with(ROLE, "editor");
    /// assert_eq!(login.await?, LogIn::Done);
    /// assert_eq!(session.get(ROLE).await?.as_deref(), Some("editor"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn log_in(&self, user: User) -> LoggingIn<'_> {
        LoggingIn {
            session: self,
            user,
            remembered: None,
            limit: None,
            client: None,
            fields: Ok(Fields::new()),
        }
    }

    /// Ends the session, when awaited, and removes the cookie with the next head. Does nothing for
    /// somebody without a session. What waits is dropped.
    ///
    /// If the session was ended before, the cookie stays: it may be that of the session which has
    /// replaced it.
    #[doc(alias = "destroy")]
    #[doc(alias = "flush")]
    pub async fn log_out(&self) -> Result<(), SessionError> {
        self.0.log_out().await
    }

    /// Moves the session to a new token, when awaited; the old one ends at once. For every change
    /// of privilege that is no login (ASVS 7.2.4). Fields, user and deadline stay.
    #[doc(alias = "renew")]
    #[doc(alias = "cycle_id")]
    #[doc(alias = "regenerate")]
    pub async fn rotate(&self) -> Result<(), SessionError> {
        self.0.rotate().await
    }

    /// The session's public handle; `None` without a session.
    pub async fn id(&self) -> Result<Option<SessionId>, SessionError> {
        self.0.look(|id, _, _| *id).await
    }

    /// All that the store keeps, as it was at the last operation that asked it: to show visitors
    /// what is known of them. Writes that wait are not in it. `None` without a session.
    ///
    /// ```
    /// # use cloakroom::{Field, Manager, MemoryStore, Settings, User};
    /// # pollster::block_on(async {
    /// # let manager = Manager::new(MemoryStore::new(), Settings::default());
    /// # let visit = manager.open([]);
    /// # let session = visit.session();
    /// const VISITS: Field<u64> = Field::new("visits");
    /// assert!(session.snapshot().await?.is_none());
    /// session.increment(VISITS, 1).await?;
    /// let kept = session.snapshot().await?.unwrap().fields;
    /// assert_eq!(&*kept[VISITS.name()], b"1");
    /// # Ok::<(), cloakroom::SessionError>(())
    /// # }).unwrap();
    /// ```
    pub async fn snapshot(&self) -> Result<Option<Snapshot>, SessionError> {
        self.0.look(|_, snapshot, _| snapshot.clone()).await
    }

    /// When the session expires unless it is used before, by the store's clock.
    pub async fn expires_at(&self) -> Result<Option<Timestamp>, SessionError> {
        self.0.look(|_, snapshot, _| snapshot.expires_at).await
    }

    /// How much life the session has left: what [`Session::expires_at`] is by a clock that may
    /// differ from this machine's.
    pub async fn expires_in(&self) -> Result<Option<Duration>, SessionError> {
        let left = self.0.look(|_, snapshot, age| snapshot.expires_at.since(now_of(snapshot, age)));
        left.await
    }

    /// When the session ends however much it is used, by the store's clock. It is what
    /// [`Session::expires_at`] becomes in the end.
    pub async fn deadline(&self) -> Result<Option<Timestamp>, SessionError> {
        self.0.look(|_, snapshot, _| snapshot.life.deadline()).await
    }

    /// Whether somebody is logged in who logged in no longer ago than this. Ask before what is
    /// dear: a new address, a payment (ASVS 7.5.1, 7.5.3).
    #[doc(alias = "reauthenticate")]
    pub async fn authenticated_within(&self, time: Duration) -> Result<bool, SessionError> {
        let recent = self.0.look(|_, snapshot, age| {
            snapshot.user.is_some() && now_of(snapshot, age).since(snapshot.life.created) <= time
        });
        Ok(recent.await?.unwrap_or(false))
    }

    /// How the client of this request differs from the one that logged in; nothing where either is not
    /// told ([`OpenVisit::from_client`](crate::OpenVisit::from_client),
    /// [`LoggingIn::from_client`]). For an application that wants to ask for the password again.
    pub async fn client_differences(&self) -> Result<Vec<Difference>, SessionError> {
        self.0.differences().await
    }

    /// How the operations of this request renew the idle timeout from now on. [`Touch::Never`] is
    /// for routes that a browser asks by itself.
    pub fn touch(&self, touch: Touch) {
        self.0.touch(touch);
    }

    async fn get_if<T: Value>(
        &self,
        field: Field<T>,
        only_if: OnlyIf,
    ) -> Result<Option<Option<T>>, SessionError> {
        match self.0.read(field.name(), only_if).await? {
            Performed::Done(kept) => Ok(Some(self.decode(field.name(), kept)?)),
            Performed::Nobody | Performed::Conflict(_) => Ok(None),
        }
    }

    async fn take_if<T: Value>(
        &self,
        field: Field<T>,
        only_if: OnlyIf,
    ) -> Result<Option<Option<T>>, SessionError> {
        let operation = Operation::Take { field: field.name().clone() };
        match self.0.perform(operation, only_if).await? {
            Performed::Done(kept) => Ok(Some(self.decode(field.name(), kept)?)),
            Performed::Nobody | Performed::Conflict(_) => Ok(None),
        }
    }

    async fn increment_if<T: Counter>(
        &self,
        field: Field<T>,
        by: i64,
        only_if: OnlyIf,
    ) -> Result<Option<T>, SessionError> {
        let never_below_zero = T::NEVER_BELOW_ZERO;
        let operation = Operation::Increment { field: field.name().clone(), by, never_below_zero };
        match self.0.perform(operation, only_if).await? {
            Performed::Done(kept) => self.decode(field.name(), kept),
            Performed::Nobody | Performed::Conflict(_) => Ok(None),
        }
    }

    async fn append_if<T: Serialize + DeserializeOwned>(
        &self,
        field: Field<List<T>>,
        item: &T,
        keep: NonZeroU32,
        only_if: OnlyIf,
    ) -> Result<Option<()>, SessionError> {
        let name = field.name().clone();
        let item = list_item(item)
            .map_err(|reason| SessionError::NotEncodable { field: name.clone(), reason })?;
        let operation = Operation::Append { field: name, item: item.into(), keep: keep.get() };
        match self.0.perform(operation, only_if).await? {
            Performed::Done(_) => Ok(Some(())),
            Performed::Nobody | Performed::Conflict(_) => Ok(None),
        }
    }

    async fn update_if<T: Value>(
        &self,
        field: Field<T>,
        mut change: impl FnMut(Option<T>) -> T,
        only_if: OnlyIf,
    ) -> Result<Option<T>, SessionError> {
        let name = field.name();
        let mut kept = match self.0.read(name, only_if).await? {
            Performed::Done(kept) => kept,
            Performed::Nobody | Performed::Conflict(_) => return Ok(None),
        };
        for _ in 0..UPDATE_TRIES {
            let value = change(self.decode(name, kept.clone())?);
            let new = self.encode(name, &value)?;
            let operation = Operation::CompareAndSet { field: name.clone(), expected: kept, new };
            kept = match self.0.perform(operation, only_if).await? {
                Performed::Done(_) => return Ok(Some(value)),
                Performed::Nobody => return Ok(None),
                Performed::Conflict(now) => now,
            };
        }
        Err(SessionError::Contended { field: name.clone(), tries: UPDATE_TRIES })
    }

    /// The value as it is written; a sealed one is sealed when it leaves.
    fn encode<T: Value>(&self, field: &FieldName, value: &T) -> Result<Kept, SessionError> {
        let encoded = value.encode();
        let kept = encoded
            .map(Kept)
            .map_err(|reason| SessionError::NotEncodable { field: field.clone(), reason })?;
        match T::AT_REST {
            AtRest::Open => Ok(kept),
            AtRest::Sealed => self.0.hide(field, kept),
        }
    }

    fn decode<T: Value>(
        &self,
        field: &FieldName,
        kept: Option<Kept>,
    ) -> Result<Option<T>, SessionError> {
        let kept = match T::AT_REST {
            AtRest::Open => kept,
            AtRest::Sealed => self.0.reveal(field, kept)?,
        };
        let value = kept.map(|kept| T::decode(&kept)).transpose();
        value.map_err(|reason| SessionError::NotDecodable { field: field.clone(), reason })
    }
}

/// The operations of a [`Session`] for somebody who is logged in. Each answers who, and its result.
#[derive(Clone, Copy, Debug)]
pub struct IfLoggedIn<'a>(&'a Session);

impl IfLoggedIn<'_> {
    /// See [`Session::get`].
    pub async fn get<T: Value>(
        &self,
        field: Field<T>,
    ) -> Result<Option<(User, Option<T>)>, SessionError> {
        let value = self.0.get_if(field, OnlyIf::LoggedIn).await?;
        Ok(self.for_user(value))
    }

    /// See [`Session::take`].
    pub async fn take<T: Value>(
        &self,
        field: Field<T>,
    ) -> Result<Option<(User, Option<T>)>, SessionError> {
        let value = self.0.take_if(field, OnlyIf::LoggedIn).await?;
        Ok(self.for_user(value))
    }

    /// See [`Session::increment`].
    pub async fn increment<T: Counter>(
        &self,
        field: Field<T>,
        by: i64,
    ) -> Result<Option<(User, T)>, SessionError> {
        let sum = self.0.increment_if(field, by, OnlyIf::LoggedIn).await?;
        Ok(self.for_user(sum))
    }

    /// See [`Session::append`].
    pub async fn append<T: Serialize + DeserializeOwned>(
        &self,
        field: Field<List<T>>,
        item: &T,
        keep: NonZeroU32,
    ) -> Result<Option<User>, SessionError> {
        let appended = self.0.append_if(field, item, keep, OnlyIf::LoggedIn).await?;
        Ok(self.for_user(appended).map(|(user, ())| user))
    }

    /// See [`Session::update`].
    pub async fn update<T: Value>(
        &self,
        field: Field<T>,
        change: impl FnMut(Option<T>) -> T,
    ) -> Result<Option<(User, T)>, SessionError> {
        let value = self.0.update_if(field, change, OnlyIf::LoggedIn).await?;
        Ok(self.for_user(value))
    }

    /// The user is here already: the operation brought the session along.
    fn for_user<T>(&self, value: Option<T>) -> Option<(User, T)> {
        Some((self.0.0.user_last_seen()?, value?))
    }
}

/// A login on its way; see [`Session::log_in`]. Happens when it is awaited.
#[must_use = "nobody is logged in before this is awaited"]
#[derive(Debug)]
pub struct LoggingIn<'a> {
    session: &'a Session,
    user: User,
    remembered: Option<Lifetime>,
    limit: Option<SessionLimit>,
    client: Option<Client>,
    /// Or why one of them can't be kept.
    fields: Result<Fields, SessionError>,
}

impl LoggingIn<'_> {
    /// "Remember me": this lifetime instead of that of the settings, and a cookie that the browser
    /// keeps when it closes, for the absolute timeout.
    pub fn remembered(self, lifetime: Lifetime) -> Self {
        Self { remembered: Some(lifetime), ..self }
    }

    /// Another limit than [`Settings::sessions_per_user`](crate::Settings), for this login: some
    /// users may have more, and a client that can't ask back may end the oldest.
    pub fn at_most(self, limit: SessionLimit) -> Self {
        Self { limit: Some(limit), ..self }
    }

    /// What is known of the client, to be shown in the [list](IfLoggedIn::sessions) of the user's sessions.
    pub fn from_client(self, client: Client) -> Self {
        Self { client: Some(client), ..self }
    }

    /// Sets a field of the new session, in the same step.
    pub fn with<T: Value>(self, field: Field<T>, value: impl Into<T>) -> Self {
        let fields = self.fields.and_then(|mut fields| {
            fields.insert(field.name().clone(), self.session.encode(field.name(), &value.into())?);
            Ok(fields)
        });
        Self { fields, ..self }
    }
}

impl<'a> IntoFuture for LoggingIn<'a> {
    type Output = Result<LogIn, SessionError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self { session, user, remembered, limit, client, fields } = self;
            let terms = LoginTerms { remembered, limit, client, fields: fields? };
            session.0.log_in(&user, terms).await
        })
    }
}
