//! What can be typed into the form, and what can be sent in its place.

use testbed::{Browser, Request};

use crate::demo::*;

#[test]
fn a_name_in_any_script_is_shown_as_it_was_typed() {
    on_every_store(|demo| {
        for name in [
            "alice",
            "ゆき",
            "👩‍👩‍👧‍👦",
            "שלום",
            "مرحبا",
            "O'Brien",
            "a b",
            "Zoë",
            "%41",
            "a+b=c",
            "{{ 7 }}",
            &"x".repeat(64),
        ] {
            let mut browser = logged_in_at(demo.addr(), name);
            let page = browser.get("/");
            let shown = name.replace('\'', "&#39;");
            assert_eq!(seen(&page), somebody(&shown, 1), "{name}");
        }
    });
}

// Proves R63.
#[test]
fn markup_in_a_name_is_text() {
    on_every_store(|demo| {
        let name = r#"<script>alert("x")</script>&amp;"#;
        let page = logged_in_at(demo.addr(), name).get("/");
        let text = page.text();
        assert!(!text.contains("<script>"), "{text}");
        let shown = "&#60;script&#62;alert(&#34;x&#34;)&#60;/script&#62;&#38;amp;";
        assert_eq!(seen(&page), somebody(shown, 1));
    });
}

// Proves R12, R63, R69, CVE-2024-47764.
#[test]
fn what_is_no_name_is_answered_with_the_form_and_nothing_happens() {
    on_every_store(|demo| {
        let mut browser = logged_in_at(demo.addr(), "alice");
        assert_eq!(visit(&mut browser), somebody("alice", 1));
        let mut visits = 1;
        for name in [
            "",
            &"x".repeat(65),
            &"ゆ".repeat(22),
            "a\0b",
            "a\r\nSet-Cookie: x=y",
            "a\nb",
            "\u{1b}[31mred",
            "\u{7f}",
            "\u{85}",
        ] {
            for browser in [&mut Browser::at(demo.addr()), &mut browser] {
                let response = browser.post_form("/login", &username(name));
                assert_eq!((response.status, response.set_cookies()), (422, vec![]), "{name:?}");
                assert!(response.text().contains("can’t be a name"), "{}", response.text());
                assert!(response.text().contains(r#"name="username""#));
            }
            visits += 1;
            assert_eq!(visit(&mut browser), somebody("alice", visits));
        }
    });
}

// Proves R43, R48, R70.
#[test]
fn what_is_no_form_is_refused() {
    on_every_store(|demo| {
        let post = || Request::post(demo.addr(), "/login");
        let multipart = "multipart/form-data; boundary=x";
        for (status, request) in [
            (422, post().form("")),
            (422, post().form("user=alice")),
            (422, post().form("username=alice&username=bob")),
            (415, post()),
            (415, post().body("username=alice")),
            (415, post().header("Content-Type", "text/plain").body("username=alice")),
            (415, post().header("Content-Type", "application/json").body(r#"{"username":"eve"}"#)),
            (415, post().header("Content-Type", multipart).body("--x--")),
            (413, post().form(&username("x".repeat(1_000_000)))),
            (413, post().form(&"a=b&".repeat(3_000))),
            (
                413,
                post()
                    .header("Transfer-Encoding", "chunked")
                    .form(&format!("2329\r\n{}\r\n0\r\n\r\n", "a".repeat(9001))),
            ),
            (405, Request::new(demo.addr(), "PUT", "/login").form("username=alice")),
            (404, Request::post(demo.addr(), "/login/").form("username=alice")),
        ] {
            let text = request.send();
            assert_eq!((text.status, text.set_cookies()), (status, vec![]));
            assert_eq!(text.header("Content-Type"), Some("text/plain; charset=utf-8"), "{status}");
            assert!(text.text().lines().count() == 2, "{}", text.text());

            let page = request.header("Accept", "text/html").send();
            assert_eq!((page.status, page.set_cookies()), (status, vec![]));
            assert_eq!(page.header("Content-Type"), Some("text/html; charset=utf-8"), "{status}");
            assert!(page.text().contains("<h1>"), "{status}");
        }
    });
}

#[test]
fn bytes_that_are_no_text_make_no_failure() {
    on_every_store(|demo| {
        for name in [&b"\xff\xfe"[..], b"\xc3\x28", b"\xed\xa0\x80"] {
            let mut browser = Browser::at(demo.addr());
            let response = browser.post_form("/login", &username(name));
            assert_eq!(response.status, 303);
            assert!(visit(&mut browser).unwrap().0.contains('\u{fffd}'));
        }
        let broken = Request::post(demo.addr(), "/login").form("username=%zz%").send();
        assert_eq!(broken.status, 303);
    });
}

// Proves R75.
#[test]
fn after_a_login_the_way_leads_to_the_own_start_page_only() {
    on_every_store(|demo| {
        for target in
            ["//evil.example", "/\\evil.example", "https:evil.example", "https://evil.example/"]
        {
            let login = Request::post(demo.addr(), &format!("/login?next={target}"))
                .header("Sec-Fetch-Site", "same-origin")
                .header("Referer", "https://evil.example/")
                .form(&format!("username=alice&next={target}"))
                .send();
            assert_eq!((login.status, login.header("Location")), (303, Some("/")));
        }
    });
}
