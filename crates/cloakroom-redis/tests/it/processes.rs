//! Two processes on one server: nothing is lost (P2), and nobody has more sessions than allowed (P8).

use std::num::NonZeroU32;
use std::process::{Child, Command, Stdio};

use cloakroom::{Field, LogIn, Session, SessionError, SessionLimit, User, WhenFull};
use testbed::Server;

use crate::house::{alice, keys_of, manager, manager_at};

/// What a process is asked to do; see [`a_process_loses_nothing`].
const JOB: &str = "CLOAKROOM_TEST_JOB";

/// One process: 32 clients who count in one field. It finds its work in the environment if another
/// process has asked it, as the next test does, and else has a small job of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_loses_nothing() {
    let own = Server::start();
    let job = match std::env::var(JOB) {
        Ok(job) => job,
        Err(_) => {
            let cookie = alice(&manager(&own)).await.cookie().unwrap().to_owned();
            format!("{} {cookie} visits 1600", own.url())
        }
    };
    let [url, cookie, field, times] = job.split(' ').collect::<Vec<_>>().try_into().unwrap();
    let manager = manager_at(url);
    let times: u32 = times.parse().unwrap();
    let clients: Vec<_> = (0..32)
        .map(|client| {
            let own_share = times / 32 + u32::from(client < times % 32);
            let (manager, cookie, field) = (manager.clone(), cookie.to_owned(), field.to_owned());
            tokio::spawn(async move {
                for _ in 0..own_share {
                    let visit = manager.open([cookie.as_bytes()]);
                    acknowledged(visit.session(), &field).await.unwrap();
                    assert!(visit.close(200).await.failed.is_none());
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
}

async fn acknowledged(session: Session, field: &str) -> Result<u64, SessionError> {
    session.increment(Field::<u64>::named(field).unwrap(), 1).await
}

// Proves R67.
#[tokio::test]
async fn two_processes_of_32_clients_each_lose_nothing() {
    let server = Server::start();
    let visitor = alice(&manager(&server)).await;
    let (key, _) = keys_of(&visitor).await;
    let process = |field: &str| -> Child {
        let job = format!("{} {} {field} 10000", server.url(), visitor.cookie().unwrap());
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "processes::a_process_loses_nothing"])
            .env(JOB, job)
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    };
    for fields in [["visits", "visits"], ["left", "right"]] {
        let processes = fields.map(process);
        for mut process in processes {
            assert!(process.wait().unwrap().success(), "every increment was acknowledged");
        }
    }
    let stored = |field| server.command(&["HGET", &key, field]).text();
    assert_eq!(stored("visits"), "20000");
    assert_eq!((stored("left"), stored("right")), ("10000".into(), "10000".into()));
}

const AT_MOST: u32 = 5;

/// One process: a hundred browsers who all log in as one user at once, under a limit. Finds its work as
/// the other does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_keeps_to_the_limit() {
    let own = Server::start();
    let job = std::env::var(JOB).unwrap_or_else(|_| format!("{} alice refuse", own.url()));
    let [url, user, when_full] = job.split(' ').collect::<Vec<_>>().try_into().unwrap();
    let manager = manager_at(url);
    let limit = limit(if when_full == "refuse" { WhenFull::Refuse } else { WhenFull::EndOldest });
    let browsers: Vec<_> = (0..100)
        .map(|_| {
            let (manager, user) = (manager.clone(), User::new(user).unwrap());
            tokio::spawn(async move {
                let visit = manager.open([]);
                let session = visit.session();
                let outcome = session.log_in(user).at_most(limit).await.unwrap();
                assert!(visit.close(200).await.failed.is_none());
                outcome == LogIn::Done
            })
        })
        .collect();
    let mut let_in = 0;
    for browser in browsers {
        let_in += u32::from(browser.await.unwrap());
    }
    match limit.when_full {
        WhenFull::EndOldest => assert_eq!(let_in, 100),
        WhenFull::Refuse => assert!(let_in <= AT_MOST, "{let_in}"),
    }
}

fn limit(when_full: WhenFull) -> SessionLimit {
    SessionLimit { at_most: NonZeroU32::new(AT_MOST).unwrap(), when_full }
}

// Proves R38.
#[tokio::test]
async fn two_hundred_logins_of_two_processes_leave_the_five_that_are_allowed() {
    let server = Server::start();
    let manager = manager(&server);
    for (name, when_full) in [("alice", "refuse"), ("bob", "end-oldest")] {
        let process = || -> Child {
            Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "processes::a_process_keeps_to_the_limit"])
                .env(JOB, format!("{} {name} {when_full}", server.url()))
                .stdout(Stdio::null())
                .spawn()
                .unwrap()
        };
        let mut processes = [process(), process()];
        let user = User::new(name).unwrap();
        let sessions = manager.sessions_of(&user);
        let many = NonZeroU32::new(500).unwrap();
        // Beside them somebody looks all the time.
        while processes.iter_mut().any(|process| process.try_wait().unwrap().is_none()) {
            let alive = sessions.page(None, many).await.unwrap().sessions.len();
            let count = sessions.count().await.unwrap();
            assert!(alive <= 5 && count <= 5, "{name}: {alive} alive, {count} in the index");
        }
        for mut process in processes {
            assert!(process.wait().unwrap().success());
        }
        assert_eq!(sessions.page(None, many).await.unwrap().sessions.len(), 5, "{when_full}");
        assert_eq!(sessions.count().await.unwrap(), 5, "{when_full}");
    }
}
