//! A restart, and keys that change.

use testbed::{Program, Server};

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
