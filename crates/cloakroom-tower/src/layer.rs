//! The layer: opens a session before the service is called, and closes it before the head leaves.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context, Poll};

use cloakroom::{Client, Manager, SessionError};
use http::header::COOKIE;
use http::{Extensions, HeaderMap, Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use crate::future::{Open, Replacement, SessionFuture};
use crate::head;
use crate::hints;
use crate::session::{Main, Session};

/// Says which client a request comes from.
type ClientOf = Arc<dyn Fn(&HeaderMap, &Extensions) -> Client + Send + Sync>;

/// Gives every request its session. `B` is the type of response bodies.
pub struct SessionLayer<B, Mark = Main> {
    manager: Manager,
    replacement: Replacement<B>,
    clients: Option<ClientOf>,
    mark: PhantomData<fn() -> Mark>,
}

impl<B: Default + 'static> SessionLayer<B> {
    /// A layer over a manager. It answers errors with a status and no body.
    pub fn new(manager: Manager) -> Self {
        Self::marked(manager)
    }
}

impl<B: Default + 'static, Mark> SessionLayer<B, Mark> {
    /// A layer whose sessions are told from those of other layers by a mark: `Session<Mark>`. Its
    /// cookie needs a name of its own.
    ///
    /// ```
    /// use cloakroom::{CookieSettings, Manager, MemoryStore, Settings};
    /// use cloakroom_tower::SessionLayer;
    ///
    /// enum Admin {}
    /// let settings = Settings { cookie: CookieSettings::named("admin")?, ..Settings::default() };
    /// let manager = Manager::new(MemoryStore::new(), settings);
    /// let layer = SessionLayer::<String, Admin>::marked(manager);
    /// # Ok::<(), cloakroom::InvalidCookieName>(())
    /// ```
    pub fn marked(manager: Manager) -> Self {
        Self { manager, replacement: Arc::new(head::refusal), clients: None, mark: PhantomData }
    }
}

impl<B, Mark> SessionLayer<B, Mark> {
    /// What answers when waiting writes could not be stored. The default is the status of the
    /// error: 409 if the session was ended meanwhile, 503 with `Retry-After` if the store is away,
    /// 422 over a limit. An application may send its visitors to the login page instead:
    ///
    /// ```
    /// # use cloakroom::{Manager, MemoryStore, SessionError, Settings};
    /// # use cloakroom_tower::SessionLayer;
    /// # let manager = Manager::new(MemoryStore::new(), Settings::default());
    /// let layer = SessionLayer::<String>::new(manager).on_failed_writes(|error| {
    ///     let mut response = cloakroom_tower::refusal(error);
    ///     if let SessionError::Ended = error {
    ///         *response.status_mut() = http::StatusCode::SEE_OTHER;
    ///         let login = http::HeaderValue::from_static("/login");
    ///         response.headers_mut().insert(http::header::LOCATION, login);
    ///     }
    ///     response
    /// });
    /// ```
    #[doc(alias = "on_ended")]
    #[must_use]
    pub fn on_failed_writes(
        self,
        replacement: impl Fn(&SessionError) -> Response<B> + Send + Sync + 'static,
    ) -> Self {
        Self { replacement: Arc::new(replacement), ..self }
    }

    /// Compares the client of each request that asks its session with the one that logged in, and
    /// tells what differs: [`Event::ClientChanged`](cloakroom::Event), `client_changed` in the log, and
    /// [`client_differences`](cloakroom::Session::client_differences) in a handler. It ends no session,
    /// and costs no trip. Off by default. Keep as much of addresses here as at the login.
    ///
    /// ```
    /// use std::net::SocketAddr;
    /// use axum::extract::ConnectInfo;
    /// # use cloakroom::{Manager, MemoryStore, Settings};
    /// use cloakroom_tower::{Clients, SessionLayer};
    ///
    /// # let manager = Manager::new(MemoryStore::new(), Settings::default());
    /// let clients = Clients::default(); // the same that logins use
    /// let layer = SessionLayer::<String>::new(manager).comparing_clients(move |headers, extensions| {
    ///     let peer = extensions.get::<ConnectInfo<SocketAddr>>();
    ///     clients.of(headers, peer.map(|ConnectInfo(peer)| peer.ip()))
    /// });
    /// ```
    #[must_use]
    pub fn comparing_clients(
        self,
        client: impl Fn(&HeaderMap, &Extensions) -> Client + Send + Sync + 'static,
    ) -> Self {
        Self { clients: Some(Arc::new(client)), ..self }
    }
}

impl<S, B, Mark> Layer<S> for SessionLayer<B, Mark> {
    type Service = SessionService<S, B, Mark>;

    fn layer(&self, inner: S) -> Self::Service {
        SessionService { inner, layer: Arc::new(self.clone()) }
    }
}

/// What [`SessionLayer`] makes of a service.
pub struct SessionService<S, B, Mark = Main> {
    inner: S,
    /// Shared, for a router clones the service for every request.
    layer: Arc<SessionLayer<B, Mark>>,
}

impl<S, Body, B, Mark> Service<Request<Body>> for SessionService<S, B, Mark>
where
    S: Service<Request<Body>, Response = Response<B>>,
    B: Send + 'static,
    Mark: 'static,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = SessionFuture<S::Future, B>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let plain_http = cfg!(debug_assertions) && hints::looks_like_plain_http(request.headers());
        let lines = request.headers().get_all(COOKIE).iter().map(|line| line.as_bytes());
        let mut visit = self.layer.manager.open(lines);
        if let Some(client) = &self.layer.clients {
            visit = visit.from_client(|| client(request.headers(), request.extensions()));
        }
        request.extensions_mut().insert(Session::<Mark>::marked(visit.session()));
        let replacement = self.layer.replacement.clone();
        let open = Open { visit, replacement, plain_http };
        SessionFuture::of(self.inner.call(request), open)
    }
}

// Not derived, for that would ask the same of the body and of the mark.
impl<B, Mark> Clone for SessionLayer<B, Mark> {
    fn clone(&self) -> Self {
        Self {
            manager: self.manager.clone(),
            replacement: self.replacement.clone(),
            clients: self.clients.clone(),
            mark: PhantomData,
        }
    }
}

impl<S: Clone, B, Mark> Clone for SessionService<S, B, Mark> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), layer: self.layer.clone() }
    }
}

impl<B, Mark> fmt::Debug for SessionLayer<B, Mark> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionLayer").field("manager", &self.manager).finish_non_exhaustive()
    }
}

impl<S: fmt::Debug, B, Mark> fmt::Debug for SessionService<S, B, Mark> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionService")
            .field("inner", &self.inner)
            .field("layer", &self.layer)
            .finish()
    }
}
