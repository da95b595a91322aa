//! How many commands a request costs, counted where they arrive.

use testbed::{Browser, Program, Request, Server};

use crate::demo::*;

/// What `request` costs: the commands that the server received meanwhile.
fn commands(server: &Server, request: impl FnOnce()) -> Vec<String> {
    let scripts = server.scripts_run();
    let monitor = server.client_commands();
    request();
    let lines = monitor.finish();
    let scripts = server.scripts_run() - scripts;
    assert_eq!(scripts, lines.len() as u64, "{lines:?}");
    lines
}

/// The demo with its scripts loaded and its connection made.
fn warm(server: &Server) -> Program {
    let demo = on(server);
    let mut browser = logged_in_at(demo.addr(), "warm");
    log_in(&mut browser, "warm");
    visit(&mut browser);
    browser.get("/devices");
    browser.post_form("/devices/end-others", "");
    browser.post_form("/logout", "");
    demo
}

#[test]
fn each_request_costs_one_command_or_none() {
    let server = Server::start();
    let demo = warm(&server);
    let mut browser = Browser::at(demo.addr());

    // Nobody, and pages that ask the session nothing.
    assert_eq!(commands(&server, || drop(browser.get("/"))), [""; 0]);
    assert_eq!(commands(&server, || drop(browser.post_form("/logout", ""))), [""; 0]);
    assert_eq!(commands(&server, || log_in(&mut browser, "alice")).len(), 1);
    for target in ["/about", "/login", "/style.css", "/icon.svg", "/livez", "/nothing"] {
        assert_eq!(commands(&server, || drop(browser.get(target))), [""; 0], "{target}");
    }

    for visits in 1..=3 {
        let page = || assert_eq!(visit(&mut browser), somebody("alice", visits));
        assert_eq!(commands(&server, page).len(), 1);
    }
    let list = || drop(browser.clone().get("/devices"));
    assert_eq!(commands(&server, list).len(), 3);
    let strange = || drop(browser.clone().post_form("/devices/end", "id=x"));
    assert_eq!(commands(&server, strange).len(), 1);
    let others = || drop(browser.clone().post_form("/devices/end-others", ""));
    assert_eq!(commands(&server, others).len(), 2);

    let head = || drop(browser.clone().send(Request::head(demo.addr(), "/")));
    assert_eq!(commands(&server, head).len(), 1);
    let again = commands(&server, || log_in(&mut browser, "alice"));
    assert_eq!(again.len(), 1);

    // Refused before the session is asked.
    let cookie = format!("{COOKIE}={}", token(&browser));
    let with_cookie = |request: Request| request.header("Cookie", &cookie).send().status;
    let site = ("Sec-Fetch-Site", "cross-site");
    for (expected, request) in [
        (403, Request::post(demo.addr(), "/logout").header(site.0, site.1)),
        (403, Request::post(demo.addr(), "/login").header(site.0, site.1).form("username=eve")),
        (200, Request::get(demo.addr(), "/logout").header(site.0, site.1)),
        (422, Request::post(demo.addr(), "/login").form("username=")),
        (422, Request::post(demo.addr(), "/login").form("name=eve")),
        (405, Request::new(demo.addr(), "DELETE", "/")),
    ] {
        let refused = || assert_eq!(with_cookie(request), expected);
        assert_eq!(commands(&server, refused), [""; 0]);
    }

    assert_eq!(commands(&server, || drop(browser.post_form("/logout", ""))).len(), 1);
}

// Proves R2, R17, CVE-2015-3982.
#[test]
fn what_is_no_token_of_ours_costs_nothing() {
    let server = Server::start();
    let demo = warm(&server);
    let stranger = serve(&[], &[("SECRET_KEY", OTHER_KEY)]);
    let forged = token(&logged_in_at(stranger.addr(), "alice"));
    let ours = token(&logged_in_at(demo.addr(), "alice"));
    let changed = |at: usize| {
        let other = if &ours[at..=at] == "A" { "B" } else { "A" };
        format!("{}{other}{}", &ours[..at], &ours[at + 1..])
    };

    let mut values = vec![forged, "x".into(), "A".repeat(ours.len()), String::new()];
    values.extend((0..ours.len() - 1).step_by(7).map(changed));
    values.extend([
        format!("{ours}="),
        format!(" {ours}"),
        format!("\"{ours}\""),
        ours[1..].into(),
    ]);
    let nobody = || {
        for value in &values {
            let page =
                Request::get(demo.addr(), "/").header("Cookie", &format!("{COOKIE}={value}"));
            assert_eq!(seen(&page.send()), None, "{value}");
        }
    };
    assert_eq!(commands(&server, nobody), [""; 0]);
    assert_eq!(seen_with(demo.addr(), &ours), somebody("alice", 1));
}

#[test]
fn readiness_can_not_be_used_to_flood_the_server() {
    let server = Server::start();
    let demo = warm(&server);
    let monitor = server.client_commands();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..25 {
                    assert_eq!(Request::get(demo.addr(), "/readyz").send().status, 200);
                }
            });
        }
    });
    let pings = monitor.finish().len();
    assert!((1..100).contains(&pings), "200 questions, {pings} commands");
}
