//! Services on deployments of several servers.

use std::time::Duration;

use cloakroom::testing::Visitor;
use cloakroom::{Field, Manager, Prefix, SessionId, Settings};
use cloakroom_redis::{RedisSettings, RedisStore};

pub(crate) const VISITS: Field<u64> = Field::new("visits");
pub(crate) const NOTE: Field<String> = Field::new("note");

/// With much patience: a busy machine may be slow, and few tests are about that.
pub(crate) const LONG: Duration = Duration::from_secs(30);

pub(crate) fn manager_with(url: &str, patience: Duration, settings: &RedisSettings) -> Manager {
    let store = RedisStore::open_with(url, Prefix::new("shop").unwrap(), settings).unwrap();
    let carried_into_login = vec![NOTE.name().clone()];
    Manager::new(store, Settings { patience, carried_into_login, ..Settings::default() })
}

pub(crate) fn manager(url: &str) -> Manager {
    manager_with(url, LONG, &RedisSettings::default())
}

pub(crate) async fn id_of(visitor: &Visitor) -> SessionId {
    visitor.open().session().id().await.unwrap().unwrap()
}

/// The keys of a visitor's session and, if there is a user, of the index.
pub(crate) async fn keys_of(visitor: &Visitor) -> (String, String) {
    let id = id_of(visitor).await;
    (format!("shop:{{{}}}:session:{id}", id.tag()), format!("shop:{{{}}}:user", id.tag()))
}
