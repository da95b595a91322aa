//! What is said at the start, once, of a server on which sessions are not safe.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use cloakroom_redis::RedisSettings;
use testbed::Server;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::house::{LONG, manager_with};

/// Keeps the warnings of this thread.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn event(&self, event: &Event<'_>) {
        let mut words = Words(String::new());
        event.record(&mut words);
        self.0.lock().unwrap().push(words.0);
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

struct Words(String);

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push_str(&format!("{}={value:?} ", field.name()));
    }
}

#[tokio::test]
async fn a_server_that_loses_sessions_is_warned_of_once() {
    let executable = &Server::every_executable()[0];
    let careless = ["--appendonly", "no", "--maxmemory-policy", "allkeys-lru"];
    for (options, expected) in [(&careless[..], 2), (&[], 0)] {
        let server = Server::start_with(executable, options);
        let warnings = Warnings::default();
        let _listens = tracing::subscriber::set_default(warnings.clone());
        let manager = manager_with(&server.url(), LONG, &RedisSettings::default());
        for _ in 0..3 {
            manager.check().await.unwrap();
            server.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
            while manager.check().await.is_err() {}
        }
        let said = warnings.0.lock().unwrap().clone();
        assert_eq!(said.len(), expected, "{said:?}");
        if expected > 0 {
            assert!(
                said[0].contains("evicts_sessions") && said[0].contains("allkeys-lru"),
                "{said:?}"
            );
            assert!(said[1].contains("keeps_nothing"), "{said:?}");
        }
    }
}

/// Who may not look is taken as they are, and is no error.
#[tokio::test]
async fn a_server_that_lets_nobody_look_is_used_all_the_same() {
    let server = Server::start();
    let rule = ["ACL", "SETUSER", "shop", "on", ">s", "~shop:*", "+@all", "-info", "-config"];
    assert!(server.command(&rule).error().is_none());
    let url = format!("redis://shop:s@127.0.0.1:{}", server.port());
    manager_with(&url, LONG, &RedisSettings::default()).check().await.unwrap();
}
