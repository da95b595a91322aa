//! A primary dies, and another takes its place: the service is not restarted.

use std::time::{Duration, Instant};

use cloakroom::Manager;
use cloakroom::testing::Visitor;
use cloakroom_redis::RedisSettings;
use testbed::{Cluster, Sentinels, Server};

use crate::house::{LONG, VISITS, keys_of, manager_with};

/// As it is by default.
const PATIENCE: Duration = Duration::from_millis(250);

/// It would wait long for a server that hangs while it is connected to, and nobody else is to wait for
/// that.
fn manager(url: &str) -> Manager {
    manager_with(url, PATIENCE, &RedisSettings { connect_within: LONG, ..RedisSettings::default() })
}

/// Counts with the patience of a request until it succeeds, and says when that was.
async fn until_counted(manager: &Manager, visitor: &Visitor) -> (Instant, u64) {
    let begun = Instant::now();
    loop {
        let visit = manager.open([visitor.cookie().unwrap().as_bytes()]);
        match visit.session().increment(VISITS, 1).await {
            Ok(visits) => return (Instant::now(), visits),
            Err(error) => assert_eq!(error.status(), 503),
        }
        assert!(begun.elapsed() < 2 * LONG, "nobody took over");
        // A sleep, as between two requests of a site that few visit.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// When a server first says that it is a primary.
fn promoted(server: &Server) -> Instant {
    let is_primary = || {
        let role = server.try_command(LONG, &["ROLE"]).ok()?;
        (role.list()[0].text() == "master").then(Instant::now)
    };
    testbed::eventually(2 * LONG, is_primary).expect("the replica takes over")
}

/// When a sentinel first names this server.
fn named(sentinels: &Sentinels, server: &Server) -> Instant {
    let question = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "cloak"];
    let is_named = || {
        let names = |sentinel: &Server| {
            sentinel.command(&question).list()[1].int() == i64::from(server.port())
        };
        sentinels.sentinels().iter().any(names).then(Instant::now)
    };
    testbed::eventually(2 * LONG, is_named).expect("the replica takes over")
}

/// `detected` waits until it can be known who takes over.
async fn counts_again(
    manager: &Manager,
    visitor: &Visitor,
    detected: impl FnOnce() -> Instant + Send,
    [primary, replica]: [&Server; 2],
    lost: impl FnOnce(),
) {
    // It knows the one that is lost, and is connected to it.
    while manager.check().await.is_err() {}
    let visits = until_counted(manager, visitor).await.1;
    replicated(primary, replica);
    let killed = Instant::now();
    lost();
    let (counted, detected) = std::thread::scope(|scope| {
        let detected = scope.spawn(detected);
        let counted = tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(until_counted(manager, visitor))
        });
        (counted, detected.join().unwrap())
    });
    let (counted_at, now) = counted;
    let followed = counted_at.saturating_duration_since(detected);
    println!("known after {:?}, counted {followed:?} later", detected - killed);
    // Some requests and rests may have been in vain, and a machine may be busy; but nobody waits for
    // the next look at the topology, which is not due for long.
    let settings = RedisSettings::default();
    let most = 10 * (PATIENCE + settings.reconnect.at_most);
    assert!(most < settings.topology_every / 10 && followed <= most, "{followed:?}");
    // The session is in place. Some tries may have been carried out without an answer.
    assert!(now > visits);
}

/// Waits until the replica has all that the primary has: replication is asynchronous, and what it has
/// not would be lost, as documented.
fn replicated(primary: &Server, replica: &Server) {
    let sent = primary.command(&["ROLE"]).list()[1].int();
    let has_all = || (replica.command(&["ROLE"]).list()[4].int() >= sent).then_some(());
    assert!(testbed::eventually(LONG, has_all).is_some(), "{}", replica.log());
}

// Proves F21.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_primary_of_sentinels_is_replaced() {
    let sentinels = Sentinels::start();
    let manager = manager(&sentinels.url());
    let patient = manager_with(&sentinels.url(), LONG, &RedisSettings::default());
    let visitor = Visitor::logged_in(&patient, "alice").await.unwrap();
    let [first, second] = sentinels.servers();
    counts_again(
        &manager,
        &visitor,
        || named(&sentinels, second),
        [first, second],
        || first.kill(),
    )
    .await;
}

