//! Where a cookie becomes a session, and a session becomes a cookie again: open a visit with the
//! `Cookie` lines of a request, close it with the status of the response. Knows no framework.
//!
//! The rules of the end, in the order in which they are tested:
//!
//! 1. A handler that failed (5xx) gets none of its waiting writes stored.
//! 2. Waiting writes that can't be stored replace the response: 503 if the store is away, 409 if
//!    the session was ended, 422 over a limit. What was acknowledged before stays.
//! 3. A token that the store acknowledged goes out with whatever head leaves, a 503 included.
//! 4. A visit that is dropped without being closed ends the new session that it may have made.
//! 5. A response that depends on the session is no cache's business ([`Head::depends_on_session`]).
//!
//! ```
//! use cloakroom::{Field, Manager, MemoryStore, Settings};
//! # pollster::block_on(async {
//! let manager = Manager::new(MemoryStore::new(), Settings::default());
//! const LANGUAGE: Field<String> = Field::new("language");
//!
//! // The first request: a new visitor, whose first write makes a session.
//! let visit = manager.open([]);
//! visit.session().set(LANGUAGE, "ja")?;
//! let head = visit.close(200).await;
//! assert!(head.failed.is_none());
//! let set_cookie = head.set_cookie.unwrap();
//!
//! // The second: the browser sends the cookie back.
//! let cookie = set_cookie.split(';').next().unwrap();
//! let visit = manager.open([cookie.as_bytes()]);
//! assert_eq!(visit.session().get(LANGUAGE).await?.as_deref(), Some("ja"));
//! assert!(visit.close(200).await.set_cookie.is_none());
//! # Ok::<(), cloakroom::SessionError>(())
//! # }).unwrap();
//! ```

use std::fmt;
use std::sync::Arc;

use crate::change::Limits;
use crate::client::Client;
use crate::clock::Clock;
use crate::cookie::presented;
use crate::meters::Kind;
use crate::outcome::SessionError;
use crate::session::Session;
use crate::settings::Settings;
use crate::store::{Patience, Store, StoreError};
use crate::token::TokenMint;
use crate::visit::{Desk, Told, Visit};

/// Opens and closes the sessions of one cookie. Clones are the same manager.
#[derive(Clone, Debug)]
pub struct Manager {
    desk: Arc<Desk>,
    /// Made once: every request asks for it.
    cookie_name: Arc<str>,
}

impl Manager {
    /// A manager over a store.
    pub fn new(store: impl Store, settings: Settings) -> Self {
        Self::over(Arc::new(store), settings)
    }

    /// A manager over a store that others hold as well.
    pub fn over(store: Arc<dyn Store>, mut settings: Settings) -> Self {
        // More is no session of the layout, and would be taken for damage under a lower limit.
        settings.limits.fields = settings.limits.fields.min(Limits::FIELDS_AT_MOST);
        let name = settings.cookie.full_name();
        let mint = TokenMint::new(store.prefix().clone(), name.clone(), settings.keys.clone());
        let desk = Desk::new(store, mint, settings, Clock::system());
        Self { desk: Arc::new(desk), cookie_name: name.into() }
    }

    /// A manager whose operating system has no randomness left, for tests.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn without_randomness(self) -> Self {
        let mint = self.desk.mint.clone().without_randomness();
        self.with_desk(mint, Clock::system())
    }

    /// A manager that counts its newcomers by another clock, for tests.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        let mint = self.desk.mint.clone();
        self.with_desk(mint, clock)
    }

    #[cfg(any(test, feature = "testing"))]
    fn with_desk(self, mint: TokenMint, clock: Clock) -> Self {
        let desk = Desk::new(self.desk.store.clone(), mint, self.desk.settings.clone(), clock);
        Self { desk: Arc::new(desk), ..self }
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.desk.settings
    }

    pub(crate) fn desk(&self) -> &Desk {
        &self.desk
    }

    /// Whether the store answers, within the patience of one request.
    pub async fn check(&self) -> Result<(), StoreError> {
        let patience = Patience(self.desk.settings.patience);
        self.desk.measured(Kind::Check, None, self.desk.store.check(patience)).await
    }

    /// Begins a request, with the values of its `Cookie` lines, all of them. Asks nothing of the
    /// store.
    pub fn open<'a>(&self, cookie_lines: impl IntoIterator<Item = &'a [u8]>) -> OpenVisit {
        let presented = presented(cookie_lines, &self.cookie_name);
        OpenVisit { visit: Visit::begin(self.desk.clone(), presented), closed: false }
    }
}

