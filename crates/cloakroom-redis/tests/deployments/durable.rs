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
