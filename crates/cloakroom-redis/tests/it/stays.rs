//! Nothing stays: at no instant is there a key without a time to live (P4).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use cloakroom::User;
use cloakroom::testing::Visitor;
use testbed::Server;

use crate::house::{NOTE, VISITS, manager};

/// Visitors come, count, log in and leave, while connections are cut and the server is killed in the
/// middle of it; a scanner looks beside them all the time, and at what is left after each restart.
// Proves R71, redis-docs-example.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_key_is_ever_without_a_time_to_live_whatever_dies_half_way() {
    let server = Arc::new(Server::start());
    let (over, visits) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let visitors: Vec<_> = (0..8)
        .map(|number| {
            let (manager, over, visits) = (manager(&server), over.clone(), visits.clone());
            tokio::spawn(async move {
                let mut done = 0_u32;
                while !over.load(Ordering::SeqCst) {
                    let mut visitor = Visitor::new(&manager);
                    // Whether it succeeds is not the question here: the server is being killed.
                    visitor.visit(async |session| session.set(NOTE, "hello").is_ok()).await;
                    let user = User::new(format!("user {}", number % 3)).unwrap();
                    visitor.visit(async |session| session.log_in(user).await.is_ok()).await;
                    for _ in 0..3 {
                        let counted = async |session: cloakroom::Session| {
                            session.increment(VISITS, 1).await.is_ok()
                        };
                        if visitor.visit(counted).await {
                            done += 1;
                            visits.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                    visitor.visit(async |session| session.rotate().await.is_ok()).await;
                    if done.is_multiple_of(5) {
                        let everywhere = async |session: cloakroom::Session| {
                            session.if_logged_in().log_out_everywhere().await.is_ok()
                        };
                        visitor.visit(everywhere).await;
                    } else if done.is_multiple_of(2) {
                        visitor.visit(async |session| session.log_out().await.is_ok()).await;
                    }
                }
            })
        })
        .collect();

    let scanner = tokio::task::spawn_blocking({
        let server = server.clone();
        move || {
            // As long as it takes to have disturbed enough of them.
            for round in 0.. {
                let enough = visits.load(Ordering::SeqCst) > 100;
                if round >= 40 && enough {
                    break;
                }
                assert!(round < 10_000, "hardly anybody was counted");
                for _ in 0..5 {
                    assert_eq!(server.keys_without_ttl(), Vec::<String>::new());
                }
                if round % 4 == 3 {
                    server.restart();
                } else {
                    server.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
                }
            }
            assert!(server.keys().len() > 20, "there was something to look at");
        }
    });
    let scanned = scanner.await;
    over.store(true, Ordering::SeqCst);
    for visitor in visitors {
        visitor.await.unwrap();
    }
    scanned.unwrap();
}
