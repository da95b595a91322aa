//! What a login brings besides a name: the client that it came from, how many it makes, and for how
//! long it is remembered.

use testbed::{Browser, Program, Request, Server};

use crate::demo::*;
use crate::devices::{FIREFOX, assert_leads_to, devices, end, login_from, own};

/// The first device, of a visitor who logged in with these headers.
#[track_caller]
fn first_device(demo: &Program, headers: &[(&str, &str)]) -> String {
    let mut browser = Browser::at(demo.addr());
    let login = browser.send(login_from(demo.addr(), headers).form("username=alice"));
    assert_leads_to(&login, "/");
    devices(&mut browser).remove(0).html
}

// Proves R53.
#[test]
fn the_address_is_the_peers_unless_a_named_proxy_says_otherwise() {
    let env = [("SECRET_KEY", KEY)];
    let by = [("X-Forwarded-For", "198.51.100.1, 203.0.113.7")];
    for (args, shown, not_shown) in [
        (&[][..], "127.0.0.0/24", "203.0.113"),
        (&["--trust-proxy", "10.0.0.0/8"], "127.0.0.0/24", "203.0.113"),
        (&["--trust-proxy", "10.0.0.0/8,127.0.0.1"], "203.0.113.0/24", "198.51"),
        (&["--trust-proxy", "127.0.0.1", "--addresses", "full"], ">203.0.113.7<", "/24"),
        (&["--trust-proxy", "127.0.0.1", "--addresses", "none"], "Last used", "203.0.113"),
        (&["--addresses", "none"], "Last used", "127.0.0"),
    ] {
        let demo = serve(args, &env);
        let html = first_device(&demo, &by);
        assert!(html.contains(shown) && !html.contains(not_shown), "{args:?}: {html}");
    }
}

#[test]
fn a_device_is_what_the_headers_say_and_anything_may_stand_in_them() {
    let demo = on_memory();
    for (headers, shown) in [
        (&[("User-Agent", FIREFOX)][..], "Firefox on Linux"),
        (&[("User-Agent", "curl/8.5.0")], "Program"),
        (&[], "Unknown device"),
        (&[("User-Agent", "<script>alert(1)</script>")], "Program"),
        (
            &[
                ("User-Agent", FIREFOX),
                ("Sec-CH-UA", r#""Microsoft Edge";v="143", "Not A;Brand";v="24""#),
                ("Sec-CH-UA-Platform", r#""Windows""#),
            ],
            "Edge on Windows",
        ),
    ] {
        let html = first_device(&demo, headers);
        assert!(html.contains(shown) && !html.contains("<script"), "{headers:?}: {html}");
    }
}

// Proves R13, R41.
#[test]
fn a_login_that_is_to_be_remembered_is() {
    let args = ["--remember-idle", "2d", "--remember-absolute", "3d", "--label", "shop"];
    let demo = serve(&args, &[("SECRET_KEY", KEY)]);
    let mut browser = Browser::at(demo.addr());
    assert!(browser.get("/login").text().contains("Remember me for 3 days"));
    let login = browser.post_form("/login", "username=alice&remember=on");
    let [cookie] = &login.set_cookies()[..] else { panic!("{login:?}") };
    assert_eq!(cookie.attribute("Max-Age"), Some("259200"));
    assert!(browser.get("/").text().contains("2 days"));
    let shown = devices(&mut browser).remove(0).html;
    assert!(shown.contains("(remembered)") && shown.contains("shop"), "{shown}");

    let mut other = logged_in_at(demo.addr(), "bob");
    assert!(other.get("/").text().contains("30 minutes"));
    assert!(!devices(&mut other).remove(0).html.contains("(remembered)"));
}

/// Two demos over one server.
fn two(server: &Server, args: &[&str]) -> [Program; 2] {
    let env = [("SECRET_KEY", KEY), ("REDIS_URL", &server.url())];
    [serve(args, &env), serve(args, &env)]
}

// Proves R38, CVE-2024-4183.
#[test]
fn with_a_limit_one_more_login_ends_the_oldest_whichever_instance_it_comes_to() {
    let server = Server::start();
    let demos = two(&server, &["--sessions-per-user", "2"]);
    let logged_in = |at: usize| logged_in_at(demos[at].addr(), "alice");
    let (mut first, mut second, mut third) = (logged_in(0), logged_in(1), logged_in(0));
    assert_eq!(visit(&mut first), None);
    assert_eq!(visit(&mut second), somebody("alice", 1));
    assert_eq!(visit(&mut third), somebody("alice", 1));
    assert_eq!(devices(&mut third).len(), 2);
    let mut bob = logged_in_at(demos[1].addr(), "bob");
    assert_eq!(visit(&mut bob), somebody("bob", 1));
}

// Proves R38.
#[test]
fn with_a_limit_that_refuses_one_more_login_is_told_why() {
    let server = Server::start();
    let demos = two(&server, &["--sessions-per-user", "2", "--when-full", "refuse"]);
    let mut first = logged_in_at(demos[0].addr(), "alice");
    let mut second = logged_in_at(demos[1].addr(), "alice");
    for demo in &demos {
        let login = Request::post(demo.addr(), "/login").form("username=alice");
        let refused = login.send();
        assert_eq!((refused.status, refused.set_cookies()), (409, vec![]));
        assert!(refused.text().contains("logged in as often as allowed"), "{refused:?}");
        assert!(refused.text().contains(r#"name="username""#), "the form is there to try again");
        let japanese = login.header("Accept-Language", "ja").send();
        assert!(japanese.text().contains("上限に達しています"), "{japanese:?}");
    }
    assert_eq!(visit(&mut first), somebody("alice", 1));
    // The way out that the page names.
    let lost = own(&mut second);
    assert_leads_to(&end(&mut first, &lost), "/devices");
    let mut third = logged_in_at(demos[1].addr(), "alice");
    assert_eq!(visit(&mut third), somebody("alice", 1));
    // The same browser again takes no place of its own.
    log_in(&mut third, "alice");
    assert_eq!(devices(&mut third).len(), 2);
}

// Proves R38.
#[test]
fn a_limit_holds_on_every_store() {
    let key = [("SECRET_KEY", KEY)];
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    for place in [["--store", "memory"], ["--data", data]] {
        let args = [&["serve", "--port", "0", "--sessions-per-user", "1"], &place[..]].concat();
        let demo = Program::start(CLOAKROOM, &args, &key);
        let (mut one, mut two) =
            (logged_in_at(demo.addr(), "alice"), logged_in_at(demo.addr(), "alice"));
        assert_eq!((visit(&mut one), visit(&mut two)), (None, somebody("alice", 1)));
    }
}
