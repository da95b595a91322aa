//! The suites over hours and days, against a server whose clock stands still until it is moved.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use cloakroom::records::Records;
use cloakroom::testing::Harness;
use cloakroom::testing::conformance::records::WithRecords;
use cloakroom::{Prefix, Store};
use cloakroom_redis::RedisStore;
use testbed::ByAnotherClock;
use tokio::runtime::Runtime;

/// Milliseconds since 1970.
const NOON: u64 = 1_763_880_000_000;

struct ByHand {
    runtime: Runtime,
    store: RedisStore,
    now: Mutex<u64>,
    /// Dropped last.
    clock: ByAnotherClock,
}

impl ByHand {
    fn start() -> Self {
        let clock = ByAnotherClock::start();
        clock.stands_still_at(NOON);
        let runtime = Runtime::new().unwrap();
        let store = {
            let _inside = runtime.enter();
            RedisStore::open(&clock.server.url(), Prefix::default()).unwrap()
        };
        Self { runtime, store, now: Mutex::new(NOON), clock }
    }
}

impl Harness for ByHand {
    fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.store.clone())
    }

    fn pass(&self, time: Duration) {
        let mut now = self.now.lock().unwrap();
        *now += u64::try_from(time.as_millis()).unwrap();
        self.clock.stands_still_at(*now);
    }

    fn rounds(&self) -> u32 {
        10
    }

    fn run<F>(&self, future: F) -> F::Output
    where
        F: Future + Send,
        F::Output: Send,
    {
        self.runtime.block_on(future)
    }
}

impl WithRecords for ByHand {
    fn records(&self) -> Arc<dyn Records> {
        Arc::new(self.store.clone())
    }
}

cloakroom::conformance_suite_of_hours!(ByHand::start);
cloakroom::conformance_suite_of_records_and_hours!(ByHand::start);
cloakroom::promises_suite_of_hours!(ByHand::start);
