//! Cookies that are replaced periodically, at two instances over one server whose clock steps: nobody is
//! disturbed, and a copied cookie is found out.

use std::net::SocketAddr;

use testbed::{ByAnotherClock, Program, Request, Response};

use crate::demo::*;

/// A cookie is current for ten minutes by the server's clock, and good for five more.
const DUE: i32 = 10;
const GRACE: i32 = 5;
const FLAGS: [&str; 6] =
    ["--rotate-every", "10m", "--rotate-grace", "5m", "--metrics", "127.0.0.1:0"];

struct Scene {
    demos: [Program; 2],
    clock: ByAnotherClock,
}

impl Scene {
    fn set() -> Self {
        let clock = ByAnotherClock::start();
        let url = clock.server.url();
        let env = [("SECRET_KEY", KEY), ("REDIS_URL", &url), ("CLOAKROOM_PATIENCE", "8s")];
        let demos = [(); 2].map(|()| serve(&FLAGS, &env));
        Self { demos, clock }
    }

    /// One instance or the other.
    fn at(&self, number: usize) -> SocketAddr {
        self.demos[number % 2].addr()
    }

    /// What one request with this token is answered, at one instance or the other; nobody keeps it.
    fn asks(&self, number: usize, token: &str) -> Response {
        Request::get(self.at(number), "/").header("Cookie", &format!("{COOKIE}={token}")).send()
    }

    /// So many requests with this token at once, half at each instance: how often each says alice was
    /// there, and the tokens that were handed out.
    fn ask_at_once(&self, requests: usize, token: &str) -> (Vec<u64>, Vec<String>) {
        let start = std::sync::Barrier::new(requests);
        let answers: Vec<Response> = std::thread::scope(|scope| {
            let ask = |number| {
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    self.asks(number, token)
                })
            };
            let threads: Vec<_> = (0..requests).map(ask).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let mut visits: Vec<u64> = answers
            .iter()
            .map(|answer| match seen(answer) {
                Some((name, visits)) if name == "alice" => visits,
                other => panic!("a request at the same time was logged out: {other:?}"),
            })
            .collect();
        visits.sort_unstable();
        (visits, answers.iter().filter_map(handed_out).collect())
    }

    /// How many sessions an instance has reported as stolen, by its metrics and by its log.
    fn reported(&self, number: usize) -> (usize, usize) {
        let demo = &self.demos[number];
        let line = demo.wait_for_log("Metrics at ");
        let at = line.trim_start_matches("Metrics at http://").trim_end_matches("/metrics");
        let page = Request::get(at.parse().unwrap(), "/metrics").send();
        let name = r#"cloakroom_sessions_ended_total{reason="stolen"} "#;
        let counted = page.text().lines().find_map(|line| line.strip_prefix(name)).unwrap();
        let log = demo.log();
        (counted.parse().unwrap(), log.matches("its cookie was copied").count())
    }
}

/// The token that an answer hands out; no answer here removes one.
#[track_caller]
fn handed_out(answer: &Response) -> Option<String> {
    let cookies = answer.set_cookies();
    assert!(cookies.len() <= 1, "{answer:?}");
    cookies.into_iter().next().map(|cookie| {
        assert_eq!((&*cookie.name, cookie.attribute("Max-Age")), (COOKIE, None), "{answer:?}");
        // A cache that keeps it would hand it to others.
        assert_eq!(answer.header("Cache-Control"), Some("no-store"), "{answer:?}");
        assert!(answer.headers("Vary").join(", ").contains("Cookie"), "{answer:?}");
        cookie.value
    })
}

