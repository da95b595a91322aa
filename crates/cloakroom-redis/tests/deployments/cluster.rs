//! Slots that move, and what a login across slots leaves.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use cloakroom::store::Happened;
use cloakroom::testing::Visitor;
use cloakroom::{LogIn, SessionError, SessionLimit, User, WhenFull};
use cloakroom_redis::RedisSettings;
use testbed::{Cluster, eventually};

use crate::house::{LONG, NOTE, VISITS, keys_of, manager, manager_with};

/// A visitor without a user, whose session exists.
async fn stranger(manager: &cloakroom::Manager) -> Visitor {
    let mut visitor = Visitor::new(manager);
    visitor.visit(async |session| session.set(NOTE, "hello").unwrap()).await;
    visitor
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_follow_a_slot_wherever_it_goes() {
    let cluster = Cluster::start();
    let manager = manager(&cluster.url());
    let (mut alice, bob) =
        (stranger(&manager).await, Visitor::logged_in(&manager, "bob").await.unwrap());
    // Its note is carried into another slot.
    let (before, _) = keys_of(&alice).await;
    let login =
        alice.visit(async |session| session.log_in(User::new("alice").unwrap()).await).await;
    assert_eq!(login.unwrap(), LogIn::Done);
    let (after, _) = keys_of(&alice).await;
    assert_ne!(cluster.slot(&before), cluster.slot(&after));
    assert_eq!(cluster.command(&before, &["GET", &before]).text(), "ended");
    let note = alice.open().session().get(NOTE).await.unwrap();
    assert_eq!(note.as_deref(), Some("hello"));

    for round in 1..=3 {
        for visitor in [&alice, &bob] {
            let (key, _) = keys_of(visitor).await;
            let slot = cluster.slot(&key);
            let (from, to) = cluster.begin_migration(slot);
            // Both keys are where they were, then both where they go: no page fails.
            visitor.open().session().increment(VISITS, 1).await.unwrap();
            let keys = from.command(&["CLUSTER", "GETKEYSINSLOT", &slot.to_string(), "100"]).list();
            for key in keys {
                cluster.migrate(from, to, &key.text());
            }
            visitor.open().session().increment(VISITS, 1).await.unwrap();
            cluster.end_migration(slot, from, to);
            let visits = visitor.open().session().increment(VISITS, 1).await.unwrap();
            assert_eq!(visits, 3 * round);
        }
    }
}

/// Also where the login comes from another slot, in two steps.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_login_pushed_out_held_is_removed() {
    let cluster = Cluster::start();
    let manager = manager(&cluster.url());
    let pushed_out = Visitor::logged_in(&manager, "alice").await.unwrap();
    let (key, _) = keys_of(&pushed_out).await;
    let mut comes = stranger(&manager).await;
    let (before, _) = keys_of(&comes).await;
    assert_ne!(cluster.slot(&before), cluster.slot(&key));
    let limit = SessionLimit { at_most: NonZeroU32::MIN, when_full: WhenFull::EndOldest };
    let alice = User::new("alice").unwrap();
    let login = comes.visit(async |session| session.log_in(alice).at_most(limit).await).await;
    assert_eq!(login.unwrap(), LogIn::Done);
    // In the background. Nobody looks at the session itself, for that would remove it, too.
    let removed = || (cluster.command(&key, &["TYPE", &key]).text() == "string").then_some(());
    assert!(tokio::task::block_in_place(|| eventually(LONG, removed)).is_some());
}

