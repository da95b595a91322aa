//! The store, or the whole demo, goes away and comes back while somebody is there.

use std::net::{Ipv4Addr, TcpListener};

use testbed::{Chromium, Server, Setup};

use crate::stage::*;

#[test]
fn a_store_that_is_away_is_said_in_the_visitors_language_and_nobody_loses_anything() {
    let server = Server::start();
    let demo = on(&server);
    for (languages, logged_in, away, way_out) in [
        ("en-GB,en", "Logged in as alice", "You need not log in again", "Try again"),
        (
            "ja-JP,ja",
            "alice さんとしてログインしています",
            "ログインし直す必要はありません",
            "もう一度試す",
        ),
    ] {
        let browser = Chromium::start_with(Setup { languages, ..Setup::default() });
        log_in(&browser, &demo, "alice");
        assert_seen(&browser, logged_in);
        let before = visits(&browser);

        server.kill();
        browser.reload();
        assert_seen(&browser, "503");
        assert_seen(&browser, away);
        // The switch needs no store.
        browser.follow(".language button");
        browser.follow(".language button");
        assert_seen(&browser, away);
        server.restart();
        browser.follow("main a.button");
        reload_until(&browser, logged_in);
        assert!(visits(&browser) > before, "{} after {before}", visits(&browser));
        let back = visits(&browser);
        browser.reload();
        assert_eq!(visits(&browser), back + 1, "{way_out}");
    }
}

#[test]
fn a_store_that_stands_still_is_a_503_and_the_count_goes_on() {
    let server = Server::start();
    let demo = on(&server);
    let browser = Chromium::start();
    log_in(&browser, &demo, "alice");
    server.stop();
    browser.reload();
    assert_seen(&browser, "503");
    server.cont();
    reload_until(&browser, "Logged in as alice");
    let back = visits(&browser);
    assert!(back >= 2);
    browser.reload();
    assert_eq!(visits(&browser), back + 1);
}

#[test]
fn who_is_logged_in_stays_so_while_the_demo_is_killed_and_started_again() {
    let folder = tempfile::tempdir().unwrap();
    // Free now; that nobody takes it before the demo does, its start shows.
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let demo = in_folder(folder.path(), port);
    let browser = Chromium::start();
    log_in(&browser, &demo, "alice");
    browser.reload();
    assert_eq!(visits(&browser), 2);
    demo.kill();
    let demo = in_folder(folder.path(), port);
    demo.addr();
    browser.reload();
    assert_seen(&browser, "Logged in as alice");
    assert_eq!(visits(&browser), 3);
}
