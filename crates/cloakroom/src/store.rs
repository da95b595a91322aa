//! The contract of a store: few verbs, each one atomic step, each only if the session is alive.
//!
//! A session is *alive* when its record is there, neither idle nor absolute timeout has passed by
//! the store's own clock, and, if it belongs to a user, its id stands in that user's index. The
//! index is the authority: to end sessions is to take them out of it.
//!
//! 1. What is not alive is never written to, and never made alive again.
//! 2. A verb happens whole or not at all. It looks at everything that can fail before it writes.
//! 3. Every verb leaves, in the same step, a time to live on every record that it leaves.
//! 4. [`Applied::Ended`] is answered for two minutes at least after a session was ended or rotated
//!    away (a *marker* without data), [`Applied::Unknown`] where nothing is known.
//! 5. A verb gives up when its [`Patience`] ends, and says whether it can have happened.
//!
//! The conformance suite behind the feature `testing` holds a store to this.

use std::fmt;
use std::future::Future;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::time::Duration;

use crate::change::{Change, Fields, Limits, Refusal, Writes};
use crate::client::Client;
use crate::expiry::{Life, Lifetime, Timestamp, Touch};
use crate::field::{FieldName, Kept};
use crate::rotation::{Generation, Shown};
use crate::token::{Prefix, SessionId, Tag};

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

    /// A page of a user's sessions, the one with the most life left first. Uses none of them. A
    /// session that is used between two pages moves to the front, and so is missed by who has
    /// passed that. Not one step: what it shows was alive while it looked. Costs two trips.
    fn sessions_of<'a>(&'a self, list: ListOf<'a>, patience: Patience) -> Answer<'a, Page>;

    /// How many sessions a user has: the entries of the index, which notices within a tenth of the
    /// idle timeout, at most a minute, that one has expired.
    fn count_of<'a>(&'a self, user: &'a User, patience: Patience) -> Answer<'a, u64>;

    /// Ends sessions of a user, however many, in one step. Works when the store is full. A login
    /// that comes later lives. Their data is removed soon after.
    fn end_of<'a>(&'a self, end: EndOf<'a>, patience: Patience) -> Answer<'a, EndedOf>;

    /// Ends every session of a user, as [`Store::end_of`] does, and answers when nothing is left
    /// that they held. Takes as many trips as that needs. A session that a limit pushed out, whose
    /// remover died, is out of reach, dead, and gone by its own end.
    fn erase<'a>(&'a self, user: &'a User, patience: Patience) -> Answer<'a, u64>;

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
    /// What is known of the client, to be kept with the session.
    pub client: Option<&'a Client>,
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
    /// The token that was presented, where tokens are replaced periodically: the store decides in
    /// the same step, by [`Current::meets`](crate::rotation::Current::meets). A change that is refused or
    /// finds a conflict replaces none.
    pub token: Option<Shown>,
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
    /// The token that was presented, as in [`Apply::token`]: one that is not good any more is renewed
    /// by nobody. The new session's first token is of generation 0.
    pub token: Option<Shown>,
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

/// The arguments of [`Store::sessions_of`].
#[derive(Clone, Copy, Debug)]
pub struct ListOf<'a> {
    /// Whose.
    pub user: &'a User,
    /// Where the page before ended; `None` for the first.
    pub after: Option<Cursor>,
    /// How many; at most [`Page::AT_MOST`], and more counts as that.
    pub at_most: NonZeroU32,
}

/// Where a page ended: the last entry of the index that it looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Until when the index keeps that session.
    pub until: Timestamp,
    /// The session.
    pub id: SessionId,
}

impl Cursor {
    /// Reads what [`Display`](fmt::Display) writes, for a user with this tag.
    ///
    /// ```
    /// use cloakroom::{Prefix, Tag, store::Cursor};
    /// let tag = Tag::of_user(&Prefix::default(), "alice");
    /// let text = "1763880000000.EytqH_IJmW9qET8IslX8Hbg0IjiJiwk24BAT-uqbceo";
    /// assert_eq!(Cursor::parse(tag, text).unwrap().to_string(), text);
    /// assert_eq!(Cursor::parse(tag, "1763880000000.short"), None);
    /// ```
    pub fn parse(tag: Tag, text: &str) -> Option<Self> {
        let (until, hash) = text.split_once('.')?;
        let until = Timestamp::from_millis(until.parse().ok()?);
        Some(Self { until, id: SessionId::parse(tag, hash)? })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.until.as_millis(), self.id)
    }
}

/// Some of a user's sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Those that are alive.
    pub sessions: Vec<Listed>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<Cursor>,
    /// The store's clock at that instant.
    pub now: Timestamp,
}

impl Page {
    /// How many entries of the index a page looks at, at most.
    pub const AT_MOST: u32 = 500;
}

/// What a session says of itself in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its handle, which is no token.
    pub id: SessionId,
    /// When its user logged in, when it was last used, how long it may live.
    pub life: Life,
    /// When it expires unless it is used before.
    pub expires_at: Timestamp,
    /// The client that logged in, if that was told.
    pub client: Option<Client>,
}

/// The arguments of [`Store::end_of`].
#[derive(Clone, Copy, Debug)]
pub struct EndOf<'a> {
    /// Whose.
    pub user: &'a User,
    /// Which of them.
    pub which: Which<'a>,
    /// The session of that user who asks for it: nothing is ended unless it is alive in that
    /// instant. `None` for who may do so without one.
    pub asked_by: Option<&'a SessionId>,
}

/// Which sessions of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which<'a> {
    /// This one, if it is the user's.
    One(&'a SessionId),
    /// Every one.
    All,
    /// Every one but this.
    AllBut(&'a SessionId),
}

/// What became of [`Store::end_of`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum EndedOf {
    /// So many were alive, and are not any more.
    Done(u64),
    /// Who asked has no session any more. Nothing was ended.
    Unknown,
    /// The session of who asked was ended. Nothing else was.
    Ended,
}

impl EndedOf {
    /// How many were ended.
    pub fn count(self) -> u64 {
        match self {
            Self::Done(count) => count,
            Self::Unknown | Self::Ended => 0,
        }
    }
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
    /// The client that logged in, if that was told.
    pub client: Option<Client>,
    /// The application's fields.
    pub fields: Fields,
    /// The token to hand out in place of the one that was presented; in the answer of
    /// [`Store::apply`] only.
    pub next_token: Option<Generation>,
}

/// What became of [`Store::create`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Created {
    /// It is there. The login ended these, to make room for it.
    Done(Snapshot, Vec<SessionId>),
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
    /// A token was presented whose successor somebody else has: the session was ended, in this step.
    Stolen,
}

/// What became of [`Store::rotate`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Rotated {
    /// The new session is there, the old one is gone. The login ended these, to make room for it.
    Done(Snapshot, Vec<SessionId>),
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
    /// A token was presented whose successor somebody else has: the old session was ended, in this
    /// step, and no new one made. A login may be tried again, without the token.
    Stolen,
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
    SessionsOf,
    CountOf,
    EndOf,
    Erase,
    Check,
    Walk,
    Peek,
    Restore,
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "create",
            Self::Apply => "apply",
            Self::Rotate => "rotate",
            Self::End => "end",
            Self::SessionsOf => "sessions_of",
            Self::CountOf => "count_of",
            Self::EndOf => "end_of",
            Self::Erase => "erase",
            Self::Check => "check",
            Self::Walk => "walk",
            Self::Peek => "peek",
            Self::Restore => "restore",
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
