//! The memory store keeps the contract, on a clock that is moved by hand and on the system's.

#![cfg(feature = "testing")]

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use cloakroom::testing::Harness;
use cloakroom::{Clock, Hands, MemoryStore, Store, Timestamp};

struct ByHand {
    store: MemoryStore,
    hands: Hands,
}

impl ByHand {
    fn start() -> Self {
        let (clock, hands) = Clock::manual(Timestamp::from_millis(1_763_880_000_000));
        Self { store: MemoryStore::with_clock(clock), hands }
    }
}

impl Harness for ByHand {
    fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.store.clone())
    }

    fn pass(&self, time: Duration) {
        self.hands.advance(time);
    }
}

struct OnSystemTime {
    store: MemoryStore,
}

impl OnSystemTime {
    fn start() -> Self {
        Self { store: MemoryStore::new() }
    }
}

impl Harness for OnSystemTime {
    fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.store.clone())
    }

    fn pass(&self, time: Duration) {
        thread::sleep(time);
    }

    // The races are run in full by hand; here they race with a clock that ticks and a sweeper.
    fn rounds(&self) -> u32 {
        1_000
    }
}

mod by_hand {
    use super::ByHand;
    cloakroom::conformance_suite!(ByHand::start);
    cloakroom::conformance_suite_of_hours!(ByHand::start);
}

mod on_system_time {
    use super::OnSystemTime;
    cloakroom::conformance_suite!(OnSystemTime::start);
}
