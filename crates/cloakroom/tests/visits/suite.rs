//! The published suite of promises runs all that it holds.

use std::sync::Arc;
use std::time::Duration;

use cloakroom::testing::Harness;
use cloakroom::{Clock, Hands, MemoryStore, Store, Timestamp};

struct Memory {
    store: MemoryStore,
    hands: Hands,
}

impl Memory {
    fn start() -> Self {
        let (clock, hands) = Clock::manual(Timestamp::from_millis(1_763_880_000_000));
        Self { store: MemoryStore::with_clock(clock), hands }
    }
}

impl Harness for Memory {
    fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.store.clone())
    }

    fn pass(&self, time: Duration) {
        self.hands.advance(time);
    }
}

cloakroom::promises_suite!(Memory::start);
cloakroom::promises_suite_of_hours!(Memory::start);
