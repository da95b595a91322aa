//! A server whose clock steps, by a library between it and the system.
//!
//! The library is libfaketime, and `CLOAKROOM_TEST_FAKETIME` names it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tempfile::TempDir;

use crate::child::eventually;
use crate::server::Server;

/// How long a server may take to see that its clock stepped.
const STEP: Duration = Duration::from_secs(10);

/// A server by a clock of its own.
#[derive(Debug)]
pub struct ByAnotherClock {
    /// The server.
    pub server: Server,
    hands: PathBuf,
    _folder: TempDir,
}

impl ByAnotherClock {
    /// The first server to be tested that runs with the library, by our clock at first; not every build
    /// of one does.
    ///
    /// # Panics
    /// If the library is not there, or no server runs with it.
    pub fn start() -> Self {
        let library = std::env::var("CLOAKROOM_TEST_FAKETIME");
        let library = library.expect("no libfaketime: run `cargo xtask test`, which fetches it");
        let folder = tempfile::tempdir().unwrap();
        let hands = folder.path().join("hands");
        set(&hands, 0);
        for executable in Server::every_executable() {
            let program = folder.path().join("server");
            let script = format!(
                "#!/bin/sh\nexport FAKETIME_TIMESTAMP_FILE={hands} FAKETIME_NO_CACHE=1 \
                 FAKETIME_DONT_FAKE_MONOTONIC=1\nLD_PRELOAD={library} exec {executable} \"$@\"\n",
                hands = hands.display(),
                executable = executable.display()
            );
            fs::write(&program, script).unwrap();
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
            if says_its_version(&program) {
                let server = Server::start_with(&program, &[]);
                return Self { server, hands, _folder: folder };
            }
        }
        panic!("no server to test with runs with libfaketime: Valkey 9.1 of the wheel does");
    }

    /// From now on its clock is so far from ours.
    ///
    /// # Panics
    /// If it is not: the library was not loaded.
    #[track_caller]
    pub fn stands_at(&self, minutes: i32) {
        set(&self.hands, minutes);
        // It looks at its clock between the commands of one round and those of the next.
        let steps = || (self.minutes() == i64::from(minutes)).then_some(());
        assert!(eventually(STEP, steps).is_some(), "its clock did not step");
    }

    /// How far its clock is from ours: the next whole number, however long the answer took.
    fn minutes(&self) -> i64 {
        #[expect(
            clippy::disallowed_methods,
            reason = "the clock that the server's is compared with"
        )]
        let ours = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let ours = i64::try_from(ours.as_secs()).unwrap();
        let its: i64 = self.server.command(&["TIME"]).list()[0].text().parse().unwrap();
        (its - ours + 30).div_euclid(60)
    }
}

fn set(hands: &Path, minutes: i32) {
    fs::write(hands, format!("{:+}\n", 60 * minutes)).unwrap();
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
