//! An application under test, and a browser for it.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use cloakroom::testing::{FailingStore, Visitor};
use cloakroom::{Field, Manager, MemoryStore, Settings};
use cloakroom_tower::SessionLayer;
use http::{HeaderMap, Method, Request};
use tower::ServiceExt;

pub(crate) const VISITS: Field<u64> = Field::new("visits");
pub(crate) const NOTE: Field<String> = Field::new("note");

/// An application behind a layer, and the store under it.
pub(crate) struct House {
    pub(crate) store: FailingStore,
    pub(crate) manager: Manager,
    app: Router,
}

impl House {
    pub(crate) fn of(routes: Router) -> Self {
        let store = FailingStore::new(Arc::new(MemoryStore::new()));
        let manager = Manager::new(store.clone(), Settings::default());
        let app = routes.layer(SessionLayer::new(manager.clone()));
        Self { store, manager, app }
    }

    pub(crate) async fn logged_in(&self) -> Visitor {
        Visitor::logged_in(&self.manager, "alice").await.unwrap()
    }

    pub(crate) async fn get(&self, visitor: &mut Visitor, path: &str) -> Response {
        self.send(visitor, Method::GET, path).await
    }

    pub(crate) async fn send(&self, visitor: &mut Visitor, method: Method, path: &str) -> Response {
        let response = self.app.clone().oneshot(request(visitor, method, path)).await.unwrap();
        for line in set_cookies(response.headers()) {
            visitor.receive_line(&line);
        }
        response
    }

    /// A request that the test drives, and may drop half way.
    pub(crate) fn start(
        &self,
        visitor: &Visitor,
        path: &str,
    ) -> impl Future<Output = Response> + use<> {
        let answer = self.app.clone().oneshot(request(visitor, Method::GET, path));
        async { answer.await.unwrap() }
    }
}

fn request(visitor: &Visitor, method: Method, path: &str) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(cookie) = visitor.cookie() {
        request = request.header("cookie", cookie);
    }
    request.body(Body::empty()).unwrap()
}

pub(crate) fn set_cookies(headers: &HeaderMap) -> Vec<String> {
    let lines = headers.get_all("set-cookie").iter();
    lines.map(|line| line.to_str().unwrap().to_owned()).collect()
}

pub(crate) fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

pub(crate) async fn text(response: Response) -> String {
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}
