//! What an operator sees at `/metrics`: exact, and nothing of any visitor.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use testbed::papers::text;
use testbed::{Browser, Program, Request, Server, eventually};

use crate::demo::*;

const SOON: Duration = Duration::from_secs(20);

/// A demo that shows its numbers, and where.
pub(crate) fn measured(store: &str) -> (Program, SocketAddr) {
    let env = [("SECRET_KEY", KEY), ("REDIS_URL", store)];
    let demo = serve(&["--metrics", "127.0.0.1:0"], &env);
    let line = demo.wait_for_log("Metrics at ");
    let at = line.trim_start_matches("Metrics at http://").trim_end_matches("/metrics");
    (demo, at.parse().unwrap())
}

#[derive(Debug)]
struct Numbers(BTreeMap<String, f64>);

fn scrape(at: SocketAddr) -> Numbers {
    let page = Request::get(at, "/metrics").send();
    assert_eq!(page.status, 200, "{page:?}");
    let samples = page.text().lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), value.parse().unwrap())
    };
    Numbers(samples.map(sample).collect())
}

impl Numbers {
    #[track_caller]
    fn of(&self, name: &str) -> f64 {
        *self.0.get(name).unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }

    /// Every sample of these names that is not zero.
    fn above_zero(&self, begins: &str) -> Vec<(&str, f64)> {
        let named = self.0.iter().filter(|(name, _)| name.starts_with(begins));
        named.filter(|(_, value)| **value != 0.0).map(|(name, it)| (name.as_str(), *it)).collect()
    }
}

