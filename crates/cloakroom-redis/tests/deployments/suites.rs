//! The published suites on deployments: one for all checks, and a prefix of its own for each check.

use std::any::Any;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use cloakroom::records::Records;
use cloakroom::testing::Harness;
use cloakroom::testing::conformance::records::WithRecords;
use cloakroom::{Prefix, Store};
use cloakroom_redis::{RedisSettings, RedisStore};
use testbed::{Cluster, Sentinels, Server};
use tokio::runtime::Runtime;

use crate::tls::Secure;

/// Two instances of a service.
struct Here {
    runtime: Runtime,
    first: RedisStore,
    second: RedisStore,
    login: Login,
    /// Whoever drops it last ends the servers.
    _servers: Arc<dyn Any + Send + Sync>,
}

#[derive(PartialEq, Eq)]
enum Login {
    InOneStep,
    InTwoSteps,
}

impl Here {
    /// On servers that all checks of a process share.
    fn on<T: Send + Sync + 'static>(
        shared: &Mutex<Weak<T>>,
        start: impl FnOnce() -> T,
        found: impl FnOnce(&T) -> (String, RedisSettings),
        login: Login,
    ) -> Self {
        static PREFIXES: AtomicU32 = AtomicU32::new(0);
        let servers = {
            let mut shared = shared.lock().unwrap();
            shared.upgrade().unwrap_or_else(|| {
                let servers = Arc::new(start());
                *shared = Arc::downgrade(&servers);
                servers
            })
        };
        let runtime = Runtime::new().unwrap();
        let number = PREFIXES.fetch_add(1, Ordering::Relaxed);
        let prefix = Prefix::new(format!("check-{number}")).unwrap();
        let (url, settings) = found(&servers);
        let open = || RedisStore::open_with(&url, prefix.clone(), &settings).unwrap();
        let (first, second) = {
            let _inside = runtime.enter();
            (open(), open())
        };
        Self { runtime, first, second, login, _servers: servers }
    }
}

fn at(url: String) -> (String, RedisSettings) {
    (url, RedisSettings::default())
}

fn on_a_cluster() -> Here {
    static SHARED: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());
    Here::on(&SHARED, Cluster::start, |all| at(all.url()), Login::InTwoSteps)
}

fn behind_sentinels() -> Here {
    static SHARED: Mutex<Weak<Sentinels>> = Mutex::new(Weak::new());
    Here::on(&SHARED, Sentinels::start, |all| at(all.url()), Login::InOneStep)
}

fn under_the_least_privileges() -> Here {
    static SHARED: Mutex<Weak<Guarded>> = Mutex::new(Weak::new());
    Here::on(&SHARED, Guarded::start, |server| at(server.url()), Login::InOneStep)
}

fn over_tls() -> Here {
    static SHARED: Mutex<Weak<Secure>> = Mutex::new(Weak::new());
    Here::on(&SHARED, Secure::start, |all| (all.url(), all.settings()), Login::InOneStep)
}

/// A server that lets the service do what docs/operations.md says, and nothing else.
struct Guarded(Server);

impl Guarded {
    fn start() -> Self {
        let server = Server::start();
        let paper = include_str!("../../../../docs/operations.md");
        let rules = paper.lines().filter(|line| line.starts_with("ACL SETUSER shop "));
        let rules: Vec<_> = rules.map(|line| line.replace("~shop:*", "~check-*")).collect();
        assert!(!rules.is_empty());
        for (nth, rule) in rules.iter().enumerate() {
            let answer = server.command(&rule.split(' ').collect::<Vec<_>>());
            // Only the newest servers know the last.
            assert!(answer.error().is_none() || nth > 0, "{rule}: {answer:?}");
        }
        server.command(&["ACL", "SETUSER", "shop", "on", ">PASSWORD"]);
        Self(server)
    }

    fn url(&self) -> String {
        self.0.url().replace("redis://", "redis://shop:PASSWORD@")
    }
}

impl Drop for Guarded {
    /// Nothing was denied, and nothing was tried that is.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.0.command(&["ACL", "LOG"]).list(), vec![]);
        }
    }
}

impl Harness for Here {
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
        self.login == Login::InTwoSteps
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

impl WithRecords for Here {
    fn records(&self) -> Arc<dyn Records> {
        Arc::new(self.first.clone())
    }

    fn second_records(&self) -> Arc<dyn Records> {
        Arc::new(self.second.clone())
    }
}

cloakroom::conformance_suite!(in one test the_contract_holds_on_a_cluster, on_a_cluster);
cloakroom::promises_suite!(in one test the_promises_hold_on_a_cluster, on_a_cluster);
cloakroom::conformance_suite_of_records!(
    in one test records_are_looked_at_and_restored_on_a_cluster, on_a_cluster
);

cloakroom::conformance_suite!(in one test the_contract_holds_behind_sentinels, behind_sentinels);
cloakroom::promises_suite!(in one test the_promises_hold_behind_sentinels, behind_sentinels);
cloakroom::conformance_suite!(in one test the_contract_holds_over_tls, over_tls);
cloakroom::promises_suite!(in one test the_promises_hold_over_tls, over_tls);
// Proves R59, R60.
cloakroom::conformance_suite!(
    in one test the_contract_holds_under_the_least_privileges, under_the_least_privileges
);
// Proves R59, R60.
cloakroom::promises_suite!(
    in one test the_promises_hold_under_the_least_privileges, under_the_least_privileges
);
