//! The published suite of promises runs all that it holds.

use std::fs;
use std::path::Path;
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

/// A check that the macro does not name would run for nobody.
#[test]
fn every_check_of_a_promise_stands_in_the_suite() {
    let rooms = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/testing/promises");
    let suite = fs::read_to_string(rooms.join("mod.rs")).unwrap();
    let mut checks = 0;
    for room in fs::read_dir(&rooms).unwrap() {
        let room = room.unwrap().path();
        let name = room.file_stem().unwrap().to_str().unwrap().to_owned();
        for line in fs::read_to_string(&room).unwrap().lines() {
            let Some(check) = line.strip_prefix("pub fn ") else { continue };
            let Some(check) = check.strip_suffix("<H: Harness>(here: &H) {") else { continue };
            let named = format!(" {name}::{check}\n");
            assert_eq!(suite.matches(&named).count(), 1, "{name}::{check} stands in the suite");
            checks += 1;
        }
    }
    assert!(checks > 50, "only {checks} checks were found: did their form change?");
}
