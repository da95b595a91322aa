//! A service on a server, for tests that look at the server.

use std::time::Duration;

use cloakroom::testing::Visitor;
use cloakroom::{Field, Manager, Prefix, SessionId, Settings};
use cloakroom_redis::RedisStore;
use testbed::Server;

pub(crate) const VISITS: Field<u64> = Field::new("visits");
pub(crate) const NOTE: Field<String> = Field::new("note");

/// With much patience: a busy machine may be slow, and few tests are about that.
pub(crate) fn manager_at(url: &str) -> Manager {
    manager_with(url, Duration::from_secs(30))
}

pub(crate) fn manager_with(url: &str, patience: Duration) -> Manager {
    let store = RedisStore::open(url, Prefix::new("shop").unwrap()).unwrap();
    Manager::new(store, Settings { patience, ..Settings::default() })
}

pub(crate) fn manager(server: &Server) -> Manager {
    manager_at(&server.url())
}

pub(crate) async fn alice(manager: &Manager) -> Visitor {
    Visitor::logged_in(manager, "alice").await.unwrap()
}

pub(crate) async fn id_of(visitor: &Visitor) -> SessionId {
    visitor.open().session().id().await.unwrap().unwrap()
}

/// The keys of a visitor's session and of its user's index.
pub(crate) async fn keys_of(visitor: &Visitor) -> (String, String) {
    let id = id_of(visitor).await;
    (format!("shop:{{{}}}:session:{id}", id.tag()), format!("shop:{{{}}}:user", id.tag()))
}
