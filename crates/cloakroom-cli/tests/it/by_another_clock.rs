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

/// The hash of the one session of a user.
fn handle(server: &Server, user: &str) -> String {
    let keys = server.keys().into_iter().filter(|key| key.contains(":session:"));
    let mut theirs = keys.filter(|key| server.command(&["HGET", key, "~user"]).text() == user);
    theirs.next().expect("a session").rsplit(':').next().unwrap().to_owned()
}
