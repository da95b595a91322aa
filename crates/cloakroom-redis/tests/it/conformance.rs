//! The published conformance suite, against a server of its own for each check.

use std::sync::Arc;
use std::time::Duration;

use cloakroom::records::Records;
use cloakroom::testing::Harness;
use cloakroom::testing::conformance::records::WithRecords;
use cloakroom::{Prefix, Store};
use cloakroom_redis::RedisStore;
use testbed::Server;
use tokio::runtime::Runtime;

/// Two instances of a service on one server.
pub(crate) struct Redis {
    runtime: Runtime,
    first: RedisStore,
    second: RedisStore,
    /// Dropped last.
    _server: Server,
}

impl Redis {
    pub(crate) fn start() -> Self {
        Self::on(Server::start())
    }

    fn on(server: Server) -> Self {
        let runtime = Runtime::new().unwrap();
        let open = || RedisStore::open(&server.url(), Prefix::default()).unwrap();
        let (first, second) = {
            let _inside = runtime.enter();
            (open(), open())
        };
        Self { runtime, first, second, _server: server }
    }
}

impl Harness for Redis {
    fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.first.clone())
    }

    fn second(&self) -> Arc<dyn Store> {
        Arc::new(self.second.clone())
    }

    fn pass(&self, time: Duration) {
        // The server's clock is nobody's to move; the suite asks for 300 ms at most.
        std::thread::sleep(time);
    }

    /// Fewer where `cargo xtask test` runs the suite on one more server.
    fn rounds(&self) -> u32 {
        let rounds = std::env::var("CLOAKROOM_TEST_ROUNDS").ok();
        rounds.map_or(10_000, |rounds| rounds.parse().expect("CLOAKROOM_TEST_ROUNDS is a number"))
    }

    fn run<F>(&self, future: F) -> F::Output
    where
        F: Future + Send,
        F::Output: Send,
    {
        self.runtime.block_on(future)
    }
}

impl WithRecords for Redis {
    fn records(&self) -> Arc<dyn Records> {
        Arc::new(self.first.clone())
    }

    fn second_records(&self) -> Arc<dyn Records> {
        Arc::new(self.second.clone())
    }
}

cloakroom::conformance_suite!(Redis::start);
cloakroom::conformance_suite_of_records!(Redis::start);
