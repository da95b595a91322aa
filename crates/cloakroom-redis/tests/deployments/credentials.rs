//! Passwords that change under load, and connections that the server cuts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cloakroom::store::Happened;
use cloakroom::testing::Visitor;
use cloakroom::{Manager, SessionError};
use cloakroom_redis::{Credentials, RedisSettings};
use testbed::Server;

use crate::house::{LONG, VISITS, manager_with};

// Proves R60.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_is_rotated_without_a_failed_request() {
    let server = Server::start();
    let acl = |password: &str| {
        let password = format!(">{password}");
        let rule = ["ACL", "SETUSER", "shop", "on", &password, "~shop:*", "+@all"];
        assert!(server.command(&rule).error().is_none());
    };
    acl("first");
    server.command(&["ACL", "SETUSER", "shop", ">first"]);
    let credentials = Credentials::new("shop", "first");
    let settings =
        RedisSettings { credentials: Some(credentials.clone()), ..RedisSettings::default() };
    let manager = manager_with(&server.url(), LONG, &settings);
    let visitor = Visitor::logged_in(&manager, "alice").await.unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let counting: Vec<_> = (0..4)
        .map(|_| {
            let (visitor, over) = (visitor.clone(), over.clone());
            tokio::spawn(async move {
                while !over.load(Ordering::SeqCst) {
                    visitor.open().session().increment(VISITS, 1).await.unwrap();
                }
            })
        })
        .collect();
    let mut last = "first".to_owned();
    for number in 0..20 {
        let next = format!("password {number}");
        acl(&next);
        credentials.set("shop", &next);
        // A connection made anew begins with the new one.
        visitor.open().session().increment(VISITS, 1).await.unwrap();
        server.command(&["ACL", "SETUSER", "shop", &format!("<{last}")]);
        visitor.open().session().increment(VISITS, 1).await.unwrap();
        last = next;
    }
    over.store(true, Ordering::SeqCst);
    for counting in counting {
        counting.await.unwrap();
    }
    // The live connection was told.
    let log = server.command(&["ACL", "LOG"]).list();
    assert!(log.is_empty(), "{log:?}");
    server.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    while visitor.open().session().user().await.is_err() {}
    let whoami = server.command(&["CLIENT", "LIST", "TYPE", "normal"]).text();
    assert!(whoami.contains("user=shop"), "{whoami}");
}

/// A session as its visitor knows it.
struct Known {
    visitor: Visitor,
    acknowledged: u64,
    unknown: u64,
}

/// What one client was told.
#[derive(Default)]
struct Told {
    kept: Vec<Known>,
    ended: Vec<Visitor>,
    /// Nobody knows whether they were carried out.
    unknown: u64,
    /// They were not.
    refused: u64,
}

impl Told {
    fn hears<T>(&mut self, answer: Result<T, SessionError>) -> Option<T> {
        match answer {
            Ok(answer) => return Some(answer),
            Err(SessionError::Unavailable(error)) if error.happened == Happened::Perhaps => {
                self.unknown += 1;
            }
            Err(SessionError::Unavailable(_)) => self.refused += 1,
            Err(other) => panic!("{other:?}"),
        }
        None
    }

    /// A login, some visits, and of three stays two logouts.
    async fn stays(&mut self, manager: &Manager, user: &str, number: u64) {
        let login = Visitor::logged_in(manager, user).await;
        let Some(visitor) = self.hears(login) else { return };
        let (mut acknowledged, mut unknown) = (0, 0);
        for _ in 0..4 {
            let counted = visitor.open().session().increment(VISITS, 1).await;
            match self.hears(counted) {
                Some(_) => acknowledged += 1,
                None => unknown += 1,
            }
        }
        if number.is_multiple_of(3) {
            self.kept.push(Known { visitor, acknowledged, unknown });
        } else {
            let ended = visitor.open().session().log_out().await;
            if self.hears(ended).is_some() {
                self.ended.push(visitor);
            }
        }
    }

    /// Acknowledged ≤ stored ≤ acknowledged + unknown, and what was ended is.
    async fn compare(&self) {
        for Known { visitor, acknowledged, unknown } in &self.kept {
            let stored = visitor.open().session().get(VISITS).await.unwrap().unwrap_or(0);
            assert!((*acknowledged..=acknowledged + unknown).contains(&stored), "{stored}");
        }
        for visitor in &self.ended {
            assert_eq!(visitor.open().session().user().await.unwrap(), None);
        }
    }
}

/// As a managed service wants it: a password is good for a while, whoever knows the next has told us in
/// time, and after twelve hours the server cuts the connection. Here a while ends with some stays.
// Proves F26, R60.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passwords_that_expire_and_connections_that_are_cut_fail_what_is_under_way_alone() {
    const CLIENTS: u64 = 16;
    const CUTS: u64 = 10;
    let server = Server::start();
    let acl = |rule: &[&str]| {
        let rule = [&["ACL", "SETUSER", "shop"], rule].concat();
        assert_eq!(server.command(&rule).error(), None, "{rule:?}");
    };
    acl(&["on", ">token 0", "~shop:*", "+@all"]);
    let credentials = Credentials::new("shop", "token 0");
    let settings =
        RedisSettings { credentials: Some(credentials.clone()), ..RedisSettings::default() };
    let manager = manager_with(&server.url(), LONG, &settings);
    manager.check().await.unwrap();
    let (over, stays) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (manager, over, stays) = (manager.clone(), over.clone(), stays.clone());
            tokio::spawn(async move {
                let (mut told, user) = (Told::default(), format!("client {client}"));
                while !over.load(Ordering::SeqCst) {
                    told.stays(&manager, &user, stays.fetch_add(1, Ordering::SeqCst)).await;
                }
                told
            })
        })
        .collect();
    let some_stays = async || {
        let (until, begun) = (stays.load(Ordering::SeqCst) + 2 * CLIENTS, Instant::now());
        while stays.load(Ordering::SeqCst) < until {
            assert!(begun.elapsed() < LONG, "nobody is answered");
            // A sleep, to leave the processor to those who stay.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    for number in 1..=CUTS {
        let (last, next) = (format!("token {}", number - 1), format!("token {number}"));
        acl(&[&format!(">{next}")]);
        credentials.set("shop", &next);
        some_stays().await;
        acl(&[&format!("<{last}")]);
        some_stays().await;
        // A connection made anew begins with what is good now.
        assert!(server.command(&["CLIENT", "KILL", "USER", "shop"]).int() > 0);
        some_stays().await;
    }
    over.store(true, Ordering::SeqCst);
    let (mut kept, mut ended, mut unknown) = (0, 0, 0);
    for client in clients {
        let told = client.await.unwrap();
        told.compare().await;
        // Nobody was refused for his password.
        assert_eq!(told.refused, 0);
        kept += told.kept.len();
        ended += told.ended.len();
        unknown += told.unknown;
    }
    println!("{kept} sessions kept, {ended} ended, {unknown} answers unknown");
    // Each client has one under way at each cut, at most.
    assert!(kept > 0 && ended > 0 && unknown <= CLIENTS * CUTS, "{unknown} unknown");
    let log = server.command(&["ACL", "LOG"]).list();
    assert!(log.is_empty(), "{log:?}");
    assert_eq!(server.keys_without_ttl(), [""; 0]);
}
