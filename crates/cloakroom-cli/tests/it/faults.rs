//! The server is stopped, killed, or not there yet.

use std::time::Duration;

use testbed::{Browser, Program, Proxy, Request, Response, Server, eventually};

use crate::demo::*;

/// Far more than the 250 ms that a request waits for the store, and far less than for ever.
const SOON: Duration = Duration::from_secs(2);
const RETURN: Duration = Duration::from_secs(20);

#[track_caller]
fn assert_unavailable(response: &Response) {
    assert_eq!(response.status, 503, "{response:?}");
    assert_eq!(response.set_cookies(), vec![]);
    assert!(response.header("Retry-After").is_some());
    assert_eq!(response.header("Cache-Control"), Some("no-store"));
    assert!(response.text().contains("You need not log in again"), "{}", response.text());
    assert!(response.took < SOON, "{:?}", response.took);
}

/// What must hold while the store is away; answers how many visits may have been counted.
#[track_caller]
fn assert_closed_but_standing(demo: &Program, browser: &mut Browser) -> u64 {
    let cookie = token(browser);
    let mut tried = 0;
    for _ in 0..3 {
        assert_unavailable(&browser.get("/"));
        tried += 1;
    }
    assert_unavailable(&browser.clone().post_form("/login", "username=bob"));
    assert_unavailable(&Browser::at(demo.addr()).post_form("/login", "username=bob"));
    assert_eq!(token(browser), cookie);
    for (target, status) in [("/about", 200), ("/login", 200), ("/livez", 200), ("/readyz", 503)] {
        let response = browser.get(target);
        assert_eq!((response.status, response.took < SOON), (status, true), "{target}");
    }
    // Whoever has no cookie needs no store to be nobody.
    assert_eq!(visit(&mut Browser::at(demo.addr())), None);
    tried
}

#[track_caller]
fn back_again(browser: &mut Browser) -> Option<(String, u64)> {
    let addr = browser.addr();
    let page = eventually(RETURN, || Some(browser.get("/")).filter(|page| page.status == 200));
    let ready = || (Request::get(addr, "/readyz").send().status == 200).then_some(());
    assert!(eventually(RETURN, ready).is_some());
    seen(&page.expect("a page"))
}

// Proves R65.
#[test]
fn a_server_that_is_killed_makes_503_and_nobody_loses_anything() {
    let server = Server::start();
    let demo = on(&server);
    let mut browser = logged_in_at(demo.addr(), "alice");
    assert_eq!(visit(&mut browser), somebody("alice", 1));
    server.kill();
    assert_closed_but_standing(&demo, &mut browser);
    server.restart();
    // Nothing that was refused has been counted.
    assert_eq!(back_again(&mut browser), somebody("alice", 2));
    assert_eq!(visit(&mut browser), somebody("alice", 3));
    assert_eq!(server.keys_without_ttl(), [""; 0]);
}

// Proves R65, R66, actix-session.
#[test]
fn a_server_that_stands_still_makes_503_and_nobody_loses_anything() {
    let server = Server::start();
    let demo = on(&server);
    let mut browser = logged_in_at(demo.addr(), "alice");
    assert_eq!(visit(&mut browser), somebody("alice", 1));
    server.stop();
    // Every answer in here comes while the server stands still.
    let perhaps_counted = assert_closed_but_standing(&demo, &mut browser);
    server.cont();
    let (name, visits) = back_again(&mut browser).expect("somebody");
    assert_eq!(name, "alice");
    assert!((2..=2 + perhaps_counted).contains(&visits), "{visits}");
    // From here on exactly.
    assert_eq!(visit(&mut browser), somebody("alice", visits + 1));
    assert_eq!(server.keys_without_ttl(), [""; 0]);
}

// Proves R30, R65.
#[test]
fn a_logout_that_the_store_did_not_acknowledge_is_not_claimed() {
    let server = Server::start();
    let demo = on(&server);
    let mut browser = logged_in_at(demo.addr(), "alice");
    server.kill();
    assert_unavailable(&browser.post_form("/logout", ""));
    assert_unavailable(&browser.get("/logout"));
    server.restart();
    assert_eq!(back_again(&mut browser), somebody("alice", 1));
    assert_eq!(browser.post_form("/logout", "").status, 303);
    assert_eq!(visit(&mut browser), None);
}

#[test]
fn the_demo_starts_before_its_server_and_joins_when_it_comes() {
    let server = Server::start();
    server.kill();
    let demo = on(&server);
    assert_eq!(Request::get(demo.addr(), "/livez").send().status, 200);
    assert_eq!(Request::get(demo.addr(), "/readyz").send().status, 503);
    let mut browser = Browser::at(demo.addr());
    assert_unavailable(&browser.post_form("/login", "username=alice"));
    server.restart();
    let ready = || (Request::get(demo.addr(), "/readyz").send().status == 200).then_some(());
    assert!(eventually(RETURN, ready).is_some());
    log_in(&mut browser, "alice");
    assert_eq!(visit(&mut browser), somebody("alice", 1));
}

#[test]
fn a_visit_whose_reply_is_lost_is_counted_at_most_once_and_not_claimed() {
    let server = Server::start();
    let proxy = Proxy::to(server.port());
    let demo = at(&proxy.url());
    let mut browser = logged_in_at(demo.addr(), "alice");
    assert_eq!(visit(&mut browser), somebody("alice", 1));
    proxy.lose_reply(4);
    let (mut shown, mut failed) = (1, 0);
    for _ in 0..60 {
        let page = browser.get("/");
        if page.status == 200 {
            let (_, visits) = seen(&page).expect("somebody");
            assert!(visits > shown, "{visits} after {shown}");
            shown = visits;
        } else {
            assert_unavailable(&page);
            failed += 1;
        }
    }
    let lost = proxy.lost();
    proxy.pass();
    assert!((1..60).contains(&failed) && lost > 0, "{failed} failed, {lost} lost");
    let (_, visits) = back_again(&mut browser).expect("somebody");
    let acknowledged = 1 + 60 - failed;
    assert!(visits > acknowledged && visits <= acknowledged + failed + 1, "{visits}");
    assert_eq!(visit(&mut browser), somebody("alice", visits + 1));
}

#[test]
fn a_network_that_swallows_everything_makes_503_and_nobody_loses_anything() {
    let server = Server::start();
    let proxy = Proxy::to(server.port());
    let demo = at(&proxy.url());
    let mut browser = logged_in_at(demo.addr(), "alice");
    assert_eq!(visit(&mut browser), somebody("alice", 1));
    proxy.blackhole();
    let perhaps_counted = assert_closed_but_standing(&demo, &mut browser);
    proxy.pass();
    let (_, visits) = back_again(&mut browser).expect("somebody");
    assert!((2..=2 + perhaps_counted).contains(&visits), "{visits}");
}