fn operations<'a>(numbers: &'a Numbers) -> Vec<(&'a str, f64)> {
    let begins = "cloakroom_operations_total{operation=\"";
    let short = |(name, count): (&'a str, f64)| (name.trim_start_matches(begins), count);
    numbers.above_zero(begins).into_iter().map(short).collect()
}

/// The look at the store when the demo starts.
fn wait_for_the_check(at: SocketAddr) {
    let name = r#"cloakroom_operations_total{operation="check",outcome="done"}"#;
    assert!(eventually(SOON, || (scrape(at).of(name) == 1.0).then_some(())).is_some());
}

#[test]
fn every_operation_and_every_trip_of_a_visit_is_counted_once() {
    let server = Server::start();
    // Without what the test itself asked when it started the server.
    server.command(&["CONFIG", "RESETSTAT"]);
    let (demo, at) = measured(&server.url());
    wait_for_the_check(at);

    let mut alice = Browser::at(demo.addr());
    assert_eq!(visit(&mut alice), None);
    log_in(&mut alice, "alice");
    for visits in 1..=3 {
        assert_eq!(visit(&mut alice), somebody("alice", visits));
    }
    assert_eq!(alice.get("/devices").status, 200);
    let stolen = token(&alice);
    assert_eq!(alice.post_form("/logout", "").status, 303);
    // She comes back with a cookie of before, and somebody with one that he made up.
    assert_eq!(seen_with(demo.addr(), &stolen), None);
    assert_eq!(seen_with(demo.addr(), "made-up"), None);

    let numbers = scrape(at);
    assert_eq!(
        operations(&numbers),
        [
            (r#"check",outcome="done"}"#, 1.0),
            (r#"list",outcome="done"}"#, 1.0),
            (r#"log_in",outcome="done"}"#, 1.0),
            (r#"log_out",outcome="done"}"#, 1.0),
            (r#"read",outcome="done"}"#, 1.0),
            (r#"write",outcome="done"}"#, 3.0),
            (r#"write",outcome="gone"}"#, 1.0),
        ]
    );
    let timed = "cloakroom_operation_duration_seconds_count{operation=\"write\"}";
    assert_eq!(numbers.of(timed), 4.0);
    assert_eq!(
        numbers.above_zero("cloakroom_sessions_"),
        [
            (r#"cloakroom_sessions_created_total{kind="user"}"#, 1.0),
            (r#"cloakroom_sessions_ended_total{reason="logged_out"}"#, 1.0),
        ]
    );
    assert_eq!(numbers.of("cloakroom_tokens_not_ours_total"), 1.0);

    // As the server itself counts what came.
    let stats = server.command(&["INFO", "commandstats"]).text();
    let pings = stats.lines().find_map(|line| line.strip_prefix("cmdstat_ping:calls="));
    let pings: u64 = pings.unwrap().split(',').next().unwrap().parse().unwrap();
    assert_eq!(numbers.of("cloakroom_redis_trips_total"), (server.scripts_run() + pings) as f64);
    assert!(numbers.of("cloakroom_redis_sent_bytes_total") > 1_000.0);
    assert!(numbers.of("cloakroom_redis_received_bytes_total") > 100.0);
    // Each script was unknown to the server once: login, count, list, look, logout.
    assert_eq!(numbers.of(r#"cloakroom_redis_refusals_total{code="NOSCRIPT"}"#), 5.0);
    assert_eq!(numbers.of(r#"cloakroom_redis_connections_total{outcome="made"}"#), 1.0);
    assert_eq!(numbers.of("cloakroom_redis_reconnections_total"), 0.0);
    assert_eq!(numbers.of("cloakroom_redis_calls_in_flight"), 0.0);
}

#[test]
fn a_server_that_is_away_and_comes_back_is_seen() {
    let server = Server::start();
    let (demo, at) = measured(&server.url());
    wait_for_the_check(at);
    let mut alice = logged_in_at(demo.addr(), "alice");
    let before = scrape(at);

    // Somebody always waits, so that a look at the numbers meets a call under way.
    server.stop();
    let seen = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (mut waiting, seen) = (alice.clone(), &seen);
        scope.spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                assert_eq!(waiting.get("/").status, 503);
            }
        });
        let in_flight = || scrape(at).of("cloakroom_redis_calls_in_flight") > 0.0;
        let found = eventually(SOON, || in_flight().then_some(()));
        seen.store(true, Ordering::Relaxed);
        assert!(found.is_some());
    });
    let name = r#"cloakroom_operations_total{operation="write",outcome="unavailable"}"#;
    assert_eq!(before.of(name), 0.0);
    assert!(scrape(at).of(name) >= 1.0);
    server.cont();

    server.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    let reconnected = || {
        let _ = alice.get("/");
        (scrape(at).of("cloakroom_redis_reconnections_total") >= 1.0).then_some(())
    };
    assert!(eventually(SOON, reconnected).is_some());
    server.kill();
    let refused = r#"cloakroom_redis_connections_total{outcome="failed"}"#;
    let noticed = || {
        assert_eq!(alice.get("/").status, 503);
        (scrape(at).of(refused) >= 1.0).then_some(())
    };
    assert!(eventually(SOON, noticed).is_some());
}

#[test]
fn the_same_is_counted_without_a_server() {
    let (demo, at) = measured("memory");
    wait_for_the_check(at);
    let mut alice = logged_in_at(demo.addr(), "alice");
    assert_eq!(visit(&mut alice), somebody("alice", 1));
    let expected = [
        (r#"check",outcome="done"}"#, 1.0),
        (r#"log_in",outcome="done"}"#, 1.0),
        (r#"write",outcome="done"}"#, 1.0),
    ];
    assert_eq!(operations(&scrape(at)), expected);
    assert_eq!(scrape(at).above_zero("cloakroom_redis_"), []);
}

// Proves R61.
#[test]
fn no_user_no_session_and_no_token_is_in_the_numbers() {
    let server = Server::start();
    let (demo, at) = measured(&server.url());
    let mut secrets = vec!["somebody-special".to_owned()];
    for _ in 0..3 {
        let mut browser = logged_in_at(demo.addr(), "somebody-special");
        visit(&mut browser);
        browser.get("/devices");
        secrets.push(token(&browser));
    }
    // Tags and hashes of the sessions, as they stand in the keys.
    for key in server.keys() {
        let parts = key.split([':', '{', '}']).filter(|part| part.len() > 15);
        secrets.extend(parts.map(str::to_owned));
    }
    assert!(secrets.len() > 7, "{secrets:?}");
    let page = Request::get(at, "/metrics").send();
    let page = page.text();
    assert!(page.contains("cloakroom_sessions_created_total"), "{page}");
    for secret in secrets {
        assert!(!page.contains(&secret), "{secret} in\n{page}");
    }
}

#[test]
fn visitors_and_operators_have_each_their_port() {
    let (demo, at) = measured("memory");
    assert_eq!(Request::get(demo.addr(), "/metrics").send().status, 404);
    assert_eq!(Request::get(at, "/").send().status, 404);
    assert_eq!(Request::get(at, "/login").send().status, 404);
    let page = Request::get(at, "/metrics").send();
    assert_eq!(page.header("Content-Type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert_eq!(page.header("Cache-Control"), Some("no-store"));
    assert_eq!(Request::post(at, "/metrics").form("").send().status, 405);

    // A port that is taken is said, and nothing is served half.
    let taken = at.to_string();
    let other = serve(&["--metrics", &taken], &[("SECRET_KEY", KEY)]);
    assert_eq!(other.wait(), Some(1));
    assert!(other.log().contains("metrics can't be shown at"), "{}", other.log());
}

/// The names in the first column of the tables of this paper.
fn names_in(paper: &str) -> BTreeSet<String> {
    let named = paper.lines().filter_map(|line| line.strip_prefix("| `cloakroom_"));
    let names = named.map(|rest| rest.split(['`', '{']).next().unwrap());
    names.map(|name| format!("cloakroom_{name}")).collect()
}

#[test]
fn the_docs_describe_every_metric_and_no_other_and_the_dashboard_shows_all() {
    let server = Server::start();
    let (_demo, at) = measured(&server.url());
    wait_for_the_check(at);
    let page = Request::get(at, "/metrics").send();
    let shown = page.text().lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let shown: BTreeSet<_> = shown.map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(names_in(&text("docs/operations.md")), shown);
    let dashboard = text("deploy/grafana/cloakroom.json");
    for name in shown {
        assert!(dashboard.contains(&name), "{name}");
        assert!(page.text().contains(&format!("# HELP {name} ")), "{name}");
    }
}
