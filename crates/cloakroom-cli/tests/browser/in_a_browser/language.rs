//! English and Japanese.

use testbed::{Chromium, Setup};

use crate::stage::*;

#[test]
fn the_browsers_language_is_met_and_the_switch_stays() {
    let demo = on_memory(&[]);
    let japanese = Setup { languages: "ja-JP,ja,en", ..Setup::default() };
    let browser = Chromium::start_with(japanese);
    browser.open(&url(&demo, "/about"));
    assert_eq!(browser.text("h1"), "このデモについて");
    assert_eq!(browser.ask_page("return document.documentElement.lang"), "ja");
    assert!(browser.cookies().is_empty(), "who only reads is given no cookie");

    browser.follow(".language button");
    assert_eq!(browser.text("h1"), "About");
    assert_eq!(browser.url(), url(&demo, "/about"));
    for (path, heading) in [
        ("/", "Welcome"),
        ("/login", "Log in"),
        ("/logout?ask", "Log out?"),
        ("/no", "No such page"),
    ] {
        browser.open(&url(&demo, path));
        assert_eq!(browser.text("h1"), heading);
        assert_eq!(browser.ask_page("return document.documentElement.lang"), "en");
    }
    let names: Vec<_> = browser.cookies().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["__Host-lang"], "and no session is begun by a choice");

    // It outlives login and logout, and another switch.
    log_in(&browser, &demo, "alice");
    assert_seen(&browser, "Logged in as alice");
    browser.follow(".ticket button");
    assert_seen(&browser, "You are not logged in.");
    browser.follow(".language button");
    assert_seen(&browser, "ログインしていません。");
}

#[test]
fn the_switch_does_not_log_out() {
    let demo = on_memory(&[]);
    let browser = Chromium::start();
    log_in(&browser, &demo, "alice");
    browser.open(&url(&demo, "/logout?ask"));
    browser.follow(".language button");
    assert_eq!(browser.text("h1"), "ログアウトしますか？");
    browser.open(&url(&demo, "/"));
    assert_seen(&browser, "alice さんとしてログインしています");
    assert_seen(&browser, "訪問回数: 2 回");
}
