//! The thread that writes: one transaction after another, and the sweeper between them. It is also
//! the one that opens the file again after it failed.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cloakroom::SessionId;
use cloakroom::engine::{Engine, Packed};

use crate::file::{OpenError, Sessions};
use crate::log::Writes;
use crate::queue::{Queue, Work};

/// How long to wait before a file that failed is tried again.
const TRIED_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What the store and its writer share.
pub(crate) struct Shared {
    pub(crate) engine: Engine,
    pub(crate) queue: Queue,
    pub(crate) path: PathBuf,
}

/// Opens the file.
pub(crate) type Open = Box<dyn Fn() -> Result<Sessions, OpenError> + Send>;

/// Writes until the store is dropped.
pub(crate) fn run(shared: &Arc<Shared>, mut sessions: Sessions, open: &Open) {
    let _closed = Closed(shared);
    // On a disk that is too full to be tidied, reads go on.
    let mut tidies = true;
    loop {
        let done = match shared.queue.next() {
            Work::Write(writes) => {
                let written = sessions.write(&writes);
                tidies = written.is_ok();
                if written.is_ok() {
                    shared.queue.written();
                }
                written
            }
            Work::Sweep => {
                shared.engine.sweep(|changes| {
                    // Refused only while the file fails, and found expired again after it.
                    let _ = shared.queue.note(changes);
                });
                let tidied = if tidies { sessions.tidy() } else { Ok(()) };
                tidies &= tidied.is_ok();
                tidied
            }
            Work::End => return,
        };
        if let Err(problem) = done {
            let path = shared.path.display();
            tracing::error!(event = "file_failed", %path, problem, "sessions can't be written: every request that needs one is refused until they can");
            shared.queue.close(&format!("the file can't be written: {problem}"));
            drop(sessions);
            let Some(again) = reopen(shared, open) else { return };
            sessions = again;
            tracing::warn!(event = "file_reopened", %path, "sessions can be written again");
        }
    }
}

/// Tries until the file can be opened and written to, and has the memory hold what it holds; `None`
/// if the store ends before.
fn reopen(shared: &Shared, open: &Open) -> Option<Sessions> {
    loop {
        if shared.queue.ends_within(TRIED_AGAIN_AFTER) {
            return None;
        }
        match open().and_then(|sessions| read(shared, sessions)) {
            Ok((sessions, records)) => {
                // Nobody is in a shard now, so nobody sees the store open with another memory.
                shared.engine.replace(records, || shared.queue.open());
                return Some(sessions);
            }
            Err(problem) => {
                tracing::error!(event = "file_still_fails", %problem);
            }
        }
    }
}

/// What the file holds that has not expired. The rest is removed from it, which shows as well that
/// it can be written.
pub(crate) fn read(
    shared: &Shared,
    mut sessions: Sessions,
) -> Result<(Sessions, Vec<(SessionId, Packed)>), OpenError> {
    let now = shared.engine.clock().now();
    let mut records = sessions.take_records();
    let expired = records.extract_if(.., |(_, packed)| packed.expires_at() <= now);
    let expired: Writes = expired.map(|(id, _)| (id, None)).collect();
    sessions.write(&expired).map_err(|problem| sessions.not_written(problem))?;
    sessions.compact()?;
    Ok((sessions, records))
}

/// Whatever ends the writer, nobody waits for it any more.
struct Closed<'a>(&'a Shared);

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        self.0.queue.close("the store has ended");
    }
}
