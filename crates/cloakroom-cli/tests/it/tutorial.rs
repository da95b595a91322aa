//! What the tutorial promises: log in, be counted, log out.

use testbed::{Browser, Request, Server};

use crate::demo::*;

#[test]
fn a_visitor_logs_in_is_counted_and_logs_out() {
    on_every_store(|demo| {
        let mut browser = Browser::at(demo.addr());
        assert_eq!(visit(&mut browser), None);
        assert_eq!(browser.jar.get(COOKIE), None);
        assert!(browser.get("/login").text().contains("trusts the name"));

        let response = browser.post_form("/login", "username=alice");
        let page = browser.follow(&response);
        assert_eq!(seen(&page), somebody("alice", 1));
        let text = without_inline_tags(page.text());
        assert!(text.contains("ends in 30 minutes unless"), "{text}");
        assert!(page.text().contains(r#"<form method="post" action="/logout">"#));
        assert_eq!(visit(&mut browser), somebody("alice", 2));

        let before = browser.clone();
        let response = browser.post_form("/logout", "");
        assert_eq!(response.status, 303);
        assert_eq!(seen(&browser.follow(&response)), None);
        assert_eq!(browser.jar.get(COOKIE), None);

        // Whoever kept the cookie has nothing of it, and is not given another.
        let mut thief = before;
        let page = thief.get("/");
        assert_eq!((seen(&page), page.set_cookies()), (None, vec![]));
    });
}

// Proves R30, CVE-2026-44511, CVE-2022-25896.
#[test]
fn a_logout_counts_on_every_instance_at_once() {
    let server = Server::start();
    let (one, other) = (on(&server), on(&server));
    let mut browser = logged_in_at(one.addr(), "alice");
    assert_eq!(visit(&mut browser), somebody("alice", 1));
    browser.move_to(other.addr());
    assert_eq!(visit(&mut browser), somebody("alice", 2));
    let token = token(&browser);
    browser.post_form("/logout", "");
    for demo in [&one, &other] {
        assert_eq!(seen_with(demo.addr(), &token), None);
        // Not by another way either.
        let cookie = format!("{COOKIE}={token}");
        let again = Request::post(demo.addr(), "/logout").header("Cookie", &cookie).send();
        assert_eq!((again.status, again.set_cookies()), (303, vec![]));
    }
}

// Proves R22, CVE-2022-38054, CVE-2022-25896.
#[test]
fn a_login_issues_a_new_token_and_ends_the_old_one() {
    on_every_store(|demo| {
        let mut browser = logged_in_at(demo.addr(), "alice");
        assert_eq!(visit(&mut browser), somebody("alice", 1));
        let first = token(&browser);
        log_in(&mut browser, "alice");
        assert_ne!(token(&browser), first);
        assert_eq!(seen_with(demo.addr(), &first), None);
        // The same user goes on; another begins anew.
        assert_eq!(visit(&mut browser), somebody("alice", 2));
        let second = token(&browser);
        log_in(&mut browser, "bob");
        assert_eq!(visit(&mut browser), somebody("bob", 1));
        assert_eq!(seen_with(demo.addr(), &second), None);
    });
}

#[test]
fn two_browsers_do_not_share_a_session_even_under_one_name() {
    on_every_store(|demo| {
        let mut one = logged_in_at(demo.addr(), "alice");
        let mut two = logged_in_at(demo.addr(), "alice");
        let mut bob = logged_in_at(demo.addr(), "bob");
        assert_eq!(visit(&mut one), somebody("alice", 1));
        assert_eq!(visit(&mut one), somebody("alice", 2));
        assert_eq!(visit(&mut two), somebody("alice", 1));
        assert_eq!(visit(&mut bob), somebody("bob", 1));
        one.post_form("/logout", "");
        assert_eq!(visit(&mut two), somebody("alice", 2));
        assert_eq!(visit(&mut bob), somebody("bob", 2));
    });
}

#[test]
fn the_page_says_when_the_session_ends() {
    let env = [("SECRET_KEY", KEY)];
    for (args, said) in [
        (&["--idle", "10s"][..], "ends in 10 seconds unless"),
        (&["--idle", "1h 30m"], "ends in 90 minutes unless"),
        (&["--absolute", "5m"], "ends in 5 minutes, even if"),
        (&["--idle", "3d", "--absolute", "30d"], "ends in 3 days unless"),
    ] {
        let demo = serve(args, &env);
        let page = logged_in_at(demo.addr(), "alice").get("/");
        let text = without_inline_tags(page.text());
        assert!(text.contains(said), "{args:?}: {text}");
    }
}

// Proves R27.
#[test]
fn the_absolute_limit_is_announced_when_it_is_nearer() {
    let demo = serve(&["--idle", "6s", "--absolute", "6s"], &[("SECRET_KEY", KEY)]);
    let mut browser = logged_in_at(demo.addr(), "alice");
    let announced = testbed::eventually(std::time::Duration::from_secs(5), || {
        browser.get("/").text().contains("even if you come back").then_some(())
    });
    assert!(announced.is_some());
}

// Proves R26.
#[test]
fn a_session_that_nobody_uses_expires() {
    let server = Server::start();
    for store in ["memory", &server.url()] {
        let demo = serve(&["--idle", "300ms", "--store", store], &[("SECRET_KEY", KEY)]);
        let mut browser = logged_in_at(demo.addr(), "alice");
        let token = token(&browser);
        assert_eq!(visit(&mut browser), somebody("alice", 1));
        // Waited for, because the binary has no clock to turn; a HEAD does not keep it alive.
        let over = testbed::eventually(std::time::Duration::from_secs(5), || {
            let head =
                Request::head(demo.addr(), "/").header("Cookie", &format!("{COOKIE}={token}"));
            let length = head.send().header("Content-Length").unwrap().to_owned();
            let nobody = Request::head(demo.addr(), "/").send();
            (Some(length.as_str()) == nobody.header("Content-Length")).then_some(())
        });
        assert!(over.is_some());
        assert_eq!(visit(&mut browser), None);
    }
    let left = testbed::eventually(std::time::Duration::from_secs(5), || {
        server.keys().is_empty().then_some(())
    });
    assert!(left.is_some(), "{:?}", server.keys());
}

// Proves R39, R68.
#[test]
fn nobody_gets_a_cookie_or_a_key_before_the_login() {
    let server = Server::start();
    let demo = on(&server);
    let mut browser = Browser::at(demo.addr());
    for target in
        ["/", "/login", "/logout", "/about", "/style.css", "/nothing", "/livez", "/readyz"]
    {
        assert_eq!(browser.get(target).set_cookies(), vec![], "{target}");
    }
    assert_eq!(browser.post_form("/logout", "").set_cookies(), vec![]);
    assert_eq!(server.keys(), [""; 0]);
}
