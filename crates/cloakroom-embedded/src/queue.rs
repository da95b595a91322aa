//! What waits to be written, and who waits for it.
//!
//! What is urgent gathers in a batch; all who put something into it wait for that batch together.
//! What is not urgent lies beside it, the latest state of each record alone, and goes along once a
//! second. Every record is queued under the lock of its shard, so the order here is the memory's.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use cloakroom::SessionId;
use cloakroom::engine::{Changes, Packed};
use cloakroom::store::Happened;
use event_listener::Event;

use crate::log::Writes;
use crate::sync::{Condvar, Mutex, MutexGuard, OnceLock, now};

/// How long a renewed end may lie in memory alone.
const TOUCHES_WITHIN: Duration = Duration::from_secs(1);
/// How often the writer is sent to sweep.
const SWEPT_EVERY: Duration = Duration::from_secs(1);
/// How many bytes may wait before more has to wait for room; in the models two sessions.
const FULL: usize = if cfg!(shuttle) { 250 } else { 16 * 1024 * 1024 };

#[derive(Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    /// Told when there may be work for the writer.
    work: Condvar,
    /// How long a batch gathers before it is written; zero where somebody waits for it.
    window: Duration,
}

#[derive(Default)]
struct State {
    gathering: Writes,
    bytes: usize,
    gathering_since: Option<Instant>,
    /// Of those whose changes are gathering.
    batch: Arc<Batch>,
    /// Of those whose changes are being written.
    under_way: Option<Arc<Batch>>,
    touched: Writes,
    touched_since: Option<Instant>,
    swept: Option<Instant>,
    /// Why nothing is taken at the moment.
    closed: Option<Arc<str>>,
    ending: bool,
}

/// Those who wait for one transaction.
#[derive(Default)]
pub(crate) struct Batch {
    outcome: OnceLock<Result<(), Failure>>,
    finished: Event,
}

/// Why something was not written, as far as that is known.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct Failure {
    pub(crate) happened: Happened,
    pub(crate) reason: Arc<str>,
}

/// What the writer is to do next.
pub(crate) enum Work {
    /// And then to [finish](Queue::written).
    Write(Writes),
    Sweep,
    /// Everything is written, and nothing will come.
    End,
}

impl Queue {
    pub(crate) fn new(window: Duration) -> Self {
        Self { window, ..Self::default() }
    }

    /// Queues what a verb changed. Answers the batch after which everything is safe that the verb
    /// can have seen; `None` if it is already.
    pub(crate) fn note(&self, changes: Changes<'_>) -> Result<Option<Arc<Batch>>, Failure> {
        let writes: Vec<_> = changes.records().map(|(id, packed)| (id, packed.cloned())).collect();
        let mut guard = self.state();
        let state = &mut *guard;
        if let Some(reason) = &state.closed {
            return Err(Failure { happened: Happened::No, reason: reason.clone() });
        }
        for (id, packed) in writes {
            // What gathers stays the latest: nothing older may be written after it.
            if changes.urgent() || state.gathering.contains_key(&id) {
                state.touched.remove(&id);
                state.bytes += weight(&packed);
                if let Some(before) = state.gathering.insert(id, packed) {
                    state.bytes -= weight(&before);
                }
            } else {
                state.touched.insert(id, packed);
            }
        }
        if !state.touched.is_empty() && state.touched_since.is_none() {
            state.touched_since = Some(now());
        }
        if !state.gathering.is_empty() {
            if state.gathering_since.is_none() {
                state.gathering_since = Some(now());
                self.work.notify_one();
            }
            return Ok(Some(state.batch.clone()));
        }
        Ok(state.under_way.clone())
    }

    /// The batch to wait for before more is queued; `None` if there is room.
    pub(crate) fn no_room(&self) -> Option<Arc<Batch>> {
        let state = self.state();
        if state.bytes < FULL {
            return None;
        }
        self.work.notify_one();
        Some(state.under_way.clone().unwrap_or_else(|| state.batch.clone()))
    }

    /// As [`note`](Self::note), of nothing.
    pub(crate) fn behind(&self) -> Result<Option<Arc<Batch>>, Failure> {
        let state = self.state();
        match &state.closed {
            Some(reason) => Err(Failure { happened: Happened::No, reason: reason.clone() }),
            None if state.gathering.is_empty() => Ok(state.under_way.clone()),
            None => Ok(Some(state.batch.clone())),
        }
    }

