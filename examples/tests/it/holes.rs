//! The holes of steps 2 and 3, each beside the same on step 4, which has none of them.

use std::thread;

use testbed::{Browser, Proxy, Request, Server};

use crate::house::*;

/// How often a race is run.
const ROUNDS: usize = 25;

#[test]
fn two_browsers_of_one_name_share_a_session_until_step_4() {
    let both = |number| {
        let (_server, step) = alone(number);
        let (mut one, mut two) = (step.logged_in("alice"), step.logged_in("alice"));
        visit(&mut one);
        visit(&mut two)
    };
    for number in HOLES {
        assert_eq!(both(number), somebody("alice", 2), "step {number}");
    }
    assert_eq!(both(4), somebody("alice", 1));
}

#[test]
fn a_user_named_like_another_key_changes_it_until_step_4() {
    let named_like_a_key = |number| {
        let (server, step) = alone(number);
        server.command(&["HSET", "invoices", "visits", "41"]);
        visit(&mut step.logged_in("invoices"));
        server.command(&["HGET", "invoices", "visits"]).int()
    };
    for number in HOLES {
        assert_eq!(named_like_a_key(number), 42, "step {number}");
    }
    assert_eq!(named_like_a_key(4), 41);
}

#[test]
fn logout_leaves_the_data_until_step_4() {
    let left = |number| {
        let (server, step) = alone(number);
        let mut browser = step.logged_in("alice");
        visit(&mut browser);
        step.log_out(&mut browser);
        sessions(&server)
    };
    for number in HOLES {
        assert_eq!(left(number), ["alice"], "step {number}");
    }
    assert_eq!(left(4), [""; 0]);
}

#[test]
fn a_copied_cookie_goes_on_working_after_logout_until_step_4() {
    let thief = |number| {
        let (_server, step) = alone(number);
        let mut browser = step.logged_in("alice");
        visit(&mut browser);
        let mut thief = browser.clone();
        step.log_out(&mut browser);
        visit(&mut thief)
    };
    for number in HOLES {
        assert_eq!(thief(number), somebody("alice", 2), "step {number}");
    }
    assert_eq!(thief(4), None);
}

#[test]
fn the_cookie_tells_the_name_until_step_4() {
    let told = |number| {
        let (_server, step) = alone(number);
        step.logged_in("alice").jar.header("/").expect("a cookie").contains("alice")
    };
    for number in HOLES {
        assert!(told(number), "step {number}");
    }
    assert!(!told(4));
}

#[test]
fn a_key_stays_for_ever_in_step_2_and_has_an_end_from_step_3_on() {
    for number in WITH_REDIS {
        let (server, step) = alone(number);
        let mut browser = step.logged_in("alice");
        visit(&mut browser);
        step.log_out(&mut browser);
        let stays = server.keys_without_ttl();
        assert_eq!(stays, if number == 2 { vec!["alice"] } else { vec![] }, "step {number}");
    }
}

// Proves redis-docs-example, R71.
#[test]
fn a_first_visit_that_is_cut_off_leaves_a_key_for_ever_until_step_4() {
    let cut_off = |number| {
        let server = Server::start();
        let proxy = Proxy::to(server.port());
        let step = step_at(number, &proxy.url());
        let mut browser = step.logged_in("alice");
        // The server counts, the step never hears of it, and goes no further.
        proxy.drop_replies();
        let answer = browser.get("/");
        assert!(proxy.lost() > 0);
        assert!(!sessions(&server).is_empty());
        (answer.status, server.keys_without_ttl())
    };
    assert_eq!(cut_off(3), (500, vec!["alice".into()]));
    assert_eq!(cut_off(4), (503, vec![]));
}

/// What the class at the end of the original sends at a first visit, in its order.
#[test]
fn expire_before_hincrby_leaves_a_key_for_ever_at_every_first_visit() {
    let server = Server::start();
    for (visits, left) in [(1, -1), (2, 10)] {
        server.command(&["EXPIRE", "token", "10"]);
        assert_eq!(server.command(&["HINCRBY", "token", "visits", "1"]).int(), visits);
        let ttl = server.command(&["TTL", "token"]).int();
        assert!(ttl == left || (left == 10 && (1..=10).contains(&ttl)), "{visits}: {ttl}");
    }
    // Step 4 has none from the login on.
    let step = step(4, &server);
    server.command(&["FLUSHALL"]);
    let mut browser = step.logged_in("alice");
    assert_eq!(server.keys_without_ttl(), [""; 0]);
    visit(&mut browser);
    assert_eq!(server.keys_without_ttl(), [""; 0]);
}

// Proves redis-docs-example.
#[test]
fn a_session_that_is_gone_comes_back_with_the_next_visit_until_step_4() {
    let after = |number| {
        let (server, step) = alone(number);
        let mut browser = step.logged_in("alice");
        visit(&mut browser);
        // What an operator does, or what its end does.
        for key in sessions(&server) {
            server.command(&["DEL", &key]);
        }
        (visit(&mut browser), sessions(&server).len())
    };
    for number in HOLES {
        assert_eq!(after(number), (somebody("alice", 1), 1), "step {number}");
    }
    assert_eq!(after(4), (None, 0));
}

/// Steps 2 and 3 are given the logout that one would write next, which removes the data as well.
#[test]
fn visits_in_parallel_with_a_logout_bring_the_session_back_until_step_4() {
    for number in WITH_REDIS {
        let (server, step) = alone(number);
        for round in 0..ROUNDS {
            let user = format!("user{round}");
            let mut browser = step.logged_in(&user);
            let mut tabs = [(); 4].map(|()| browser.clone());
            thread::scope(|scope| {
                for tab in &mut tabs {
                    scope.spawn(|| (0..4).for_each(|_| drop(visit(tab))));
                }
                scope.spawn(|| {
                    step.log_out(&mut browser);
                    server.command(&["DEL", &user]);
                });
            });
            assert_eq!(visit(&mut browser), None, "step {number}");
            let late = tabs.iter_mut().filter_map(|tab| visit(tab)).count();
            let back = sessions(&server);
            if number == 4 {
                assert_eq!((late, back), (0, vec![]));
            } else {
                assert_eq!((late, back), (4, vec![user.clone()]), "step {number}");
                server.command(&["DEL", &user]);
            }
        }
        assert_eq!(server.keys_without_ttl(), [""; 0], "step {number}");
    }
}

#[test]
fn a_link_logs_out_until_step_4() {
    let after_the_link = |number| {
        let (_server, step) = alone(number);
        let mut browser = step.logged_in("alice");
        let link = Request::get(step.addr(), "/logout").header("Sec-Fetch-Site", "cross-site");
        browser.send(link);
        visit(&mut browser)
    };
    for number in HOLES {
        assert_eq!(after_the_link(number), None, "step {number}");
    }
    assert_eq!(after_the_link(4), somebody("alice", 1));
}

#[test]
fn a_form_of_another_site_logs_in_until_step_4() {
    let after_the_form = |number| {
        let (_server, step) = alone(number);
        let mut browser = Browser::at(step.addr());
        let form = Request::post(step.addr(), "/login").header("Origin", "https://evil.example");
        browser.send(form.header("Sec-Fetch-Site", "cross-site").form("username=eve"));
        visit(&mut browser)
    };
    for number in HOLES {
        assert_eq!(after_the_form(number), somebody("eve", 1), "step {number}");
    }
    assert_eq!(after_the_form(4), None);
}
