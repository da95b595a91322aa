//! The published suites: the contract, and what an application is promised.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use cloakroom::records::Records;
use cloakroom::testing::Harness;
use cloakroom::testing::conformance::records::WithRecords;
use cloakroom::{Clock, Hands, Store};
use cloakroom_embedded::{EmbeddedSettings, EmbeddedStore};
use tempfile::TempDir;

use crate::house::{folder, noon};

/// On a clock that is moved by hand, or on the system's.
struct OnFile {
    store: EmbeddedStore,
    hands: Option<Hands>,
    /// Dropped last.
    _folder: TempDir,
}

impl OnFile {
    fn start() -> Self {
        Self::with(EmbeddedSettings::default(), None)
    }

    fn by_hand() -> Self {
        let (clock, hands) = Clock::manual(noon());
        Self::with(EmbeddedSettings { clock, ..EmbeddedSettings::default() }, Some(hands))
    }

    fn with(settings: EmbeddedSettings, hands: Option<Hands>) -> Self {
        let folder = folder();
        let store = EmbeddedStore::open(folder.path(), settings).unwrap();
        Self { store, hands, _folder: folder }
    }
}

impl Harness for OnFile {
    fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.store.clone())
    }

    fn pass(&self, time: Duration) {
        match &self.hands {
            Some(hands) => hands.advance(time),
            // Nobody moves the system's clock; the suite asks for 300 ms at most.
            None => thread::sleep(time),
        }
    }

    /// What decides a race is the memory store's, which runs them in full; here every step is a
    /// sync of the disk.
    fn rounds(&self) -> u32 {
        let rounds = std::env::var("CLOAKROOM_TEST_ROUNDS").ok();
        rounds.map_or(100, |rounds| rounds.parse().expect("CLOAKROOM_TEST_ROUNDS is a number"))
    }
}

impl WithRecords for OnFile {
    fn records(&self) -> Arc<dyn Records> {
        Arc::new(self.store.clone())
    }
}

mod contract {
    use super::OnFile;
    cloakroom::conformance_suite!(OnFile::start);
    cloakroom::conformance_suite_of_records!(OnFile::start);
}

mod by_hand {
    use super::OnFile;
    cloakroom::conformance_suite_of_hours!(OnFile::by_hand);
    cloakroom::conformance_suite_of_records_and_hours!(OnFile::by_hand);
    cloakroom::promises_suite_of_hours!(OnFile::by_hand);
}

mod promises {
    use super::OnFile;
    cloakroom::promises_suite!(OnFile::start);
}
