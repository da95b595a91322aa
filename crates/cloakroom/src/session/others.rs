//! "Your devices": the sessions of whoever is logged in, as one of them sees and ends them.
//!
//! ```
//! use std::num::NonZeroU32;
//! use cloakroom::{Manager, MemoryStore, Settings, User};
//! use cloakroom::testing::Visitor;
//! # pollster::block_on(async {
//! let manager = Manager::new(MemoryStore::new(), Settings::default());
//! let phone = Visitor::logged_in(&manager, "alice").await?;
//! let laptop = Visitor::logged_in(&manager, "alice").await?;
//!
//! let visit = laptop.open();
//! let session = visit.session();
//! let ten = NonZeroU32::new(10).unwrap();
//! let (_, page) = session.if_logged_in().sessions(None, ten).await?.unwrap();
//! assert_eq!(page.sessions.len(), 2);
//! let this = session.id().await?.unwrap();
//! let other = page.sessions.iter().find(|listed| listed.id != this).unwrap();
//!
//! // As it comes back from the form.
//! let handle = other.id.hash();
//! let (_, ended) = session.if_logged_in().revoke(&handle).await?.unwrap();
//! assert!(ended);
//! assert!(phone.open().session().user().await?.is_none());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```

use std::num::NonZeroU32;

use super::IfLoggedIn;
use crate::outcome::SessionError;
use crate::store::{Page, User};
use crate::visit::Ends;

impl IfLoggedIn<'_> {
    /// A page of the user's sessions, this one among them, the one with the most life left first.
    /// `after` is where the page before ended ([`Page::next`] as text); text that says nothing begins
    /// anew. Looks at 500 at most. Uses none of them.
    ///
    /// Costs 2 trips, and 1 before if the session is not here yet.
    pub async fn sessions(
        &self,
        after: Option<&str>,
        at_most: NonZeroU32,
    ) -> Result<Option<(User, Page)>, SessionError> {
        self.0.0.sessions_of_user(after, at_most).await
    }

    /// Ends the session with this handle ([`SessionId::hash`](crate::SessionId::hash)), if it is one of
    /// the user's own; says whether it was. Nobody else's can be named. Ending this one is a
    /// [logout](crate::Session::log_out) (ASVS 7.4.5, 7.5.2).
    ///
    /// Decided in the store, in one step: nothing ends if this session itself was ended meanwhile.
    /// Costs 1 trip, and 1 before if the session is not here yet; so do the next two.
    #[doc(alias = "end")]
    pub async fn revoke(&self, handle: &str) -> Result<Option<(User, bool)>, SessionError> {
        let ended = self.0.0.end_of_user(Ends::One(handle)).await?;
        Ok(ended.map(|(user, count)| (user, count > 0)))
    }

    /// Ends every session of the user but this one, in one step, and says how many there were. For
    /// after a changed password (ASVS 7.4.3).
    #[doc(alias = "log_out_others")]
    pub async fn revoke_others(&self) -> Result<Option<(User, u64)>, SessionError> {
        self.0.0.end_of_user(Ends::Others).await
    }

    /// Ends every session of the user, this one too, in one step, and removes the cookie with the next
    /// head; says how many there were.
    #[doc(alias = "revoke_all")]
    pub async fn log_out_everywhere(&self) -> Result<Option<(User, u64)>, SessionError> {
        self.0.0.end_of_user(Ends::All).await
    }
}
