//! The contract of a store: few verbs, each one atomic step, each only if the session is alive.
//!
//! A session is *alive* when its record is there, neither idle nor absolute timeout has passed by
//! the store's own clock, and, if it belongs to a user, its id stands in that user's index. The
//! index is the authority: to end sessions is to take them out of it.
//!
//! 1. What is not alive is never written to, and never made alive again.
//! 2. A verb happens whole or not at all. It looks at everything that can fail before it writes.
//! 3. Every verb leaves, in the same step, a time to live on every record that it leaves.
//! 4. [`Applied::Ended`] is answered for two minutes after a session was ended or rotated away (a
//!    *marker* without data), [`Applied::Unknown`] where nothing is known. A session that left its
//!    index without being named, as by a limit, is `Ended` until its own end at least.
//! 5. A verb gives up when its [`Patience`] ends, and says whether it can have happened.
//!
//! The conformance suite behind the feature `testing` holds a store to this.

use std::fmt;
use std::future::Future;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::time::Duration;

use crate::change::{Change, Fields, Limits, Refusal, Writes};
use crate::expiry::{Life, Lifetime, Timestamp, Touch};
use crate::field::{FieldName, Kept};
use crate::token::{Prefix, SessionId};

/// How long [`Applied::Ended`] is remembered after a session was ended or rotated away.
pub const ENDED_FOR: Duration = Duration::from_secs(120);

/// What a verb returns. Boxed, so that a `dyn Store` can stand behind a session.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Where sessions are kept.
///
/// Every verb is one atomic step and costs one round trip. A future that is dropped half way leaves
/// the verb done or not done, never half done.
pub trait Store: Send + Sync + fmt::Debug + 'static {
    /// What keeps this application's sessions apart from those of others in the same place. Tokens
    /// are bound to it.
    fn prefix(&self) -> &Prefix;

    /// Makes a session. Never overwrites one. With a login, it is entered into the user's index and
    /// the limit is enforced in the same step.
    fn create<'a>(&'a self, new: Create<'a>, patience: Patience) -> Answer<'a, Created>;

    /// Changes a session, renews its time to live, and brings it back whole. A read is an empty
    /// change.
    fn apply<'a>(&'a self, apply: Apply<'a>, patience: Patience) -> Answer<'a, Applied>;

    /// Moves a session to a new id: the old one is ended, the new one made, in the same step. It is
    /// a use, and renews the idle timeout. A login goes ahead when the old session is not alive, with
    /// nothing kept; if it is unknown, the writes count as those of a newcomer. [`Rotated::Taken`], [`Rotated::Full`] and [`Rotated::Refused`] end nobody.
    ///
    /// A store spread over several servers may do a login from an anonymous session, or from another
    /// user's, in two steps and up to three trips: first the old session is ended, then the new one
    /// made. What fails between the two leaves nobody logged in, and what the old session held is
    /// lost; there are never two live sessions. The error of the second step is
    /// [`Happened::Perhaps`]. [`Rotated::Refused`] still ends nobody, nor does a [`Rotated::Full`] that
    /// could be known beforehand; one that another login brought about meanwhile, and
    /// [`Rotated::Taken`], leave the old session ended.
    fn rotate<'a>(&'a self, rotate: Rotate<'a>, patience: Patience) -> Answer<'a, Rotated>;

    /// Ends a session. Ending it again is no error. Works when the store is full.
    fn end<'a>(&'a self, id: &'a SessionId, patience: Patience) -> Answer<'a, Ended>;

    /// Whether the store answers. Changes nothing.
    fn check(&self, patience: Patience) -> Answer<'_, ()>;

    /// Ends, at best effort and without waiting, a new session that nobody was told of. Called when
    /// a request is cancelled, panics, or never learned whether its login happened.
    fn abandon(&self, id: SessionId);
}

/// How long a verb may wait for the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience(pub Duration);

/// The name under which a user's sessions are found: 1 to 64 bytes without control characters.
///
/// ```
/// use cloakroom::User;
/// assert_eq!(User::new("ゆき")?.as_str(), "ゆき");
/// assert!(User::new("").is_err());
/// # Ok::<(), cloakroom::InvalidUser>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct User(String);

impl User {
    /// Takes a name, or says what is wrong with it. A number or a UUID as text is a good name: it
    /// never changes.
    pub fn new(name: impl Into<String>) -> Result<Self, InvalidUser> {
        let name = name.into();
        if name.is_empty() || name.len() > 64 || name.chars().any(char::is_control) {
            Err(InvalidUser { bytes: name.len() })
        } else {
            Ok(Self(name))
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "User({:?})", self.0)
    }
}

/// The text is no name of a user.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("a user's name takes 1 to 64 bytes without control characters; this one has {bytes} bytes")]
pub struct InvalidUser {
    bytes: usize,
}

/// How many sessions a user may have at once, and what happens to one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLimit {
    /// How many.
    pub at_most: NonZeroU32,
    /// What a login does that finds the user full.
    pub when_full: WhenFull,
}

/// What a login does when the user has as many sessions as allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// The sessions with the least life left are ended: not always those that logged in first.
    EndOldest,
    /// The login is refused.
    Refuse,
}

/// Who logs in, and how many sessions they may have.
#[derive(Clone, Copy, Debug)]
pub struct Login<'a> {
    /// The user.
    pub user: &'a User,
    /// `None` for as many as they like.
    pub limit: Option<SessionLimit>,
}

