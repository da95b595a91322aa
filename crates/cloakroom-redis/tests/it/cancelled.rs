//! Requests that are given up while their answer is on the way.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use cloakroom::testing::Visitor;
use testbed::Server;

use crate::house::{NOTE, VISITS, manager};

const CLIENTS: usize = 24;
const ROUNDS: usize = 60;

/// What happened to users of redis-py in March 2023: a request that was cancelled left its answer on
/// the connection, and the next user got it.
// Proves R67, CVE-2023-28858, CVE-2026-24894.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_answer_that_nobody_waits_for_any_more_goes_to_nobody_else() {
    let server = Server::start();
    let manager = manager(&server);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|n| {
            let manager = manager.clone();
            tokio::spawn(async move {
                let name = format!("user-{n}");
                let mut visitor = Visitor::logged_in(&manager, &name).await.unwrap();
                let note = name.clone();
                visitor.visit(async |session| session.set(NOTE, note).unwrap()).await;
                for round in 0..ROUNDS {
                    // Sent, looked at a few times, and dropped.
                    let given_up = visitor.open();
                    let session = given_up.session().clone();
                    {
                        let mut asking = Box::pin(session.increment(VISITS, 1));
                        for _ in 0..=round % 3 {
                            if look_at(asking.as_mut()).is_ready() {
                                break;
                            }
                            tokio::task::yield_now().await;
                        }
                    }
                    drop(given_up);
                    let visit = visitor.open();
                    let session = visit.session();
                    assert_eq!(session.user().await.unwrap().unwrap().as_str(), name);
                    assert_eq!(session.get(NOTE).await.unwrap().as_deref(), Some(&*name));
                    let visits = session.increment(VISITS, 0).await.unwrap();
                    assert!(visits <= round as u64 + 1, "{name}: {visits} in round {round}");
                    let _ = visit.close(200).await;
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
}

/// Drives it as far as it comes by itself; nobody is woken.
fn look_at<T>(asking: Pin<&mut impl Future<Output = T>>) -> Poll<T> {
    asking.poll(&mut Context::from_waker(Waker::noop()))
}
