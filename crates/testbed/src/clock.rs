//! A server whose clock steps, or stands still, by a library between it and the system.
//!
//! The library is libfaketime, and `CLOAKROOM_TEST_FAKETIME` names it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tempfile::TempDir;

use crate::child::eventually;
use crate::server::Server;

/// How long a server may take to begin, and to see that its clock stepped.
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
    /// A server to be tested that runs with the library, by our clock at first; not every build of one
    /// does.
    ///
    /// # Panics
    /// If the library is not there, or no server runs with it.
    pub fn start() -> Self {
        let library = std::env::var("CLOAKROOM_TEST_FAKETIME");
        let library = library.expect("no libfaketime: run `cargo xtask test`, which fetches it");
        let folder = tempfile::tempdir().unwrap();
        let hands = folder.path().join("hands");
        set(&hands, &by(0));
        let program = |number: usize, executable: PathBuf| {
            let program = folder.path().join(format!("server-{number}"));
            let script = format!(
                "#!/bin/sh\nexport TZ=UTC FAKETIME_TIMESTAMP_FILE={hands} FAKETIME_FMT=%s \
                 FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1\nLD_PRELOAD={library} exec {executable} \"$@\"\n",
                hands = hands.display(),
                executable = executable.display()
            );
            fs::write(&program, script).unwrap();
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
            program
        };
        let executables = Server::every_executable().into_iter().enumerate();
        let programs = executables.map(|(number, executable)| program(number, executable));
        let Some(program) = one_that_runs(programs.collect()) else {
            panic!("no server to test with runs with libfaketime: Valkey 9.1 of the wheel does")
        };
        Self { server: Server::start_with(&program, &[]), hands, _folder: folder }
    }

    /// From now on its clock is so far from ours.
    ///
    /// # Panics
    /// If it is not: the library was not loaded.
    #[track_caller]
    pub fn stands_at(&self, minutes: i32) {
        set(&self.hands, &by(minutes));
        // It looks at its clock between the commands of one round and those of the next.
        let steps = || (self.minutes() == i64::from(minutes)).then_some(());
        assert!(eventually(STEP, steps).is_some(), "its clock did not step");
    }

    /// From now on its clock shows this instant, in milliseconds since 1970, and goes no further.
    ///
    /// # Panics
    /// If it does not: the library was not loaded.
    #[track_caller]
    pub fn stands_still_at(&self, millis: u64) {
        // Valkey counts on by itself between two looks at its clock, for less than a millisecond: so it
        // begins at the first instant of this one, but for half a microsecond, as the library rounds.
        set(&self.hands, &format!("{}.{:03}0005", millis / 1000, millis % 1000));
        let shows = || {
            let time = self.server.command(&["TIME"]);
            let part = |at: usize| time.list()[at].text().parse::<u64>().unwrap();
            (part(0) * 1000 + part(1) / 1000 == millis).then_some(())
        };
        assert!(eventually(STEP, shows).is_some(), "its clock does not show {millis}");
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

/// So far from our clock.
fn by(minutes: i32) -> String {
    format!("{:+}", 60 * minutes)
}

/// In one step: the server reads this whenever it looks at its clock.
fn set(hands: &Path, time: &str) {
    let new = hands.with_extension("new");
    fs::write(&new, format!("{time}\n")).unwrap();
    fs::rename(&new, hands).unwrap();
}

/// The first that says its version. One that was built with an allocator of its own stands still before it
/// has begun.
fn one_that_runs(programs: Vec<PathBuf>) -> Option<PathBuf> {
    let ask = |program: PathBuf| {
        let mut asked = Command::new(&program);
        let child = asked.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        (program, child.unwrap())
    };
    let mut asked: Vec<_> = programs.into_iter().map(ask).collect();
    let found = eventually(STEP, || {
        asked.iter_mut().find_map(|(program, child)| {
            child.try_wait().unwrap().filter(ExitStatus::success).map(|_| program.clone())
        })
    });
    for (_, child) in &mut asked {
        // One that has ended can't be killed, and need not be.
        let _ = child.kill();
        child.wait().unwrap();
    }
    found
}