/// A request under way. Close it before the response head leaves; dropped unclosed, as when the
/// handler panics or is cancelled, it ends what the browser will never hear of.
#[derive(Debug)]
pub struct OpenVisit {
    visit: Arc<Visit>,
    closed: bool,
}

impl OpenVisit {
    /// The session of the request.
    pub fn session(&self) -> Session {
        Session::of(self.visit.clone())
    }

    /// Says which client this request comes from. If the application asks anything of the session, it
    /// is compared with the one that logged in, without a trip; what differs is told as
    /// [`Event::ClientChanged`](crate::Event), and by [`Session::client_differences`]. It never ends a
    /// session by itself (SMCS, "binding the session ID to other user properties").
    ///
    /// `client` is asked only if the request brought a cookie.
    #[must_use]
    pub fn from_client(self, client: impl FnOnce() -> Client) -> Self {
        self.visit.note_client(client);
        self
    }

    /// Ends the request at once, if there is nothing to wait for: no write waits, and no operation is under
    /// way. Otherwise `None`, and it is still to be [closed](Self::close). Costs no trip; for layers, which
    /// then need no future.
    ///
    /// ```
    /// # use cloakroom::{Field, Manager, MemoryStore, Settings};
    /// # pollster::block_on(async {
    /// # let manager = Manager::new(MemoryStore::new(), Settings::default());
    /// let mut visit = manager.open([]);
    /// visit.session().set(Field::<String>::new("theme"), "dark")?;
    /// assert!(visit.close_at_once().is_none()); // a write waits for its trip
    /// assert!(visit.close(200).await.set_cookie.is_some());
    ///
    /// let head = manager.open([]).close_at_once().unwrap();
    /// assert!(!head.depends_on_session);
    /// # Ok::<(), cloakroom::SessionError>(())
    /// # }).unwrap();
    /// ```
    pub fn close_at_once(&mut self) -> Option<Head> {
        let told = self.visit.close_at_once()?;
        self.closed = true;
        Some(Head::of(told, Ok(())))
    }

    /// Ends the request, with the status that the handler answered. Costs 1 trip if writes wait,
    /// else none.
    ///
    /// Waits for an operation of this request that is still under way, for as long as the store may
    /// take. One that is polled by nobody any more, such as a future moved into a response body, is
    /// waited for in vain: await operations, or drop them.
    pub async fn close(mut self, status: u16) -> Head {
        if let Some(head) = self.close_at_once() {
            return head;
        }
        // Only then is it closed: a request that is cancelled at this await gives up.
        let (told, result) = self.visit.close(status >= 500).await;
        self.closed = true;
        Head::of(told, result)
    }
}

impl Drop for OpenVisit {
    fn drop(&mut self) {
        if !self.closed {
            self.visit.give_up();
        }
    }
}

/// What a response head has to say of the session; by default nothing.
#[derive(Default)]
#[must_use]
pub struct Head {
    /// The value of the one `Set-Cookie` line, if the token changed. It holds the token: mark the
    /// header as sensitive.
    pub set_cookie: Option<String>,
    /// The value of `Clear-Site-Data`, where a logout removes the cookie; see
    /// [`Settings::clear_at_logout`].
    pub clear_site_data: Option<&'static str>,
    /// Whether the application asked anything of the session. The response then needs `Vary: Cookie`
    /// and `Cache-Control: no-store` (ASVS 14.3.2).
    pub depends_on_session: bool,
    /// Why the waiting writes were not stored. The response is then replaced.
    pub failed: Option<SessionError>,
}

impl Head {
    fn of(told: Told, result: Result<(), SessionError>) -> Self {
        let Told { set_cookie, clear_site_data, was_used } = told;
        Self { set_cookie, clear_site_data, depends_on_session: was_used, failed: result.err() }
    }
}

impl fmt::Debug for Head {
    // The cookie holds the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Head")
            .field("set_cookie", &self.set_cookie.as_ref().map(|_| ".."))
            .field("clear_site_data", &self.clear_site_data)
            .field("depends_on_session", &self.depends_on_session)
            .field("failed", &self.failed)
            .finish()
    }
}
