//! What each step is for.

use testbed::Browser;

use crate::house::*;

#[test]
fn step_1_knows_who_has_logged_in_and_forgets_at_logout() {
    let step = step_at(1, "");
    let mut browser = Browser::at(step.addr());
    assert_eq!(browser.get("/").text(), "You are not logged in\n");
    assert!(browser.get("/login").text().contains(r#"<form method="post">"#));
    let answer = browser.post_form("/login", "username=alice");
    assert_eq!(browser.follow(&answer).text(), "Logged in as alice\n");
    step.log_out(&mut browser);
    assert_eq!(browser.get("/").text(), "You are not logged in\n");
    assert_eq!(browser.jar.get("username"), None);
}

#[test]
fn step_1_takes_no_cookie_that_it_did_not_sign() {
    let step = step_at(1, "");
    let mut browser = step.logged_in("alice");
    let cookie = browser.jar.get("username").expect("a cookie").to_owned();
    for forged in [cookie.replace("alice", "bob"), cookie[1..].to_owned(), "alice".to_owned()] {
        browser.jar.clear();
        browser.jar.plant("username", &forged);
        assert_eq!(browser.get("/").text(), "You are not logged in\n", "{forged}");
    }
}

#[test]
fn from_step_2_on_visits_are_counted_per_user() {
    for number in WITH_REDIS {
        let (_server, step) = alone(number);
        let mut nobody = Browser::at(step.addr());
        assert_eq!(visit(&mut nobody), None);
        assert!(nobody.get("/login").text().contains(r#"<form method="post">"#));
        let (mut alice, mut bob) = (step.logged_in("alice"), step.logged_in("bob"));
        for visits in 1..=3 {
            assert_eq!(visit(&mut alice), somebody("alice", visits), "step {number}");
        }
        assert_eq!(visit(&mut bob), somebody("bob", 1), "step {number}");
        step.log_out(&mut alice);
        assert_eq!(visit(&mut alice), None, "step {number}");
        assert_eq!(visit(&mut bob), somebody("bob", 2), "step {number}");
    }
}

#[test]
fn from_step_3_on_each_visit_gives_the_session_ten_seconds() {
    for number in 3..=4 {
        let (server, step) = alone(number);
        let mut alice = step.logged_in("alice");
        visit(&mut alice);
        let [key] = &sessions(&server)[..] else { panic!("one session") };
        // Another time to live than the visit will give: more, so that a slow machine has time.
        server.command(&["EXPIRE", key, "100"]);
        visit(&mut alice);
        let left = server.ttl_ms(key);
        assert!((1..=10_000).contains(&left), "step {number}: {left} ms");
    }
}

#[test]
fn names_in_any_script_are_shown_as_they_are() {
    let names = "username=%E8%8A%B1%E5%AD%90+%3Cb%3E%26%3B%25";
    let server = testbed::Server::start();
    for number in 1..=4 {
        let step = step(number, &server);
        let mut browser = Browser::at(step.addr());
        browser.post_form("/login", names);
        let page = browser.get("/");
        assert!(page.text().starts_with("Logged in as 花子 <b>&;%\n"), "{page:?}");
        assert_eq!(page.header("Content-Type"), Some("text/plain; charset=utf-8"));
    }
}

#[test]
fn step_4_refuses_what_is_no_name() {
    let (server, step) = alone(4);
    let mut browser = Browser::at(step.addr());
    for name in ["", "%00", &"x".repeat(65)] {
        let answer = browser.post_form("/login", &format!("username={name}"));
        assert_eq!((answer.status, answer.set_cookies()), (422, vec![]), "{name}");
    }
    assert_eq!(server.keys(), [""; 0]);
}
