//! A restart, and keys that change.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use testbed::{Browser, Program, Server};

use crate::demo::*;

fn with_keys(server: &Server, key: &str, former: &str) -> Program {
    let url = server.url();
    serve(&[], &[("REDIS_URL", &url), ("SECRET_KEY", key), ("SECRET_KEY_FALLBACKS", former)])
}

// Proves R74, CVE-2020-17526.
#[test]
fn who_is_logged_in_stays_so_over_a_restart_as_long_as_the_key_is_known() {
    let server = Server::start();
    let demo = with_keys(&server, KEY, "");
    let mut browser = logged_in_at(demo.addr(), "alice");
    assert_eq!(visit(&mut browser), somebody("alice", 1));
    let mut visits = 1;
    for (key, former, knows) in [
        (KEY, "", true),
        (OTHER_KEY, KEY, true),
        (OTHER_KEY, "", false),
        (OTHER_KEY, "c2b9f35d7a6e41d08c77e3a15b90f24d,8d1f6c0b57e24a93b0c5d2e7f41a6893", true),
    ] {
        assert_eq!(demo.terminate(), Some(0));
        let demo = with_keys(&server, key, former);
        browser.move_to(demo.addr());
        visits += u64::from(knows);
        let expected = if knows { somebody("alice", visits) } else { None };
        assert_eq!(visit(&mut browser), expected, "{key} {former}");
    }
}

// Proves R54, R74, CVE-2025-47278.
#[test]
fn a_login_moves_to_the_new_key() {
    let server = Server::start();
    let (old, both, new) = (
        with_keys(&server, KEY, ""),
        with_keys(&server, OTHER_KEY, KEY),
        with_keys(&server, OTHER_KEY, ""),
    );
    let mut browser = logged_in_at(old.addr(), "alice");
    browser.move_to(both.addr());
    assert_eq!(visit(&mut browser), somebody("alice", 1));
    let sealed_with_old = token(&browser);
    log_in(&mut browser, "alice");
    browser.move_to(new.addr());
    assert_eq!(visit(&mut browser), somebody("alice", 2));
    assert_eq!(seen_with(both.addr(), &sealed_with_old), None);
}

/// As an operator does it: one instance after the other, a new one before the old one ends, visitors at
/// both all the while.
struct Fleet {
    instances: [Mutex<Program>; 2],
    visits: AtomicUsize,
}

impl Fleet {
    /// Somebody who visits, and logs in again now and then, and is never logged out.
    fn is_visited_by(&self, browser: &mut Browser, name: &str, round: usize) {
        browser.move_to(self.instances[round % 2].lock().unwrap().addr());
        let request = if round % 4 == 3 {
            testbed::Request::post(browser.addr(), "/login").form(&username(name))
        } else {
            testbed::Request::get(browser.addr(), "/")
        };
        // An instance that ends takes no connection any more.
        let Ok(response) = browser.try_send(request) else { return };
        if response.status == 200 {
            assert!(seen(&response).is_some_and(|(who, _)| who == name), "logged out");
            self.visits.fetch_add(1, Ordering::SeqCst);
        } else {
            assert_eq!(response.status, 303, "{response:?}");
        }
    }

    fn is_rolled_to(&self, server: &Server, key: &str, former: &str) {
        let before = self.visits.load(Ordering::SeqCst);
        for instance in &self.instances {
            let new = with_keys(server, key, former);
            let old = std::mem::replace(&mut *instance.lock().unwrap(), new);
            assert_eq!(old.terminate(), Some(0));
        }
        // Everybody goes on for a while, and has logged in anew.
        let enough = || (self.visits.load(Ordering::SeqCst) > before + 60).then_some(());
        assert!(testbed::eventually(Duration::from_secs(60), enough).is_some());
    }
}

/// First a fall-back everywhere, then the key, with the former one as fall-back, then alone; twice. No
/// logout inside the overlap, and nothing accepted after it.
// Proves R54, R74.
#[test]
fn keys_change_twice_under_load_without_a_logout_and_former_ones_open_nothing() {
    const THIRD_KEY: &str = "e07d4c1f92ab4b6c8f35d06c7a1e29b8";
    let server = Server::start();
    let start = || Mutex::new(with_keys(&server, KEY, ""));
    let fleet = Fleet { instances: [start(), start()], visits: AtomicUsize::new(0) };
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let visitors: Vec<_> = (0..3)
            .map(|n| {
                let (fleet, over) = (&fleet, &over);
                scope.spawn(move || {
                    let name = format!("visitor {n}");
                    let address = fleet.instances[0].lock().unwrap().addr();
                    let mut browser = logged_in_at(address, &name);
                    let mut round = 0;
                    while !over.load(Ordering::SeqCst) {
                        fleet.is_visited_by(&mut browser, &name, round);
                        round += 1;
                    }
                })
            })
            .collect();
        let at = || fleet.instances[0].lock().unwrap().addr();
        for (old, new) in [(KEY, OTHER_KEY), (OTHER_KEY, THIRD_KEY)] {
            let mut sleeper = logged_in_at(at(), "sleeper");
            fleet.is_rolled_to(&server, old, new);
            fleet.is_rolled_to(&server, new, old);
            sleeper.move_to(at());
            assert!(visit(&mut sleeper).is_some(), "the overlap logged somebody out");
            fleet.is_rolled_to(&server, new, "");
            sleeper.move_to(at());
            assert_eq!(visit(&mut sleeper), None, "a key that was taken away opened a token");
        }
        over.store(true, Ordering::SeqCst);
        for visitor in visitors {
            visitor.join().unwrap();
        }
    });
}

// Proves CVE-2013-7222.
#[test]
fn without_a_key_cookies_end_with_the_process() {
    let server = Server::start();
    let url = server.url();
    let start = || serve(&["--store", &url], &[]);
    let demo = start();
    assert!(demo.wait_for_log("SECRET_KEY is not set").contains("after a restart"));
    let mut browser = logged_in_at(demo.addr(), "alice");
    assert_eq!(visit(&mut browser), somebody("alice", 1));
    let demo = start();
    browser.move_to(demo.addr());
    assert_eq!(visit(&mut browser), None);
}

// Proves R57, CVE-2022-46170.
#[test]
fn a_prefix_keeps_applications_apart() {
    let server = Server::start();
    let env = [("SECRET_KEY", KEY), ("REDIS_URL", &server.url())];
    let (shop, forum) = (serve(&["--prefix", "shop"], &env), serve(&["--prefix", "forum"], &env));
    let mut browser = logged_in_at(shop.addr(), "alice");
    assert_eq!(visit(&mut browser), somebody("alice", 1));
    assert!(server.keys().iter().all(|key| key.starts_with("shop:")), "{:?}", server.keys());
    browser.move_to(forum.addr());
    assert_eq!(visit(&mut browser), None);
}
