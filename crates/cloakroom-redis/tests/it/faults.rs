//! What happens when the server does not do as it should.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use cloakroom::store::Happened;
use cloakroom::{Manager, Prefix, SessionError, Settings};
use cloakroom_redis::{Backoff, InvalidUrl, RedisSettings, RedisStore};
use testbed::{Proxy, Server};

use crate::house::{NOTE, VISITS, alice, keys_of, manager, manager_at, manager_with};

fn happened(error: SessionError) -> Happened {
    match error {
        SessionError::Unavailable(error) => error.happened,
        other => panic!("{other:?}"),
    }
}

// Proves R66.
#[tokio::test]
async fn a_frozen_server_costs_a_request_its_patience_once() {
    let server = Server::start();
    let manager = manager_with(&server.url(), Settings::default().patience);
    let visitor = alice(&self::manager(&server)).await;
    // The script is there, so that the increment is under way when the server freezes.
    visitor.open().session().increment(VISITS, 1).await.unwrap();
    manager.check().await.unwrap();
    server.stop();
    let asked = std::time::Instant::now();
    let visit = manager.open([visitor.cookie().unwrap().as_bytes()]);
    let session = visit.session();
    assert_eq!(happened(session.increment(VISITS, 1).await.unwrap_err()), Happened::Perhaps);
    let waited = asked.elapsed();
    assert!(waited >= manager.settings().patience);
    // The rest of the request fails at once: the store is not asked again.
    assert!(matches!(session.increment(VISITS, 1).await, Err(SessionError::OutOfPatience)));
    session.set(NOTE, "lost").unwrap();
    let head = visit.close(200).await;
    assert!(matches!(head.failed, Some(SessionError::OutOfPatience)));
    assert!(head.set_cookie.is_none());
    server.cont();
    let session = visitor.open().session();
    // The one that was under way counted, and nothing was sent twice.
    assert_eq!(session.increment(VISITS, 1).await.unwrap(), 3);
}

/// Nobody waits for anybody else's patience: not for the server, and not for a place among the calls
/// that may be under way.
// Proves F3, R66.
#[tokio::test(flavor = "multi_thread")]
async fn all_who_meet_a_frozen_server_wait_at_once_and_once() {
    const PATIENCE: Duration = Duration::from_secs(2);
    let server = Server::start();
    let few =
        RedisSettings { in_flight: NonZeroUsize::new(4).unwrap(), ..RedisSettings::default() };
    let store = RedisStore::open_with(&server.url(), Prefix::new("shop").unwrap(), &few).unwrap();
    let settings = Settings { patience: PATIENCE, ..Settings::default() };
    let manager = Manager::new(store, settings);
    let visitor = alice(&self::manager(&server)).await;
    manager.check().await.unwrap();
    server.stop();
    let asked = Instant::now();
    let waiting: Vec<_> = (0..64)
        .map(|_| {
            let visit = manager.open([visitor.cookie().unwrap().as_bytes()]);
            tokio::spawn(async move {
                // Each asks more than once.
                for _ in 0..3 {
                    assert_eq!(visit.session().user().await.unwrap_err().status(), 503);
                }
            })
        })
        .collect();
    for answer in waiting {
        answer.await.unwrap();
    }
    // One after the other they would take sixteen times as long, and three times that.
    let waited = asked.elapsed();
    assert!((PATIENCE..2 * PATIENCE).contains(&waited), "{waited:?}");
    server.cont();
    // What nobody waits for any more holds up nobody.
    while manager.check().await.is_err() {}
    let visit = self::manager(&server).open([visitor.cookie().unwrap().as_bytes()]);
    assert!(visit.session().user().await.unwrap().is_some());
}

/// A demoted server refuses what it is sent, at once, and its name may lead elsewhere soon: it is
/// connected to anew for that, and not as often as there are requests.
// Proves F19, F12.
#[tokio::test]
async fn a_demoted_server_is_connected_to_less_and_less_often() {
    const REQUESTS: i64 = 40;
    let server = Server::start();
    let reconnect = Backoff { first: Duration::from_millis(10), at_most: Duration::from_secs(60) };
    let rests = RedisSettings { reconnect, ..RedisSettings::default() };
    let store = RedisStore::open_with(&server.url(), Prefix::new("shop").unwrap(), &rests).unwrap();
    let patience = Duration::from_millis(30);
    let manager = Manager::new(store, Settings { patience, ..Settings::default() });
    let visitor = alice(&self::manager(&server)).await;
    while manager.check().await.is_err() {}
    server.command(&["REPLICAOF", "127.0.0.1", "1"]);
    let connects = || {
        let stats = server.command(&["INFO", "stats"]).text();
        let line = stats.lines().find_map(|line| line.strip_prefix("total_connections_received:"));
        line.unwrap().parse::<i64>().unwrap()
    };
    let before = connects();
    for _ in 0..REQUESTS {
        let visit = manager.open([visitor.cookie().unwrap().as_bytes()]);
        assert_eq!(visit.session().increment(VISITS, 1).await.unwrap_err().status(), 503);
    }
    let made = connects() - before;
    println!("{made} connections for {REQUESTS} requests");
    assert!((1..REQUESTS).contains(&made), "{made} connections");
}

