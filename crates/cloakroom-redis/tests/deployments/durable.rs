//! The durable mode: what it acknowledges, replicas have.

use std::num::NonZeroUsize;
use std::time::Duration;

use cloakroom::SessionError;
use cloakroom::store::Happened;
use cloakroom::testing::Visitor;
use cloakroom_redis::{Durable, RedisSettings};
use testbed::Sentinels;

use crate::house::{LONG, VISITS, manager_with};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_that_no_replica_has_is_unknown() {
    let pair = Sentinels::start();
    let [primary, replica] = pair.servers();
    // The replica is about to be frozen; nobody should take that for a failure.
    for sentinel in pair.sentinels() {
        sentinel.stop();
    }
    let durable = |within| {
        let durable = Durable { replicas: NonZeroUsize::MIN, within };
        RedisSettings { durable: Some(durable), ..RedisSettings::default() }
    };
    let manager = manager_with(&primary.url(), LONG, &durable(LONG / 3));
    let mut alice = Visitor::logged_in(&manager, "alice").await.unwrap();
    alice.visit(async |session| session.rotate().await.unwrap()).await;

    let hasty = manager_with(&primary.url(), LONG, &durable(Duration::from_millis(50)));
    replica.stop();
    let error = Visitor::logged_in(&hasty, "bob").await.unwrap_err();
    match error {
        SessionError::Unavailable(error) => {
            assert_eq!(error.happened, Happened::Perhaps);
            assert!(error.to_string().contains("0 of 1 replicas"), "{error}");
        }
        other => panic!("{other:?}"),
    }
    // What is not among them waits for nobody.
    let visit = hasty.open([alice.cookie().unwrap().as_bytes()]);
    assert_eq!(visit.session().increment(VISITS, 1).await.unwrap(), 1);
    replica.cont();
    alice.open().session().log_out().await.unwrap();
    assert_eq!(alice.open().session().user().await.unwrap(), None);
}

/// A partition: the replica was made a primary behind the old one's back, and clients are still on
/// the old side. In the end the old one follows the new one.
// Proves F22.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_is_cut_off_acknowledges_no_login_and_no_logout_in_the_durable_mode() {
    let pair = Sentinels::start();
    let [old, new] = pair.servers();
    for sentinel in pair.sentinels() {
        sentinel.stop();
    }
    let within = Duration::from_millis(100);
    let durable = Some(Durable { replicas: NonZeroUsize::MIN, within });
    let durable = RedisSettings { durable, ..RedisSettings::default() };
    let durable = manager_with(&old.url(), LONG, &durable);
    let usual = manager_with(&old.url(), LONG, &RedisSettings::default());
    let before = Visitor::logged_in(&usual, "before").await.unwrap();
    let has_it = || (new.keys() == old.keys()).then_some(());
    assert!(testbed::eventually(LONG, has_it).is_some(), "{}", new.log());

    assert!(new.command(&["REPLICAOF", "NO", "ONE"]).error().is_none());
    let alone = || old.command(&["ROLE"]).list()[2].list().is_empty().then_some(());
    assert!(testbed::eventually(LONG, alone).is_some(), "{}", old.log());
    for number in 0..10 {
        let login = Visitor::logged_in(&durable, &format!("durable {number}")).await;
        assert_eq!(login.unwrap_err().status(), 503);
        let visit = durable.open([before.cookie().unwrap().as_bytes()]);
        assert_eq!(visit.session().log_out().await.unwrap_err().status(), 503);
    }
    // This is what a login without it is worth on that side.
    let lost = Visitor::logged_in(&usual, "usual").await.unwrap();
    assert!(lost.open().session().user().await.unwrap().is_some());

    let port = new.port().to_string();
    assert!(old.command(&["REPLICAOF", "127.0.0.1", &port]).error().is_none());
    let healed = manager_with(&new.url(), LONG, &RedisSettings::default());
    let user = async |visitor: &Visitor| {
        let visit = healed.open([visitor.cookie().unwrap().as_bytes()]);
        visit.session().user().await.unwrap()
    };
    assert_eq!(user(&lost).await, None);
    // Its logout was unknown, and here it never happened.
    assert!(user(&before).await.is_some());
}
