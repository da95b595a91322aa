//! Requests that another site caused.

use testbed::{Program, Request, Server};

use crate::demo::*;

/// A request of alice's browser, with her cookie and these headers.
fn sent(
    demo: &Program,
    method: &str,
    target: &str,
    token: &str,
    headers: &[(&str, &str)],
) -> testbed::Response {
    let cookie = format!("{COOKIE}={token}");
    let request = Request::new(demo.addr(), method, target).header("Cookie", &cookie);
    let request =
        headers.iter().fold(request, |request, (name, value)| request.header(name, value));
    request.form("username=eve").send()
}

// Proves R44, R45, R47, CVE-2025-24358.
#[test]
fn a_form_from_another_site_is_refused_the_login_form_included() {
    on_every_store(|demo| {
        let token = token(&logged_in_at(demo.addr(), "alice"));
        let own = format!("http://{}", demo.addr());
        let other_port = format!("http://{}:1", demo.addr().ip());
        let suffix = format!("{own}.evil.example");
        let mut visits = 0;
        for headers in [
            &[("Sec-Fetch-Site", "cross-site")][..],
            &[("Sec-Fetch-Site", "same-site")],
            &[("Sec-Fetch-Site", "Same-Origin")],
            &[("Sec-Fetch-Site", "whatever")],
            &[("Sec-Fetch-Site", "cross-site"), ("Origin", &own)],
            &[("Origin", "http://evil.example")],
            &[("Origin", "null")],
            &[("Origin", &suffix)],
            &[("Origin", &other_port)],
            &[("Origin", "http://evil.example"), ("X-Forwarded-Host", "evil.example")],
            &[("Origin", "http://evil.example"), ("Forwarded", "host=evil.example")],
        ] {
            for target in ["/login", "/logout", "/", "/nothing"] {
                let response = sent(demo, "POST", target, &token, headers);
                assert_eq!((response.status, response.set_cookies()), (403, vec![]), "{headers:?}");
                assert!(response.text().contains("sent by another site"));
            }
            for method in ["PUT", "PATCH", "DELETE"] {
                assert_eq!(sent(demo, method, "/logout", &token, headers).status, 403);
            }
            visits += 1;
            assert_eq!(seen_with(demo.addr(), &token), somebody("alice", visits));
        }
    });
}

#[test]
fn a_form_from_the_own_pages_is_taken_with_either_header() {
    on_every_store(|demo| {
        let own = format!("http://{}", demo.addr());
        for headers in [
            &[("Sec-Fetch-Site", "same-origin")][..],
            &[("Sec-Fetch-Site", "none")],
            &[("Sec-Fetch-Site", "same-origin"), ("Origin", &own)],
            &[("Origin", &own)],
            // No browser: nobody's cookies go along by themselves.
            &[],
        ] {
            let response = sent(demo, "POST", "/login", "none", headers);
            assert_eq!((response.status, response.set_cookies().len()), (303, 1), "{headers:?}");
        }
    });
}

// Proves R43.
#[test]
fn a_link_logs_out_unless_it_comes_from_another_site() {
    on_every_store(|demo| {
        let own = format!("http://{}/", demo.addr());
        for (ends, headers) in [
            (false, &[("Sec-Fetch-Site", "cross-site")][..]),
            (false, &[("Sec-Fetch-Site", "same-site")]),
            (false, &[("Sec-Fetch-Site", "whatever")]),
            (false, &[("Referer", "http://evil.example/")]),
            (false, &[("Sec-Fetch-Site", "same-origin"), ("Sec-Purpose", "prefetch")]),
            (true, &[("Sec-Fetch-Site", "same-origin")]),
            (true, &[("Sec-Fetch-Site", "none")]),
            (true, &[("Referer", &own)]),
            (true, &[]),
        ] {
            let mut browser = logged_in_at(demo.addr(), "alice");
            let request =
                headers.iter().fold(Request::get(demo.addr(), "/logout"), |r, (name, value)| {
                    r.header(name, value)
                });
            let response = browser.send(request);
            assert_eq!(response.status, if ends { 303 } else { 200 }, "{headers:?}");
            let expected = if ends { None } else { somebody("alice", 1) };
            assert_eq!(visit(&mut browser), expected, "{headers:?}");
            if !ends {
                assert!(response.text().contains(r#"<form method="post" action="/logout">"#));
                assert_eq!(response.set_cookies(), vec![]);
            }
        }
    });
}

// Proves R43, CVE-2026-45075.
#[test]
fn only_get_and_post_log_out() {
    on_every_store(|demo| {
        let token = token(&logged_in_at(demo.addr(), "alice"));
        for (method, status) in
            [("HEAD", 200), ("OPTIONS", 405), ("TRACE", 405), ("PUT", 405), ("BREW", 405)]
        {
            let cookie = format!("{COOKIE}={token}");
            let request = Request::new(demo.addr(), method, "/logout").header("Cookie", &cookie);
            let response = request.header("Sec-Fetch-Site", "same-origin").send();
            assert_eq!((response.status, response.set_cookies()), (status, vec![]), "{method}");
        }
        assert_eq!(seen_with(demo.addr(), &token), somebody("alice", 1));
    });
}

/// But for the two that the tutorial has: a GET of `/` counts a visit, and one of `/logout` logs out
/// whom no other site sent there.
// Proves R43.
#[test]
fn no_method_that_only_looks_changes_anything_on_any_page() {
    let server = Server::start();
    let demo = on(&server);
    let mut alice = logged_in_at(demo.addr(), "alice");
    assert_eq!(visit(&mut alice), somebody("alice", 1));
    let before = server.dump();
    let mut asked = 0;
    for page in pages() {
        for method in ["GET", "HEAD", "OPTIONS", "TRACE"] {
            if method == "GET" && ["/", "/logout"].contains(&page) {
                continue;
            }
            let request = Request::new(demo.addr(), method, page).form("username=eve&to=ja");
            let response = alice.send(request);
            assert!(response.status < 500, "{method} {page}: {response:?}");
            assert_eq!(response.set_cookies(), vec![], "{method} {page}");
            assert_eq!(server.dump(), before, "{method} {page}");
            asked += 1;
        }
    }
    assert!(asked > 20, "{asked}");
    assert_eq!(visit(&mut alice), somebody("alice", 2));
    assert_ne!(server.dump(), before);
}

// Proves R49.
#[test]
fn no_other_origin_is_invited() {
    on_every_store(|demo| {
        for method in ["GET", "OPTIONS"] {
            let response = Request::new(demo.addr(), method, "/")
                .header("Origin", "http://evil.example")
                .header("Access-Control-Request-Method", "POST")
                .send();
            let names = response.headers.iter().map(|(name, _)| name.to_ascii_lowercase());
            assert!(names.into_iter().all(|name| !name.starts_with("access-control")));
        }
    });
}