/// All go on, none of their visits is lost, and one of them is handed the next cookie.
// Proves R29, R51.
#[test]
fn requests_at_once_at_two_instances_are_all_let_in_and_one_is_handed_the_next_cookie() {
    let scene = Scene::set();
    let mut token = token(&logged_in_at(scene.at(0), "alice"));
    let mut visits = 0;
    for round in 1..=3 {
        // Before it is due nothing is handed out.
        scene.clock.stands_at(round * DUE - 1);
        let answer = scene.asks(0, &token);
        visits += 1;
        assert_eq!((seen(&answer), handed_out(&answer)), (somebody("alice", visits), None));
        scene.clock.stands_at(round * DUE);
        let (seen_by, next) = scene.ask_at_once(12, &token);
        assert_eq!(seen_by, (visits + 1..=visits + 12).collect::<Vec<_>>());
        let [next] = &next[..] else { panic!("{} tokens were handed out", next.len()) };
        assert_ne!(*next, token);
        // On the way with the old one, and already here with the new.
        scene.clock.stands_at(round * DUE + GRACE - 1);
        for (number, shown) in [&token, next, &token, next].into_iter().enumerate() {
            let answer = scene.asks(number, shown);
            let expected = somebody("alice", visits + 13 + number as u64);
            assert_eq!((seen(&answer), handed_out(&answer)), (expected, None));
        }
        visits += 16;
        token.clone_from(next);
    }
    assert_eq!([scene.reported(0), scene.reported(1)], [(0, 0); 2]);
    assert_eq!(scene.clock.server.keys_without_ttl(), [""; 0]);
}

/// Nobody can say which of the two is the thief. The session ends for both, at both instances, and it is
/// reported once; what else the user has goes on.
// Proves R29, CVE-2026-56750.
#[test]
fn a_copied_cookie_ends_its_session_at_both_instances_and_is_reported() {
    let scene = Scene::set();
    let mut alice = logged_in_at(scene.at(0), "alice");
    let mut her_phone = logged_in_at(scene.at(1), "alice");
    let copied = token(&alice);
    scene.clock.stands_at(DUE);
    assert_eq!(visit(&mut alice), somebody("alice", 1));
    let next = token(&alice);
    assert_ne!(next, copied, "no new cookie was handed out");
    // Within the grace nobody can tell a thief from a request on its way.
    scene.clock.stands_at(DUE + 1);
    alice.move_to(scene.at(1));
    assert_eq!(visit(&mut alice), somebody("alice", 2));
    assert_eq!(visit(&mut her_phone), somebody("alice", 1));
    assert_eq!(seen_with(scene.at(1), &copied), somebody("alice", 3));

    scene.clock.stands_at(DUE + GRACE + 1);
    let thief = scene.asks(1, &copied);
    assert_eq!((seen(&thief), handed_out(&thief)), (None, None));
    for number in 0..2 {
        for shown in [&copied, &next] {
            let answer = scene.asks(number, shown);
            assert_eq!((seen(&answer), handed_out(&answer)), (None, None), "it goes on");
        }
    }
    assert_eq!([scene.reported(0), scene.reported(1)], [(0, 0), (1, 1)]);
    for demo in &scene.demos {
        assert!(!demo.log().contains(&copied) && !demo.log().contains(&next), "a token is logged");
    }
    assert_eq!(visit(&mut her_phone), somebody("alice", 2));
    log_in(&mut alice, "alice");
    assert!(visit(&mut alice).is_some());
}

/// An answer that was lost logs nobody out: who comes with the old cookie after the grace is handed the
/// same one again, one of many at once; and once it has come, the old one is stolen goods.
// Proves R29.
#[test]
fn a_cookie_that_was_lost_on_the_way_is_handed_out_once_more() {
    let scene = Scene::set();
    let old = token(&logged_in_at(scene.at(0), "alice"));
    scene.clock.stands_at(DUE);
    let lost = handed_out(&scene.asks(0, &old)).expect("the next cookie");
    let mut visits = 1;
    for round in 1..=2 {
        scene.clock.stands_at(DUE + round * (GRACE + 1));
        let (seen_by, again) = scene.ask_at_once(8, &old);
        assert_eq!(seen_by, (visits + 1..=visits + 8).collect::<Vec<_>>());
        assert_eq!(again, [&*lost], "issued again, to one of them");
        visits += 8;
    }
    // This time it arrives.
    assert_eq!(seen_with(scene.at(1), &lost), somebody("alice", visits + 1));
    scene.clock.stands_at(DUE + 3 * (GRACE + 1));
    assert_eq!(seen_with(scene.at(0), &old), None);
    assert_eq!(seen_with(scene.at(1), &lost), None, "it goes on");
    assert_eq!([scene.reported(0), scene.reported(1)], [(1, 1), (0, 0)]);
}
