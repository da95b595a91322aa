//! A folder, and what tests do to a store in it.

use std::collections::BTreeMap;
use std::time::Duration;

use cloakroom::change::{Change, Fields, Limits, Operation};
use cloakroom::store::{
    Applied, Apply, Create, Created, Ended, Login, OnlyIf, Patience, Store, StoreError,
};
use cloakroom::{
    FieldName, Kept, Lifetime, Prefix, SessionId, Settings, Timestamp, TokenMint, Touch, User,
};
use cloakroom_embedded::{EmbeddedSettings, EmbeddedStore, OpenError};
use tempfile::TempDir;

pub(crate) const PATIENCE: Patience = Patience(Duration::from_secs(30));
pub(crate) const COUNT: FieldName = FieldName::new("count");

pub(crate) fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

pub(crate) fn open(folder: &TempDir) -> EmbeddedStore {
    EmbeddedStore::open(folder.path(), EmbeddedSettings::default()).unwrap()
}

pub(crate) fn refused(folder: &TempDir) -> OpenError {
    EmbeddedStore::open(folder.path(), EmbeddedSettings::default()).unwrap_err()
}

pub(crate) fn limits() -> Limits {
    Settings::default().limits
}

pub(crate) fn lifetime() -> Lifetime {
    Lifetime::new(Duration::from_secs(3600), Duration::from_secs(36_000)).unwrap()
}

/// Of a user, or of nobody.
pub(crate) fn fresh(user: Option<&str>) -> SessionId {
    let mint = TokenMint::new(Prefix::default(), "session", None);
    user.map_or_else(|| mint.issue_anonymous(), |user| mint.issue_for(user)).unwrap().id
}

pub(crate) async fn create(
    store: &EmbeddedStore,
    id: SessionId,
    user: Option<&str>,
    lifetime: Lifetime,
    fields: &Fields,
) -> Result<Created, StoreError> {
    let user = user.map(|user| User::new(user).unwrap());
    let login = user.as_ref().map(|user| Login { user, limit: None, client: None });
    let new = Create { id: &id, lifetime, remembered: false, fields, login };
    store.create(new, PATIENCE).await
}

pub(crate) fn created(store: &EmbeddedStore, user: Option<&str>) -> SessionId {
    let id = fresh(user);
    let made = pollster::block_on(create(store, id, user, lifetime(), &BTreeMap::new())).unwrap();
    assert!(matches!(made, Created::Done(..)));
    id
}

pub(crate) async fn apply(
    store: &EmbeddedStore,
    id: SessionId,
    change: &Change,
) -> Result<Applied, StoreError> {
    let limits = &limits();
    let only_if = OnlyIf::Alive;
    let touch = Touch::Exactly;
    store.apply(Apply { id: &id, change, only_if, touch, limits, token: None }, PATIENCE).await
}

pub(crate) fn one_more() -> Change {
    Change::of(Operation::Increment { field: COUNT, by: 1, never_below_zero: true })
}

pub(crate) fn number(kept: Option<&Kept>) -> u64 {
    kept.map_or(0, |kept| std::str::from_utf8(kept).unwrap().parse().unwrap())
}

/// Counts, and says how far.
pub(crate) async fn counted(store: &EmbeddedStore, id: SessionId) -> Result<u64, StoreError> {
    match apply(store, id, &one_more()).await? {
        Applied::Done(_, answer) => Ok(number(answer.as_ref())),
        other => panic!("{other:?}"),
    }
}

/// How far it was counted; `None` if it is not alive.
pub(crate) fn count_of(store: &EmbeddedStore, id: SessionId) -> Option<u64> {
    match pollster::block_on(apply(store, id, &Change::read())).unwrap() {
        Applied::Done(session, _) => Some(number(session.fields.get(&COUNT))),
        Applied::Unknown | Applied::Ended => None,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn ended(store: &EmbeddedStore, id: SessionId) -> Ended {
    pollster::block_on(store.end(&id, PATIENCE)).unwrap()
}

pub(crate) fn noon() -> Timestamp {
    Timestamp::from_millis(1_763_880_000_000)
}

/// Whether permissions are nothing to this user.
pub(crate) fn is_root() -> bool {
    let closed = folder();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(closed.path(), std::fs::Permissions::from_mode(0o500)).unwrap();
    }
    std::fs::write(closed.path().join("x"), "").is_ok()
}
