//! A binary under test, such as the demo, as a process of its own.
//!
//! It starts with the environment that the test names and, of the test's own, only what a program needs
//! to run at all: what a developer has set (`REDIS_URL`, `SECRET_KEY`, `RUST_LOG`) decides no test.
//!
//! A program that serves is given port 0, and prints where it listens in a line that holds
//! `http://127.0.0.1:PORT`, on either output.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::child::{OwnChild, eventually};

/// How long a program may take to say what is waited for, or to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a program is given of the test's own environment: where to find and put files, and what its
/// measurement of coverage and a report of its panic need.
const KEPT: [&str; 6] =
    ["PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "LLVM_PROFILE_FILE", "RUST_BACKTRACE"];

/// A running program. Dropping it kills it.
#[derive(Debug)]
pub struct Program {
    child: Mutex<OwnChild>,
    said: Arc<Said>,
}

impl Program {
    /// Starts a program, which a test names with `env!("CARGO_BIN_EXE_...")`, and does not wait for
    /// anything.
    pub fn start(path: impl AsRef<OsStr>, args: &[&str], env: &[(&str, &str)]) -> Self {
        let path = path.as_ref();
        let mut command = Command::new(path);
        command
            .args(args)
            .env_clear()
            .envs(KEPT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let (child, stdout, stderr) = OwnChild::spawn_piped(&mut command)
            .unwrap_or_else(|error| panic!("{} can't be run: {error}", path.display()));

        let said = Arc::new(Said::default());
        said.listen(stdout);
        said.listen(stderr);
        Self { child: Mutex::new(child), said }
    }

    /// Where it listens; waits until it has said so.
    ///
    /// # Panics
    /// If it ends, or half a minute goes by, before.
    #[track_caller]
    pub fn addr(&self) -> SocketAddr {
        let Some(addr) = self.said.wait_for(address_in) else {
            panic!("it did not say where it listens; it said:\n{}", self.log());
        };
        addr
    }

    /// All it has written so far to both outputs, line by line as the lines came.
    pub fn log(&self) -> String {
        self.said.lock().text.clone()
    }

    /// Waits until it has written this, and returns the first line that holds it.
    ///
    /// # Panics
    /// If it ends, or half a minute goes by, before.
    #[track_caller]
    pub fn wait_for_log(&self, needle: &str) -> String {
        let line = |text: &str| text.lines().find(|line| line.contains(needle)).map(str::to_owned);
        let Some(line) = self.said.wait_for(line) else {
            panic!("it did not say {needle:?}; it said:\n{}", self.log());
        };
        line
    }

    /// Its number, by which the system knows it.
    pub fn pid(&self) -> u32 {
        self.child().id()
    }

    /// Waits for its own end and returns its exit code; `None` if a signal ended it. After that the
    /// [`log`](Self::log) is complete.
    ///
    /// # Panics
    /// If it has not ended after half a minute.
    #[track_caller]
    pub fn wait(&self) -> Option<i32> {
        // The lock is let go between two looks, so that another thread may still kill it.
        let Some(status) = eventually(PATIENCE, || self.child().ended()) else {
            panic!("it does not end; it said:\n{}", self.log());
        };
        self.said.wait_for_end();
        status.code()
    }

    /// Asks it to end (SIGTERM) and waits like [`wait`](Self::wait).
    #[track_caller]
    pub fn terminate(&self) -> Option<i32> {
        self.child().signal(Signal::TERM);
        self.wait()
    }

    /// Kills it (SIGKILL) and waits until it is gone.
    pub fn kill(&self) {
        self.child().kill();
        self.said.wait_for_end();
    }

    fn child(&self) -> MutexGuard<'_, OwnChild> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The `127.0.0.1:PORT` behind the first `http://` of a complete line.
fn address_in(text: &str) -> Option<SocketAddr> {
    let (_, rest) = text.split_once("http://127.0.0.1:")?;
    let port = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    Some((Ipv4Addr::LOCALHOST, port.parse().ok()?).into())
}

/// What a program has said.
#[derive(Debug, Default)]
struct Said {
    lines: Mutex<Lines>,
    /// Told at each line and at the end of an output.
    more: Condvar,
}

#[derive(Debug, Default)]
struct Lines {
    text: String,
    /// How many outputs are still open.
    open: usize,
}

impl Said {
    /// Reads an output in a thread, which ends with that output.
    fn listen(self: &Arc<Self>, output: impl Read + Send + 'static) {
        self.lock().open += 1;
        let said = Arc::clone(self);
        thread::spawn(move || {
            let mut output = BufReader::new(output);
            let mut line = Vec::new();
            while output.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                said.lock().text.push_str(&String::from_utf8_lossy(&line));
                line.clear();
                said.more.notify_all();
            }
            said.lock().open -= 1;
            said.more.notify_all();
        });
    }

    /// Waits until `find` finds something in what was said; `None` if that can't happen any more, or
    /// takes too long.
    fn wait_for<T>(&self, find: impl Fn(&str) -> Option<T>) -> Option<T> {
        let waits = |lines: &mut Lines| find(&lines.text).is_none() && lines.open > 0;
        let (lines, _) = self.more.wait_timeout_while(self.lock(), PATIENCE, waits).unwrap();
        find(&lines.text)
    }

    /// Waits for what is still on the way; not for long, because a child of the program may have
    /// inherited its outputs and outlive it.
    fn wait_for_end(&self) {
        let limit = Duration::from_secs(2);
        drop(self.more.wait_timeout_while(self.lock(), limit, |lines| lines.open > 0).unwrap());
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, env: &[(&str, &str)]) -> Program {
        Program::start("sh", &["-c", script], env)
    }

    #[test]
    fn the_address_is_read_from_either_output() {
        for output in [1, 2] {
            let script = format!("echo starting; echo 'on http://127.0.0.1:4711/ now' >&{output}");
            let program = shell(&format!("{script}; exec sleep 600"), &[]);
            assert_eq!(program.addr().to_string(), "127.0.0.1:4711");
            assert_eq!(program.wait_for_log("starting"), "starting");
            program.kill();
        }
    }

    #[test]
    #[should_panic(expected = "no key")]
    fn a_program_that_ends_without_an_address_is_shown_with_what_it_said() {
        shell("echo no key >&2; exit 2", &[]).addr();
    }

    #[test]
    fn it_is_asked_to_end_and_its_last_words_are_kept() {
        let script = "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.01; done";
        let program = shell(script, &[]);
        program.wait_for_log("ready");
        assert_eq!(program.terminate(), Some(3));
        assert_eq!(program.log(), "ready\nbye\n");
        assert_eq!(program.terminate(), Some(3));
    }

    #[test]
    fn a_signal_leaves_no_exit_code() {
        let program = shell("echo ready; exec sleep 600", &[]);
        program.wait_for_log("ready");
        assert_eq!(program.terminate(), None);
    }

    #[test]
    fn its_environment_is_what_the_test_names() {
        // Cargo sets this one for the test itself.
        assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
        let program =
            shell("echo ${CARGO_MANIFEST_DIR-unset} $REDIS_URL", &[("REDIS_URL", "redis://x")]);
        assert_eq!(program.wait(), Some(0));
        assert_eq!(program.log(), "unset redis://x\n");
    }
}
