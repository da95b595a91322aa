//! Which language is answered, and who gets a page at all.

use testbed::{Request, Response};

use crate::demo::*;

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

#[track_caller]
fn assert_language(response: &Response, code: &str) {
    assert_eq!(response.header("Content-Language"), Some(code), "{response:?}");
    let vary = response.headers("Vary").join(", ");
    assert!(vary.contains("Accept-Language") && vary.contains("Cookie"), "{vary}");
    if response.header("Content-Type") == Some("text/html; charset=utf-8") {
        assert!(response.text().contains(&format!("<html lang=\"{code}\">")), "{response:?}");
    }
}

#[test]
fn every_page_and_every_error_is_there_in_both_languages() {
    on_every_store(|demo| {
        for (accepted, code) in [("ja-JP, en;q=0.5", "ja"), ("en, ja;q=0.5", "en"), ("fr", "en")] {
            for (method, target, status) in [
                ("GET", "/", 200),
                ("GET", "/login", 200),
                ("GET", "/logout?ask", 200),
                ("GET", "/about", 200),
                ("GET", "/nothing", 404),
                ("POST", "/about", 405),
                ("POST", "/login", 415),
            ] {
                for accept in [BROWSER, "*/*"] {
                    let request = Request::new(demo.addr(), method, target);
                    let request = request.header("Accept-Language", accepted);
                    let response = request.header("Accept", accept).send();
                    assert_eq!(response.status, status, "{target}");
                    assert_language(&response, code);
                }
            }
        }
    });
}

#[test]
fn an_error_is_a_page_for_browsers_and_two_lines_for_programs() {
    let server = testbed::Server::start();
    let demo = on(&server);
    let mut browser = logged_in_at(demo.addr(), "alice");
    server.kill();
    for (accept, kind) in [
        (BROWSER, "text/html; charset=utf-8"),
        ("*/*", "text/plain; charset=utf-8"),
        ("text/plain", "text/plain; charset=utf-8"),
        ("application/json", "text/plain; charset=utf-8"),
    ] {
        let response = browser.send(Request::get(demo.addr(), "/").header("Accept", accept));
        assert_eq!((response.status, response.header("Content-Type")), (503, Some(kind)));
        assert_eq!(response.header("Retry-After"), Some("1"));
        assert_eq!(response.header("Cache-Control"), Some("no-store"));
        assert!(response.header("Vary").is_some_and(|vary| vary.starts_with("Accept, ")));
        assert_eq!(response.text().contains("<h1>"), kind.starts_with("text/html"));
    }
    let method = Request::new(demo.addr(), "PUT", "/about").header("Accept", BROWSER).send();
    assert_eq!((method.status, method.header("Allow")), (405, Some("GET,HEAD")));
}

// Proves R19, R75.
#[test]
fn the_switch_sets_one_plain_cookie_and_leads_to_own_pages_only() {
    on_every_store(|demo| {
        let switch = |form: &str| Request::post(demo.addr(), "/language").form(form).send();
        let answer = switch("to=ja&back=%2Fabout");
        assert_eq!((answer.status, answer.header("Location")), (303, Some("/about")));
        let [cookie] = &answer.set_cookies()[..] else { panic!("{answer:?}") };
        assert_eq!((&*cookie.name, &*cookie.value), ("__Host-lang", "ja"));
        assert_eq!(cookie.attribute("SameSite"), Some("Lax"));

        for back in [
            "//evil.example",
            "/\\evil.example",
            "/%09/evil.example",
            "/%2Fevil.example",
            "/%5Cevil.example",
            "%2F%2Fevil.example",
            "%2F%5Cevil.example",
            "/%252Fevil.example",
            "https://evil.example/",
            "javascript:alert(1)",
            "/%0d%0aSet-Cookie:%20x=y",
            "",
        ] {
            let answer = switch(&format!("to=en&back={back}"));
            assert_eq!((answer.status, answer.header("Location")), (303, Some("/")), "{back}");
            assert_eq!(answer.set_cookies().len(), 1);
        }
        assert_eq!(switch("to=fr").status, 422);
        assert_eq!(switch("to=fr").set_cookies(), vec![]);
        assert_eq!(Request::get(demo.addr(), "/language?to=ja").send().status, 405);
        let elsewhere =
            Request::post(demo.addr(), "/language").header("Sec-Fetch-Site", "cross-site");
        assert_eq!(elsewhere.form("to=ja").send().status, 403);
    });
}

#[test]
fn what_pages_refer_to_is_kept_for_long_and_never_stale() {
    let demo = on_memory();
    let page = Request::get(demo.addr(), "/").send();
    let (_, rest) = page.text().split_once("href=\"/style.css").unwrap();
    let link = format!("/style.css{}", rest.split_once('"').unwrap().0);

    let style = Request::get(demo.addr(), &link).send();
    assert_eq!(style.status, 200);
    assert!(style.header("Cache-Control").unwrap().contains("immutable"));
    // Another version, or none, is asked about each time.
    for target in ["/style.css", "/style.css?v=0"] {
        let style = Request::get(demo.addr(), target).send();
        assert_eq!((style.status, style.header("Cache-Control")), (200, Some("no-cache")));
    }
    let tag = style.header("ETag").unwrap();
    for (known, status) in
        [(tag, 304), (&*format!("\"x\", W/{tag}"), 304), ("\"x\"", 200), ("", 200)]
    {
        let request = Request::get(demo.addr(), "/style.css").header("If-None-Match", known);
        assert_eq!(request.send().status, status, "{known}");
    }
}
