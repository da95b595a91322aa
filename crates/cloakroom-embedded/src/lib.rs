//! Cloakroom's store for one machine: no server, one folder, and sessions that outlive a restart, a
//! deploy and a `kill -9`.
//!
//! ```
//! use cloakroom::{Manager, Settings};
//! use cloakroom_embedded::{EmbeddedSettings, EmbeddedStore};
//!
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path().join("shop");
//! let store = EmbeddedStore::open(folder, EmbeddedSettings::default())?;
//! let manager = Manager::new(store, Settings::default());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! All live sessions stand in memory, as in [`MemoryStore`](cloakroom::MemoryStore), and the file is
//! their durable copy. A thread of the store writes what has changed, the changes of all who wait in
//! one transaction, and answers them when it is safe. No async runtime is needed.
//!
//! 1. A write is acknowledged when it is on the disk ([`Durability::EveryWrite`]), or at once
//!    ([`Durability::Window`]).
//! 2. A read never waits for the disk. It may show a write whose author has not been answered yet.
//! 3. A use that only renews a session's end is written within a second: a kill costs a session
//!    that much of its idle timeout, and nothing else.
//! 4. What can't be written down is not shown. When the file fails, every verb is refused until it
//!    could be opened again, and what it holds then is what the memory holds.
//! 5. A file has one owner: a second process is refused. A file that is damaged, or of a later
//!    layout, is refused too, with what to do. That a file lacks writes that were acknowledged is
//!    found as well, with a count beside it.
//!
//! What a write puts into the file does not grow with the number of sessions: the file is a log, of
//! which what no longer counts is dropped in passing.
//!
//! The folder holds the file `sessions.redb`, the count beside it (`acknowledged`) and `lock`. To copy
//! it, copy the whole folder while no process has it open.
//!
//! It is for one process on one machine whose live sessions fit in its memory. To share sessions
//! between machines, move to `cloakroom-redis`.

mod sync;
mod log;
mod witness;
mod file;
mod queue;
mod writer;
mod store;
mod upkeep;

pub use file::OpenError;
pub use store::{Durability, EmbeddedSettings, EmbeddedStore};
pub use upkeep::{Contents, check, compact, set_aside};