// Several threads, so that the client hears of the break while this one waits for the server.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_request_after_the_servers_return_succeeds() {
    let server = Server::start();
    let manager = manager(&server);
    let visitor = alice(&manager).await;
    for _ in 0..3 {
        server.kill();
        for _ in 0..3 {
            let error = visitor.open().session().user().await.unwrap_err();
            assert_eq!(error.status(), 503);
        }
        server.restart();
        assert!(visitor.open().session().user().await.unwrap().is_some());
        // Also when nobody asked while it was away.
        server.restart();
        assert!(visitor.open().session().user().await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_service_starts_while_its_server_is_away() {
    let server = Server::start();
    server.kill();
    let manager = manager(&server);
    let error = manager.check().await.unwrap_err();
    assert_eq!(error.happened, Happened::No);
    assert!(error.to_string().contains(&server.port().to_string()), "{error}");
    server.restart();
    manager.check().await.unwrap();
}

#[tokio::test]
async fn a_server_that_forgot_its_scripts_learns_them_again() {
    let server = Server::start();
    let manager = manager(&server);
    let visitor = alice(&manager).await;
    for n in 1..=3 {
        server.command(&["SCRIPT", "FLUSH"]);
        assert_eq!(visitor.open().session().increment(VISITS, 1).await.unwrap(), n);
    }
}

/// The server applies what it gets, and its answers are lost.
#[tokio::test]
async fn an_increment_whose_answer_was_lost_is_not_repeated() {
    let server = Server::start();
    let proxy = Proxy::to(server.port());
    let manager = manager_at(&proxy.url());
    let visitor = alice(&manager).await;
    let (key, _) = keys_of(&visitor).await;
    visitor.open().session().increment(VISITS, 1).await.unwrap();
    proxy.lose_reply(3);
    let (mut done, mut perhaps) = (1, 0);
    for _ in 0..30 {
        match visitor.open().session().increment(VISITS, 1).await {
            Ok(_) => done += 1,
            Err(error) => match happened(error) {
                Happened::Perhaps => perhaps += 1,
                Happened::No => {}
            },
        }
    }
    proxy.pass();
    let stored: u64 = server.command(&["HGET", &key, "visits"]).text().parse().unwrap();
    assert!(done > 1 && perhaps > 0, "{done} done, {perhaps} perhaps");
    assert!((done..=done + perhaps).contains(&stored), "{done} <= {stored} <= {done} + {perhaps}");
}

// Proves R30, R65.
#[tokio::test]
async fn a_full_server_refuses_to_add_and_goes_on_reading_and_logging_out() {
    let server = Server::start();
    let manager = manager(&server);
    let visitor = alice(&manager).await;
    let other = alice(&manager).await;
    visitor.open().session().increment(VISITS, 1).await.unwrap();
    let anonymous = {
        let mut visitor = cloakroom::testing::Visitor::new(&manager);
        visitor.visit(async |session| session.set(NOTE, "hello").unwrap()).await;
        visitor
    };
    server.command(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    assert!(server.command(&["SET", "more", "1"]).error().is_some());

    let session = visitor.open().session();
    assert_eq!(session.get(VISITS).await.unwrap(), Some(1));
    assert_eq!(happened(session.increment(VISITS, 1).await.unwrap_err()), Happened::No);
    let visit = anonymous.open();
    visit.session().set(NOTE, "more").unwrap();
    assert_eq!(visit.close(200).await.failed.unwrap().status(), 503);
    let visit = anonymous.open();
    let login = visit.session().log_in(cloakroom::User::new("alice").unwrap()).await;
    assert_eq!(happened(login.unwrap_err()), Happened::No);
    assert!(visit.close(503).await.set_cookie.is_none());
    let session = anonymous.open().session();
    assert_eq!(session.get(NOTE).await.unwrap().as_deref(), Some("hello"));

    let visit = visitor.open();
    visit.session().log_out().await.unwrap();
    assert!(visit.close(200).await.set_cookie.unwrap().contains("Max-Age=0"));
    assert_eq!(visitor.open().session().user().await.unwrap(), None);
    assert!(other.open().session().user().await.unwrap().is_some());
    assert_eq!(server.keys_without_ttl(), Vec::<String>::new());

    server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(other.open().session().increment(VISITS, 1).await.unwrap(), 1);
}

#[tokio::test]
async fn errors_of_the_server_are_503_and_known_not_to_have_happened() {
    let server = Server::start();
    let manager = manager(&server);
    let visitor = alice(&manager).await;
    visitor.open().session().increment(VISITS, 1).await.unwrap();
    let cases: [(&[&str], &[&str]); 2] = [
        (
            &["CONFIG", "SET", "min-replicas-to-write", "1"],
            &["CONFIG", "SET", "min-replicas-to-write", "0"],
        ),
        (&["REPLICAOF", "127.0.0.1", "1"], &["REPLICAOF", "NO", "ONE"]),
    ];
    for (cause, mend) in cases {
        server.command(cause);
        let error = visitor.open().session().increment(VISITS, 1).await.unwrap_err();
        assert_eq!(error.status(), 503);
        assert_eq!(happened(error), Happened::No, "{cause:?}");
        server.command(mend);
    }
    assert_eq!(visitor.open().session().increment(VISITS, 1).await.unwrap(), 2);
}

#[tokio::test]
async fn a_unix_socket_and_a_password_and_a_database_are_found_in_the_url() {
    let server = Server::start();
    let visitor = alice(&manager_at(&server.unix_url())).await;
    assert!(visitor.open().session().user().await.unwrap().is_some());
    let plain = server.unix_url().replace("redis+unix", "unix");
    alice(&manager_at(&plain)).await;

    server.command(&["ACL", "SETUSER", "shop", "on", ">se:cret", "~shop:*", "+@all"]);
    let url = format!("redis://shop:se%3Acret@127.0.0.1:{}/3", server.port());
    alice(&manager_at(&url)).await;
    assert!(server.command(&["INFO", "keyspace"]).text().contains("db3:"));

    let wrong = url.replace("cret", "cre7");
    let store = RedisStore::open(&wrong, Prefix::default()).unwrap();
    let manager = cloakroom::Manager::new(store, Settings::default());
    let error = manager.check().await.unwrap_err();
    for said in [error.to_string(), format!("{error:?}"), format!("{manager:?}")] {
        assert!(!said.contains("cre7"), "{said}");
    }
}

#[tokio::test]
async fn a_url_that_names_no_server_is_refused_with_what_to_type_instead() {
    for url in
        ["", "localhost", "http://127.0.0.1", "redis://", "redis://:s3cret@", "redis://h:99999"]
    {
        let error = RedisStore::open(url, Prefix::default()).unwrap_err();
        let said = error.to_string();
        assert!(said.contains("redis://HOST:PORT"), "{url}: {said}");
        assert!(!said.contains("s3cret"), "{said}");
    }
    let insecure = RedisStore::open("rediss://127.0.0.1:1/#insecure", Prefix::default());
    assert!(matches!(insecure, Err(InvalidUrl::Insecure)));
    let outside = std::thread::spawn(|| RedisStore::open("redis://127.0.0.1", Prefix::default()));
    assert!(matches!(outside.join().unwrap(), Err(InvalidUrl::NoRuntime)));
}

/// The connection breaks under many requests at once; none hangs, and the next ones succeed.
#[tokio::test]
async fn killed_connections_cost_only_the_requests_under_way() {
    let server = Server::start();
    let manager = manager(&server);
    let visitor = alice(&manager).await;
    let (key, _) = keys_of(&visitor).await;
    let (mut done, mut failed) = (0, 0);
    for round in 0..50 {
        if round % 10 == 5 {
            server.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        }
        let requests = (0..8).map(|_| {
            let session = visitor.open().session();
            tokio::spawn(async move { session.increment(VISITS, 1).await })
        });
        for request in requests.collect::<Vec<_>>() {
            match request.await.unwrap() {
                Ok(_) => done += 1,
                Err(_) => failed += 1,
            }
        }
    }
    let stored: u64 = server.command(&["HGET", &key, "visits"]).text().parse().unwrap();
    assert!((done..=done + failed).contains(&stored), "{done} <= {stored} <= {done} + {failed}");
    assert!(done >= 360, "{done} done, {failed} failed");
}

#[tokio::test]
async fn a_store_that_is_dropped_closes_its_connection() {
    let server = Server::start();
    let clients = || server.command(&["CLIENT", "LIST", "TYPE", "normal"]).text().lines().count();
    let before = clients();
    let manager = manager(&server);
    manager.check().await.unwrap();
    assert_eq!(clients(), before + 1);
    drop(manager);
    // The connection is closed by a task of its own, which runs while this one waits.
    for _ in 0..1000 {
        if clients() == before {
            return;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(clients(), before);
}

/// A primary that was demoted keeps its connections; the name in the URL may lead to the new one.
#[tokio::test]
async fn a_server_that_became_a_replica_is_connected_to_anew() {
    let server = Server::start();
    let proxy = Proxy::to(server.port());
    let manager = manager_at(&proxy.url());
    let visitor = alice(&manager).await;
    server.command(&["REPLICAOF", "127.0.0.1", "1"]);
    let before = proxy.accepted();
    for _ in 0..2 {
        let error = visitor.open().session().increment(VISITS, 1).await.unwrap_err();
        assert_eq!(happened(error), Happened::No);
    }
    assert!(proxy.accepted() > before);
    server.command(&["REPLICAOF", "NO", "ONE"]);
    assert_eq!(visitor.open().session().increment(VISITS, 1).await.unwrap(), 1);
}

/// What comes after it looks like a part of it, so nobody on that connection is answered again.
// Proves F6.
#[tokio::test]
async fn a_reply_that_claims_to_be_longer_than_it_is_does_not_hold_the_connection_for_ever() {
    let server = Server::start();
    let proxy = Proxy::to(server.port());
    let manager = manager_with(&proxy.url(), Settings::default().patience);
    let visitor = alice(&self::manager(&server)).await;
    manager.check().await.unwrap();
    proxy.forge_replies("$536870912\r\n");
    let user = async || {
        let visit = manager.open([visitor.cookie().unwrap().as_bytes()]);
        visit.session().user().await
    };
    assert_eq!(happened(user().await.unwrap_err()), Happened::Perhaps);
    proxy.pass();
    let before = proxy.accepted();
    // Two seconds of silence are eight requests that wait in vain; a busy machine may refuse some more.
    let mut failed = 0;
    while let Err(error) = user().await {
        assert_eq!(error.status(), 503);
        failed += 1;
        assert!(failed < 100, "nobody makes another connection");
    }
    assert!(proxy.accepted() > before);
}

/// It takes connections and never says a word: nothing was sent, so nothing can have happened.
#[tokio::test]
async fn patience_that_ends_while_connecting_is_known_not_to_have_happened() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", silent.local_addr().unwrap());
    let manager = manager_with(&url, std::time::Duration::from_millis(50));
    let visit = manager.open([]);
    let login = visit.session().log_in(cloakroom::User::new("alice").unwrap()).await;
    assert_eq!(happened(login.unwrap_err()), Happened::No);
}

/// Each of them has requests waiting when the server comes back.
// Proves F12.
#[tokio::test(flavor = "multi_thread")]
async fn twenty_instances_come_back_with_one_connection_each() {
    const INSTANCES: u64 = 20;
    let server = Server::start();
    let managers: Vec<_> = (0..INSTANCES).map(|_| manager(&server)).collect();
    let visitor = alice(&managers[0]).await;
    let connects = || {
        let stats = server.command(&["INFO", "stats"]).text();
        let total = stats.lines().find_map(|line| line.strip_prefix("total_connections_received:"));
        total.expect("the number of connections").trim().parse::<u64>().unwrap()
    };
    let requests = async || {
        let requests = managers.iter().flat_map(|manager| {
            (0..8).map(|_| {
                let visit = manager.open([visitor.cookie().unwrap().as_bytes()]);
                tokio::spawn(async move { visit.session().user().await.is_ok() })
            })
        });
        let mut all = true;
        for request in requests.collect::<Vec<_>>() {
            all &= request.await.unwrap();
        }
        all
    };
    assert!(requests().await);
    for _ in 0..3 {
        server.kill();
        assert!(!requests().await);
        server.restart();
        let before = connects();
        while !requests().await {}
        // The testbed's own come on top: one that starts the server, and one that asks it.
        let made = connects() - before;
        assert!(made <= INSTANCES + INSTANCES / 10, "{made} connections");
    }
}
