//! The memory store keeps the contract, on a clock that is moved by hand and on the system's.

#![cfg(feature = "testing")]

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use cloakroom::records::Records;
use cloakroom::testing::Harness;
use cloakroom::testing::conformance::records::WithRecords;
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

impl WithRecords for ByHand {
    fn records(&self) -> Arc<dyn Records> {
        Arc::new(self.store.clone())
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
        // The system's clock is nobody's to move; the suite asks for 300 ms at most.
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
    cloakroom::conformance_suite_of_records!(ByHand::start);
    cloakroom::conformance_suite_of_records_and_hours!(ByHand::start);
}

mod on_system_time {
    use super::OnSystemTime;
    cloakroom::conformance_suite!(OnSystemTime::start);
}

mod property {
    use std::sync::Arc;

    use cloakroom::Limits;
    use cloakroom::testing::conformance::{histories, random};
    use proptest::prelude::*;

    use super::ByHand;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

        /// Seeds that the suite doesn't come to, and limits from none to roomy.
        #[test]
        fn any_sequence_of_changes_means_what_a_change_means(
            seed in any::<u64>(),
            fields in 0..6_u32,
            value_bytes in 0..32_u32,
            session_bytes in 0..80_u32,
        ) {
            let limits = Limits { fields, value_bytes, session_bytes };
            random::agree_on(&ByHand::start(), &limits, &random::changes_from(seed, 60));
        }

        #[test]
        fn any_history_leaves_alive_who_should_be(seed in any::<u64>()) {
            histories::follow(&ByHand::start(), seed, 150);
        }
    }

    /// An index that forgot would grow by every login.
    #[test]
    fn when_all_is_over_nothing_is_left() {
        use cloakroom::testing::Harness;
        let here = Arc::new(ByHand::start());
        histories::follow(&*here, 1, 200);
        here.pass(cloakroom::Lifetime::LONGEST);
        here.store.sweep();
        assert!(here.store.is_empty());
    }
}
