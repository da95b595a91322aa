//! Many sessions, made by the library itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cloakroom::testing::Visitor;
use cloakroom::{Client, Field, Keys, LogIn, Manager, Prefix, SecretKey, Settings, User};
use cloakroom_redis::RedisStore;
use tokio::runtime::Runtime;

use crate::sizes::{FIELDS, Layout};

/// What a server of ours with these settings takes for its own sessions.
fn manager(url: &str) -> Manager {
    let store = RedisStore::open(url, Prefix::new("ours").unwrap()).unwrap();
    let keys = Some(Keys::new(SecretKey::new(bench::SECRET).unwrap()));
    // No visitor waits here, and nobody floods.
    let patience = Duration::from_secs(60);
    Manager::new(store, Settings { keys, patience, newcomers: None, ..Settings::default() })
}

/// So many sessions, each of a user of their own; returns the cookies of some of them.
pub(crate) fn sessions(url: &str, count: usize, sample: usize, layout: Layout) -> Vec<String> {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let manager = manager(url);
        let next = Arc::new(AtomicUsize::new(0));
        let every = count.div_ceil(sample.max(1));
        let workers: Vec<_> = (0..64)
            .map(|_| {
                let (manager, next) = (manager.clone(), next.clone());
                tokio::spawn(async move {
                    let mut cookies = Vec::new();
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= count {
                            return cookies;
                        }
                        let cookie = one(&manager, number, layout).await;
                        if number % every == 0 {
                            cookies.push(cookie);
                        }
                    }
                })
            })
            .collect();
        let mut cookies = Vec::new();
        for worker in workers {
            cookies.extend(worker.await.unwrap());
        }
        cookies
    })
}

async fn one(manager: &Manager, number: usize, layout: Layout) -> String {
    let mut visitor = Visitor::new(manager);
    let visit = visitor.open();
    let session = visit.session();
    let field = |name| Field::<String>::named(name).unwrap();
    match layout {
        Layout::Anonymous => {
            for (name, value) in FIELDS {
                session.set(field(name), value).unwrap();
            }
        }
        _ => {
            let mut login = session.log_in(User::new(format!("user{number:08}")).unwrap());
            if layout != Layout::Bare {
                for (name, value) in FIELDS {
                    login = login.with(field(name), value);
                }
            }
            if layout == Layout::Long {
                login = login.with(field("long"), "x".repeat(65));
            }
            if matches!(layout, Layout::Device | Layout::Long) {
                login = login.from_client(Client::from_text("chr win 203.0.113.0/24"));
            }
            assert_eq!(login.await.unwrap(), LogIn::Done);
        }
    }
    visitor.receive(&visit.close(200).await);
    visitor.cookie().unwrap().to_owned()
}
