use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::store::Store;

/// What the conformance suite needs to know about a store under test. Each check gets a harness
/// value of its own; harnesses may share one server, for no check relies on being alone there.
///
/// The suite proves that a session is alive by the exact figures in its snapshot, and that one is
/// dead by letting time pass. So it never hopes to be quick, and runs as well on a slow machine.
pub trait Harness: Sync {
    /// The store.
    fn store(&self) -> Arc<dyn Store>;

    /// Another instance on the same data, as a second process would be: a connection of its own, no
    /// memory in common. Races go through both.
    fn second(&self) -> Arc<dyn Store> {
        self.store()
    }

    /// Lets at least this much time pass on the store's clock: moves a clock that is moved by hand,
    /// waits for a server. [`conformance_suite!`](crate::conformance_suite) asks for 300 ms at most,
    /// [`conformance_suite_of_hours!`](crate::conformance_suite_of_hours) for days.
    fn pass(&self, time: Duration);

    /// Runs a future to its end. A store that needs a runtime enters it here
    /// (`self.runtime.block_on(future)`); several threads call this at once.
    fn run<F>(&self, future: F) -> F::Output
    where
        F: Future + Send,
        F::Output: Send,
    {
        pollster::block_on(future)
    }

    /// Whether a login across users takes two steps, as [`Store::rotate`] allows.
    fn logs_in_by_two_steps(&self) -> bool {
        false
    }

    /// How many rounds a race is run. Races that need many threads run a share of it.
    fn rounds(&self) -> u32 {
        10_000
    }
}
