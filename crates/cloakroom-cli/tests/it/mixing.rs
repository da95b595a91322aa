//! Many visitors at once, some of whom hang up half way: nobody sees anybody else.

use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use testbed::{Browser, Server};

use crate::demo::*;

// Proves R67, CVE-2023-28858, CVE-2026-24894.
#[test]
fn nobody_is_shown_somebody_elses_page_whatever_breaks_off() {
    let server = Server::start();
    let env = [("SECRET_KEY", KEY), ("REDIS_URL", &server.url())];
    let demos = [serve(&[], &env), serve(&[], &env)];
    let over = AtomicBool::new(false);
    let (shown, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let working: Vec<_> = (0..8)
            .map(|thread| {
                let (demos, shown, refused) = (&demos, &shown, &refused);
                scope.spawn(move || {
                    let mut people: Vec<(String, Browser)> = (0..4)
                        .map(|n| format!("visitor {thread}-{n}"))
                        .map(|name| (name.clone(), logged_in(&demos[thread % 2], &name)))
                        .collect();
                    for round in 0..240 {
                        let (name, browser) = &mut people[round % 4];
                        let demo = &demos[(round / 3) % 2];
                        browser.move_to(demo.addr());
                        if round % 5 == 0 {
                            hang_up(browser);
                            continue;
                        }
                        let page = browser.get("/");
                        if page.status == 503 {
                            refused.fetch_add(1, Ordering::SeqCst);
                            continue;
                        }
                        let who = seen(&page).map(|(who, _)| who);
                        assert_eq!(who.as_ref(), Some(&*name), "somebody else's page, or nobody's");
                        shown.fetch_add(1, Ordering::SeqCst);
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                server.command(&["CLIENT", "KILL", "TYPE", "normal"]);
                // How often connections break is what this is about.
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        let ended: Vec<_> = working.into_iter().map(|thread| thread.join()).collect();
        over.store(true, Ordering::SeqCst);
        assert!(ended.iter().all(Result::is_ok));
    });
    let (shown, refused) = (shown.into_inner(), refused.into_inner());
    assert!(shown > refused, "{shown} pages, {refused} refused");
}

/// Logs in, however often it takes while connections break.
fn logged_in(demo: &testbed::Program, name: &str) -> Browser {
    let login = || {
        let mut browser = Browser::at(demo.addr());
        let response = browser.post_form("/login", &username(name));
        (response.status == 303).then_some(browser)
    };
    testbed::eventually(Duration::from_secs(30), login).expect("a login")
}

/// Asks for the page, and is gone before it comes.
fn hang_up(browser: &Browser) {
    let mut stream = TcpStream::connect(browser.addr()).unwrap();
    let cookie = browser.jar.header("/").unwrap();
    let request = format!("GET / HTTP/1.1\r\nHost: {}\r\nCookie: {cookie}\r\n\r\n", browser.addr());
    stream.write_all(request.as_bytes()).unwrap();
}
