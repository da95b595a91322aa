//! What stands in every response head.

use std::time::Duration;

use testbed::{Browser, Request, Response, Server, eventually};

use crate::demo::*;

const SECURITY: [(&str, &str); 5] = [
    (
        "Content-Security-Policy",
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
         form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
];

#[track_caller]
fn assert_secured(response: &Response, status: u16) {
    assert_eq!(response.status, status, "{response:?}");
    for (name, value) in SECURITY {
        assert_eq!(response.headers(name), [value], "{name} with {status}");
    }
    assert_eq!(response.headers("X-Request-Id").len(), 1);
    for name in ["Server", "X-Powered-By", "Strict-Transport-Security"] {
        assert_eq!(response.header(name), None);
    }
}

// Proves R5, R50, CVE-2026-53624.
#[test]
fn security_headers_are_on_every_response() {
    let server = Server::start();
    let demo = on(&server);
    let at = demo.addr();
    let mut browser = Browser::at(at);
    for target in ["/", "/login", "/about", "/style.css", "/icon.svg", "/livez", "/readyz"] {
        assert_secured(&browser.get(target), 200);
        assert_secured(&browser.send(Request::head(at, target)), 200);
    }
    assert_secured(&browser.get("/favicon.ico"), 404);
    assert_secured(&browser.post_form("/", ""), 405);
    assert_secured(&browser.post_form("/livez", ""), 405);
    assert_secured(&browser.post_form("/login", ""), 422);
    assert_secured(&browser.post_form("/login", &"a".repeat(10_000)), 413);
    assert_secured(&browser.send(Request::post(at, "/login")), 415);
    assert_secured(&browser.send(Request::post(at, "/").header("Origin", "null")), 403);
    assert_secured(&browser.post_form("/login", "username=alice"), 303);
    assert_secured(&browser.clone().post_form("/logout", ""), 303);
    log_in(&mut browser, "alice");
    server.kill();
    assert_secured(&browser.get("/"), 503);
    assert_secured(&browser.get("/devices"), 503);
    assert_secured(&browser.post_form("/devices/end-all", ""), 503);
    // An answer of the store stays good for a moment.
    let ready = || Some(browser.get("/readyz")).filter(|response| response.status != 200);
    assert_secured(&eventually(Duration::from_secs(10), ready).unwrap(), 503);
    assert_secured(&browser.post_form("/logout", ""), 503);
}

// Proves R51, CVE-2023-30861.
#[test]
fn what_depends_on_the_session_is_not_cached() {
    on_every_store(|demo| {
        let mut browser = Browser::at(demo.addr());
        let depends = |response: &Response| {
            let kept = response.header("Cache-Control") == Some("no-store");
            let vary = response.headers("Vary").join(", ");
            assert!(!kept || vary.split(", ").any(|name| name == "Cookie"), "{response:?}");
            kept
        };
        assert!(depends(&browser.get("/")));
        assert!(depends(&browser.post_form("/login", "username=alice")));
        assert!(depends(&browser.get("/")));
        assert!(depends(&browser.send(Request::head(demo.addr(), "/"))));
        for target in ["/about", "/login", "/style.css"] {
            assert!(!depends(&browser.get(target)), "{target}");
        }
        assert!(depends(&browser.post_form("/logout", "")));
    });
}

#[test]
fn a_request_keeps_its_id_if_that_is_well_formed() {
    let demo = on_memory();
    let id = |given: &str| {
        let request = Request::get(demo.addr(), "/about").header("X-Request-Id", given);
        request.send().header("X-Request-Id").unwrap().to_owned()
    };
    assert_eq!(id("trace-1.2_3"), "trace-1.2_3");
    for bad in ["", "a b", "a\"b", "<script>", "\u{202e}", &"x".repeat(65)] {
        let new = id(bad);
        assert!(new != bad && new.len() == 36, "{new}");
    }
    demo.wait_for_log(r#"id="trace-1.2_3""#);
}

// Proves R53.
#[test]
fn forwarded_headers_change_nothing() {
    on_every_store(|demo| {
        let forwarded = Request::post(demo.addr(), "/login")
            .header("X-Forwarded-Host", "evil.example")
            .header("X-Forwarded-Proto", "https")
            .header("X-Forwarded-For", "203.0.113.9")
            .header("Forwarded", "host=evil.example;proto=https")
            .header("X-Original-URL", "/logout")
            .header("X-HTTP-Method-Override", "GET")
            .form("username=alice")
            .send();
        assert_eq!((forwarded.status, forwarded.header("Location")), (303, Some("/")));
        assert_eq!(forwarded.set_cookies().len(), 1);
    });
}

#[test]
fn pages_are_plain_html_for_people() {
    let demo = on_memory();
    let mut browser = logged_in_at(demo.addr(), "alice");
    for target in ["/", "/login", "/devices", "/about", "/nothing"] {
        let page = browser.send(Request::get(demo.addr(), target).header("Accept", "text/html"));
        let text = page.text();
        assert_eq!(page.header("Content-Type"), Some("text/html; charset=utf-8"));
        for part in
            ["<!doctype html>", r#"<html lang="en">"#, r#"name="viewport""#, "<title>", "<h1>"]
        {
            assert!(text.contains(part), "{target}: {part}");
        }
        for part in ["<script>", "<style", " style=", " onclick=", "http://", "https://"] {
            assert!(!text.contains(part), "{target}: {part}");
        }
    }
    assert!(browser.get("/login").text().contains(r#"<label for="username">"#));
    assert_eq!(browser.get("/style.css").header("Content-Type"), Some("text/css; charset=utf-8"));
}