/// One key of two has arrived: scripts wait, and a call whose patience ends first has not happened.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_that_is_half_on_its_way_is_waited_for() {
    let cluster = Cluster::start();
    let (patient, short) = (
        manager(&cluster.url()),
        manager_with(&cluster.url(), Duration::from_millis(300), &RedisSettings::default()),
    );
    let alice = Visitor::logged_in(&patient, "alice").await.unwrap();
    let (key, index) = keys_of(&alice).await;
    let slot = cluster.slot(&key);
    let (from, to) = cluster.begin_migration(slot);
    cluster.migrate(from, to, &index);

    // Between two tries it is known that nothing has happened. Where patience ends while one is under way,
    // its caller can't know; the count at the end shows that none of them happened.
    let mut known = false;
    for _ in 0..20 {
        let visit = short.open([alice.cookie().unwrap().as_bytes()]);
        match visit.session().increment(VISITS, 1).await {
            Err(SessionError::Unavailable(error)) => known |= error.happened == Happened::No,
            other => panic!("{other:?}"),
        }
        if known {
            break;
        }
    }
    assert!(known, "a call that waits is as good as one that was sent");
    // What makes a new key beside another can't succeed until the slot has arrived.
    let bob = Visitor::logged_in(&short, "alice").await;
    assert!(matches!(bob, Err(SessionError::Unavailable(_))), "{bob:?}");

    let session = alice.open().session();
    let waits = tokio::spawn(async move { session.increment(VISITS, 1).await });
    tokio::task::block_in_place(|| cluster.end_migration(slot, from, to));
    assert_eq!(waits.await.unwrap().unwrap(), 1);
    assert!(alice.open().session().user().await.unwrap().is_some());
}

/// Slots move to and fro under visitors who count, log in, rotate and log out. No page of an anonymous
/// session fails, and no live session loses its place in the index.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_while_slots_move() {
    let cluster = Arc::new(Cluster::start());
    let over = Arc::new(AtomicBool::new(false));
    let unavailable = Arc::new(AtomicU64::new(0));
    let pages = Arc::new(AtomicU64::new(0));
    // Patience as it is set by default would do on a quiet machine; this one may be busy.
    let patience = Duration::from_secs(8);
    let manager = manager_with(&cluster.url(), patience, &RedisSettings::default());

    let mut strangers = Vec::new();
    for _ in 0..4 {
        strangers.push(stranger(&manager).await);
    }
    let counting: Vec<_> = strangers
        .iter()
        .cloned()
        .map(|visitor| {
            let (over, pages) = (over.clone(), pages.clone());
            tokio::spawn(async move {
                let mut counted = 0;
                while !over.load(Ordering::SeqCst) {
                    visitor.open().session().increment(VISITS, 1).await.unwrap();
                    counted += 1;
                    pages.fetch_add(1, Ordering::SeqCst);
                }
                counted
            })
        })
        .collect();
    let users: Vec<_> = (0..3)
        .map(|number| {
            let (manager, over, unavailable) = (manager.clone(), over.clone(), unavailable.clone());
            tokio::spawn(async move {
                let mut last = None;
                while !over.load(Ordering::SeqCst) {
                    let Ok(mut visitor) =
                        Visitor::logged_in(&manager, &format!("user {number}")).await
                    else {
                        unavailable.fetch_add(1, Ordering::SeqCst);
                        continue;
                    };
                    for _ in 0..10 {
                        let counted = visitor.open().session().increment(VISITS, 1).await;
                        unavailable.fetch_add(u64::from(counted.is_err()), Ordering::SeqCst);
                    }
                    let rotated = visitor.visit(async |session| session.rotate().await).await;
                    match rotated {
                        Ok(()) => last = Some(visitor),
                        // Perhaps it was rotated all the same.
                        Err(_) => {
                            unavailable.fetch_add(1, Ordering::SeqCst);
                            last = None;
                        }
                    }
                }
                last
            })
        })
        .collect();

    let mover = tokio::task::spawn_blocking({
        let cluster = cluster.clone();
        let keys: Vec<String> = {
            let mut keys = Vec::new();
            for visitor in &strangers {
                keys.push(keys_of(visitor).await.0);
            }
            keys
        };
        move || {
            let some_pages = || {
                let until = pages.load(Ordering::SeqCst) + 20;
                let served = || (pages.load(Ordering::SeqCst) >= until).then_some(());
                // Ended by the assertion of whoever failed.
                let _ = testbed::eventually(LONG, served);
            };
            for _ in 0..5 {
                let mut slots: Vec<u16> = keys.iter().map(|key| cluster.slot(key)).collect();
                for number in 0..3 {
                    let mint_key = cluster
                        .nodes()
                        .iter()
                        .flat_map(testbed::Server::keys)
                        .filter(|key| key.ends_with(":user"))
                        .nth(number);
                    slots.extend(mint_key.map(|key| cluster.slot(&key)));
                }
                for slot in slots {
                    let (from, to) = cluster.begin_migration(slot);
                    some_pages();
                    let number = slot.to_string();
                    let keys = from.command(&["CLUSTER", "GETKEYSINSLOT", &number, "100"]).list();
                    for key in keys.iter().skip(1) {
                        cluster.migrate(from, to, &key.text());
                    }
                    some_pages();
                    cluster.end_migration(slot, from, to);
                    some_pages();
                }
            }
        }
    });
    mover.await.unwrap();
    over.store(true, Ordering::SeqCst);
    for (counting, visitor) in counting.into_iter().zip(&strangers) {
        let counted = counting.await.expect("no page of an anonymous session failed");
        assert!(counted > 0);
        assert_eq!(visitor.open().session().get(VISITS).await.unwrap(), Some(counted));
    }
    for user in users {
        if let Some(visitor) = user.await.unwrap() {
            assert!(visitor.open().session().user().await.unwrap().is_some());
        }
    }
    for node in cluster.primaries() {
        assert_eq!(node.keys_without_ttl(), Vec::<String>::new());
    }
    println!("{} calls were unavailable", unavailable.load(Ordering::SeqCst));
}

