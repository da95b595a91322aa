//! What the store's users and its writer share: locks, and the time by which the writer waits.
//!
//! They are the system's. In the models (`cargo xtask models`, which compiles with `--cfg shuttle`) they
//! are a model checker's, which decides at each use of one whose turn it is, and time stands still there:
//! nothing becomes due by waiting.

#[cfg(shuttle)]
use shuttle as from;
#[cfg(not(shuttle))]
use std as from;

use std::time::Instant;

pub(crate) use from::sync::{Condvar, Mutex, MutexGuard};
pub(crate) use from::thread;

#[cfg(not(shuttle))]
pub(crate) use std::sync::OnceLock;

/// The time.
pub(crate) fn now() -> Instant {
    #[cfg(shuttle)]
    {
        static STANDS_AT: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        *STANDS_AT.get_or_init(Instant::now)
    }
    #[cfg(not(shuttle))]
    Instant::now()
}

/// The system's, and somebody else's turn may come before and after it is read.
#[cfg(shuttle)]
pub(crate) struct OnceLock<T> {
    inner: std::sync::OnceLock<T>,
    turn: shuttle::sync::atomic::AtomicBool,
}

#[cfg(shuttle)]
impl<T> OnceLock<T> {
    pub(crate) fn get(&self) -> Option<&T> {
        self.turn.load(std::sync::atomic::Ordering::SeqCst);
        let value = self.inner.get();
        self.turn.load(std::sync::atomic::Ordering::SeqCst);
        value
    }

    pub(crate) fn set(&self, value: T) -> Result<(), T> {
        self.turn.store(true, std::sync::atomic::Ordering::SeqCst);
        self.inner.set(value)
    }
}

#[cfg(shuttle)]
impl<T> Default for OnceLock<T> {
    fn default() -> Self {
        Self { inner: std::sync::OnceLock::new(), turn: Default::default() }
    }
}
