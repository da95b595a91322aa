//! A server's name that leads to another server one day.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use cloakroom::Manager;
use cloakroom::testing::Visitor;
use cloakroom_redis::RedisSettings;
use testbed::{Hosts, Server, eventually};

use crate::house::{LONG, VISITS, manager_with};

const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const NAME: &str = "cloak.test";
/// How often the name is looked up.
const EVERY: Duration = Duration::from_millis(50);

fn manager(server: &Server) -> Manager {
    let settings = RedisSettings { topology_every: EVERY, ..RedisSettings::default() };
    manager_with(&format!("redis://{NAME}:{}", server.port()), LONG, &settings)
}

/// Does something as long as nobody has come to this server.
async fn until_reached(server: &Server, mut work: impl AsyncFnMut()) {
    let begun = Instant::now();
    while server.clients() == 0 {
        work().await;
        assert!(begun.elapsed() < LONG, "the name is not followed");
    }
}

#[track_caller]
fn is_left(server: &Server) {
    let left = || (server.clients() == 0).then_some(());
    assert!(eventually(LONG, left).is_some(), "it still has clients");
}

/// The old one is a replica and goes on answering what changes nothing, so no answer ever says that it
/// is the wrong one: a service that only looks would stay there for ever.
// Proves F24.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_moves_is_followed_though_the_old_server_answers() {
    let this = "names::a_name_that_moves_is_followed_though_the_old_server_answers";
    let Some(hosts) = Hosts::around(this, NAME) else { return };
    let old = Server::start();
    let new = old.start_replica_at(ELSEWHERE);
    let manager = manager(&old);
    manager.check().await.unwrap();
    assert!(old.command(&["FAILOVER"]).error().is_none());
    let demoted = || (old.command(&["ROLE"]).list()[0].text() == "slave").then_some(());
    assert!(eventually(LONG, demoted).is_some(), "{}", old.log());

    // It is looked up again and again, and leads where it did.
    let begun = Instant::now();
    while begun.elapsed() < 5 * EVERY {
        manager.check().await.unwrap();
    }
    assert_eq!((old.clients(), new.clients()), (1, 0));
    hosts.lead(ELSEWHERE);
    until_reached(&new, async || manager.check().await.unwrap()).await;
    is_left(&old);
}

/// The old one does not know that it is none any more: without a look it would acknowledge for ever what
/// nobody else will see.
// Proves F24.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_moves_is_followed_though_the_old_server_is_a_primary_still() {
    let this = "names::a_name_that_moves_is_followed_though_the_old_server_is_a_primary_still";
    let Some(hosts) = Hosts::around(this, NAME) else { return };
    let old = Server::start();
    let new = old.start_replica_at(ELSEWHERE);
    let manager = manager(&old);
    let visitor = Visitor::logged_in(&manager, "alice").await.unwrap();
    let in_place = || (new.keys() == old.keys()).then_some(());
    assert!(eventually(LONG, in_place).is_some(), "{:?}", new.keys());
    assert!(new.command(&["REPLICAOF", "NO", "ONE"]).error().is_none());
    hosts.lead(ELSEWHERE);
    // No request fails over it, and the session is in place.
    let count = async || {
        visitor.open().session().increment(VISITS, 1).await.unwrap();
    };
    until_reached(&new, count).await;
    is_left(&old);
    assert!(visitor.open().session().user().await.unwrap().is_some());
}
