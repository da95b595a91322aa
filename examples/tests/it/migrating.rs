//! docs/migrating.md: an application moves from tower-sessions to Cloakroom while its visitors are
//! logged in. Both versions are whole programs.

use std::thread;

use testbed::{Browser, Program, Server};

use crate::house::{KEY, seen, somebody, visit};

const BEFORE: &str = env!("CARGO_BIN_EXE_migrating_before");
const AFTER: &str = env!("CARGO_BIN_EXE_migrating_after");
/// The cookies of the two versions.
const OLD: &str = "id";
const NEW: &str = "__Host-session";

fn before(server: &Server) -> Program {
    Program::start(BEFORE, &["--port", "0"], &[("REDIS_URL", &server.url())])
}

fn after(server: &Server) -> Program {
    let env = [("SECRET_KEY", KEY), ("REDIS_URL", &server.url())];
    Program::start(AFTER, &["--port", "0"], &env)
}

/// Both versions on one server.
fn both() -> (Server, Program, Program) {
    let server = Server::start();
    let (before, after) = (before(&server), after(&server));
    (server, before, after)
}

#[track_caller]
fn logged_in(at: &Program, name: &str) -> Browser {
    let mut browser = Browser::at(at.addr());
    let answer = browser.post_form("/login", &format!("username={name}"));
    assert_eq!(answer.status, 303, "{answer:?}");
    browser
}

/// The same visitor at another version.
#[track_caller]
fn visit_at(at: &Program, browser: &mut Browser) -> Option<(String, u64)> {
    browser.move_to(at.addr());
    visit(browser)
}

fn old_sessions(server: &Server) -> usize {
    server.keys().iter().filter(|key| !key.contains(':')).count()
}

#[test]
fn a_visitor_stays_logged_in_under_a_new_token_with_what_was_kept() {
    let (server, before, after) = both();
    let mut browser = logged_in(&before, "alice");
    assert_eq!(visit(&mut browser), somebody("alice", 1));
    assert_eq!(visit(&mut browser), somebody("alice", 2));
    let old = browser.jar.get(OLD).unwrap().to_owned();
    assert_eq!(old_sessions(&server), 1);

    assert_eq!(visit_at(&after, &mut browser), somebody("alice", 3));
    assert_eq!(browser.jar.get(OLD), None);
    assert!(!browser.jar.get(NEW).unwrap().contains(&old));
    assert_eq!(old_sessions(&server), 0);
    assert_eq!(visit(&mut browser), somebody("alice", 4));
    assert_eq!(server.keys_without_ttl(), [""; 0]);
}

#[test]
fn the_old_cookie_lets_in_once_and_never_again() {
    let (_server, before, after) = both();
    let mut browser = logged_in(&before, "alice");
    let thief = browser.clone();
    assert_eq!(visit_at(&after, &mut browser), somebody("alice", 1));
    for version in [&after, &before] {
        assert_eq!(visit_at(version, &mut thief.clone()), None);
    }
    browser.move_to(after.addr());
    browser.post_form("/logout", "");
    for version in [&after, &before] {
        assert_eq!(visit_at(version, &mut thief.clone()), None);
        assert_eq!(visit_at(version, &mut browser), None);
    }
}

#[test]
fn of_many_requests_at_once_with_the_old_cookie_one_is_carried_over() {
    let (server, before, after) = both();
    let mut browser = logged_in(&before, "alice");
    browser.move_to(after.addr());
    let requests: Vec<_> = (0..16)
        .map(|_| {
            let mut browser = browser.clone();
            thread::spawn(move || visit(&mut browser).is_some())
        })
        .collect();
    let carried = requests.into_iter().map(|request| request.join().unwrap());
    assert_eq!(carried.filter(|carried| *carried).count(), 1);
    let new = server.keys().into_iter().filter(|key| key.contains(":session:")).count();
    assert_eq!((new, old_sessions(&server)), (1, 0));
}

#[test]
fn nobody_is_carried_over_who_was_not_logged_in() {
    let (server, before, after) = both();
    let mut browser = logged_in(&before, "alice");
    let stale = browser.clone();
    browser.post_form("/logout", "");
    for nonsense in [stale.jar.get(OLD).unwrap(), "AAAAAAAAAAAAAAAAAAAAAA"] {
        let mut browser = Browser::at(after.addr());
        browser.jar.plant(OLD, nonsense);
        assert_eq!(visit(&mut browser), None);
        assert_eq!((browser.jar.get(OLD), browser.jar.get(NEW)), (None, None));
    }
    assert_eq!(server.keys(), [""; 0]);
}

#[test]
fn while_both_versions_run_nobody_changes_names_or_loses_the_new_session() {
    let (server, before, after) = both();
    let mut browser = logged_in(&before, "alice");
    assert_eq!(visit_at(&after, &mut browser), somebody("alice", 1));
    // The old version does not know the new session, and leaves it alone.
    assert_eq!(visit_at(&before, &mut browser), None);
    assert_eq!(visit_at(&after, &mut browser), somebody("alice", 2));
    // Whoever logs in there once more, even by another name, is here who they were.
    browser.move_to(before.addr());
    browser.post_form("/login", "username=bob");
    assert_eq!(visit(&mut browser), somebody("bob", 1));
    assert_eq!(visit_at(&after, &mut browser), somebody("alice", 3));
    assert_eq!(old_sessions(&server), 0);
}

#[test]
fn rolling_back_asks_the_carried_to_log_in_and_nobody_else() {
    let (server, before, after) = both();
    let mut carried = logged_in(&before, "alice");
    let mut other = logged_in(&before, "bob");
    assert_eq!(visit_at(&after, &mut carried), somebody("alice", 1));
    drop(after);
    assert_eq!(visit_at(&before, &mut carried), None);
    assert_eq!(visit_at(&before, &mut other), somebody("bob", 1));
    // And forward again.
    let after = self::after(&server);
    assert_eq!(visit_at(&after, &mut carried), somebody("alice", 2));
    assert_eq!(visit_at(&after, &mut other), somebody("bob", 2));
}

#[test]
fn when_a_store_is_away_the_old_session_waits() {
    let (old, new) = (Server::start(), Server::start());
    let before = before(&old);
    let env = [("SECRET_KEY", KEY), ("REDIS_URL", &*new.url()), ("OLD_REDIS_URL", &*old.url())];
    let after = Program::start(AFTER, &["--port", "0"], &env);
    let mut alice = logged_in(&before, "alice");
    alice.move_to(after.addr());

    new.kill();
    let answer = alice.get("/");
    assert_eq!((answer.status, answer.header("Retry-After")), (503, Some("1")));
    assert!(alice.jar.get(OLD).is_some());
    assert_eq!(old_sessions(&old), 1);
    new.restart();
    let back = testbed::eventually(std::time::Duration::from_secs(30), || {
        Some(alice.get("/")).filter(|answer| answer.status == 200)
    });
    assert_eq!(seen(&back.unwrap()), somebody("alice", 1));

    let mut bob = logged_in(&before, "bob");
    bob.move_to(after.addr());
    old.kill();
    assert_eq!(bob.get("/").status, 503);
    assert!(bob.jar.get(OLD).is_some());
    // Whoever has no old cookie does not notice.
    assert_eq!(visit(&mut alice), somebody("alice", 2));
}
