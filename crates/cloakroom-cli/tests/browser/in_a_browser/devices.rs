//! "Your devices", in two browsers of one visitor.

use testbed::{Chromium, Scripts, Setup};

use crate::stage::*;

#[test]
fn one_browser_ends_the_other_which_is_logged_out_at_its_next_request() {
    let demo = on_memory(&[]);
    // Each has a profile of its own, and one of them no scripts.
    let here = Chromium::start_with(Setup { scripts: Scripts::Off, ..Setup::default() });
    let there = Chromium::start();
    for browser in [&here, &there] {
        log_in(browser, &demo, "alice");
        assert_seen(browser, "Logged in as alice");
    }

    here.follow("nav a");
    assert_seen(&here, "Your devices");
    assert_eq!(here.text(".devices li:first-child .badge"), "this device");
    assert_eq!(here.text(".devices li + li button"), "End");
    here.follow(".devices li + li button");
    assert_seen(&here, "Your devices");
    assert!(!seen(&here).contains("End all others"));

    there.reload();
    assert_seen(&there, "You are not logged in.");
    here.open(&url(&demo, "/"));
    assert_seen(&here, "Logged in as alice");
}

// Proves R32.
#[test]
fn log_out_everywhere_is_everywhere() {
    let demo = on_memory(&[]);
    let (here, there) = (Chromium::start(), Chromium::start());
    for browser in [&here, &there] {
        log_in(browser, &demo, "alice");
        assert_seen(browser, "Logged in as alice");
    }
    here.open(&url(&demo, "/devices"));
    here.follow(".ends form:last-child button");
    assert_seen(&here, "You are not logged in.");
    there.open(&url(&demo, "/devices"));
    assert_eq!(there.url(), url(&demo, "/login"));
}
