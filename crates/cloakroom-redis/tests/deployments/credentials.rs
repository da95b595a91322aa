//! Passwords that change under load, and connections that the server cuts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cloakroom::store::Happened;
use cloakroom::testing::Visitor;
use cloakroom::{Manager, SessionError};
use cloakroom_redis::{Credentials, RedisSettings};
use testbed::Server;

use crate::house::{LONG, VISITS, manager_with};

// Proves R60.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_is_rotated_without_a_failed_request() {
    let server = Server::start();
    let acl = |password: &str| {
        let password = format!(">{password}");
        let rule = ["ACL", "SETUSER", "shop", "on", &password, "~shop:*", "+@all"];
        assert!(server.command(&rule).error().is_none());
    };
    acl("first");
    server.command(&["ACL", "SETUSER", "shop", ">first"]);
    let credentials = Credentials::new("shop", "first");
    let settings =
        RedisSettings { credentials: Some(credentials.clone()), ..RedisSettings::default() };
    let manager = manager_with(&server.url(), LONG, &settings);
    let visitor = Visitor::logged_in(&manager, "alice").await.unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let counting: Vec<_> = (0..4)
        .map(|_| {
            let (visitor, over) = (visitor.clone(), over.clone());
            tokio::spawn(async move {
                while !over.load(Ordering::SeqCst) {
                    visitor.open().session().increment(VISITS, 1).await.unwrap();
                }
            })
        })
        .collect();
    let mut last = "first".to_owned();
    for number in 0..20 {
        let next = format!("password {number}");
        acl(&next);
        credentials.set("shop", &next);
        // A connection made anew begins with the new one.
        visitor.open().session().increment(VISITS, 1).await.unwrap();
        server.command(&["ACL", "SETUSER", "shop", &format!("<{last}")]);
        visitor.open().session().increment(VISITS, 1).await.unwrap();
        last = next;
    }
    over.store(true, Ordering::SeqCst);
    for counting in counting {
        counting.await.unwrap();
    }
    // The live connection was told.
    let log = server.command(&["ACL", "LOG"]).list();
    assert!(log.is_empty(), "{log:?}");
    server.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    while visitor.open().session().user().await.is_err() {}
    let whoami = server.command(&["CLIENT", "LIST", "TYPE", "normal"]).text();
    assert!(whoami.contains("user=shop"), "{whoami}");
}

/// What one client was told.
#[derive(Default)]
struct Told {
    acknowledged: u64,
    /// Nobody knows whether they were carried out.
    unknown: u64,
    /// They were not.
    refused: u64,
}

async fn counts_until(over: &AtomicBool, counted: &AtomicU64, visitor: &Visitor) -> Told {
    let mut told = Told::default();
    while !over.load(Ordering::SeqCst) {
        match visitor.open().session().increment(VISITS, 1).await {
            Ok(_) => told.acknowledged += 1,
            Err(SessionError::Unavailable(error)) if error.happened == Happened::Perhaps => {
                told.unknown += 1;
            }
            Err(SessionError::Unavailable(_)) => told.refused += 1,
            Err(other) => panic!("{other:?}"),
        }
        counted.fetch_add(1, Ordering::SeqCst);
    }
    told
}

/// As a managed service wants it: a password is good for a while, whoever knows the next has told us in
/// time, and after twelve hours the server cuts the connection. Here a while ends with some visits.
// Proves F26, R60.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passwords_that_expire_and_connections_that_are_cut_fail_what_is_under_way_alone() {
    const CLIENTS: u64 = 4;
    const CUTS: u64 = 10;
    let server = Server::start();
    let acl = |rule: &[&str]| {
        let rule = [&["ACL", "SETUSER", "shop"], rule].concat();
        assert_eq!(server.command(&rule).error(), None, "{rule:?}");
    };
    acl(&["on", ">token 0", "~shop:*", "+@all"]);
    let credentials = Credentials::new("shop", "token 0");
    let settings =
        RedisSettings { credentials: Some(credentials.clone()), ..RedisSettings::default() };
    let manager: Manager = manager_with(&server.url(), LONG, &settings);
    let visitor = Visitor::logged_in(&manager, "alice").await.unwrap();
    let (over, counted) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (visitor, over, counted) = (visitor.clone(), over.clone(), counted.clone());
            tokio::spawn(async move { counts_until(&over, &counted, &visitor).await })
        })
        .collect();
    let visits = async |number: u64| {
        let (until, begun) = (counted.load(Ordering::SeqCst) + number, Instant::now());
        while counted.load(Ordering::SeqCst) < until {
            assert!(begun.elapsed() < LONG, "nobody is counted");
            // A sleep, to leave the processor to those who count.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    for number in 1..=CUTS {
        let (last, next) = (format!("token {}", number - 1), format!("token {number}"));
        acl(&[&format!(">{next}")]);
        credentials.set("shop", &next);
        visits(50).await;
        acl(&[&format!("<{last}")]);
        visits(50).await;
        // A connection made anew begins with what is good now.
        assert!(server.command(&["CLIENT", "KILL", "USER", "shop"]).int() > 0);
        visits(50).await;
    }
    over.store(true, Ordering::SeqCst);
    let mut all = Told::default();
    for client in clients {
        let told = client.await.unwrap();
        all.acknowledged += told.acknowledged;
        all.unknown += told.unknown;
        all.refused += told.refused;
    }
    let stored = visitor.open().session().get(VISITS).await.unwrap().unwrap();
    println!(
        "{} acknowledged, {stored} stored, {} unknown, {} refused",
        all.acknowledged, all.unknown, all.refused
    );
    // Each client has one under way at each cut, at most, and nobody was refused for his password.
    assert!(all.unknown <= CLIENTS * CUTS, "{} unknown", all.unknown);
    assert_eq!(all.refused, 0);
    assert!((all.acknowledged..=all.acknowledged + all.unknown).contains(&stored), "{stored}");
    let log = server.command(&["ACL", "LOG"]).list();
    assert!(log.is_empty(), "{log:?}");
}
