//! What an attacker can put into a `Cookie` line, and what we put into `Set-Cookie`.

use std::collections::BTreeSet;

use testbed::{Browser, Request, Server};

use crate::demo::*;

// Proves R16, CVE-2020-7070, cookie-rs.
#[test]
fn only_the_exact_name_counts() {
    on_every_store(|demo| {
        let token = token(&logged_in_at(demo.addr(), "alice"));
        for line in [
            format!("__host-session={token}"),
            format!("__HOST-session={token}"),
            format!("__%48ost-session={token}"),
            format!("..Host-session={token}"),
            format!("_[Host-session={token}"),
            format!("=__Host-session={token}"),
            format!("__Host-session ={token}"),
            format!("x=1;  __Host-session={token}"),
            format!("session={token}"),
            format!("__Host-session=%{token}"),
            format!("__Host-session={token}x"),
        ] {
            let page = Request::get(demo.addr(), "/").header("Cookie", &line).send();
            assert_eq!((seen(&page), page.set_cookies()), (None, vec![]), "{line}");
        }
        assert_eq!(seen_with(demo.addr(), &token), somebody("alice", 1));
    });
}

// Proves R15.
#[test]
fn the_same_name_twice_is_nobody_and_takes_nothing_away() {
    on_every_store(|demo| {
        let token = token(&logged_in_at(demo.addr(), "alice"));
        let good = format!("{COOKIE}={token}");
        let evil = format!("{COOKIE}=evil");
        for lines in [
            &[format!("{good}; {evil}")][..],
            &[format!("{evil}; {good}")],
            &[format!("{good}; {good}")],
            &[good.clone(), evil.clone()],
            &[evil, good],
        ] {
            let with = |request: Request| {
                lines.iter().fold(request, |request, line| request.header("Cookie", line)).send()
            };
            let page = with(Request::get(demo.addr(), "/"));
            assert_eq!((seen(&page), page.set_cookies()), (None, vec![]), "{lines:?}");
            assert_eq!(with(Request::post(demo.addr(), "/logout")).set_cookies(), vec![]);
        }
        assert_eq!(seen_with(demo.addr(), &token), somebody("alice", 1));
    });
}

// Proves R14, R19.
#[test]
fn a_cookie_is_found_among_many_on_many_lines() {
    on_every_store(|demo| {
        let token = token(&logged_in_at(demo.addr(), "alice"));
        let mut pairs: Vec<_> = (0..50).map(|i| format!("c{i}=x")).collect();
        pairs.insert(31, format!("{COOKIE}={token}"));
        let one_line = Request::get(demo.addr(), "/").header("Cookie", &pairs.join("; "));
        let many = pairs.iter().fold(Request::get(demo.addr(), "/"), |r, p| r.header("Cookie", p));
        assert_eq!(seen(&one_line.send()), somebody("alice", 1));
        assert_eq!(seen(&many.send()), somebody("alice", 2));
    });
}

// Proves R12, R17, mod_auth_openidc.
#[test]
fn bytes_that_are_no_text_are_nobody() {
    on_every_store(|demo| {
        for value in
            [&b"\xff\xfe"[..], b"a\tb", "ゆき".as_bytes(), b"%00%0d%0aSet-Cookie:x=y", b";;;", b"="]
        {
            let line = [COOKIE.as_bytes(), b"=", value].concat();
            let page = Request::get(demo.addr(), "/").header_bytes("Cookie", line).send();
            assert_eq!((seen(&page), page.set_cookies()), (None, vec![]), "{value:?}");
        }
    });
}

// Proves F35, R70, CVE-2025-58186, RUSTSEC-2017-0005.
#[test]
fn a_large_cookie_is_nobody_and_a_larger_one_is_refused() {
    on_every_store(|demo| {
        let page = |bytes: usize| {
            let line = format!("{COOKIE}={}", "A".repeat(bytes));
            Request::get(demo.addr(), "/").header("Cookie", &line).send()
        };
        assert_eq!(seen(&page(12 * 1024)), None);
        for bytes in [17 * 1024, 64 * 1024, 500 * 1024] {
            assert_eq!(page(bytes).status, 431);
        }
        let many = "a=; ".repeat(10_000);
        assert_eq!(Request::get(demo.addr(), "/").header("Cookie", &many).send().status, 431);
        let lines = (0..100).fold(Request::get(demo.addr(), "/"), |r, _| r.header("Cookie", "a=b"));
        assert_eq!(lines.send().status, 431);
        assert_eq!(Request::get(demo.addr(), "/livez").send().status, 200);
    });
}

// Proves R21, R22, R23, CVE-2024-38513, CVE-2024-28197.
#[test]
fn a_planted_token_is_never_adopted() {
    let server = Server::start();
    let demo = on(&server);
    // One that we issued ourselves, whose session is over.
    let mut former = logged_in_at(demo.addr(), "eve");
    let planted = token(&former);
    former.post_form("/logout", "");
    server.command(&["FLUSHALL"]);

    let mut victim = Browser::at(demo.addr());
    victim.jar.plant(COOKIE, &planted);
    assert_eq!(visit(&mut victim), None);
    victim.get("/login");
    log_in(&mut victim, "alice");
    assert_ne!(token(&victim), planted);
    assert_eq!(visit(&mut victim), somebody("alice", 1));
    assert_eq!(seen_with(demo.addr(), &planted), None);

    // And a live one: the attacker's own session ends with the login that it was planted for.
    let attacker = logged_in_at(demo.addr(), "eve");
    victim.jar.plant(COOKIE, &token(&attacker));
    log_in(&mut victim, "alice");
    assert_eq!(visit(&mut victim), somebody("alice", 1));
    assert_eq!(seen_with(demo.addr(), &token(&attacker)), None);
}

