//! The session of a request, as the layer leaves it in the request's extensions.

use std::fmt;
use std::marker::PhantomData;

use http::Extensions;

/// The session of the only layer, or of the main one of several.
#[derive(Clone, Copy, Debug)]
pub enum Main {}

/// The session of a request: everything that [`cloakroom::Session`] does.
///
/// A service with several cookies has several layers, each marked by a type of its own, and takes
/// `Session<Admin>` beside `Session`.
pub struct Session<Mark = Main> {
    session: cloakroom::Session,
    mark: PhantomData<fn() -> Mark>,
}

impl<Mark: 'static> Session<Mark> {
    /// The session that the layer of this mark put into the extensions of a request: for middleware
    /// of the application. `None` if there is no such layer around it.
    ///
    /// ```
    /// let request = http::Request::new(());
    /// assert!(cloakroom_tower::Session::<cloakroom_tower::Main>::of(request.extensions()).is_none());
    /// ```
    pub fn of(extensions: &Extensions) -> Option<Self> {
        extensions.get::<Self>().cloned()
    }

    pub(crate) fn marked(session: cloakroom::Session) -> Self {
        Self { session, mark: PhantomData }
    }
}

impl<Mark> std::ops::Deref for Session<Mark> {
    type Target = cloakroom::Session;

    fn deref(&self) -> &cloakroom::Session {
        &self.session
    }
}

// Not derived, for that would ask the same of the mark.
impl<Mark> Clone for Session<Mark> {
    fn clone(&self) -> Self {
        Self { session: self.session.clone(), mark: PhantomData }
    }
}

impl<Mark> fmt::Debug for Session<Mark> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.session.fmt(f)
    }
}

/// Why an operation on a session failed, as a response: 503 with `Retry-After`, 409, 422, or 500 for
/// a mistake of the application. `?` makes one of every error of the library.
#[derive(Debug)]
pub struct SessionError(cloakroom::SessionError);

impl SessionError {
    /// The error of the library.
    pub fn inner(&self) -> &cloakroom::SessionError {
        &self.0
    }
}

impl<E: Into<cloakroom::SessionError>> From<E> for SessionError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}
