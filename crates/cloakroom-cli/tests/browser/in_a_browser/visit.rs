//! Log in, be counted, expire, log out.

use testbed::{Chromium, Scripts, Setup};

use crate::stage::*;

// Proves R30, R51.
#[test]
fn a_visitor_logs_in_is_counted_and_the_back_button_does_not_undo_the_logout() {
    let demo = on_memory(&[]);
    let browser = Chromium::start();
    browser.open(&url(&demo, "/"));
    assert_seen(&browser, "You are not logged in.");
    browser.follow("main a.button");
    browser.type_into("#username", "alice");
    browser.follow("main button");
    assert_seen(&browser, "Logged in as alice");
    assert_seen(&browser, "Visits: 1");
    browser.reload();
    assert_seen(&browser, "Visits: 2");
    assert_seen(&browser, "ends in 30 minutes unless");

    browser.follow(".ticket button");
    assert_seen(&browser, "You are not logged in.");
    browser.back();
    assert_seen(&browser, "not logged in");
    assert!(!seen(&browser).contains("alice"));
}

#[test]
fn a_session_that_nobody_uses_ends_before_the_visitors_eyes() {
    let demo = on_memory(&["--idle", "2s"]);
    let browser = Chromium::start();
    log_in(&browser, &demo, "alice");
    assert_seen(&browser, "Visits: 1");
    // Two seconds of a real clock, for the binary has none to turn: the page counts them down.
    wait_until(&browser, "This session has ended.");
    assert!(!seen(&browser).contains("unless you come back"));
    reload_until(&browser, "You are not logged in.");
}

#[test]
fn two_browsers_are_two_visitors() {
    let demo = on_memory(&[]);
    let (one, two) = (Chromium::start(), Chromium::start());
    log_in(&one, &demo, "alice");
    log_in(&two, &demo, "alice");
    one.reload();
    one.reload();
    assert_eq!((visits(&one), visits(&two)), (3, 1));
    one.follow(".ticket button");
    assert_seen(&one, "You are not logged in.");
    two.reload();
    assert_eq!(visits(&two), 2);
}

#[test]
fn everything_works_without_scripts() {
    let demo = on_memory(&["--idle", "1h"]);
    let browser = Chromium::start_with(Setup { scripts: Scripts::Off, ..Setup::default() });
    browser.open(&url(&demo, "/"));
    browser.follow("main a.button");
    browser.type_into("#username", "alice");
    browser.follow("main button");
    assert_seen(&browser, "ends in 60 minutes unless");
    browser.follow(".language button");
    assert_seen(&browser, "あと 60 分");
    browser.click("summary");
    assert_seen(&browser, "visits");
    browser.follow(".ticket button");
    assert_seen(&browser, "ログインしていません。");
}

// Proves R8.
#[test]
fn the_curious_see_what_is_kept_and_never_the_token() {
    let server = testbed::Server::start();
    let demo = on(&server);
    let browser = Chromium::start();
    log_in(&browser, &demo, "alice");
    browser.click("summary");
    let key = browser.text("pre code");
    let key = key.strip_prefix("redis-cli HGETALL '").unwrap().strip_suffix('\'').unwrap();
    // What is shown is what is there.
    let kept = server.command(&["HGETALL", key]).pairs();
    assert_eq!(kept.len(), 4, "{kept:?}");
    for (field, value) in kept {
        assert_seen(&browser, &field);
        if field == "~client" {
            // That is shown under "Devices".
            continue;
        }
        assert_seen(&browser, &String::from_utf8(value).unwrap());
    }
    let cookies = browser.cookies();
    let (_, token) = cookies.iter().find(|(name, _)| name == "__Host-session").unwrap();
    let source = browser.ask_page("return document.documentElement.outerHTML");
    assert!(!source.as_str().unwrap().contains(&token[..20]));
}