/// It neither answers nor refuses: what is under way waits in vain, and who comes later finds the new
/// primary.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_primary_of_sentinels_is_replaced() {
    let sentinels = Sentinels::start();
    let manager = manager(&sentinels.url());
    let patient = manager_with(&sentinels.url(), LONG, &RedisSettings::default());
    let visitor = Visitor::logged_in(&patient, "alice").await.unwrap();
    let [first, second] = sentinels.servers();
    counts_again(
        &manager,
        &visitor,
        || named(&sentinels, second),
        [first, second],
        || first.stop(),
    )
    .await;
}

// Proves F23.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_primary_of_a_cluster_is_replaced() {
    a_primary_of_a_cluster_is_replaced(Server::kill).await;
}

// Proves F23, F3.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_primary_of_a_cluster_is_replaced() {
    a_primary_of_a_cluster_is_replaced(Server::stop).await;
}

async fn a_primary_of_a_cluster_is_replaced(lost: impl FnOnce(&Server)) {
    let cluster = Cluster::start();
    let manager = manager(&cluster.url());
    let patient = manager_with(&cluster.url(), LONG, &RedisSettings::default());
    let visitor = Visitor::logged_in(&patient, "alice").await.unwrap();
    let (key, _) = keys_of(&visitor).await;
    let owner = cluster.owner(&key);
    let at = cluster.nodes().iter().position(|node| node.port() == owner.port()).unwrap();
    let next = &cluster.nodes()[at + 3];
    cluster.fail_over_soon();
    counts_again(&manager, &visitor, || promoted(next), [owner, next], || lost(owner)).await;
}

#[tokio::test]
async fn sentinels_that_know_no_such_primary_say_so() {
    let sentinels = Sentinels::start();
    let url = sentinels.url().replace("/cloak", "/cloack");
    let error = manager(&url).check().await.unwrap_err();
    assert_eq!(error.happened, cloakroom::store::Happened::No);
    assert!(error.to_string().contains("no primary named \"cloack\""), "{error}");
}

/// Whoever fails asks who serves it now, and all ask together: the nodes that are well have work to do.
// Proves F12.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_many_requests_fail_the_nodes_are_asked_now_and_then() {
    const REQUESTS: u64 = 64 * 5;
    let cluster = Cluster::start();
    let manager = manager(&cluster.url());
    let patient = manager_with(&cluster.url(), LONG, &RedisSettings::default());
    let visitor = Visitor::logged_in(&patient, "alice").await.unwrap();
    let lost = cluster.owner(&keys_of(&visitor).await.0);
    until_counted(&manager, &visitor).await;
    let questions = || -> u64 {
        let others = cluster.nodes().iter().filter(|node| node.port() != lost.port());
        let stats = others.map(|node| node.command(&["INFO", "commandstats"]).text());
        stats.map(|stats| calls(&stats, "cmdstat_cluster")).sum()
    };

    lost.kill();
    let before = questions();
    let requests = (0..64).map(|_| {
        let (manager, visitor) = (manager.clone(), visitor.clone());
        tokio::spawn(async move {
            for _ in 0..REQUESTS / 64 {
                let visit = manager.open([visitor.cookie().unwrap().as_bytes()]);
                assert_eq!(visit.session().increment(VISITS, 1).await.unwrap_err().status(), 503);
            }
        })
    });
    for request in requests.collect::<Vec<_>>() {
        request.await.unwrap();
    }
    let asked = questions() - before;
    assert!((1..REQUESTS / 4).contains(&asked), "{asked} questions");
}

/// How often the commands were called whose statistics begin so.
fn calls(stats: &str, command: &str) -> u64 {
    let of = |line: &str| -> Option<u64> {
        let (_, rest) = line.strip_prefix(command)?.split_once(":calls=")?;
        rest.split(',').next()?.parse().ok()
    };
    stats.lines().filter_map(of).sum()
}
