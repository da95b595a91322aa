//! A server whose clock steps, by a library between it and the system.

mod rotation;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use testbed::{Server, eventually};

use crate::demo::*;

/// How far a server's clock is from ours.
struct Hands(PathBuf);

impl Hands {
    fn stand_at(&self, minutes: i32) {
        fs::write(&self.0, format!("{:+}\n", 60 * minutes)).unwrap();
    }
}

/// The first server to be tested that runs with the library; not every build of one does.
fn server_by_another_clock(folder: &Path) -> (Server, Hands) {
    let library = std::env::var("CLOAKROOM_TEST_FAKETIME");
    let library = library.expect("no libfaketime: run `cargo xtask test`, which fetches it");
    let hands = Hands(folder.join("hands"));
    hands.stand_at(0);
    for executable in Server::every_executable() {
        let program = folder.join("server");
        let script = format!(
            "#!/bin/sh\nexport FAKETIME_TIMESTAMP_FILE={hands} FAKETIME_NO_CACHE=1 \
             FAKETIME_DONT_FAKE_MONOTONIC=1\nLD_PRELOAD={library} exec {executable} \"$@\"\n",
            hands = hands.0.display(),
            executable = executable.display()
        );
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        if says_its_version(&program) {
            return (Server::start_with(&program, &[]), hands);
        }
    }
    panic!("no server to test with runs with libfaketime: Valkey 9.1 of the wheel does");
}

/// One that was built with an allocator of its own stands still before it has begun.
fn says_its_version(program: &Path) -> bool {
    let mut asked = Command::new(program);
    asked.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = asked.spawn().unwrap();
    let ended = eventually(Duration::from_secs(10), || child.try_wait().unwrap());
    if ended.is_none() {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    ended.is_some_and(|status| status.success())
}

// Proves F33.
#[test]
fn a_step_of_the_servers_clock_is_a_step_of_every_sessions_time_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let (server, hands) = server_by_another_clock(folder.path());
    // Half an hour unused, at most.
    let demo = on(&server);
    let mut alice = logged_in_at(demo.addr(), "alice");
    let mut bob = logged_in_at(demo.addr(), "bob");
    assert_eq!(visit(&mut alice), somebody("alice", 1));

    hands.stand_at(29);
    assert_eq!(visit(&mut alice), somebody("alice", 2));
    // Back, as when somebody corrects it: nobody is logged out, and a use gives half an hour from now.
    hands.stand_at(-5);
    assert_eq!(visit(&mut alice), somebody("alice", 3));
    for key in server.keys().iter().filter(|key| key.contains(":session:")) {
        let most =
            30 * 60_000 + if key.contains(&handle(&server, "alice")) { 0 } else { 5 * 60_000 };
        let left = server.ttl_ms(key);
        assert!((0..=most).contains(&left), "{key}: {left}");
    }
    hands.stand_at(24);
    assert_eq!(visit(&mut alice), somebody("alice", 4));
    // Bob has used nothing since; to the server it is the last minute of his half hour.
    assert_eq!(visit(&mut bob), somebody("bob", 1));
    hands.stand_at(24 + 31);
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
