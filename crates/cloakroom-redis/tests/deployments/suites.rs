//! The published suites, on one cluster for all checks; each check has a prefix of its own.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex, Weak};
use std::time::Duration;

use cloakroom::records::Records;
use cloakroom::testing::Harness;
use cloakroom::testing::conformance::records::WithRecords;
use cloakroom::{Prefix, Store};
use cloakroom_redis::RedisStore;
use testbed::Cluster;
use tokio::runtime::Runtime;

/// Two instances of a service on the cluster.
struct OnCluster {
    runtime: Runtime,
    first: RedisStore,
    second: RedisStore,
    /// Whoever drops it last ends the cluster.
    _cluster: Arc<Cluster>,
}

impl OnCluster {
    fn start() -> Self {
        static SHARED: LazyLock<Mutex<Weak<Cluster>>> = LazyLock::new(Mutex::default);
        static PREFIXES: AtomicU32 = AtomicU32::new(0);
        let cluster = {
            let mut shared = SHARED.lock().unwrap();
            shared.upgrade().unwrap_or_else(|| {
                let cluster = Arc::new(Cluster::start());
                *shared = Arc::downgrade(&cluster);
                cluster
            })
        };
        let runtime = Runtime::new().unwrap();
        let number = PREFIXES.fetch_add(1, Ordering::Relaxed);
        let prefix = Prefix::new(format!("check-{number}")).unwrap();
        let open = || RedisStore::open(&cluster.url(), prefix.clone()).unwrap();
        let (first, second) = {
            let _inside = runtime.enter();
            (open(), open())
        };
        Self { runtime, first, second, _cluster: cluster }
    }
}

impl Harness for OnCluster {
    fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.first.clone())
    }

    fn second(&self) -> Arc<dyn Store> {
        Arc::new(self.second.clone())
    }

    fn pass(&self, time: Duration) {
        // A sleep, for the servers' clocks are nobody's to move; the suites ask for 300 ms at most.
        std::thread::sleep(time);
    }

    fn logs_in_by_two_steps(&self) -> bool {
        true
    }

    /// What differs from one server shows in the first rounds.
    fn rounds(&self) -> u32 {
        let rounds = std::env::var("CLOAKROOM_TEST_ROUNDS").ok();
        rounds.map_or(500, |rounds| rounds.parse().expect("CLOAKROOM_TEST_ROUNDS is a number"))
    }

    fn run<F>(&self, future: F) -> F::Output
    where
        F: Future + Send,
        F::Output: Send,
    {
        self.runtime.block_on(future)
    }
}

impl WithRecords for OnCluster {
    fn records(&self) -> Arc<dyn Records> {
        Arc::new(self.first.clone())
    }

    fn second_records(&self) -> Arc<dyn Records> {
        Arc::new(self.second.clone())
    }
}

cloakroom::conformance_suite!(in one test the_contract_holds_on_a_cluster, OnCluster::start);
cloakroom::promises_suite!(in one test the_promises_hold_on_a_cluster, OnCluster::start);
cloakroom::conformance_suite_of_records!(
    in one test records_are_looked_at_and_restored_on_a_cluster, OnCluster::start
);