/// The second of the two steps fails: nobody is logged in, and nobody has two sessions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_that_dies_between_its_steps_leaves_nobody_logged_in() {
    let cluster = Cluster::start();
    let manager = manager(&cluster.url());
    let alice = Visitor::logged_in(&manager, "alice").await.unwrap();
    let (home, index) = keys_of(&alice).await;
    alice.open().session().log_out().await.unwrap();
    // A stranger whose session another node has.
    let visitor = loop {
        let visitor = stranger(&manager).await;
        let (key, _) = keys_of(&visitor).await;
        if cluster.owner(&key).port() != cluster.owner(&home).port() {
            break visitor;
        }
    };
    let (old, _) = keys_of(&visitor).await;
    let node = cluster.owner(&home);
    // So full that it refuses what would add to it.
    node.command(&["CONFIG", "SET", "maxmemory", "1"]);
    let mut visitor_who_tries = visitor.clone();
    let login = visitor_who_tries
        .visit(async |session| session.log_in(User::new("alice").unwrap()).await)
        .await;
    match login {
        Err(SessionError::Unavailable(error)) => {
            assert_eq!(error.happened, cloakroom::store::Happened::Perhaps, "{error}");
        }
        other => panic!("{other:?}"),
    }
    node.command(&["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(cluster.command(&old, &["GET", &old]).text(), "ended");
    assert_eq!(cluster.command(&index, &["EXISTS", &index]).int(), 0);
    assert_eq!(visitor.open().session().user().await.unwrap(), None);
    // The next try is a fresh login.
    let mut visitor = visitor;
    let login =
        visitor.visit(async |session| session.log_in(User::new("alice").unwrap()).await).await;
    assert_eq!(login.unwrap(), LogIn::Done);
}

#[tokio::test]
async fn a_node_of_a_cluster_taken_for_a_lone_server_says_what_to_type() {
    let cluster = Cluster::start();
    let url = format!("redis://127.0.0.1:{}", cluster.nodes()[0].port());
    let manager = manager_with(&url, LONG, &RedisSettings::default());
    let mut said = String::new();
    for number in 0..64 {
        if let Err(error) = Visitor::logged_in(&manager, &format!("user {number}")).await {
            said = format!("{error:?} {error}");
            break;
        }
    }
    assert!(said.contains("redis+cluster://"), "{said}");
}
