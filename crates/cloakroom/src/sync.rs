//! What threads share: locks, counters and channels.
//!
//! They are the system's. In the models (`cargo xtask models`, which compiles with `--cfg shuttle`) they
//! are a model checker's, which decides at each use of one whose turn it is. What is not from here it
//! can't see: an [`Arc`](std::sync::Arc) needs nobody to decide anything.

#[cfg(shuttle)]
use shuttle as from;
#[cfg(not(shuttle))]
use std as from;

pub(crate) use from::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
pub(crate) use from::sync::{Mutex, MutexGuard, mpsc};
pub(crate) use from::thread;
