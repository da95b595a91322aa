//! The demo is killed between any two of the steps in which a login or a logout goes to the server.

use std::thread;
use std::time::Duration;

use testbed::{Browser, Cluster, Proxy, Request, Server, eventually};

use crate::demo::*;

const PATIENCE: Duration = Duration::from_secs(20);
/// For what the demo does after its answer.
const MOMENT: Duration = Duration::from_millis(200);

struct Scene {
    name: &'static str,
    before: fn(&mut Browser),
    /// The form that is on its way when the demo dies.
    form: (&'static str, &'static str),
    /// Who may be logged in with the cookie from before.
    after: &'static [Option<&'static str>],
}

const ALICE: (&str, &str) = ("/login", "username=alice");

const SCENES: [Scene; 5] = [
    Scene { name: "a first login", before: |_| (), form: ALICE, after: &[None] },
    Scene {
        name: "a login that pushes another out",
        before: |browser| (0..3).for_each(|_| drop(logged_in_at(browser.addr(), "alice"))),
        form: ALICE,
        after: &[None],
    },
    Scene {
        name: "another login of the same user",
        before: |browser| log_in(browser, "alice"),
        form: ALICE,
        after: &[Some("alice"), None],
    },
    Scene {
        name: "a login of another user",
        before: |browser| log_in(browser, "bob"),
        form: ALICE,
        after: &[Some("bob"), None],
    },
    Scene {
        name: "a logout",
        before: |browser| log_in(browser, "alice"),
        form: ("/logout", ""),
        after: &[Some("alice"), None],
    },
];

// Proves R71, F32.
#[test]
fn nothing_stays_and_nobody_is_half_logged_in_wherever_a_login_or_a_logout_dies() {
    let server = Server::start();
    for scene in &SCENES {
        let mut steps = 0;
        while was_killed_before_the_end(&server, scene, steps) {
            let place = format!("{}, killed after {steps} steps", scene.name);
            assert_eq!(server.keys_without_ttl(), [""; 0], "{place}");
            assert_indexed(&server, &place);
            steps += 1;
            assert!(steps < 20, "{place}: it never comes to an end");
        }
        assert!(steps > 0, "{}: nothing went to the server", scene.name);
        assert_eq!(server.keys_without_ttl(), [""; 0], "{}", scene.name);
        assert_indexed(&server, scene.name);
    }
}

/// Kills the demo when it has taken so many steps; says whether it had one more to take.
fn was_killed_before_the_end(server: &Server, scene: &Scene, steps: u64) -> bool {
    server.command(&["FLUSHALL"]);
    let proxy = Proxy::to(server.port());
    let env = [("SECRET_KEY", KEY), ("REDIS_URL", &*proxy.url())];
    let demo = serve(&["--sessions-per-user", "3"], &env);
    let mut browser = Browser::at(demo.addr());
    (scene.before)(&mut browser);

    proxy.pass_requests(steps);
    let (addr, (target, fields)) = (demo.addr(), scene.form);
    let cookies = browser.jar.header(target).unwrap_or_default();
    let asking = thread::spawn(move || {
        let form = Request::post(addr, target).header("Cookie", &cookies).form(fields);
        // Whether it is answered is not the question: its server dies.
        let _ = form.header("Sec-Fetch-Site", "same-origin").try_send();
    });
    let holds = || proxy.holds_a_request().then_some(());
    let there = eventually(PATIENCE, || holds().or(asking.is_finished().then_some(())));
    assert!(there.is_some(), "{}: neither held nor answered", scene.name);
    let held = eventually(MOMENT, holds).is_some();
    demo.kill();
    asking.join().unwrap();
    drop(proxy);

    let again = on(server);
    browser.move_to(again.addr());
    let seen = visit(&mut browser).map(|(name, _)| name);
    let (name, after) = (scene.name, scene.after);
    assert!(after.contains(&seen.as_deref()), "{name}, after {steps} steps: {seen:?}");
    held
}

/// On a cluster a login over another user's session is two steps at two nodes. The demo dies between
/// them.
// Proves R71, F32.
#[test]
fn on_a_cluster_a_login_that_dies_between_its_two_steps_logs_nobody_in_and_leaves_nothing() {
    let cluster = Cluster::start();
    let nodes = &cluster.nodes()[..3];
    let demo = at(&cluster.url());
    let has_index = |node: &Server| node.keys().iter().any(|key| key.ends_with(":user"));
    let home_of = |name: &str| {
        let mut browser = logged_in_at(demo.addr(), name);
        let home = nodes.iter().find(|node| has_index(node)).expect("an index");
        browser.post_form("/logout", "");
        home
    };
    let home = home_of("alice");
    let mut bobs = (0..64).map(|number| format!("bob {number}"));
    let bob = bobs.find(|name| home_of(name).port() != home.port());
    let mut browser = logged_in_at(demo.addr(), &bob.expect("a user of another node"));
    assert!(nodes.iter().any(has_index));

    // Scripts that arrive at alice's node wait there.
    home.command(&["CLIENT", "PAUSE", "600000", "WRITE"]);
    let waits = || home.command(&["INFO", "clients"]).text().contains("\nblocked_clients:1\r");
    let (addr, cookies) = (demo.addr(), browser.jar.header("/login").unwrap());
    let asking = thread::spawn(move || {
        let form = Request::post(addr, "/login").header("Cookie", &cookies).form(ALICE.1);
        let _ = form.header("Sec-Fetch-Site", "same-origin").try_send();
    });
    // The first step is done, and the second is on its way.
    let between = || (!nodes.iter().any(has_index) && waits()).then_some(());
    assert!(eventually(PATIENCE, between).is_some(), "it never came between its steps");
    demo.kill();
    asking.join().unwrap();
    assert!(eventually(PATIENCE, || (!waits()).then_some(())).is_some(), "it waits on");
    home.command(&["CLIENT", "UNPAUSE"]);

    for node in nodes {
        assert_eq!(node.keys_without_ttl(), [""; 0]);
        assert!(!has_index(node), "an entry stays");
    }
    let again = at(&cluster.url());
    browser.move_to(again.addr());
    assert_eq!(visit(&mut browser), None);
    log_in(&mut browser, "alice");
    assert_eq!(visit(&mut browser), somebody("alice", 1));
}

/// Every entry of every index is a session of a user.
fn assert_indexed(server: &Server, place: &str) {
    for index in server.keys().iter().filter(|key| key.ends_with(":user")) {
        let session = index.strip_suffix("user").unwrap();
        for id in server.command(&["ZRANGE", index, "0", "-1"]).list() {
            let key = format!("{session}session:{}", id.text());
            let user = server.command(&["HEXISTS", &key, "~user"]);
            assert_eq!(user.int(), 1, "{place}: {key} is in the index alone");
        }
    }
}
