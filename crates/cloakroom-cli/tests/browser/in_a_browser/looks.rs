//! What a page looks like, as far as it can be measured: nothing sticks out, everything can be read,
//! hit with a thumb, and reached with a keyboard.

use testbed::{Chromium, Program, Request, Server, Setup};

use crate::stage::*;

const MEASURE: &str = include_str!("measure.js");

/// A page of the demo, by name, and how a visitor comes to see it.
type Page = (&'static str, fn(&Chromium, &Program));

/// Every page, those of a visitor who is not logged in first.
pub(super) const PAGES: [Page; 13] = [
    ("start", |browser, demo| browser.open(&url(demo, "/"))),
    ("login", |browser, demo| browser.open(&url(demo, "/login"))),
    ("login-refused", |browser, demo| {
        browser.open(&url(demo, "/login"));
        // 64 characters, as many as the field takes, but more bytes than a name may have.
        browser.type_into("#username", &"ゆ".repeat(64));
        browser.follow("main button");
    }),
    ("about", |browser, demo| browser.open(&url(demo, "/about"))),
    ("error-404", |browser, demo| {
        browser.open(&url(demo, "/nothing"));
        wait_for_status(browser, 404);
    }),
    ("error-405", |browser, demo| {
        browser.open(&url(demo, "/about"));
        browser.ask_page("document.querySelector('form').action = '/about'");
        browser.follow(".language button");
        wait_for_status(browser, 405);
    }),
    ("error-413", |browser, demo| {
        browser.open(&url(demo, "/login"));
        browser.ask_page("username.maxLength = 100000; username.value = 'x'.repeat(20000)");
        browser.follow("main button");
        wait_for_status(browser, 413);
    }),
    ("error-422", |browser, demo| {
        browser.open(&url(demo, "/login"));
        browser.ask_page("username.name = 'nickname'; username.value = 'alice'");
        browser.follow("main button");
        wait_for_status(browser, 422);
    }),
    ("visits", |browser, demo| log_in(browser, demo, "alice")),
    ("kept", |browser, demo| {
        browser.open(&url(demo, "/"));
        browser.click("summary");
    }),
    ("logout", |browser, demo| browser.open(&url(demo, "/logout?ask"))),
    ("devices", |browser, demo| {
        let phone = "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) \
                     SamsungBrowser/29.0 Chrome/136.0.0.0 Mobile Safari/537.36";
        for agent in [phone, "curl/8.5.0", ""] {
            log_in_elsewhere(demo, "alice", agent);
        }
        browser.open(&url(demo, "/devices"));
    }),
    ("devices-404", |browser, demo| {
        browser.open(&url(demo, "/devices"));
        browser.ask_page("document.querySelector('[name=id]').value = 'x'");
        browser.click(".devices button");
        wait_for_status(browser, 404);
    }),
];

/// A form that another site sends.
pub(super) fn send_from_another_site(browser: &Chromium, demo: &Program) {
    // A page of the demo's may not send forms elsewhere, by its policy.
    browser.open(&format!(
        "data:text/html,<form method=post action='{}'><button>go</button></form>",
        url(demo, "/logout")
    ));
    browser.follow("button");
    wait_for_status(browser, 403);
}

/// A demo with one session a user, and no place for another.
pub(super) fn that_refuses_more() -> Program {
    on_memory(&["--sessions-per-user", "1", "--when-full", "refuse"])
}

/// A login where the user has as many sessions as allowed.
pub(super) fn log_in_once_too_often(browser: &Chromium, full: &Program) {
    // Whichever of the two comes first has the place.
    let elsewhere = Request::post(full.addr(), "/login").form("username=alice").send();
    assert!(matches!(elsewhere.status, 303 | 409), "{elsewhere:?}");
    log_in(browser, full, "alice");
}

#[test]
fn every_page_fits_a_phone_and_a_desktop_in_both_languages_by_day_and_by_night() {
    let server = Server::start();
    let (demo, full) = (on(&server), that_refuses_more());
    for languages in ["en-GB,en", "ja-JP,ja"] {
        let browser = Chromium::start_with(Setup { languages, ..Setup::default() });
        let measure = |page: &str| {
            for (width, scheme) in [(360, "light"), (360, "dark"), (1280, "light"), (1280, "dark")]
            {
                browser.resize(width, 740);
                browser.prefer(scheme);
                let wrong = browser.ask_page(MEASURE);
                let place = format!("{page} in {languages}, {width} px, {scheme}");
                assert_eq!(wrong, serde_json::json!([]), "{place}: {wrong:#}");
            }
        };
        for (page, show) in PAGES {
            show(&browser, &demo);
            measure(page);
        }
        log_in_once_too_often(&browser, &full);
        measure("login-full");
        send_from_another_site(&browser, &demo);
        measure("error-403");
        browser.open(&url(&demo, "/about"));
        server.kill();
        browser.open(&url(&demo, "/"));
        wait_for_status(&browser, 503);
        measure("error-503");
        server.restart();
        reload_until(&browser, "alice");
    }
}

#[test]
fn no_page_makes_the_browser_complain() {
    let demo = on_memory(&["--idle", "1h"]);
    let browser = Chromium::start();
    for (page, show) in PAGES {
        show(&browser, &demo);
        // That a page was answered 4xx is said too, and meant.
        let complaints = browser.complaints();
        let meant = |line: &String| line.contains("the server responded with a status of 4");
        let wrong: Vec<_> = complaints.iter().filter(|line| !meant(line)).collect();
        assert!(wrong.is_empty(), "{page}: {wrong:?}");
    }
    // The policy would stop a script inside a page, and the browser would say so.
    browser.ask_page(
        "const script = document.createElement('script'); script.textContent = 'window.ran = 1'; \
         document.body.append(script)",
    );
    assert!(browser.complaints().iter().any(|line| line.contains("Content Security Policy")));
    assert!(browser.ask_page("return window.ran").is_null());
}

#[test]
fn the_tab_key_goes_through_a_page_in_reading_order_and_is_seen() {
    let demo = on_memory(&[]);
    let browser = Chromium::start();
    browser.resize(1280, 740);
    log_in(&browser, &demo, "alice");
    let focused = || {
        browser.press_tab();
        let outline = browser.ask_page("return getComputedStyle(document.activeElement).outline");
        assert!(outline.as_str().unwrap().contains("3px"), "{outline}");
        let text = browser.ask_page("return document.activeElement.textContent.trim()");
        text.as_str().unwrap().to_owned()
    };
    let order = ["Cloakroom", "Devices", "About", "日本語", "Log out", "What the server keeps"];
    assert_eq!(order.map(|_| focused()), order);

    browser.open(&url(&demo, "/login"));
    let here = browser.ask_page("return document.activeElement.id");
    assert_eq!(here, "username", "who comes to log in may type at once");
    assert_eq!(focused(), "", "the box to be remembered");
    assert_eq!(focused(), "Log in");
}