// Proves R18, CVE-2014-0033.
#[test]
fn a_token_counts_nowhere_but_in_the_cookie() {
    on_every_store(|demo| {
        let token = token(&logged_in_at(demo.addr(), "alice"));
        let pair = format!("{COOKIE}={token}");
        let at = demo.addr();
        for request in [
            Request::get(at, &format!("/?{pair}&session={token}&sid={token}")),
            Request::get(at, "/").header("Authorization", &format!("Bearer {token}")),
            Request::get(at, "/").header("X-Session", &token).header("X-Session-Id", &token),
            Request::get(at, "/").header("Set-Cookie", &pair).header("Cookie2", &pair),
            Request::get(at, "/").form(&pair),
        ] {
            assert_eq!(seen(&request.send()), None, "{request:?}");
        }
        let in_path = Request::get(at, &format!("/;{pair}")).send();
        assert_eq!((in_path.status, in_path.text().contains(&token)), (404, false));
        let by_form = Request::post(at, "/logout").form(&pair).send();
        assert_eq!((by_form.status, by_form.set_cookies()), (303, vec![]));
        assert_eq!(seen_with(at, &token), somebody("alice", 1));
    });
}

// Proves R6, R7, R8, R9, R11, R31.
#[test]
fn every_cookie_line_is_exactly_as_it_should_be() {
    let alphabet = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    for (args, name, secure) in [
        (&[][..], "__Host-session", " Secure;"),
        (&["--cookie", "insecure-plain-http"], "session", ""),
    ] {
        let demo = serve(args, &[("SECRET_KEY", KEY)]);
        let mut browser = Browser::at(demo.addr());
        let mut tokens = Vec::new();
        for _ in 0..5 {
            let login = browser.post_form("/login", "username=alice");
            let [line] = login.headers("Set-Cookie")[..] else { panic!("{login:?}") };
            let (pair, attributes) = line.split_once(';').unwrap();
            let token = pair.strip_prefix(&format!("{name}=")).unwrap();
            assert_eq!((token.len(), token.chars().all(alphabet)), (92, true), "{line}");
            assert_eq!(attributes, format!(" Path=/;{secure} HttpOnly; SameSite=Lax"));
            tokens.push(token.to_owned());
            // A page hands out nothing.
            assert_eq!(browser.get("/").headers("Set-Cookie"), [""; 0]);
        }
        tokens.sort();
        tokens.dedup();
        assert_eq!(tokens.len(), 5);
        assert!(browser.jar.get(name).is_some());

        let logout = browser.post_form("/logout", "");
        let removal = format!(
            "{name}=; Path=/;{secure} HttpOnly; SameSite=Lax; Max-Age=0; \
             Expires=Thu, 01 Jan 1970 00:00:00 GMT"
        );
        assert_eq!(logout.headers("Set-Cookie"), [removal]);
        assert_eq!(browser.jar.get(name), None);
    }
}

/// Whatever is asked of whichever page, with a session and without.
// Proves R6, R7, R8, R9, R11.
#[test]
fn every_cookie_of_every_page_is_guarded_as_the_session_is() {
    for (args, secure) in [(&[][..], true), (&["--cookie", "insecure-plain-http"], false)] {
        let demo = serve(args, &[("SECRET_KEY", KEY)]);
        let mut names = BTreeSet::new();
        for (page, method) in
            pages().into_iter().flat_map(|page| ["GET", "POST"].map(|method| (page, method)))
        {
            for mut browser in [Browser::at(demo.addr()), logged_in_at(demo.addr(), "alice")] {
                let request = Request::new(demo.addr(), method, page);
                let form = "username=alice&remember=1&to=ja&back=%2F";
                let response = browser.send(request.form(form));
                let cookies = response.set_cookies();
                for cookie in &cookies {
                    let case = format!("{method} {page}: {cookie:?}");
                    assert_eq!(cookie.name.starts_with("__Host-"), secure, "{case}");
                    assert_eq!(cookie.attribute("Secure").is_some(), secure, "{case}");
                    assert_eq!(cookie.attribute("Path"), Some("/"), "{case}");
                    assert_eq!(cookie.attribute("SameSite"), Some("Lax"), "{case}");
                    assert!(cookie.attribute("HttpOnly").is_some(), "{case}");
                    assert!(cookie.attribute("Domain").is_none(), "{case}");
                    let same = cookies.iter().filter(|other| other.name == cookie.name);
                    assert_eq!(same.count(), 1, "{case}");
                    names.insert(cookie.name.replace("__Host-", ""));
                }
            }
        }
        assert!(names.iter().eq(["lang", "session"]), "{names:?}");
    }
}
