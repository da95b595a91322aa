//! A password that is rotated under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cloakroom::testing::Visitor;
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
