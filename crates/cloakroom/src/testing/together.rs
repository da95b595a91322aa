//! Many checks in one test, for a store that is dear to start.

use std::sync::Mutex;
use std::thread;

/// Runs every check, a few at a time, each in a thread of its name.
///
/// # Panics
/// If one has, after all have run, and names it.
pub fn run_together(checks: &[(&'static str, fn())]) {
    let waiting = Mutex::new(checks.iter());
    let failed = Mutex::new(Vec::new());
    let workers = thread::available_parallelism().map_or(2, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().unwrap().next();
                    let Some((name, check)) = next.copied() else { return };
                    let thread = thread::Builder::new().name(name.to_owned()).spawn(check);
                    if thread.unwrap().join().is_err() {
                        failed.lock().unwrap().push(name);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} of {} checks failed: {failed:?}", failed.len(), checks.len());
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn every_check_runs_and_those_that_fail_are_named() {
        static RUN: AtomicU32 = AtomicU32::new(0);
        fn good() {
            RUN.fetch_add(1, Ordering::SeqCst);
        }
        fn bad() {
            panic!("as it should");
        }
        run_together(&[("good", good as fn()); 9]);
        assert_eq!(RUN.load(Ordering::SeqCst), 9);
        let both: [(&'static str, fn()); 2] = [("good", good), ("bad", bad)];
        let panicked = std::panic::catch_unwind(|| run_together(&both));
        let said = *panicked.unwrap_err().downcast::<String>().unwrap();
        assert_eq!(said, "1 of 2 checks failed: [\"bad\"]");
        assert_eq!(RUN.load(Ordering::SeqCst), 10);
    }
}
