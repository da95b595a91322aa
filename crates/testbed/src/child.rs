//! Processes that end with the test that started them.
//!
//! 1. A process is signalled only through the handle that started it, and only until it has been
//!    waited for: that long its number belongs to nobody else.
//! 2. Dropping the handle kills the process, so a test that panics leaves none behind.
//! 3. The process stays in the test's process group, so whoever kills the group of a test that hangs
//!    takes it along: then no `Drop` runs.

use std::io;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

/// Asks `probe` until it answers, for at most `limit`; `None` if it never did.
///
/// For what tells nobody when it happens: a server becoming ready, a process ending. It asks at once,
/// then after short and growing pauses, so it is quick when the answer is near and leaves the
/// processor to those it waits for when it is not. It asks at least once, and once more when the limit
/// has passed.
pub fn eventually<T>(limit: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    let mut pause = Duration::from_millis(1);
    loop {
        let last = Instant::now() >= end;
        match probe() {
            None if last => return None,
            None => {
                // Nothing tells us when a process or a file is ready, so it is asked again.
                thread::sleep(pause.min(end.saturating_duration_since(Instant::now())));
                pause = (pause * 2).min(Duration::from_millis(20));
            }
            answer => return answer,
        }
    }
}

/// A child process that is killed when this handle is dropped.
#[derive(Debug)]
pub(crate) struct OwnChild(Child);

impl OwnChild {
    pub(crate) fn spawn(command: &mut Command) -> io::Result<Self> {
        command.spawn().map(Self)
    }

    /// The same for a command whose outputs are pipes.
    pub(crate) fn spawn_piped(
        command: &mut Command,
    ) -> io::Result<(Self, ChildStdout, ChildStderr)> {
        let mut child = Self::spawn(command)?;
        let (stdout, stderr) = (child.0.stdout.take().unwrap(), child.0.stderr.take().unwrap());
        Ok((child, stdout, stderr))
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().unwrap()
    }

    /// Sends a signal; to a process that has ended, none.
    pub(crate) fn signal(&mut self, signal: Signal) {
        if self.ended().is_none() {
            rustix::process::kill_process(Pid::from_child(&self.0), signal).unwrap();
        }
    }

    /// Stops it (SIGSTOP), and returns when it stands still: a signal alone only arrives some time.
    pub(crate) fn stop(&mut self) {
        self.signal(Signal::STOP);
        // NOWAIT leaves the state for std to collect; EXITED, or a process that died instead would
        // be waited for without end.
        let states = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        if self.ended().is_none() {
            rustix::process::waitid(WaitId::Pid(Pid::from_child(&self.0)), states).unwrap();
        }
    }

    /// Kills it (SIGKILL) and waits until it is gone.
    ///
    /// There is no SIGCONT before: SIGKILL ends a stopped process too, and one that is let go on first
    /// may still answer.
    pub(crate) fn kill(&mut self) {
        // Fails only if it has ended already, and then the wait below returns at once.
        let _ = self.0.kill();
        self.0.wait().unwrap();
    }
}

impl Drop for OwnChild {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eventually_asks_until_there_is_an_answer_and_no_longer_than_the_limit() {
        let mut asked = 0;
        let answer = eventually(Duration::from_secs(10), || {
            asked += 1;
            (asked == 4).then_some("yes")
        });
        assert_eq!((answer, asked), (Some("yes"), 4));

        let start = Instant::now();
        assert_eq!(eventually(Duration::from_millis(30), || None::<()>), None);
        assert!(start.elapsed() >= Duration::from_millis(30));
    }

    #[test]
    fn a_stopped_process_stands_still_at_once() {
        let mut child = OwnChild::spawn(Command::new("sleep").arg("600")).unwrap();
        let states = WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        for _ in 0..200 {
            child.stop();
            let pid = WaitId::Pid(Pid::from_child(&child.0));
            assert!(rustix::process::waitid(pid, states).unwrap().is_some());
            child.signal(Signal::CONT);
        }
    }

    #[test]
    fn a_dropped_handle_leaves_no_process() {
        let mut stopped = OwnChild::spawn(Command::new("sleep").arg("600")).unwrap();
        stopped.stop();
        let pid = Pid::from_child(&stopped.0);
        rustix::process::test_kill_process(pid).unwrap();
        drop(stopped);
        assert!(rustix::process::test_kill_process(pid).is_err(), "the process is still there");
    }
}
