//! A server whose clock steps.

mod rotation;

use testbed::{ByAnotherClock, Server};

use crate::demo::*;

// Proves F33.
#[test]
fn a_step_of_the_servers_clock_is_a_step_of_every_sessions_time_and_nothing_else() {
    let clock = ByAnotherClock::start();
    let server = &clock.server;
    // Half an hour unused, at most.
    let demo = on(server);
    let mut alice = logged_in_at(demo.addr(), "alice");
    let mut bob = logged_in_at(demo.addr(), "bob");
    assert_eq!(visit(&mut alice), somebody("alice", 1));

    clock.stands_at(29);
    assert_eq!(visit(&mut alice), somebody("alice", 2));
    // Back, as when somebody corrects it: nobody is logged out, and a use gives half an hour from now.
    clock.stands_at(-5);
    assert_eq!(visit(&mut alice), somebody("alice", 3));
    for key in server.keys().iter().filter(|key| key.contains(":session:")) {
        let most =
            30 * 60_000 + if key.contains(&handle(server, "alice")) { 0 } else { 5 * 60_000 };
        let left = server.ttl_ms(key);
        assert!((0..=most).contains(&left), "{key}: {left}");
    }
    clock.stands_at(24);
    assert_eq!(visit(&mut alice), somebody("alice", 4));
    // Bob has used nothing since; to the server it is the last minute of his half hour.
    assert_eq!(visit(&mut bob), somebody("bob", 1));
    clock.stands_at(24 + 31);
    assert_eq!((visit(&mut alice), visit(&mut bob)), (None, None));
    assert_eq!(server.keys_without_ttl(), [""; 0]);
    // And everybody can log in again.
    log_in(&mut alice, "alice");
    assert_eq!(visit(&mut alice), somebody("alice", 1));
}

/// Used all the time, at two instances, and over the moment in which it ends.
// Proves R27.
#[test]
fn a_session_in_use_ends_at_its_absolute_limit_at_every_instance() {
    let clock = ByAnotherClock::start();
    let url = clock.server.url();
    let demos =
        [(); 2].map(|()| serve(&["--absolute", "2h"], &[("SECRET_KEY", KEY), ("REDIS_URL", &url)]));
    let mut alice = logged_in_at(demos[0].addr(), "alice");
    let token = token(&alice);
    for visits in 1..=6 {
        clock.stands_at(i32::try_from(visits).unwrap() * 19);
        alice.move_to(demos[visits as usize % 2].addr());
        assert_eq!(visit(&mut alice), somebody("alice", visits));
    }
    // Six minutes after the last visit, and two hours after the login.
    clock.stands_at(120);
    for demo in &demos {
        assert_eq!(seen_with(demo.addr(), &token), None);
    }
    assert_eq!(clock.server.keys_without_ttl(), [""; 0]);
    // Back before it, when somebody corrects the clock: it does not come back.
    clock.stands_at(110);
    assert_eq!(visit(&mut alice), None);
}

/// The hash of the one session of a user.
fn handle(server: &Server, user: &str) -> String {
    let keys = server.keys().into_iter().filter(|key| key.contains(":session:"));
    let mut theirs = keys.filter(|key| server.command(&["HGET", key, "~user"]).text() == user);
    theirs.next().expect("a session").rsplit(':').next().unwrap().to_owned()
}
