use std::fmt;

use crate::manager::{Head, Manager, OpenVisit};
use crate::outcome::{LogIn, SessionError};
use crate::session::Session;
use crate::store::User;

/// A browser with one cookie, for an application's own tests: logged in without a login page.
///
/// ```
/// use cloakroom::testing::Visitor;
/// use cloakroom::{Manager, MemoryStore, Settings, User};
/// # pollster::block_on(async {
/// let manager = Manager::new(MemoryStore::new(), Settings::default());
/// let alice = Visitor::logged_in(&manager, "alice").await?;
///
/// // Into the requests of the application under test:
/// let cookie: &str = alice.cookie().unwrap();
/// assert!(cookie.starts_with("__Host-session="));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Visitor {
    manager: Manager,
    cookie: Option<String>,
}

impl Visitor {
    /// Somebody who has not been here before.
    pub fn new(manager: &Manager) -> Self {
        Self { manager: manager.clone(), cookie: None }
    }

    /// Somebody who has logged in a moment ago. Errors if the store fails, the name can't be one, or
    /// the user has as many sessions as the settings allow.
    pub async fn logged_in(manager: &Manager, user: &str) -> Result<Self, SessionError> {
        let mut visitor = Self::new(manager);
        let visit = visitor.open();
        let login = visit.session().log_in(User::new(user)?).await?;
        if login == LogIn::Full {
            return Err(SessionError::Ended);
        }
        visitor.receive(&visit.close(200).await);
        Ok(visitor)
    }

    /// The `Cookie` header that this browser sends; `None` without a cookie.
    pub fn cookie(&self) -> Option<&str> {
        self.cookie.as_deref()
    }

    /// Keeps the cookie of a `Set-Cookie` line, or drops it if the line removes it.
    pub fn receive_line(&mut self, set_cookie: &str) {
        let pair = set_cookie.split(';').next().unwrap_or_default();
        let removed = set_cookie.contains("Max-Age=0");
        self.cookie = (!removed).then(|| pair.to_owned());
    }

    /// Keeps, or drops, the cookie as a response head says.
    pub fn receive(&mut self, head: &Head) {
        if let Some(line) = &head.set_cookie {
            self.receive_line(line);
        }
    }

    /// A request of this browser, to be closed by the caller.
    pub fn open(&self) -> OpenVisit {
        self.manager.open(self.cookie().map(str::as_bytes))
    }

    /// A request of this browser from beginning to end, answered 200.
    pub async fn visit<T>(&mut self, handler: impl AsyncFnOnce(Session) -> T) -> T {
        let visit = self.open();
        let answer = handler(visit.session()).await;
        let head = visit.close(200).await;
        self.receive(&head);
        answer
    }
}

impl fmt::Debug for Visitor {
    // The cookie holds the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Visitor").field("cookie", &self.cookie.as_ref().map(|_| "..")).finish()
    }
}