    /// Waits for work. Called by the writer alone.
    pub(crate) fn next(&self) -> Work {
        let mut guard = self.state();
        loop {
            let state = &mut *guard;
            let now = now();
            // A window that no clock can tell the end of is one without an end.
            let due = |since: Option<Instant>, within| since?.checked_add(within);
            let at_once = |since: Option<Instant>, at| if state.ending { since } else { at };
            let gathered = at_once(state.gathering_since, due(state.gathering_since, self.window));
            let gathered = if state.bytes >= FULL { state.gathering_since } else { gathered };
            let touches = due(state.touched_since, TOUCHES_WITHIN.max(self.window));
            let touches = at_once(state.touched_since, touches);
            // First, for under steady load there is always something to write.
            let sweep = state.swept.map_or(now, |swept| swept + SWEPT_EVERY);
            if sweep <= now && !state.ending {
                state.swept = Some(now);
                return Work::Sweep;
            }
            let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
            if is_due(gathered) || is_due(touches) {
                let mut writes = std::mem::take(&mut state.gathering);
                state.gathering_since = None;
                state.bytes = 0;
                if is_due(touches) {
                    // Neither holds a record of the other.
                    writes.extend(std::mem::take(&mut state.touched));
                    state.touched_since = None;
                }
                state.under_way = Some(std::mem::take(&mut state.batch));
                return Work::Write(writes);
            }
            if state.ending {
                return Work::End;
            }
            let until = [gathered, touches].into_iter().flatten().fold(sweep, Instant::min);
            let waited = self.work.wait_timeout(guard, until.saturating_duration_since(now));
            guard = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The batch under way is safe.
    pub(crate) fn written(&self) {
        let batch = self.state().under_way.take();
        if let Some(batch) = batch {
            batch.finish(Ok(()));
        }
    }

    /// Nothing more is taken; whoever waits hears why. What was being written may be in the file;
    /// what had not been begun will never be.
    pub(crate) fn close(&self, reason: &str) {
        let reason: Arc<str> = reason.into();
        let (under_way, gathering) = {
            let mut state = self.state();
            state.closed = Some(reason.clone());
            state.gathering.clear();
            state.gathering_since = None;
            state.bytes = 0;
            state.touched.clear();
            state.touched_since = None;
            (state.under_way.take(), std::mem::take(&mut state.batch))
        };
        if let Some(batch) = under_way {
            batch.finish(Err(Failure { happened: Happened::Perhaps, reason: reason.clone() }));
        }
        gathering.finish(Err(Failure { happened: Happened::No, reason }));
    }

    pub(crate) fn open(&self) {
        self.state().closed = None;
    }

    /// The writer writes what is left, and ends.
    pub(crate) fn end(&self) {
        self.state().ending = true;
        self.work.notify_one();
    }

    /// Waits until it is to end, for so long at most; says whether it is.
    pub(crate) fn ends_within(&self, time: Duration) -> bool {
        let guard = self.state();
        let waited = self.work.wait_timeout_while(guard, time, |state| !state.ending);
        waited.unwrap_or_else(PoisonError::into_inner).0.ending
    }

    /// Nothing panics while it holds this lock.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn weight(packed: &Option<Packed>) -> usize {
    SessionId::BYTES + packed.as_ref().map_or(0, |packed| packed.bytes().len())
}

impl Batch {
    fn finish(&self, outcome: Result<(), Failure>) {
        // Finished once, by whoever took it out of the queue.
        let _ = self.outcome.set(outcome);
        self.finished.notify(usize::MAX);
    }

    /// Waits for the transaction.
    pub(crate) async fn outcome(&self) -> Result<(), Failure> {
        loop {
            // Listens before it looks, so that the end is not missed in between.
            let finished = self.finished.listen();
            if let Some(outcome) = self.outcome.get() {
                return outcome.clone();
            }
            finished.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use cloakroom::engine::Engine;
    use cloakroom::store::Create;
    use cloakroom::{Clock, Prefix, Settings, TokenMint};

    use super::*;

    /// Under steady load there is always something to write; a sweep is not put off by it.
    #[test]
    fn a_sweep_that_is_due_comes_before_what_waits_to_be_written() {
        let (queue, engine) = (Queue::new(Duration::ZERO), Engine::new(Clock::system(), 10));
        let mint = TokenMint::new(Prefix::default(), "session", None);
        let (id, fields) = (mint.issue_anonymous().unwrap().id, BTreeMap::new());
        let lifetime = Settings::default().anonymous;
        let new = Create { id: &id, lifetime, remembered: false, fields: &fields, login: None };
        let (created, noted) = engine.create(&new, |changes| queue.note(changes));
        assert!(created.is_ok() && noted.is_ok());
        assert!(matches!(queue.next(), Work::Sweep));
        assert!(matches!(queue.next(), Work::Write(_)));
    }
}
