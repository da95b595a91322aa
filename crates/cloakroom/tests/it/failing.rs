//! The store that fails on purpose fails as it was told, and no other way.

use std::sync::Arc;
use std::time::Duration;

use cloakroom::change::{Change, Fields, Writes};
use cloakroom::store::{
    Applied, Apply, Create, Created, Ended, Happened, OnlyIf, Patience, Rotate, Rotated,
    StoreError, Verb, Why,
};
use cloakroom::testing::{FailingStore, Failure};
use cloakroom::{Lifetime, Limits, MemoryStore, Prefix, SessionId, Store, TokenMint, Touch};
use pollster::block_on;

const PATIENCE: Patience = Patience(Duration::from_secs(1));
const LIMITS: Limits = Limits { fields: 8, value_bytes: 64, session_bytes: 512 };

struct Both {
    behind: MemoryStore,
    failing: FailingStore,
}

impl Both {
    fn new() -> Self {
        let behind = MemoryStore::new();
        Self { failing: FailingStore::new(Arc::new(behind.clone())), behind }
    }
}

fn id() -> SessionId {
    TokenMint::new(Prefix::default(), "session", None).issue_anonymous().unwrap().id
}

fn create(store: &dyn Store, id: &SessionId) -> Result<Created, StoreError> {
    let lifetime = Lifetime::new(Duration::from_secs(60), Duration::from_secs(60)).unwrap();
    let fields = &Fields::new();
    block_on(
        store.create(Create { id, lifetime, remembered: false, fields, login: None }, PATIENCE),
    )
}

fn read(store: &dyn Store, id: &SessionId) -> Result<Applied, StoreError> {
    let change = &Change::read();
    let apply = Apply {
        id,
        change,
        only_if: OnlyIf::Alive,
        touch: Touch::Exactly,
        limits: &LIMITS,
        token: None,
    };
    block_on(store.apply(apply, PATIENCE))
}

fn renew(store: &dyn Store, old: &SessionId, new: &SessionId) -> Result<Rotated, StoreError> {
    let (writes, limits, why) = (&Writes::new(), &LIMITS, Why::Renewal);
    let rotate = Rotate { old, new, writes, limits, why, token: None };
    block_on(store.rotate(rotate, PATIENCE))
}

#[test]
fn it_does_nothing_where_the_store_is_not_reached() {
    let Both { behind, failing } = Both::new();
    failing.fail(Failure::NotReached);
    let id = id();
    let error = create(&failing, &id).unwrap_err();
    assert_eq!((error.verb, error.session, error.happened), (Verb::Create, Some(id), Happened::No));
    assert_eq!(read(&behind, &id).unwrap(), Applied::Unknown);

    failing.recover();
    assert!(matches!(create(&failing, &id), Ok(Created::Done(..))));
    failing.fail(Failure::NotReached);
    assert!(block_on(failing.end(&id, PATIENCE)).is_err());
    assert!(renew(&failing, &id, &self::id()).is_err());
    assert!(read(&failing, &id).is_err());
    assert!(matches!(read(&behind, &id), Ok(Applied::Done(..))));
}

#[test]
fn it_has_done_it_where_the_reply_is_lost() {
    let Both { behind, failing } = Both::new();
    let (old, new) = (id(), id());
    failing.fail(Failure::ReplyLost);
    for error in [
        create(&failing, &old).unwrap_err(),
        renew(&failing, &old, &new).unwrap_err(),
        block_on(failing.end(&new, PATIENCE)).unwrap_err(),
        block_on(failing.check(PATIENCE)).unwrap_err(),
    ] {
        assert_eq!(error.happened, Happened::Perhaps);
        assert!(error.to_string().contains("it is unknown whether anything was changed"));
    }
    assert_eq!(read(&behind, &old).unwrap(), Applied::Ended);
    assert_eq!(block_on(behind.end(&new, PATIENCE)).unwrap(), Ended::Before);
    assert_eq!(failing.calls(), [Verb::Create, Verb::Rotate, Verb::End, Verb::Check]);
}

#[test]
fn it_fails_at_the_calls_it_was_told_and_counts_all() {
    let Both { failing, .. } = Both::new();
    let id = id();
    assert!(create(&failing, &id).is_ok());
    failing.fail_at(2, Failure::NotReached);
    failing.fail_at(4, Failure::ReplyLost);
    let failed: Vec<bool> = (0..5).map(|_| read(&failing.clone(), &id).is_err()).collect();
    assert_eq!(failed, [false, true, false, true, false]);
    assert_eq!(failing.calls().len(), 6);
}

#[test]
fn a_verb_that_is_never_awaited_was_never_called() {
    let Both { behind, failing } = Both::new();
    let id = id();
    assert!(create(&failing, &id).is_ok());
    drop(failing.end(&id, PATIENCE));
    assert_eq!(failing.calls(), [Verb::Create]);
    assert!(matches!(read(&behind, &id), Ok(Applied::Done(..))));
}

#[test]
fn what_is_abandoned_is_remembered_and_ended() {
    let Both { behind, failing } = Both::new();
    let id = id();
    assert!(create(&failing, &id).is_ok());
    failing.fail(Failure::NotReached);
    failing.abandon(id);
    assert_eq!(failing.abandoned(), [id]);
    assert_eq!(failing.calls(), [Verb::Create], "to abandon is no call that somebody waits for");
    assert_eq!(read(&behind, &id).unwrap(), Applied::Ended);
}
