//! What an operator may do to a store, beside the contract: walk over every live session, look at
//! one without using it, and restore one that was kept elsewhere.
//!
//! No request does any of this; tools do, such as `cloakroom store export`.
//!
//! 1. A walk goes page by page, each short, so that nobody waits for it. It is no snapshot: who walks
//!    while a service runs sees what was alive in the instant of each page.
//! 2. Looking renews nothing, and removes nothing.
//! 3. A restore never overwrites, and never brings back what ended here. It leaves a note until the
//!    record that it was given has expired: while the note stands, the same session is not restored
//!    a second time. So a restore can be repeated, however much later.

use std::fmt;

use crate::change::Fields;
use crate::client::Client;
use crate::expiry::{Life, Timestamp};
use crate::store::{Answer, Patience, Store, User};
use crate::token::{SessionId, Tag};

/// A store whose sessions an operator can look at and carry over.
pub trait Records: Store {
    /// The next live sessions, after looking at about `at_most` records.
    ///
    /// A session that is alive during the whole walk is on at least one of its pages; one that
    /// rotates meanwhile may be on none. A page can be empty before the last one.
    ///
    /// Costs two trips to a server, and one a record, all under way at once.
    fn walk<'a>(&'a self, from: &'a Cursor, at_most: u32, patience: Patience) -> Answer<'a, Page>;

    /// A session as it is, without using it: nothing is renewed. `None` if it is not alive.
    fn peek<'a>(&'a self, id: &'a SessionId, patience: Patience) -> Answer<'a, Option<Record>>;

    /// Makes exactly this session, under its id, in its user's index and with the life that is left
    /// to it, in one atomic step. No limit is asked: neither how many sessions a user may have, nor
    /// how many anonymous ones there may be, nor what a session may hold.
    ///
    /// The id must be of this store's prefix; under another the session would be out of reach of its
    /// cookie. An error if the id's kind is not the record's.
    fn restore<'a>(&'a self, record: &'a Record, patience: Patience) -> Answer<'a, Restored>;
}

/// A live session, whole, but for which of its tokens is the current one
/// ([`rotation`](crate::rotation)): of a restored session that is the first that comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Under which it is kept.
    pub id: SessionId,
    /// Who is logged in; somebody exactly if the id's tag is a user's.
    pub user: Option<User>,
    /// When it began, how long it may live, when it was last seen, and whether it is remembered.
    pub life: Life,
    /// When it expires unless it is used before.
    pub expires_at: Timestamp,
    /// The client that logged in, if that was told.
    pub client: Option<Client>,
    /// The application's fields.
    pub fields: Fields,
}

impl Record {
    /// That the id is a user's exactly if the record is.
    pub fn check(&self) -> Result<(), NotOfItsKind> {
        match (self.id.tag(), &self.user) {
            (Tag::User(_), Some(_)) | (Tag::Anonymous(_), None) => Ok(()),
            _ => Err(NotOfItsKind),
        }
    }
}

/// A record whose id says that it has a user, and that has none; or the other way round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the record is no session: its id and its user don't belong together")]
pub struct NotOfItsKind;

/// What became of [`Records::restore`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Restored {
    /// It is there.
    Done,
    /// It was there already, alive, and was left as it is.
    There,
    /// It was ended here, or was restored before and is over. Nothing was done.
    Ended,
    /// It has expired meanwhile. Nothing was done.
    Expired,
}

/// Some of the sessions of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Alive in the instant in which the store looked at them.
    pub sessions: Vec<Record>,
    /// Where the walk goes on; `None` at its end.
    pub next: Option<Cursor>,
}

/// A place in a walk, as text that can be written down. The default is the beginning.
///
/// It belongs to the store that gave it. One that a store can't make anything of, such as that of a
/// server that was restarted, begins the walk anew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor(String);

impl Cursor {
    /// The place that is written so: what a store's [`Page`] said, or what was written down of it.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The place as text; empty at the beginning.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
