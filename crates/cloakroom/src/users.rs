//! All sessions of a user, for who may ask without one: an operator's page, a changed password, a
//! request about personal data.
//!
//! ```
//! use cloakroom::{Manager, MemoryStore, Settings, User};
//! use cloakroom::testing::Visitor;
//! # pollster::block_on(async {
//! let manager = Manager::new(MemoryStore::new(), Settings::default());
//! let phone = Visitor::logged_in(&manager, "alice").await?;
//! let laptop = Visitor::logged_in(&manager, "alice").await?;
//!
//! let alice = User::new("alice")?;
//! assert_eq!(manager.sessions_of(&alice).count().await?, 2);
//! assert_eq!(manager.sessions_of(&alice).revoke_all().await?, 2);
//! assert!(phone.open().session().user().await?.is_none());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```

use std::num::NonZeroU32;
use std::time::Duration;

use crate::change::{Change, Fields};
use crate::events::Event;
use crate::expiry::Touch;
use crate::manager::Manager;
use crate::meters::{Answered, Kind};
use crate::store::{
    Answer, Applied, Apply, Cursor, EndOf, ListOf, Listed, OnlyIf, Page, Patience, Store,
    StoreError, User, Which,
};
use crate::token::{SessionId, Tag};

/// How long [`SessionsOf::erase`] may wait: it removes what was held by any number of sessions.
const AT_LENGTH: Patience = Patience(Duration::from_secs(60));

impl Manager {
    /// The sessions of a user. Asks nothing of the store yet.
    pub fn sessions_of<'a>(&'a self, user: &'a User) -> SessionsOf<'a> {
        SessionsOf { manager: self, user }
    }
}

/// The sessions of a user: see [`Manager::sessions_of`]. Each call waits for the store as long as a
/// request may, and fails with what the store says.
///
/// | | trips |
/// |---|---|
/// | `count`, `revoke`, `revoke_all`, `revoke_all_but` | 1, however many sessions there are |
/// | `page` | 2 |
/// | `export` | 2, and 1 a session |
/// | `erase` | 1, and 2 for each 200 sessions |
#[derive(Clone, Copy, Debug)]
pub struct SessionsOf<'a> {
    manager: &'a Manager,
    user: &'a User,
}

/// What is kept of a session, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// What it says of itself.
    pub session: Listed,
    /// What the application keeps in it.
    pub fields: Fields,
}

/// Some of the sessions of a user, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportedPage {
    /// Those that are alive.
    pub sessions: Vec<Exported>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<Cursor>,
}

impl SessionsOf<'_> {
    /// A page of them, the one with the most life left first; 500 at most. Uses none of them.
    pub async fn page(
        &self,
        after: Option<Cursor>,
        at_most: NonZeroU32,
    ) -> Result<Page, StoreError> {
        let list = ListOf { user: self.user, after, at_most };
        self.measured(Kind::List, self.store().sessions_of(list, self.patience())).await
    }

    /// The place in the list that is written so; `None` if it is no such text.
    pub fn cursor(&self, text: &str) -> Option<Cursor> {
        Cursor::parse(self.tag(), text)
    }

    /// How many there are; a session that expired by itself counts for a tenth of its idle timeout
    /// more, at most a minute.
    pub async fn count(&self) -> Result<u64, StoreError> {
        self.measured(Kind::Count, self.store().count_of(self.user, self.patience())).await
    }

    /// Ends the session with this handle ([`SessionId::hash`]), if it is this user's; says whether it
    /// was.
    pub async fn revoke(&self, handle: &str) -> Result<bool, StoreError> {
        let Some(id) = SessionId::parse(self.tag(), handle) else { return Ok(false) };
        Ok(self.end(Which::One(&id)).await? > 0)
    }

    /// Ends all of them in one step, and says how many there were. A login that comes later lives.
    pub async fn revoke_all(&self) -> Result<u64, StoreError> {
        self.end(Which::All).await
    }

    /// Ends all of them but one in one step, and says how many there were.
    pub async fn revoke_all_but(&self, kept: &SessionId) -> Result<u64, StoreError> {
        self.end(Which::AllBut(kept)).await
    }

    /// All that is kept of them, page by page, for a request about personal data (GDPR article 15).
    pub async fn export(
        &self,
        after: Option<Cursor>,
        at_most: NonZeroU32,
    ) -> Result<ExportedPage, StoreError> {
        let Page { sessions: listed, next, .. } = self.page(after, at_most).await?;
        let mut sessions = Vec::with_capacity(listed.len());
        for session in listed {
            let apply = Apply {
                id: &session.id,
                change: &Change::read(),
                only_if: OnlyIf::LoggedIn,
                touch: Touch::Never,
                limits: &self.manager.settings().limits,
                token: None,
            };
            // One that ended meanwhile is nobody's any more.
            let read = self.measured(Kind::Read, self.store().apply(apply, self.patience()));
            if let Applied::Done(snapshot, _) = read.await? {
                sessions.push(Exported { session, fields: snapshot.fields });
            }
        }
        Ok(ExportedPage { sessions, next })
    }

    /// Ends all of them, and answers when nothing is left that they held (GDPR article 17). Waits a
    /// minute at most. An error leaves them ended or untouched, as it
    /// says; ask again.
    pub async fn erase(&self) -> Result<u64, StoreError> {
        let erased = self.store().erase(self.user, AT_LENGTH);
        let count = self.measured(Kind::Erase, erased).await?;
        self.tell(count);
        Ok(count)
    }

    async fn end(&self, which: Which<'_>) -> Result<u64, StoreError> {
        let end = EndOf { user: self.user, which, asked_by: None };
        let ended = self.store().end_of(end, self.patience());
        let count = self.measured(Kind::Revoke, ended).await?.count();
        self.tell(count);
        Ok(count)
    }

    async fn measured<T: Answered>(
        &self,
        kind: Kind,
        answer: Answer<'_, T>,
    ) -> Result<T, StoreError> {
        self.manager.desk().measured(kind, None, answer).await
    }

    fn store(&self) -> &dyn Store {
        &*self.manager.desk().store
    }

    fn tell(&self, count: u64) {
        let user = self.user.clone();
        self.manager.desk().meters.revoked.increment(count);
        self.manager.desk().tell(|| Event::Revoked { user, by: None, count });
    }

    fn patience(&self) -> Patience {
        Patience(self.manager.settings().patience)
    }

    fn tag(&self) -> Tag {
        Tag::of_user(self.store().prefix(), self.user.as_str())
    }
}
