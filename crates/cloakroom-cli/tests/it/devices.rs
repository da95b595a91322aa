//! "Your devices": seen, and ended one by one, all others, or all.

use std::net::SocketAddr;

use testbed::{Browser, Request, Response, Server};

use crate::demo::*;

pub(crate) const FIREFOX: &str =
    "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";
const SAFARI: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 \
                      (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1";
/// Well formed, and nobody's.
const STRANGE: &str = "EytqH_IJmW9qET8IslX8Hbg0IjiJiwk24BAT-uqbceo";

/// A session as the page shows it.
#[derive(Debug)]
pub(crate) struct Shown {
    handle: String,
    this: bool,
    pub(crate) html: String,
}

#[track_caller]
pub(crate) fn devices(browser: &mut Browser) -> Vec<Shown> {
    shown_on(&browser.get("/devices"))
}

#[track_caller]
fn shown_on(page: &Response) -> Vec<Shown> {
    assert_eq!(page.status, 200, "{page:?}");
    let items =
        page.text().split("<h2 id=").skip(1).map(|item| item.split("</li>").next().unwrap());
    let shown = items.map(|html| {
        let (_, after) = html.split_once(r#"name="id" value=""#).expect("a handle");
        let handle = after.split('"').next().unwrap().to_owned();
        assert_eq!(handle.len(), 43, "{html}");
        Shown { handle, this: html.contains("this device"), html: html.to_owned() }
    });
    shown.collect()
}

/// The handle of the session that the browser has.
#[track_caller]
pub(crate) fn own(browser: &mut Browser) -> String {
    let shown = devices(browser);
    let mut this = shown.into_iter().filter(|shown| shown.this);
    let own = this.next().expect("this device");
    assert!(this.next().is_none(), "two are this device");
    own.handle
}

#[track_caller]
pub(crate) fn end(browser: &mut Browser, handle: &str) -> Response {
    browser.post_form("/devices/end", &format!("id={handle}"))
}

#[track_caller]
pub(crate) fn assert_leads_to(response: &Response, location: &str) {
    assert_eq!((response.status, response.header("Location")), (303, Some(location)));
}

/// As a browser sends the form: one that says of itself that it is a browser says where it comes from too.
pub(crate) fn login_from(addr: SocketAddr, headers: &[(&str, &str)]) -> Request {
    let form = Request::post(addr, "/login").header("Sec-Fetch-Site", "same-origin");
    headers.iter().fold(form, |r, (name, value)| r.header(name, value))
}

#[test]
fn a_visitor_sees_every_device_of_their_own_and_which_one_this_is() {
    on_every_store(|demo| {
        let at = demo.addr();
        let (mut laptop, mut phone) = (Browser::at(at), Browser::at(at));
        for (browser, agent) in [(&mut laptop, FIREFOX), (&mut phone, SAFARI)] {
            browser.send(login_from(at, &[("User-Agent", agent)]).form("username=alice"));
        }
        logged_in_at(at, "bob");
        for (browser, own, other) in [
            (&mut laptop, "Firefox on Linux", "Safari on iOS"),
            (&mut phone, "Safari on iOS", "Firefox on Linux"),
        ] {
            let shown = devices(browser);
            assert_eq!(shown.len(), 2, "{shown:?}");
            assert!(shown[0].this && shown[0].html.contains(own), "{shown:?}");
            assert!(!shown[1].this && shown[1].html.contains(other), "{shown:?}");
            assert!(shown[1].html.contains("just now"), "{shown:?}");
            assert!(shown[1].html.contains("127.0.0.0/24"), "{shown:?}");
        }
    });
}

// Proves R36.
#[test]
fn one_device_is_ended_by_another_and_nothing_else_is() {
    on_every_store(|demo| {
        let mut laptop = logged_in_at(demo.addr(), "alice");
        let mut phone = logged_in_at(demo.addr(), "alice");
        let mut tablet = logged_in_at(demo.addr(), "alice");
        let lost = own(&mut phone);
        assert_leads_to(&end(&mut laptop, &lost), "/devices");
        assert_eq!(visit(&mut phone), None);
        assert_eq!(visit(&mut tablet), somebody("alice", 1));
        assert_eq!(devices(&mut laptop).len(), 2);
        // Once more, as who clicks twice.
        assert_eq!(end(&mut laptop, &lost).status, 404);
        assert_eq!(visit(&mut laptop), somebody("alice", 1));
    });
}

#[test]
fn ending_this_device_is_a_logout() {
    on_every_store(|demo| {
        let mut browser = logged_in_at(demo.addr(), "alice");
        let mut other = logged_in_at(demo.addr(), "alice");
        let before = token(&browser);
        let this = own(&mut browser);
        let ended = end(&mut browser, &this);
        assert_leads_to(&ended, "/");
        assert_eq!(ended.header("Clear-Site-Data"), Some("\"storage\""));
        assert_eq!(browser.jar.get(COOKIE), None);
        assert_eq!(seen_with(demo.addr(), &before), None);
        assert_eq!(visit(&mut other), somebody("alice", 1));
    });
}

// Proves R33, CVE-2021-25970.
#[test]
fn all_others_end_or_all_of_them() {
    on_every_store(|demo| {
        let mut browsers: Vec<_> = (0..4).map(|_| logged_in_at(demo.addr(), "alice")).collect();
        let mut bob = logged_in_at(demo.addr(), "bob");
        assert_leads_to(&browsers[0].post_form("/devices/end-others", ""), "/devices");
        for other in &mut browsers[1..] {
            assert_eq!(visit(other), None);
        }
        let page = browsers[0].get("/devices");
        assert_eq!(shown_on(&page).len(), 1);
        assert!(!page.text().contains("/devices/end-others"), "there are no others");

        let mut later = logged_in_at(demo.addr(), "alice");
        let before = token(&browsers[0]);
        let everywhere = browsers[0].post_form("/devices/end-all", "");
        assert_leads_to(&everywhere, "/");
        assert_eq!(everywhere.header("Clear-Site-Data"), Some("\"storage\""));
        assert_eq!(browsers[0].jar.get(COOKIE), None);
        assert_eq!(seen_with(demo.addr(), &before), None);
        assert_eq!(visit(&mut later), None);
        assert_eq!(visit(&mut bob), somebody("bob", 1));
    });
}

// Proves R36.
#[test]
fn what_is_not_ones_own_is_not_found_and_lives_on() {
    on_every_store(|demo| {
        let mut alice = logged_in_at(demo.addr(), "alice");
        let mut bob = logged_in_at(demo.addr(), "bob");
        let bobs = own(&mut bob);
        let tag_and_hash = format!("x.{bobs}");
        let cut = &bobs[1..];
        let (tokens, long) = (token(&bob), "A".repeat(5000));
        let html = "%3Cscript%3E";
        for named in [&*bobs, STRANGE, &tag_and_hash, cut, &tokens, &long, "", "%00", "%ff", html] {
            let answer = end(&mut alice, named);
            assert_eq!((answer.status, answer.set_cookies()), (404, vec![]), "{named}");
            assert!(answer.text().starts_with("No such session\n"), "{answer:?}");
            // Foreign or nonsense, nobody learns which.
            assert!(named.is_empty() || !answer.text().contains(named));
        }
        let page = Request::post(demo.addr(), "/devices/end").form(&format!("id={bobs}"));
        let page = page.header("Accept", "text/html").header("Accept-Language", "ja");
        let page = alice.send(page);
        assert_eq!(page.status, 404);
        assert!(page.text().contains("セッションが見つかりません"), "{page:?}");
        assert!(page.text().contains(r#"href="/devices""#), "{page:?}");

        assert_eq!(alice.post_form("/devices/end", "").status, 422);
        assert_eq!(visit(&mut bob), somebody("bob", 1));
        assert_eq!(visit(&mut alice), somebody("alice", 1));
    });
}

#[test]
fn who_is_not_logged_in_is_led_to_the_login() {
    on_every_store(|demo| {
        let mut former = logged_in_at(demo.addr(), "alice");
        let cookie = token(&former);
        former.post_form("/logout", "");
        former.jar.plant(COOKIE, &cookie);
        for browser in [&mut Browser::at(demo.addr()), &mut former] {
            assert_leads_to(&browser.get("/devices"), "/login");
            assert_leads_to(&end(browser, STRANGE), "/login");
            assert_leads_to(&browser.post_form("/devices/end-others", ""), "/login");
            assert_leads_to(&browser.post_form("/devices/end-all", ""), "/login");
        }
    });
}

// Proves R43, R44.
#[test]
fn neither_a_get_nor_another_site_ends_anything() {
    on_every_store(|demo| {
        let mut browser = logged_in_at(demo.addr(), "alice");
        let mut other = logged_in_at(demo.addr(), "alice");
        let id = format!("id={}", own(&mut other));
        for target in ["/devices/end", "/devices/end-others", "/devices/end-all"] {
            for method in ["GET", "HEAD"] {
                let with_id = format!("{target}?{id}");
                assert_eq!(browser.send(Request::new(demo.addr(), method, &with_id)).status, 405);
            }
            for (name, value) in [
                ("Sec-Fetch-Site", "cross-site"),
                ("Sec-Fetch-Site", "same-site"),
                ("Origin", "http://evil.example"),
            ] {
                let sent = Request::post(demo.addr(), target).header(name, value).form(&id);
                assert_eq!(browser.send(sent).status, 403, "{target} {value}");
            }
        }
        assert_eq!(browser.post_form("/devices", &id).status, 405);
        assert_eq!(visit(&mut browser), somebody("alice", 1));
        assert_eq!(visit(&mut other), somebody("alice", 1));
    });
}

// Proves R8, R36, R61.
#[test]
fn no_token_is_on_the_page_and_no_handle_opens_anything() {
    on_every_store(|demo| {
        let mut browsers = [logged_in_at(demo.addr(), "alice"), logged_in_at(demo.addr(), "alice")];
        let page = browsers[0].get("/devices");
        assert_eq!(page.header("Cache-Control"), Some("no-store"));
        for browser in &browsers {
            // Its secret has 43 characters; a piece of it would be too much.
            let token = token(browser);
            assert!(!page.text().contains(&token[..12]) && !page.text().contains(&token[75..]));
        }
        for Shown { handle, .. } in shown_on(&page) {
            assert_eq!(seen_with(demo.addr(), &handle), None);
        }
        assert_eq!(visit(&mut browsers[1]), somebody("alice", 1));
    });
}

#[test]
fn a_long_list_comes_in_pages_and_every_session_is_on_one() {
    on_every_store(|demo| {
        let mut browsers: Vec<_> = (0..60).map(|_| logged_in_at(demo.addr(), "alice")).collect();
        let first = browsers[0].get("/devices");
        let mut handles: Vec<_> = shown_on(&first).into_iter().map(|shown| shown.handle).collect();
        assert_eq!(handles.len(), 50);
        let (_, more) = first.text().split_once(r#"href="/devices?after="#).expect("more of them");
        let more = format!("/devices?after={}", more.split('"').next().unwrap());
        let second = browsers[0].get(&more);
        handles.extend(shown_on(&second).into_iter().map(|shown| shown.handle));
        assert!(!second.text().contains("?after="), "there are no more");
        assert!(second.text().contains("/devices/end-others"));
        handles.sort();
        handles.dedup();
        // The one that looks is used by that, and may move ahead of who pages.
        assert!((59..=60).contains(&handles.len()), "{}", handles.len());
        for nonsense in ["x", "1.short", "%22%3E", "9999999999999999999999.x"] {
            let page = browsers[0].get(&format!("/devices?after={nonsense}"));
            assert_eq!(shown_on(&page).len(), 50, "{nonsense}");
        }
    });
}

#[test]
fn the_page_is_in_both_languages_and_names_are_text() {
    on_every_store(|demo| {
        let mut browser = logged_in_at(demo.addr(), r#"<script>"x"</script>"#);
        let english = browser.get("/devices");
        assert_eq!(english.header("Content-Language"), Some("en"));
        assert!(english.text().contains("Your devices") && english.text().contains("this device"));
        assert!(!english.text().contains("<script"), "{}", english.text());
        assert!(english.text().contains("<bdi>&#60;script&#62;"), "{}", english.text());
        let japanese = Request::get(demo.addr(), "/devices").header("Accept-Language", "ja");
        let japanese = browser.send(japanese);
        assert_eq!(japanese.header("Content-Language"), Some("ja"));
        for part in ["ログイン中のデバイス", "このデバイス", "使用中", "たった今"]
        {
            assert!(japanese.text().contains(part), "{part}: {}", japanese.text());
        }
    });
}

#[test]
fn the_link_is_there_for_who_is_logged_in() {
    let demo = on_memory();
    let link = r#"<a href="/devices">Devices</a>"#;
    let mut browser = Browser::at(demo.addr());
    assert!(!browser.get("/").text().contains(link));
    log_in(&mut browser, "alice");
    assert!(browser.get("/").text().contains(link));
    assert!(browser.get("/devices").text().contains(link));
}

#[test]
fn looking_ahead_is_no_use_of_the_session() {
    let server = Server::start();
    let demo = on(&server);
    let mut browser = logged_in_at(demo.addr(), "alice");
    let key = server.keys().into_iter().find(|key| key.contains(":session:")).unwrap();
    // As if it had been idle for long.
    server.command(&["PEXPIRE", &key, "600000"]);
    browser.send(Request::head(demo.addr(), "/devices"));
    browser.send(Request::get(demo.addr(), "/devices").header("Sec-Purpose", "prefetch"));
    assert!(server.ttl_ms(&key) <= 600_000);
    browser.get("/devices");
    assert!(server.ttl_ms(&key) > 600_000);
}
