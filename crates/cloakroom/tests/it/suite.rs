//! The published suite runs all that it holds, and finds a store that breaks the contract.

use std::fs;
use std::path::Path;

use cloakroom::testing::{Harness, conformance};

/// A check that no macro names would run for nobody.
#[test]
fn every_check_stands_in_one_of_the_suites() {
    for (suite, at_least) in [("conformance", 90), ("promises", 50)] {
        let rooms = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/testing").join(suite);
        let macros = fs::read_to_string(rooms.join("mod.rs")).unwrap();
        let mut checks = 0;
        let inside = fs::read_dir(&rooms).unwrap().map(|room| room.unwrap().path());
        for room in inside.filter(|room| room.is_file()) {
            let name = room.file_stem().unwrap().to_str().unwrap().to_owned();
            for line in fs::read_to_string(&room).unwrap().lines() {
                let Some(check) = line.strip_prefix("pub fn ") else { continue };
                let Some(check) = check.strip_suffix("<H: Harness>(here: &H) {") else { continue };
                let named = format!(" {name}::{check}\n");
                assert_eq!(
                    macros.matches(&named).count(),
                    1,
                    "{name}::{check} stands in one macro"
                );
                checks += 1;
            }
        }
        assert!(checks > at_least, "only {checks} checks in {suite}: did their form change?");
    }
}

/// Keeps every check callable with any harness: a store's author may run a single one.
#[test]
fn a_single_check_can_be_run_by_hand() {
    use cloakroom::{Clock, Hands, MemoryStore, Store, Timestamp};
    use std::sync::Arc;
    use std::time::Duration;

    struct Here(MemoryStore, Hands);
    impl Harness for Here {
        fn store(&self) -> Arc<dyn Store> {
            Arc::new(self.0.clone())
        }
        fn pass(&self, time: Duration) {
            self.1.advance(time);
        }
    }
    let (clock, hands) = Clock::manual(Timestamp::from_millis(1));
    let here = Here(MemoryStore::with_clock(clock), hands);
    conformance::end::ending_answers_now_then_before(&here);
    conformance::random::agree_on(
        &here,
        &cloakroom::Limits { fields: 8, value_bytes: 64, session_bytes: 512 },
        &conformance::random::changes_from(7, 100),
    );
}