/// The arguments of [`Store::create`].
#[derive(Clone, Copy, Debug)]
pub struct Create<'a> {
    /// Fresh; of a user's kind exactly if there is a login.
    pub id: &'a SessionId,
    /// How long it may live.
    pub lifetime: Lifetime,
    /// Whether the browser keeps the cookie when it closes.
    pub remembered: bool,
    /// What it holds; already within the limits.
    pub fields: &'a Fields,
    /// Who logs in.
    pub login: Option<Login<'a>>,
}

/// The arguments of [`Store::apply`].
#[derive(Clone, Copy, Debug)]
pub struct Apply<'a> {
    /// The session.
    pub id: &'a SessionId,
    /// What is done to it.
    pub change: &'a Change,
    /// Whether it matters who is logged in.
    pub only_if: OnlyIf,
    /// How the use renews the idle timeout.
    pub touch: Touch,
    /// What the session may hold.
    pub limits: &'a Limits,
}

/// A condition that is decided in the same step as the change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnlyIf {
    /// The session is alive.
    Alive,
    /// The session is alive and somebody is logged in.
    LoggedIn,
}

/// The arguments of [`Store::rotate`].
#[derive(Clone, Copy, Debug)]
pub struct Rotate<'a> {
    /// The session that ends.
    pub old: &'a SessionId,
    /// The one that takes its place; fresh.
    pub new: &'a SessionId,
    /// Done to the old session first.
    pub writes: &'a Writes,
    /// What the session may hold.
    pub limits: &'a Limits,
    /// Why it rotates.
    pub why: Why<'a>,
}

/// Why a session is rotated.
#[derive(Clone, Copy, Debug)]
pub enum Why<'a> {
    /// The same session under a new token: everything stays, the deadline included. The tags of old
    /// and new are the same.
    Renewal,
    /// Somebody logs in. Both clocks begin anew. The same user keeps every field; a user who comes
    /// from an anonymous session keeps those named in `carried`; another user keeps nothing.
    Login {
        /// Who.
        login: Login<'a>,
        /// The lifetime from now on.
        lifetime: Lifetime,
        /// Whether the browser keeps the cookie when it closes.
        remembered: bool,
        /// Which fields of an anonymous session are kept.
        carried: &'a [FieldName],
        /// What the new session holds besides; wins over what is kept or carried.
        fields: &'a Fields,
    },
}

/// A session as it was in the instant of a verb.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Who is logged in.
    pub user: Option<User>,
    /// When it began and how long it may live.
    pub life: Life,
    /// When it expires unless it is used before.
    pub expires_at: Timestamp,
    /// The store's clock at that instant.
    pub now: Timestamp,
    /// The application's fields.
    pub fields: Fields,
}

/// What became of [`Store::create`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Created {
    /// It is there.
    Done(Snapshot),
    /// The user has as many sessions as allowed, and the limit refuses more.
    Full,
    /// There is a record under that id. Nothing was done.
    Taken,
}

/// What became of [`Store::apply`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Applied {
    /// It was done: the session after it, and what the operation answered.
    Done(Snapshot, Option<Kept>),
    /// It was to be done only for somebody logged in, and nobody is. The use counted all the same.
    NotLoggedIn(Snapshot),
    /// A compare-and-set found this instead.
    Conflict(Option<Kept>),
    /// It would break a limit, or can't be done to what is kept. Nothing was changed.
    Refused(Refusal),
    /// There is no such session: it expired, or never was.
    Unknown,
    /// The session was logged out, revoked or rotated away.
    Ended,
}

/// What became of [`Store::rotate`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Rotated {
    /// The new session is there, the old one is gone.
    Done(Snapshot),
    /// The user has as many sessions as allowed, and the limit refuses more. The old session is as
    /// it was.
    Full,
    /// The writes would break a limit. The old session is as it was.
    Refused(Refusal),
    /// There is a record under the new id. Nothing was done.
    Taken,
    /// For a renewal: there is no such session.
    Unknown,
    /// For a renewal: the session was ended.
    Ended,
}

/// What became of [`Store::end`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Ended {
    /// It was alive, and is not any more.
    Now,
    /// It was ended before.
    Before,
    /// There is no such session.
    Unknown,
}

/// A store could not do what was asked, or can't say whether it did.
#[derive(Debug, thiserror::Error)]
#[error("{verb}{} at {store}: {reason}; {}", .session.map(|id| format!(" of session {id}")).unwrap_or_default(), .happened.in_words())]
pub struct StoreError {
    /// What was tried.
    pub verb: Verb,
    /// On which session.
    pub session: Option<SessionId>,
    /// In which store, without credentials.
    pub store: String,
    /// Whether it can have happened.
    pub happened: Happened,
    /// What went wrong, without tokens and values.
    pub reason: Box<dyn std::error::Error + Send + Sync>,
}

/// A verb of the contract, to name it in errors and logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the verbs are documented where they are methods")]
pub enum Verb {
    Create,
    Apply,
    Rotate,
    End,
    Check,
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "create",
            Self::Apply => "apply",
            Self::Rotate => "rotate",
            Self::End => "end",
            Self::Check => "check",
        })
    }
}

/// Whether a verb that failed can have happened all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happened {
    /// It is known not to have happened.
    No,
    /// The answer was lost or late: it may have happened, or may still.
    Perhaps,
}

impl Happened {
    fn in_words(self) -> &'static str {
        match self {
            Self::No => "nothing was changed",
            Self::Perhaps => "it is unknown whether anything was changed",
        }
    }
}
